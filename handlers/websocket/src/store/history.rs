//! The last messages of each channel, numbered, for clients that were away: a DynamoDB table of their own.
//!
//! | attribute | key | type |
//! |---|---|---|
//! | `channel` | hash | the channel's name |
//! | `seq` | range | the message's number in the channel: 1, 2, 3 … |
//! | `id` | | the message's id |
//! | `frame` | | the text that its recipients got |
//! | `recordedAt` | | when it was recorded, in milliseconds since the Unix epoch |
//! | `expiresAt` | TTL | seconds since the Unix epoch |
//!
//! A row without `id` and `frame` is a number that no message has, and none ever will: it is closed. There are also
//! rows for the counter of each channel, and for each message that may be sent again under the
//! [same key](claims).
//!
//! A sender first takes the next number from the counter, and then records its message under it. If it dies in between,
//! no message has the number. Whoever reads the channel and finds a gap closes it. If the sender was only slow, its
//! write then fails, and it takes another number. So what a reader has once read up to a number never changes.
//!
//! No message is lost between a replay and the live messages. A sender first records its message, and then reads the
//! channel's members. A subscriber is first added to the channel, and then reads the history. Both reads are
//! consistent. So if the sender did not find the connection, the connection finds the message. If both find each other,
//! the message comes twice, under the same number.
//!
//! A channel's rows are one partition, those of `*` too. A partition takes [1,000 writes of 1 KB, and reads of 12 MB, a
//! second][partition]. The counter is a partition of its own. So a channel takes up to 1,000 messages a second. API
//! Gateway lets in 500 clients a second by default: if as many come back, that is 24 KB for each. Beyond that, DynamoDB
//! throttles and a replay fails. Spread over more partitions, a replay would cost a query of each.
//!
//! [partition]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html

pub mod claims;
mod limits;
mod messages;
mod replay;
mod sequence;

use std::{error::Error as StdError, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;

pub use self::{
    limits::{InvalidMaxAge, InvalidMaxMessages, MaxAge, MaxMessages},
    messages::Recorded,
    replay::{Missed, OVERLAP},
};
use crate::{
    aws,
    config::{self, InvalidVariable},
    store::error::{Store, StoreError},
    time::unix_millis,
};

/// How long a row stays when its message is not kept any more. Two messages may be recorded in another order than that of
/// their numbers, as the sender of one was slow: so the row of either is there as long as the other's message is kept.
const DELETED_AFTER: Duration = Duration::from_secs(60);

/// The table of recorded messages.
#[derive(Clone, Debug)]
pub struct History {
    client: Client,
    table: String,
    max_age: MaxAge,
    max_messages: MaxMessages,
}

impl History {
    /// The history in the table of that name, with these limits.
    pub fn new(client: Client, table: impl Into<String>, max_age: MaxAge, max_messages: MaxMessages) -> Self {
        Self { client, table: table.into(), max_age, max_messages }
    }

    /// The history that the environment configures; `None` if it names no table.
    ///
    /// # Errors
    /// When a limit is out of range.
    pub fn from_env(sdk: &SdkConfig) -> Result<Option<Self>, InvalidVariable> {
        let Some(table) = config::optional(config::HISTORY_TABLE) else { return Ok(None) };
        let max_age = config::parsed(config::HISTORY_SECONDS)?;
        let max_messages = config::parsed(config::HISTORY_MESSAGES)?;
        Ok(Some(Self::new(aws::dynamodb(sdk), table, max_age, max_messages)))
    }

    /// The time of the oldest messages that are kept, in milliseconds since the Unix epoch. Older ones have expired,
    /// but DynamoDB deletes them within days, not at once.
    fn oldest(&self) -> u64 {
        unix_millis().saturating_sub(self.max_age.0.as_secs() * 1_000)
    }

    fn failed(&self, operation: &'static str, source: impl StdError + Send + Sync + 'static) -> StoreError {
        StoreError { store: Store::History, operation, table: self.table.clone(), source: Box::new(source) }
    }
}
