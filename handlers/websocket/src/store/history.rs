//! The last messages of each channel, for clients that were away, in a DynamoDB table of their own.
//!
//! | attribute | key | type |
//! |---|---|---|
//! | `channel` | hash | the channel's name |
//! | `at` | range | the send time in milliseconds since the Unix epoch, with 13 digits, `#`, and the message's id |
//! | `frame` | | the text that its recipients got |
//! | `expiresAt` | TTL | seconds since the Unix epoch |
//!
//! There is also a row for each message that may be sent again under the same id.
//!
//! So a channel's messages are sorted by send time, and those of one millisecond by id.
//!
//! No message is lost between a replay and the live messages. A sender first records its message, and then reads the
//! channel's members. A subscriber is first added to the channel, and then reads the history. Both reads are
//! consistent. So if the sender did not find the connection, the connection finds the message. If both find each other,
//! the message comes twice, under the same id.
//!
//! A channel's rows are one partition, those of `*` too. A partition is read at [3,000 units of 4 KB a
//! second][partition], 12 MB. API Gateway lets in 500 clients a second by default: if as many come back, that is 24 KB
//! for each. Beyond that, DynamoDB throttles and a replay fails. Spread over more partitions, a replay would cost a
//! query of each.
//!
//! [partition]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html

mod claims;

use std::{error::Error as StdError, str::FromStr, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;

use crate::{
    aws,
    config::{self, InvalidVariable},
    protocol::channel::Channel,
    store::{
        attributes::{number, text},
        error::{Store, StoreError},
    },
    time::unix_millis,
};

/// How long before the client's `since` a replay begins. A client can get a later message before an earlier one. A
/// message has the time when API Gateway received it, but is recorded at any moment of the 29 seconds that a function
/// then has at most. And clocks differ.
pub const OVERLAP: Duration = Duration::from_secs(60);

/// The table of recorded messages.
#[derive(Clone, Debug)]
pub struct History {
    client: Client,
    table: String,
    max_age: MaxAge,
    max_messages: MaxMessages,
}

/// How long a message is kept: 5 minutes to 30 days, and a day by default.
///
/// It can change while messages are kept: each message gets its expiry when it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge(Duration);

/// The maximum number of messages in a replay: 1 to 1,000, and 500 by default. They are posted one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxMessages(u16);

/// The text is not a valid time to keep messages.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a message is kept for {} to {} seconds", MaxAge::SECONDS.0, MaxAge::SECONDS.1)]
pub struct InvalidMaxAge;

/// The text is not a number of messages to replay.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("at most 1 to {} messages are replayed", MaxMessages::MAX)]
pub struct InvalidMaxMessages;

/// The messages that were sent to a channel while a client was away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The messages as their recipients got them, in order.
    pub frames: Vec<String>,
    /// Whether they are all the messages that were sent.
    pub complete: bool,
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

    /// Records a message as sent at this time, in milliseconds since the Unix epoch. Recording is idempotent.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn record(
        &self,
        channel: &Channel,
        sent_at: u64,
        id: &str,
        frame: &str,
    ) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("channel", text(channel.as_str()))
            .item("at", text(format!("{}#{id}", digits(sent_at))))
            .item("frame", text(frame))
            .item("expiresAt", number(self.expires_at(sent_at)));
        put.send().await.map_err(|error| self.failed("PutItem", error))?;
        Ok(())
    }

    /// The messages that were sent to a channel since a time, in milliseconds since the Unix epoch, and in the
    /// [`OVERLAP`] before it. They are the newest, up to the limit of a replay and to one page of DynamoDB, 1 MB.
    ///
    /// They are not [complete](Missed::complete) if older messages were left out, or are no longer kept.
    ///
    /// # Errors
    /// When the table could not be read.
    pub async fn since(&self, channel: &Channel, since: u64) -> Result<Missed, StoreError> {
        let (MaxAge(max_age), MaxMessages(max)) = (self.max_age, self.max_messages);
        let now = unix_millis();
        let start = before(since.min(now), OVERLAP);
        // Older messages have expired, but DynamoDB deletes them within days, not at once.
        let oldest = before(now, max_age);
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("channel = :channel AND #at >= :start")
            .expression_attribute_names("#at", "at") // a reserved word of DynamoDB
            .expression_attribute_values(":channel", text(channel.as_str()))
            .expression_attribute_values(":start", text(digits(start.max(oldest))))
            .scan_index_forward(false)
            .limit(i32::from(max) + 1) // One more shows whether some are left out.
            .send()
            .await
            .map_err(|error| self.failed("Query", error))?;
        let newest = page.items().iter().take(max.into());
        let mut frames: Vec<_> = newest.filter_map(|row| row.get("frame")?.as_s().ok()).cloned().collect();
        frames.reverse();
        let cut_off = page.items().len() > max.into() || page.last_evaluated_key.is_some();
        Ok(Missed { frames, complete: start >= oldest && !cut_off })
    }

    /// When what was sent at this time expires, in seconds since the Unix epoch.
    fn expires_at(&self, sent_at: u64) -> u64 {
        let MaxAge(max_age) = self.max_age;
        sent_at.div_ceil(1_000).saturating_add(max_age.as_secs())
    }

    fn failed(&self, operation: &'static str, source: impl StdError + Send + Sync + 'static) -> StoreError {
        StoreError { store: Store::History, operation, table: self.table.clone(), source: Box::new(source) }
    }
}

/// A time as text that sorts in the order of time, until the year 2286.
fn digits(millis: u64) -> String {
    format!("{millis:013}")
}

fn before(millis: u64, duration: Duration) -> u64 {
    millis.saturating_sub(duration.as_secs() * 1_000)
}

impl MaxAge {
    /// The minimum and the maximum. The [`OVERLAP`] is well within the minimum.
    const SECONDS: (u64, u64) = (300, 30 * 24 * 60 * 60);
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
