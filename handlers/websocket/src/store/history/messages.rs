//! The row of each message under its number.

use aws_sdk_dynamodb::{
    operation::put_item::{PutItemError, builders::PutItemFluentBuilder},
    types::ReturnValuesOnConditionCheckFailure,
};

use super::{DELETED_AFTER, History};
use crate::{
    protocol::channel::Channel,
    store::{
        attribute_values::{Row, number, read_text, text},
        error::StoreError,
    },
    time::unix_millis,
};

/// A message in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its number in the channel.
    pub seq: u64,
    /// The text that its recipients get.
    pub frame: String,
}

impl History {
    /// Records a message under a number that was taken for it. Recording is idempotent: what was recorded first under
    /// that number and id stays, and is returned. `None`: the number was closed meanwhile, so the message needs another.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn record(
        &self,
        channel: &Channel,
        seq: u64,
        id: &str,
        frame: &str,
    ) -> Result<Option<Recorded>, StoreError> {
        let put = self.new_row(channel, seq, unix_millis()).item("id", text(id)).item("frame", text(frame));
        let Some(row) = self.put_first(put).await? else {
            return Ok(Some(Recorded { seq, frame: frame.to_owned() }));
        };
        let is_same = read_text(&row, "id").is_some_and(|recorded| recorded == id);
        Ok(read_text(&row, "frame").filter(|_| is_same).map(|frame| Recorded { seq, frame }))
    }

    /// Closes a number: if no message has it, none ever will. Returns the message that has it. The row is kept no longer
    /// than the message after it, which was recorded then, in milliseconds since the Unix epoch: as long as a row is
    /// kept, so are all that come after it.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn close(
        &self,
        channel: &Channel,
        seq: u64,
        recorded_at: u64,
    ) -> Result<Option<Recorded>, StoreError> {
        let row = self.close_row(channel, seq, recorded_at).await?;
        let frame = row.and_then(|row| read_text(&row, "frame"));
        Ok(frame.map(|frame| Recorded { seq, frame }))
    }

    /// The same, and returns the row that is there.
    pub(super) async fn close_row(
        &self,
        channel: &Channel,
        seq: u64,
        recorded_at: u64,
    ) -> Result<Option<Row>, StoreError> {
        self.put_first(self.new_row(channel, seq, recorded_at)).await
    }

    fn new_row(&self, channel: &Channel, seq: u64, recorded_at: u64) -> PutItemFluentBuilder {
        let expires_at = recorded_at.div_ceil(1_000) + (self.max_age.0 + DELETED_AFTER).as_secs();
        self.client
            .put_item()
            .table_name(&self.table)
            .item("channel", text(channel.as_str()))
            .item("seq", number(seq))
            .item("recordedAt", number(recorded_at))
            .item("expiresAt", number(expires_at))
            .condition_expression("attribute_not_exists(channel)")
    }

    /// Writes a row on a condition. If it does not hold, it returns the row that is there.
    pub(super) async fn put_first(&self, put: PutItemFluentBuilder) -> Result<Option<Row>, StoreError> {
        let put = put.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let Err(error) = put.send().await else { return Ok(None) };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Some(failed.item().cloned().unwrap_or_default()))
            }
            _ => Err(self.failed("PutItem", error)),
        }
    }
}
