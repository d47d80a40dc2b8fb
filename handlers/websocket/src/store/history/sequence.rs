//! The counter of each channel, which numbers its messages.
//!
//! | attribute | key | value |
//! |---|---|---|
//! | `channel` | hash | `#seq:` and the channel's name: a partition each; no channel's name, as those do not begin with `#` |
//! | `seq` | range | 0 |
//! | `lastSeq` | | the last number that was taken |
//! | `createdAt` | | when the counter began, in milliseconds since the Unix epoch |
//! | `expiresAt` | TTL | seconds since the Unix epoch: [`KEPT`] after the last number |

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::{History, MaxAge};
use crate::{
    protocol::channel::Channel,
    store::{
        attribute_values::{Row, number, read_number, text},
        error::StoreError,
    },
    time::{unix_millis, unix_seconds},
};

/// How long a counter outlives the last number that was taken from it: a channel without a message for so long begins
/// at 1 again. It is far longer than any message is kept, and than any client stays open.
const KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How many numbers may have been taken without a row: those of senders that are between their two writes.
const UNDER_WAY: u64 = 32;

/// The longest that a function of Lambda runs: who took a number before has recorded its message, or never will.
const LONGEST_INVOCATION: Duration = Duration::from_secs(15 * 60);

/// A channel's counter. Of a channel that never had a message, it is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counter {
    /// The last number that was taken.
    pub(super) last: u64,
    /// When the counter began, in milliseconds since the Unix epoch.
    created_at: u64,
    /// When the last number was taken, in seconds since the Unix epoch.
    taken_at: u64,
}

impl Counter {
    /// Whether the channel is so young that none of its messages has expired.
    pub(super) fn is_young(&self) -> bool {
        self.created_at >= unix_millis().saturating_sub(MaxAge::LEAST.as_millis() as u64)
    }

    /// The last number up to which no message is recorded any more, if none is kept.
    pub(super) fn settled(&self) -> u64 {
        let is_settled = unix_seconds() > self.taken_at + LONGEST_INVOCATION.as_secs();
        if is_settled { self.last } else { self.last.saturating_sub(UNDER_WAY) }
    }
}

impl History {
    /// Takes the next number of a channel.
    ///
    /// # Errors
    /// When the counter could not be written.
    pub async fn next_seq(&self, channel: &Channel) -> Result<u64, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(channel)))
            .update_expression(
                "SET createdAt = if_not_exists(createdAt, :now), expiresAt = :expiry ADD lastSeq :one",
            )
            .expression_attribute_values(":now", number(unix_millis()))
            .expression_attribute_values(":expiry", number(unix_seconds() + KEPT.as_secs()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::UpdatedNew);
        let counter = update.send().await.map_err(|error| self.failed("UpdateItem", error))?;
        let last = counter.attributes().and_then(|counter| read_number(counter, "lastSeq"));
        last.ok_or_else(|| self.failed("UpdateItem", std::io::Error::other("the answer has no number")))
    }

    /// The last number that was taken in a channel; 0 if none was.
    ///
    /// # Errors
    /// When the counter could not be read.
    pub async fn last_seq(&self, channel: &Channel) -> Result<u64, StoreError> {
        Ok(self.counter(channel).await?.last)
    }

    pub(super) async fn counter(&self, channel: &Channel) -> Result<Counter, StoreError> {
        let get =
            self.client.get_item().table_name(&self.table).set_key(Some(key(channel))).consistent_read(true);
        let row = get.send().await.map_err(|error| self.failed("GetItem", error))?.item.unwrap_or_default();
        Ok(Counter {
            last: read_number(&row, "lastSeq").unwrap_or_default(),
            created_at: read_number(&row, "createdAt").unwrap_or_default(),
            taken_at: read_number(&row, "expiresAt").unwrap_or_default().saturating_sub(KEPT.as_secs()),
        })
    }
}

fn key(channel: &Channel) -> Row {
    let hash = text(format!("#seq:{}", channel.as_str()));
    Row::from([("channel".to_owned(), hash), ("seq".to_owned(), number(0))])
}
