//! The rows that make two requests to send a message one message: idempotency.
//!
//! The first request writes its row before anything else, and completes it once its message is sent. Another one with
//! the same key finds the row. If the row is complete, the message is sent: the request gets the same answer. If it is
//! not, the first one may have died. Then the other one sends the message, with the first one's time: it is the same
//! row of the history, and recipients drop it by its id.
//!
//! | attribute | key | value |
//! |---|---|---|
//! | `channel` | hash | `#` and the key: a partition each; no channel's name, as those do not begin with `#` |
//! | `at` | range | `claim` |
//! | `sentAt` | | the first request's time, in milliseconds since the Unix epoch |
//! | `outcome` | | what the first request answered; absent until then |
//! | `expiresAt` | TTL | seconds since the Unix epoch: as long as messages are kept |

use aws_sdk_dynamodb::{
    operation::put_item::{PutItemError, builders::PutItemFluentBuilder},
    types::ReturnValuesOnConditionCheckFailure,
};

use super::History;
use crate::{
    protocol::idempotency::IdempotencyKey,
    store::{
        attributes::{number, read_text, text},
        error::StoreError,
    },
    time::unix_seconds,
};

/// What is known of a message that may have been sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When it was sent first, in milliseconds since the Unix epoch.
    pub sent_at: u64,
    /// What came of it, if it was sent.
    pub outcome: Option<String>,
}

impl History {
    /// Claims a key for a message that is sent at this time, in milliseconds since the Unix epoch. If it was claimed
    /// before, and messages of that time are still kept, it returns that claim.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn claim(&self, key: &IdempotencyKey, sent_at: u64) -> Result<Claim, StoreError> {
        let put = self
            .put_claim(key, sent_at)
            .condition_expression("attribute_not_exists(channel) OR expiresAt < :now")
            .expression_attribute_values(":now", number(unix_seconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(Claim { sent_at, outcome: None }) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let row = failed.item().cloned().unwrap_or_default();
                let first = row.get("sentAt").and_then(|time| time.as_n().ok()?.parse().ok());
                Ok(Claim { sent_at: first.unwrap_or(sent_at), outcome: read_text(&row, "outcome") })
            }
            _ => Err(self.failed("PutItem", error)),
        }
    }

    /// Completes a claim: the message is sent.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn complete(
        &self,
        key: &IdempotencyKey,
        sent_at: u64,
        outcome: String,
    ) -> Result<(), StoreError> {
        let put = self.put_claim(key, sent_at).item("outcome", text(outcome));
        put.send().await.map(drop).map_err(|error| self.failed("PutItem", error))
    }

    fn put_claim(&self, key: &IdempotencyKey, sent_at: u64) -> PutItemFluentBuilder {
        self.client
            .put_item()
            .table_name(&self.table)
            .item("channel", text(format!("#{}", key.as_str())))
            .item("at", text("claim"))
            .item("sentAt", number(sent_at))
            .item("expiresAt", number(self.expires_at(sent_at)))
    }
}
