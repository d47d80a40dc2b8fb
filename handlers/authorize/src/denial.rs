//! Why somebody is not let in.

/// Why a client is denied: for the log alone, since who tries tokens should not learn from the answers.
///
/// No part of a token is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no token in the header, the query or the sub-protocols.
    #[error("there is no token")]
    MissingToken,
    /// It is no JSON Web Token, or its algorithm is one that no key has here: `none` is among them.
    #[error("the token is malformed")]
    Malformed,
    /// It asks for an extension of the format (`crit`); none is known here.
    #[error("the token needs an extension that is not known")]
    UnknownExtension,
    /// No key has its `kid`; or it has none, and several keys could be meant.
    #[error("the token's key is not known")]
    UnknownKey,
    /// Its key is of another algorithm than it says.
    #[error("the token's algorithm is not that of its key")]
    WrongAlgorithm,
    /// It was not signed with that key, or was changed since.
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
    #[error("the token lacks a claim")]
    MissingClaim,
    /// Its `sub` is not 1 to 128 characters without control characters.
    #[error("the token's subject is none")]
    InvalidSubject,
    /// Its claim with the channels is neither a text nor a list of texts without blanks, or is too long.
    #[error("the token's channels are none")]
    InvalidChannels,
}

impl Denial {
    /// The name under which the log knows the reason. It stays as it is.
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::Malformed => "malformed",
            Self::UnknownExtension => "unknown_extension",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::MissingClaim => "missing_claim",
            Self::InvalidSubject => "invalid_subject",
            Self::InvalidChannels => "invalid_channels",
        }
    }
}
