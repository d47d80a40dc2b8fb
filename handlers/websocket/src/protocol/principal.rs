//! A principal: the identity that a connection belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The identity that the authorizer returned on `$connect`: its `principalId`, such as `ada` or
/// `auth0|5f7c8ec7c33c6c004bbafe82`.
///
/// The devices of a user are connections of one principal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Principal(String);

/// The text is not a principal.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a principal has 1 to {} characters, none of them a control character", Principal::MAX_LENGTH)]
pub struct InvalidPrincipal;

impl Principal {
    /// The maximum length, in characters. The name of its channel is part of a key of the table, and of frames.
    pub const MAX_LENGTH: usize = 128;

    /// Reads a principal.
    ///
    /// # Errors
    /// When the text is empty, longer than [`Principal::MAX_LENGTH`] characters, or holds a control character.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidPrincipal> {
        let text = text.into();
        let length = text.chars().take(Self::MAX_LENGTH + 1).count();
        if (1..=Self::MAX_LENGTH).contains(&length) && !text.contains(char::is_control) {
            Ok(Self(text))
        } else {
            Err(InvalidPrincipal)
        }
    }

    /// The principal as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Principal {
    type Error = InvalidPrincipal;

    fn try_from(text: String) -> Result<Self, InvalidPrincipal> {
        Self::parse(text)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_authorizers_say_is_read() {
        for text in ["ada", "auth0|5f7c8ec7", "ada@example.com", "Ada Lovelace", "#1", "ä", &"é".repeat(128)]
        {
            assert_eq!(Principal::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_no_principal_is_refused_with_a_sentence() {
        for text in ["", "a\nb", "\0", "\u{85}", &"é".repeat(129)] {
            let error = Principal::parse(text).unwrap_err().to_string();
            assert_eq!(error, "a principal has 1 to 128 characters, none of them a control character");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_whole_or_refused(text in any::<String>()) {
            if let Ok(principal) = Principal::parse(text.clone()) {
                prop_assert_eq!(principal.as_str(), text);
            }
        }
    }
}
