//! The maximum number of subscriptions of a connection.

use std::str::FromStr;

/// The environment variable with the maximum number of subscriptions of a connection, 0 to 65,535. Unset: 50.
pub const MAX_SUBSCRIPTIONS: &str = "MAX_SUBSCRIPTIONS";

/// The maximum number of subscriptions of a connection. Each is a row that a disconnect has to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxSubscriptions(pub(crate) u16);

/// The text is not a valid number of subscriptions.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a connection may have 0 to {} subscriptions", u16::MAX)]
pub struct InvalidMaxSubscriptions;

impl Default for MaxSubscriptions {
    fn default() -> Self {
        Self(50)
    }
}

impl FromStr for MaxSubscriptions {
    type Err = InvalidMaxSubscriptions;

    fn from_str(text: &str) -> Result<Self, InvalidMaxSubscriptions> {
        text.parse().map(Self).map_err(|_| InvalidMaxSubscriptions)
    }
}
