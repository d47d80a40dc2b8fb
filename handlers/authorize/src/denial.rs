//! The reasons for denying a connection.

/// The reason for a denial. Only the log shows it: an attacker who tries tokens should not learn from the answers.
///
/// It contains no part of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// There is no token in the header, the query or the sub-protocols.
    #[error("there is no token")]
    MissingToken,
    /// The token is not a JSON Web Token, or its algorithm is `none`.
    #[error("the token is malformed")]
    Malformed,
    /// The token requires an extension of the format (`crit`). None is supported.
    #[error("the token needs an extension that is not known")]
    UnknownExtension,
    /// The token is for another purpose (`typ`), such as logout.
    #[error("the token is of another type")]
    WrongType,
    /// No key has the token's `kid`; or the token has none, and far too many keys match.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The token's algorithm is not that of its key, or is not supported.
    #[error("the token's algorithm is not that of its key")]
    WrongAlgorithm,
    /// The token was not signed with its key, or with any of its candidate keys, or was changed since.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// The token has expired (`exp`).
    #[error("the token has expired")]
    Expired,
    /// The token is not valid yet (`nbf`).
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token is from another issuer (`iss`).
    #[error("the token is another issuer's")]
    WrongIssuer,
    /// The token is for another audience (`aud`).
    #[error("the token is for another audience")]
    WrongAudience,
    /// The token has no `exp`, `iss` or `aud`, or one of the wrong type.
    #[error("the token lacks the claim {claim:?}, or it is of another type than it must be")]
    MissingClaim {
        /// The claim's name. The client cannot choose it.
        claim: String,
    },
    /// The token's `sub` is not 1 to 128 characters without control characters.
    #[error("the token's subject is none")]
    InvalidSubject,
    /// The claim with the channels is neither a string nor a list of valid patterns, or is too long.
    #[error("the token's channels are none")]
    InvalidChannels,
}

impl Denial {
    /// The denial for a claim that is missing, or of the wrong type.
    pub(crate) fn missing(claim: &str) -> Self {
        Self::MissingClaim { claim: claim.to_owned() }
    }

    /// The missing claim.
    pub fn claim(&self) -> Option<&str> {
        if let Self::MissingClaim { claim } = self { Some(claim) } else { None }
    }

    /// The name of the reason in the log. It is stable.
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
