//! The row that limits a connection to one replay at a time.
//!
//! A request of some bytes causes a replay of up to hundreds of messages, so a connection has one in progress. Its row
//! is written before and deleted after: two writes of the table and of its index each. If the function dies in between,
//! the row counts until the function's deadline. Then it counts no longer, and expires.
//!
//! | attribute | key | value |
//! |---|---|---|
//! | `channel` | hash | `replay:` and the connection's id: a partition each; no channel's key, as those contain `#` |
//! | `connectionId` | range | the connection's id, so that the row is deleted with the connection's others |
//! | `expiresAt` | TTL | when the row no longer counts |
//! | `requestId` | | the request that the replay answers |

use aws_sdk_dynamodb::operation::put_item::PutItemError;

use super::{Registry, is_condition};
use crate::{
    protocol::connection::ConnectionId,
    store::{
        attribute_values::{Row, number, text},
        error::StoreError,
    },
    time::unix_seconds,
};

/// The maximum difference between the clocks of two functions, in seconds.
const SKEW: u64 = 2;

impl Registry {
    /// Begins a replay that ends within `seconds`. Returns `false` if the connection has another replay in progress. A
    /// request may begin its own replay again, in case it did not hear that it had begun.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn begin_replay(
        &self,
        id: &ConnectionId,
        request_id: &str,
        seconds: u64,
    ) -> Result<bool, StoreError> {
        let now = unix_seconds();
        let mut row = key(id);
        row.insert("expiresAt".to_owned(), number(now.saturating_add(seconds) + SKEW));
        row.insert("requestId".to_owned(), text(request_id));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .condition_expression(
                "attribute_not_exists(connectionId) OR expiresAt < :now OR requestId = :request",
            )
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":request", text(request_id));
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(self.failed("PutItem", error)),
            },
        }
    }

    /// Ends the replay of a request: the next may begin.
    ///
    /// # Errors
    /// When the row could not be deleted. It no longer counts once its time is over.
    pub async fn end_replay(&self, id: &ConnectionId, request_id: &str) -> Result<(), StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(id)))
            .condition_expression("requestId = :request")
            .expression_attribute_values(":request", text(request_id));
        match delete.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_condition(&error) => Ok(()),
            Err(error) => Err(self.failed("DeleteItem", error)),
        }
    }
}

fn key(id: &ConnectionId) -> Row {
    Row::from([
        ("channel".to_owned(), text(format!("replay:{id}"))),
        ("connectionId".to_owned(), text(id.as_str())),
    ])
}
