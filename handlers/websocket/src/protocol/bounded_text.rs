//! A text that a client chose, with a bound on its length.

use serde::{Deserialize, Serialize};

/// A text that a client chose: 1 to `MAX` characters of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BoundedText<const MAX: usize>(String);

/// The text is empty or too long.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("it has 1 to {0} characters")]
pub struct InvalidLength(usize);

impl<const MAX: usize> TryFrom<String> for BoundedText<MAX> {
    type Error = InvalidLength;

    fn try_from(text: String) -> Result<Self, InvalidLength> {
        let length = text.chars().take(MAX + 1).count();
        if (1..=MAX).contains(&length) { Ok(Self(text)) } else { Err(InvalidLength(MAX)) }
    }
}

impl<const MAX: usize> BoundedText<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
