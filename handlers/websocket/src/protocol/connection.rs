//! A connection: its id, and the data that the registry stores about it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::protocol::principal::Principal;

/// The maximum time that API Gateway keeps a connection open ([quota], fixed).
///
/// [quota]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
pub const MAX_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// The id that API Gateway gave a connection, such as `L0SM9cOFvHcCIhw=`. Never reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ConnectionId(String);

/// The text is not the id of a connection.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a connection id has 1 to {} characters of A-Z a-z 0-9 + / = _ -, not {found:?}",
    ConnectionId::MAX_LENGTH
)]
pub struct InvalidConnectionId {
    found: String,
}

impl ConnectionId {
    /// Far above the 16 characters that ids have today.
    const MAX_LENGTH: usize = 128;

    /// Reads an id.
    ///
    /// # Errors
    /// When the text is empty, longer than 128 bytes, or holds anything but base64's characters.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidConnectionId> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
        if (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text))
        } else {
            Err(InvalidConnectionId { found: text.chars().take(Self::MAX_LENGTH).collect() })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ConnectionId {
    type Error = InvalidConnectionId;

    fn try_from(text: String) -> Result<Self, InvalidConnectionId> {
        Self::parse(text)
    }
}

/// Recipients of a post can be ids, or other types that have an id.
impl AsRef<Self> for ConnectionId {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The data that the registry stores about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The id, the table's range key.
    pub id: ConnectionId,
    /// When the connection was established, in milliseconds since the Unix epoch.
    pub connected_at: u64,
    /// The principal, if an authorizer named one.
    pub principal: Option<Principal>,
    /// The client's address, as API Gateway saw it.
    pub source_ip: Option<String>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn real_ids_are_read() {
        for id in ["L0SM9cOFvHcCIhw=", "Zx9_-abcdef12345=", "0123456789abcdef"] {
            assert_eq!(ConnectionId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn what_is_no_id_is_refused_with_a_sentence() {
        for text in ["", "a b", "a\n", "ä", "x?y", &"a".repeat(129)] {
            let error = ConnectionId::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("a connection id has 1 to 128 characters"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_whole_or_refused(text in ".{0,200}") {
            if let Ok(id) = ConnectionId::parse(text.clone()) {
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
