//! Puts tasks into the delivery queue, where the work that one invocation has no time for waits for the next.

use std::{collections::VecDeque, error::Error as StdError, time::Duration};

use aws_sdk_sqs::{
    Client,
    config::http::HttpResponse,
    error::SdkError,
    operation::send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
    types::SendMessageBatchRequestEntry,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::protocol::task::Task;

/// The maximum number of messages in a call ([quota], fixed).
///
/// [quota]: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const MAX_ENTRIES: usize = 10;

/// The maximum size of all messages of a call together, in bytes. SQS takes 1 MiB since 2025. This is what it took
/// before, and what the module `publisher` allows for one message.
const MAX_BYTES: usize = 256 * 1024;

/// The wait before the second call for a message that was not taken; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two calls.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The queue did not take a message.
#[derive(Debug, thiserror::Error)]
#[error("SendMessageBatch to the queue {url}")]
pub struct TaskQueueError {
    url: String,
    source: Box<dyn StdError + Send + Sync>,
}

/// Why a message was not taken, though each call was answered.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error("{code}: {sentence}")]
    Refused { code: String, sentence: String },
    #[error("not before the time for it was over")]
    NoTime,
}

/// An SQS queue that tasks are put into.
///
/// In a function, the SDK sends the trace id along, so that a trace goes on behind the queue.
#[derive(Clone, Debug)]
pub struct TaskQueue {
    client: Client,
    url: String,
}

/// A task as it goes into the queue.
struct Queued {
    body: String,
    delay: Duration,
}

impl TaskQueue {
    /// The queue with that URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Puts tasks into the queue, each to be delivered after its delay. Only the tasks that the queue does not take
    /// are tried again, until the deadline.
    ///
    /// # Errors
    /// When the queue did not take all tasks in time, or never will. It may have taken some.
    pub(crate) async fn send(
        &self,
        tasks: impl IntoIterator<Item = (Task, Duration)>,
        deadline: Instant,
    ) -> Result<(), TaskQueueError> {
        let queued = tasks.into_iter().map(|(task, delay)| Queued { body: task.to_text(), delay });
        let mut waiting: VecDeque<_> = queued.collect();
        let mut wait = FIRST_WAIT;
        while !waiting.is_empty() {
            let batch: Vec<_> = waiting.drain(..fitting(&waiting)).collect();
            let Ok(sent) = timeout_at(deadline, self.send_batch(&batch)).await else {
                return Err(self.failed(NotTaken::NoTime));
            };
            let not_taken = self.not_taken(batch, sent)?;
            if !not_taken.is_empty() {
                if Instant::now() + wait >= deadline {
                    return Err(self.failed(NotTaken::NoTime));
                }
                sleep(wait).await;
                wait = LONGEST_WAIT.min(wait * 2);
            }
            not_taken.into_iter().rev().for_each(|queued| waiting.push_front(queued));
        }
        Ok(())
    }

    async fn send_batch(&self, batch: &[Queued]) -> Sent {
        let entries = batch.iter().enumerate().map(|(index, queued)| {
            SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(&queued.body)
                .delay_seconds(i32::try_from(queued.delay.as_secs()).unwrap_or(i32::MAX))
                .build()
        });
        let entries = entries.collect::<Result<_, _>>().map_err(SdkError::construction_failure)?;
        self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await
    }

    /// The tasks of a batch that may be taken when they are sent again.
    fn not_taken(&self, batch: Vec<Queued>, sent: Sent) -> Result<Vec<Queued>, TaskQueueError> {
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) if is_transient(&error) => return Ok(batch),
            Err(error) => return Err(self.failed(error)),
        };
        if let Some(refused) = sent.failed().iter().find(|entry| entry.sender_fault()) {
            let (code, sentence) =
                (refused.code().to_owned(), refused.message().unwrap_or_default().to_owned());
            return Err(self.failed(NotTaken::Refused { code, sentence }));
        }
        let is_taken = |index: usize| sent.failed().iter().all(|entry| entry.id() != index.to_string());
        Ok(batch
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !is_taken(*index))
            .map(|(_, queued)| queued)
            .collect())
    }

    fn failed(&self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> TaskQueueError {
        TaskQueueError { url: self.url.clone(), source: source.into() }
    }
}

type SendError = SdkError<SendMessageBatchError, HttpResponse>;
type Sent = Result<SendMessageBatchOutput, SendError>;

/// How many of the waiting tasks go into one call: one at least.
fn fitting(waiting: &VecDeque<Queued>) -> usize {
    let mut bytes = 0;
    let fits = waiting.iter().take(MAX_ENTRIES).take_while(|queued| {
        bytes += queued.body.len();
        bytes <= MAX_BYTES
    });
    fits.count().max(1)
}

/// Whether the same call may succeed later: a server's fault, too many calls, or no answer at all.
fn is_transient(error: &SendError) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(error) if error.raw().status().as_u16() < 500 => {
            error.err().meta().code().is_some_and(|code| code.contains("Throttl"))
        }
        _ => true,
    }
}
