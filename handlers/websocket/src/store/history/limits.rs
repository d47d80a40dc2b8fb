//! How long messages are kept, and how many a replay holds.

use std::{str::FromStr, time::Duration};

use super::OVERLAP;

/// How long a message is kept: 5 minutes to 30 days, and a day by default.
///
/// It can change while messages are kept: each message gets its expiry when it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge(pub(super) Duration);

/// The maximum number of messages in a replay: 1 to 1,000, and 500 by default. They are posted one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxMessages(pub(super) u16);

/// The text is not a valid time to keep messages.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a message is kept for {} to {} seconds", MaxAge::SECONDS.0, MaxAge::SECONDS.1)]
pub struct InvalidMaxAge;

/// The text is not a number of messages to replay.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("at most 1 to {} messages are replayed", MaxMessages::MAX)]
pub struct InvalidMaxMessages;

impl MaxAge {
    /// The minimum and the maximum. The [`OVERLAP`] is well within the minimum.
    const SECONDS: (u64, u64) = (Self::LEAST.as_secs(), 30 * 24 * 60 * 60);

    /// The minimum.
    pub(super) const LEAST: Duration = Duration::from_secs(5 * OVERLAP.as_secs());
}

impl Default for MaxAge {
    fn default() -> Self {
        Self(Duration::from_secs(24 * 60 * 60))
    }
}

impl FromStr for MaxAge {
    type Err = InvalidMaxAge;

    fn from_str(text: &str) -> Result<Self, InvalidMaxAge> {
        let seconds = text.parse().map_err(|_| InvalidMaxAge)?;
        let (least, most) = Self::SECONDS;
        if (least..=most).contains(&seconds) {
            Ok(Self(Duration::from_secs(seconds)))
        } else {
            Err(InvalidMaxAge)
        }
    }
}

impl MaxMessages {
    const MAX: u16 = 1_000;
}

impl Default for MaxMessages {
    fn default() -> Self {
        Self(500)
    }
}

impl FromStr for MaxMessages {
    type Err = InvalidMaxMessages;

    fn from_str(text: &str) -> Result<Self, InvalidMaxMessages> {
        let count = text.parse().map_err(|_| InvalidMaxMessages)?;
        if (1..=Self::MAX).contains(&count) { Ok(Self(count)) } else { Err(InvalidMaxMessages) }
    }
}
