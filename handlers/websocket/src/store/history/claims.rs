//! The rows that make two requests to send a message one message: idempotency.
//!
//! A request reads the row of its key. If there is none, it takes a number, writes the row with it, records its message
//! under that number, delivers it, and completes the row with what came of it. Another request with the same key finds the
//! row. If it is complete, the message is sent: the request gets the same answer. If it is not, the first one is still at
//! work, or died.
//!
//! | attribute | key | value |
//! |---|---|---|
//! | `channel` | hash | `#` and the key: a partition each; no channel's name, as those do not begin with `#` |
//! | `seq` | range | 0 |
//! | `messageSeq` | | the number that was taken for the message |
//! | `claimedAt` | | when, in milliseconds since the Unix epoch |
//! | `workUntil` | | when the request is over, done or not, in milliseconds since the Unix epoch |
//! | `outcome` | | what the first request answered; absent until then |
//! | `expiresAt` | TTL | seconds since the Unix epoch: as long as messages are kept, and [`LEAST`] |

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;

use super::History;
use crate::{
    protocol::idempotency::IdempotencyKey,
    store::{
        attribute_values::{Row, number, read_number, read_text, text},
        error::StoreError,
    },
    time::{unix_millis, unix_seconds},
};

/// How long a claim is kept at least: a queue with five receives of a function that has 15 minutes, six times that apart,
/// delivers a record for the last time after 7.5 hours.
pub const LEAST: Duration = Duration::from_secs(8 * 60 * 60);

/// What is known of a message that was sent, or is being sent, under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The number that was taken for it.
    pub seq: u64,
    /// When, in milliseconds since the Unix epoch.
    pub claimed_at: u64,
    /// When the request that took it is over, done or not, in milliseconds since the Unix epoch.
    pub work_until: u64,
    /// What came of it, if it was sent.
    pub outcome: Option<String>,
}

impl Claim {
    fn read(row: &Row) -> Option<Self> {
        Some(Self {
            seq: read_number(row, "messageSeq")?,
            claimed_at: read_number(row, "claimedAt")?,
            work_until: read_number(row, "workUntil")?,
            outcome: read_text(row, "outcome"),
        })
    }
}

impl History {
    /// The claim to a key, if it has not expired.
    ///
    /// # Errors
    /// When the row could not be read.
    pub async fn claim_to(&self, key: &IdempotencyKey) -> Result<Option<Claim>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("channel", text(hash(key)))
            .key("seq", number(0))
            .consistent_read(true);
        let row = get.send().await.map_err(|error| self.failed("GetItem", error))?.item;
        let is_kept = |row: &Row| read_number(row, "expiresAt").is_some_and(|at| at >= unix_seconds());
        Ok(row.filter(is_kept).as_ref().and_then(Claim::read))
    }

    /// Claims a key for a message under this number, in the place of the claim of that other number if there is one. The
    /// request is over then, in milliseconds since the Unix epoch. Returns the claim of another request, if that was
    /// first.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn claim(
        &self,
        key: &IdempotencyKey,
        seq: u64,
        former: Option<u64>,
        work_until: u64,
    ) -> Result<Option<Claim>, StoreError> {
        let put = self
            .put_claim(key, seq, work_until)
            .condition_expression("attribute_not_exists(channel) OR expiresAt < :now OR messageSeq = :former")
            .expression_attribute_values(":now", number(unix_seconds()))
            .expression_attribute_values(":former", number(former.unwrap_or(0)));
        let other = self.put_first(put).await?.as_ref().and_then(Claim::read);
        Ok(other.filter(|other| other.seq != seq)) // It is this request's own where the first answer was lost.
    }

    /// Completes a claim: the message is sent. What another request completed it with stays.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn complete(&self, key: &IdempotencyKey, seq: u64, outcome: String) -> Result<(), StoreError> {
        let put = self.put_claim(key, seq, unix_millis()).item("outcome", text(outcome));
        self.put_first(put.condition_expression("attribute_not_exists(outcome)")).await.map(drop)
    }

    fn put_claim(&self, key: &IdempotencyKey, seq: u64, work_until: u64) -> PutItemFluentBuilder {
        let expires_at = unix_seconds() + self.max_age.0.max(LEAST).as_secs();
        self.client
            .put_item()
            .table_name(&self.table)
            .item("channel", text(hash(key)))
            .item("seq", number(0))
            .item("messageSeq", number(seq))
            .item("claimedAt", number(unix_millis()))
            .item("workUntil", number(work_until))
            .item("expiresAt", number(expires_at))
    }
}

fn hash(key: &IdempotencyKey) -> String {
    format!("#{}", key.as_str())
}
