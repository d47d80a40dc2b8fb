//! The queue of the function `publish`, where what one invocation has no time for waits for the next.

use std::{error::Error as StdError, time::Duration};

use aws_sdk_sqs::Client;
use serde::Serialize;

/// The queue did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("SendMessage to the queue {url}")]
pub struct QueueError {
    url: String,
    source: Box<dyn StdError + Send + Sync>,
}

/// An SQS queue to put messages into.
///
/// In a function the SDK sends the trace's id along, so that a trace goes on behind the queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue with that URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Puts a message in, which nobody gets before the delay is over.
    pub(crate) async fn send(&self, message: &impl Serialize, delay: Duration) -> Result<(), QueueError> {
        let failed = |source: Box<dyn StdError + Send + Sync>| QueueError { url: self.url.clone(), source };
        let body = serde_json::to_string(message).map_err(|error| failed(error.into()))?;
        let send = self.client.send_message().queue_url(&self.url).message_body(body);
        let send = send.delay_seconds(i32::try_from(delay.as_secs()).unwrap_or(i32::MAX));
        send.send().await.map_err(|error| failed(error.into()))?;
        Ok(())
    }
}
