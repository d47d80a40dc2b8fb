//! One message, posted to many connections through `@connections`.

use std::{pin::pin, time::Duration};

use aws_sdk_apigatewaymanagement::{
    Client, config::http::HttpResponse, error::SdkError,
    operation::post_to_connection::PostToConnectionError, primitives::Blob,
};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::{connection::ConnectionId, error::chain};

/// How a message is posted to many connections.
#[derive(Clone, Debug)]
pub struct Fanout {
    client: Client,
    policy: Policy,
}

/// How many posts are under way at once, and how often a failed one is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The most posts under way at once.
    pub concurrency: usize,
    /// How often a post is tried, the first time included.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles from attempt to attempt, and the wait is
    /// drawn at random below it.
    pub backoff: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { concurrency: 128, attempts: 3, backoff: Duration::from_millis(100) }
    }
}

/// What became of a message to recipients of some kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<R> {
    /// To how many connections it was posted.
    pub delivered: u64,
    /// The recipients whose connection is closed.
    pub gone: Vec<R>,
    /// How many connections could not be reached, though they may be alive.
    pub failed: u64,
}

/// What became of one post.
enum Outcome {
    Delivered,
    Gone,
    Failed,
}

impl Fanout {
    /// A fan-out through this client, which must not retry by itself.
    pub fn new(client: Client, policy: Policy) -> Self {
        Self { client, policy }
    }

    /// Posts a message to every recipient. One that cannot be reached never stops the rest; one whose turn
    /// has not come at the deadline has failed.
    ///
    /// The result beside the delivery is an error when the recipients could not be read to the end. Those
    /// that were read have been posted to all the same.
    pub async fn post<R: AsRef<ConnectionId>, E>(
        &self,
        message: &str,
        recipients: impl Stream<Item = Result<R, E>>,
        deadline: Instant,
    ) -> (Delivery<R>, Result<(), E>) {
        let posts = recipients.map(async |recipient| {
            let recipient = recipient?;
            Ok((self.post_before(deadline, recipient.as_ref(), message).await, recipient))
        });
        let mut posts = pin!(posts.buffer_unordered(self.policy.concurrency));
        let (mut delivery, mut read) = (Delivery { delivered: 0, gone: vec![], failed: 0 }, Ok(()));
        while let Some(post) = posts.next().await {
            match post {
                Ok((Outcome::Delivered, _)) => delivery.delivered += 1,
                Ok((Outcome::Gone, recipient)) => delivery.gone.push(recipient),
                Ok((Outcome::Failed, _)) => delivery.failed += 1,
                Err(error) => read = Err(error),
            }
        }
        (delivery, read)
    }

    async fn post_before(&self, deadline: Instant, id: &ConnectionId, message: &str) -> Outcome {
        if Instant::now() >= deadline {
            return Outcome::Failed;
        }
        timeout_at(deadline, self.post_to(id, message)).await.unwrap_or(Outcome::Failed)
    }

    async fn post_to(&self, id: &ConnectionId, message: &str) -> Outcome {
        let mut attempt = 1;
        loop {
            let post = self.client.post_to_connection().connection_id(id.as_str()).data(Blob::new(message));
            let Err(error) = post.send().await else {
                return Outcome::Delivered;
            };
            if status(&error) == Some(410) {
                return Outcome::Gone;
            }
            if attempt >= self.policy.attempts || !is_transient(&error) {
                tracing::warn!(connection_id = %id, attempt, error = chain(&error), "a post failed");
                return Outcome::Failed;
            }
            tokio::time::sleep(self.policy.wait_after(attempt)).await;
            attempt += 1;
        }
    }
}

impl Policy {
    fn wait_after(&self, attempt: u32) -> Duration {
        (self.backoff * 2u32.saturating_pow(attempt - 1)).mul_f64(fastrand::f64())
    }
}

type PostError = SdkError<PostToConnectionError, HttpResponse>;

fn status(error: &PostError) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether the same post may succeed later: throttled, a server's fault, or no answer at all.
fn is_transient(error: &PostError) -> bool {
    match status(error) {
        Some(status) => status == 429 || status >= 500,
        None => !matches!(error, SdkError::ConstructionFailure(_)),
    }
}
