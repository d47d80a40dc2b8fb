//! The loop of a function behind a queue: a batch of records in, a handler called for each, the failed ones reported
//! back (a partial batch response).

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use tokio::time::Instant;

use crate::{
    lambda::{error::Error, runtime::invoked},
    log::chain,
    time::unix_millis,
};

/// Serves the messages of a queue with one handler, those of a batch side by side, for as long as the execution
/// environment lives.
///
/// Only a message whose handler fails goes back to the queue. For that, the event source mapping has to report [batch
/// item failures][partial].
///
/// # Errors
/// As [`runtime::run`](crate::lambda::runtime::run).
///
/// [partial]: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
pub async fn run_queue<H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(Record) -> Result<(), Error>,
{
    invoked(async |batch: SqsEvent, deadline| Ok(serve_batch(&handler, batch, deadline).await)).await
}

/// A message of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// SQS's id of the message.
    pub id: String,
    /// The body of the message.
    pub body: String,
    /// The ARN of the queue that it was in.
    pub queue: String,
    /// When it was put into the queue, in milliseconds since the Unix epoch: the same at every delivery.
    pub sent_at: u64,
    /// How often the queue has delivered it, this time included.
    pub receives: u32,
    /// When Lambda ends the invocation.
    pub deadline: Instant,
}

async fn serve_batch<H>(handler: &H, batch: SqsEvent, deadline: Instant) -> SqsBatchResponse
where
    H: AsyncFn(Record) -> Result<(), Error>,
{
    let served = batch.records.into_iter().map(async |message| {
        let trace = message.attributes.get("AWSTraceHeader").cloned();
        let record = record(message, deadline);
        let id = record.id.clone();
        let error = handler(record).await.err()?;
        tracing::error!(
            record_id = id,
            trace,
            error_type = error.error_type(),
            error = chain(&error),
            "record failed, returned to queue"
        );
        Some(id)
    });
    let failed = join_all(served).await.into_iter().flatten();
    let mut response = SqsBatchResponse::default();
    failed.for_each(|id| response.add_failure(id));
    response
}

fn record(message: SqsMessage, deadline: Instant) -> Record {
    let SqsMessage { message_id, body, attributes, event_source_arn, .. } = message;
    let number = |name: &str| attributes.get(name)?.parse::<u64>().ok();
    Record {
        id: message_id.unwrap_or_default(),
        body: body.unwrap_or_default(),
        queue: event_source_arn.unwrap_or_default(),
        sent_at: number("SentTimestamp").unwrap_or_else(unix_millis),
        receives: number("ApproximateReceiveCount").and_then(|count| count.try_into().ok()).unwrap_or(1),
        deadline,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::error::DeliveryError;

    #[tokio::test]
    async fn of_a_batch_only_the_messages_that_failed_go_back() {
        let record = |id: &str| json!({"messageId": id, "body": id, "eventSource": "aws:sqs"});
        let records = ["1", "bad", "2", "worse"].map(record);
        let batch = json!({ "Records": records });
        let handler = async |record: Record| {
            assert_eq!(record.id, record.body);
            if record.id.parse::<u8>().is_ok() { Ok(()) } else { Err(DeliveryError::NoTime.into()) }
        };
        let batch = serde_json::from_value(batch).unwrap();
        let response = serve_batch(&handler, batch, Instant::now()).await;
        assert_eq!(
            serde_json::to_value(response).unwrap(),
            json!({"batchItemFailures": [{"itemIdentifier": "bad"}, {"itemIdentifier": "worse"}]})
        );
    }

    #[test]
    fn a_record_keeps_the_time_when_it_was_sent_and_tells_its_queue_however_often_it_comes() {
        let message = json!({
            "messageId": "1",
            "body": "hello",
            "attributes": {"SentTimestamp": "1700000000123", "ApproximateReceiveCount": "3"},
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:news-publish",
        });
        let deadline = Instant::now();
        let record = record(serde_json::from_value(message).unwrap(), deadline);
        let queue = "arn:aws:sqs:eu-central-1:123456789012:news-publish".to_owned();
        let (id, body) = ("1".to_owned(), "hello".to_owned());
        assert_eq!(record, Record { id, body, queue, sent_at: 1_700_000_000_123, receives: 3, deadline });
    }
}
