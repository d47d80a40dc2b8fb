//! Why somebody is not let in.

/// Why a client is denied: for the log alone, since who tries tokens should not learn from the answers.
///
/// No part of a token is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no token in the header, the query or the sub-protocols.
    #[error("there is no token")]
    MissingToken,
    /// It is no JSON Web Token, or its algorithm is `none`.
    #[error("the token is malformed")]
    Malformed,
    /// It asks for an extension of the format (`crit`); none is known here.
    #[error("the token needs an extension that is not known")]
    UnknownExtension,
    /// It is for something else (`typ`), such as to log out.
    #[error("the token is of another type")]
    WrongType,
    /// No key has its `kid`; or it has none, and far too many keys could be meant.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Its key is of another algorithm than it says, or it says one that is not known here.
    #[error("the token's algorithm is not that of its key")]
    WrongAlgorithm,
    /// It was not signed with that key, or one of those keys, or was changed since.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// Its time is over (`exp`).
    #[error("the token has expired")]
    Expired,
    /// Its time has not come (`nbf`).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Somebody else issued it (`iss`).
    #[error("the token is another issuer's")]
    WrongIssuer,
    /// It is for somebody else (`aud`).
    #[error("the token is for another audience")]
    WrongAudience,
    /// It has no `exp`, `iss` or `aud`, or one that is of another type than it must be.
    #[error("the token lacks the claim {claim:?}, or it is of another type than it must be")]
    MissingClaim {
        /// Its name, which is not the client's to choose.
        claim: String,
    },
    /// Its `sub` is not 1 to 128 characters without control characters.
    #[error("the token's subject is none")]
    InvalidSubject,
    /// Its claim with the channels is neither a text nor a list of patterns that can be read, or is too long.
    #[error("the token's channels are none")]
    InvalidChannels,
}

impl Denial {
    /// A claim is not there, or not of the type that it must be of.
    pub(crate) fn missing(claim: &str) -> Self {
        Self::MissingClaim { claim: claim.to_owned() }
    }

    /// The claim that is missing.
    pub fn claim(&self) -> Option<&str> {
        if let Self::MissingClaim { claim } = self { Some(claim) } else { None }
    }

    /// The name under which the log knows the reason. It stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::Malformed => "malformed",
            Self::UnknownExtension => "unknown_extension",
            Self::WrongType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::MissingClaim { .. } => "missing_claim",
            Self::InvalidSubject => "invalid_subject",
            Self::InvalidChannels => "invalid_channels",
        }
    }
}
