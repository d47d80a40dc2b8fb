//! A pagination cursor for the list of a channel's members.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::connection::ConnectionId;

/// The place after a member: the next page of a list begins there.
///
/// To clients it is a text that they send back. It names a shard and a connection, but no channel. So a cursor that is
/// forged, or of another channel, is a place in the requested list and in no other. The connection may be gone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cursor {
    pub(crate) shard: u8,
    pub(crate) connection_id: ConnectionId,
}

/// A range of a shard of a channel: the members after one, or from the beginning, through another, or to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShardCursor {
    pub(crate) shard: u8,
    pub(crate) after: Option<ConnectionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) through: Option<ConnectionId>,
}

/// The text is not a cursor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a cursor is the text that came as next")]
pub struct InvalidCursor;

impl Cursor {
    /// Reads a cursor.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidCursor> {
        let (shard, id) = text.split_once('.').ok_or(InvalidCursor)?;
        Ok(Self {
            shard: shard.parse().map_err(|_| InvalidCursor)?,
            connection_id: ConnectionId::parse(id).map_err(|_| InvalidCursor)?,
        })
    }
}

impl TryFrom<String> for Cursor {
    type Error = InvalidCursor;

    fn try_from(text: String) -> Result<Self, InvalidCursor> {
        Self::parse(&text)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.shard, self.connection_id)
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor { shard: 63, connection_id: ConnectionId::parse("L0SM9cOFvHcCIhw=").unwrap() };
        assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
    }

    #[test]
    fn what_is_no_cursor_is_refused_with_a_sentence() {
        for text in
            ["", ".", "1", "1.", ".a", "256.a", "-1.a", "1.a b", "1.a#0", &format!("1.{}", "a".repeat(129))]
        {
            let error = Cursor::parse(text).unwrap_err().to_string();
            assert_eq!(error, "a cursor is the text that came as next", "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in any::<String>(), near in "[0-9+]{0,4}\\.?[a-z=#. ]{0,8}") {
            for text in [text, near] {
                if let Ok(cursor) = Cursor::parse(&text) {
                    prop_assert_eq!(Cursor::parse(&cursor.to_string()), Ok(cursor));
                }
            }
        }
    }
}
