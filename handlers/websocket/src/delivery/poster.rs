//! Posts a message to many connections through `@connections`.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::{
    delivery::{
        connections::{ConnectionsClient, Payload},
        limiter::{ConcurrencyLimiter, Throttle},
    },
    log::chain,
    metrics,
    protocol::connection::ConnectionId,
};

/// Posts messages to connections. Clones share one limiter.
#[derive(Clone, Debug)]
pub struct Poster {
    client: ConnectionsClient,
    policy: Policy,
    /// One limiter for all messages under way: they share what the account may post.
    limiter: Arc<ConcurrencyLimiter>,
}

/// How many posts are under way at once, and how often a failed one is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The maximum number of posts under way at once. There are fewer while the account's rate is exceeded.
    pub concurrency: usize,
    /// How often a post is tried, the first time included, if it meets a server's fault or gets no answer. The same
    /// number applies to a post to a client that alone does not keep up.
    pub attempts: u32,
    /// The longest wait before the second attempt. It doubles with each attempt, up to [`LONGEST_WAIT`]. The actual
    /// wait is drawn at random below it.
    pub backoff: Duration,
    /// How long a post is tried again while the account's rate is exceeded. If the cause may also be a client that
    /// does not keep up, it is a second at most.
    pub patience: Duration,
}

/// The longest wait between two attempts.
pub const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long a refused post is tried again when too few other posts tell why. It is short because the sender waits.
const PATIENCE_IN_DOUBT: Duration = Duration::from_secs(1);

/// How many connections are closed at once.
const CLOSES_AT_ONCE: usize = 16;

impl Default for Policy {
    fn default() -> Self {
        Self {
            concurrency: 128,
            attempts: 3,
            backoff: Duration::from_millis(100),
            patience: Duration::from_secs(10),
        }
    }
}

/// The outcome of one post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// API Gateway accepted it.
    Delivered,
    /// The connection is closed.
    Gone,
    /// The client does not keep up, and the post was given up.
    Slow,
    /// Answered 429, for this client or for the account: too few other posts to tell which.
    Throttled,
    /// Refused for good: the same post would be refused again.
    Refused,
    /// Not delivered, or not for sure, for a reason that may pass.
    Failed,
}

impl Poster {
    /// A poster through this client.
    pub fn new(client: ConnectionsClient, policy: Policy) -> Self {
        Self { client, policy, limiter: Arc::new(ConcurrencyLimiter::new(policy.concurrency)) }
    }

    /// Posts a message to every recipient, and yields the outcome of each, in no order. A recipient that cannot be
    /// reached never stops the rest. A post whose turn has not come at the deadline has failed.
    pub fn post<R: AsRef<ConnectionId>>(
        &self,
        message: &str,
        recipients: impl Stream<Item = R>,
        deadline: Instant,
    ) -> impl Stream<Item = (R, Outcome)> {
        let payload = Arc::new(Payload::new(message));
        let posts = recipients.map(move |recipient| {
            let payload = Arc::clone(&payload);
            async move {
                let outcome = self.post_payload(recipient.as_ref(), &payload, deadline).await;
                (recipient, outcome)
            }
        });
        posts.buffer_unordered(self.policy.concurrency)
    }

    /// Posts a message to one connection, and returns the outcome. At the deadline, the post has failed.
    pub async fn post_to(&self, id: &ConnectionId, message: &str, deadline: Instant) -> Outcome {
        self.post_payload(id, &Payload::new(message), deadline).await
    }

    async fn post_payload(&self, id: &ConnectionId, payload: &Payload, deadline: Instant) -> Outcome {
        timeout_at(deadline, self.try_to(id, payload, deadline)).await.unwrap_or(Outcome::Failed)
    }

    /// Whether a client has been slow for so long, or so clearly, that each message to it is tried only once.
    pub(crate) fn is_stuck(&self, id: &ConnectionId) -> bool {
        self.limiter.known(id) == Some(Throttle::SlowClient)
    }

    /// Closes connections, a few at a time. Their clients reconnect, and ask for the messages they missed.
    ///
    /// A connection that cannot be closed, or not before the deadline, stays. An invocation that finds it slow tries
    /// again.
    pub(crate) async fn close(&self, ids: impl IntoIterator<Item = ConnectionId>, deadline: Instant) {
        let closes = stream::iter(ids).for_each_concurrent(CLOSES_AT_ONCE, async |id| {
            match self.client.sdk().delete_connection().connection_id(id.as_str()).send().await {
                Ok(_) => tracing::info!(connection_id = %id, "slow connection closed"),
                Err(error)
                    if error.raw_response().is_some_and(|response| response.status().as_u16() == 410) => {}
                Err(error) => {
                    tracing::warn!(connection_id = %id, error = chain(&error), "slow connection not closed");
                }
            }
        });
        let _ = timeout_at(deadline, closes).await;
    }

    async fn try_to(&self, id: &ConnectionId, payload: &Payload, deadline: Instant) -> Outcome {
        if Instant::now() >= deadline {
            return Outcome::Failed; // Its turn comes too late, and a timeout would still let it start.
        }
        let start = Instant::now();
        // Counted apart: a server's faults must not make a client slow that answers 429 once.
        let (mut faults, mut refusals, mut waits) = (0, 0, 0);
        let mut first_refusal = None;
        // The sender does not wait once more for a client that took nothing.
        let known = self.limiter.known(id);
        loop {
            let permit = self.limiter.acquire(id).await;
            let Err(error) = self.client.post(id, payload).await else {
                permit.passed();
                return Outcome::Delivered;
            };
            let (outcome, again) = if error.status() == Some(429) {
                let why = permit.refused(&mut first_refusal);
                let (outcome, again) = match (why, known) {
                    (Throttle::Rate, _) => {
                        metrics::count(metrics::RATE_LIMITED, 1);
                        (Outcome::Failed, start.elapsed() < self.policy.patience)
                    }
                    (_, Some(Throttle::SlowClient)) => (Outcome::Slow, false),
                    (Throttle::SlowClient, _) => {
                        refusals += 1;
                        (Outcome::Slow, refusals < self.policy.attempts)
                    }
                    (Throttle::Unclear, known) => {
                        let patience = self.policy.patience.min(PATIENCE_IN_DOUBT);
                        (Outcome::Throttled, known.is_none() && start.elapsed() < patience)
                    }
                };
                if !again {
                    permit.give_up(why);
                }
                (outcome, again)
            } else {
                permit.passed();
                if error.status() == Some(410) {
                    return Outcome::Gone;
                }
                faults += 1;
                if error.is_transient() {
                    (Outcome::Failed, faults < self.policy.attempts)
                } else {
                    (Outcome::Refused, false)
                }
            };
            if !again {
                tracing::warn!(connection_id = %id, error = chain(&error), "post failed");
                return outcome;
            }
            drop(permit); // Another post uses it while this one waits.
            tokio::time::sleep(self.policy.wait(waits)).await;
            waits += 1;
        }
    }
}

impl Policy {
    fn wait(&self, waits: u32) -> Duration {
        self.backoff.saturating_mul(2u32.saturating_pow(waits)).min(LONGEST_WAIT).mul_f64(fastrand::f64())
    }
}
