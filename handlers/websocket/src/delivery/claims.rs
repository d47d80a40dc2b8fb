//! Sends a message once, however often it is asked for under the same key.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::{
    delivery::{broadcaster::Broadcaster, error::DeliveryError, report::Report},
    log::chain,
    protocol::idempotency::IdempotencyKey,
};

/// The time at the end of an invocation that is kept for the answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(200);

/// What is known of a message that may have been sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When it was sent first, in milliseconds since the Unix epoch.
    pub sent_at: u64,
    /// What came of it, if it was sent: it is not to be sent again.
    pub report: Option<Report>,
}

impl Broadcaster {
    /// Claims a key for a message that is sent at this time, in milliseconds since the Unix epoch, before it is sent.
    /// Without a history, each claim is the first.
    ///
    /// # Errors
    /// When the history could not be written.
    pub async fn claim(&self, key: &IdempotencyKey, sent_at: u64) -> Result<Claim, DeliveryError> {
        let Some(history) = &self.history else { return Ok(Claim { sent_at, report: None }) };
        let claim = history.claim(key, sent_at).await?;
        let report = claim.outcome.and_then(|outcome| serde_json::from_str(&outcome).ok());
        Ok(Claim { sent_at: claim.sent_at, report })
    }

    /// Notes what came of a message that was claimed, and sent, in an invocation that Lambda ends at the deadline.
    ///
    /// If that fails, or takes too long, another request under the same key sends the message again, and recipients drop it by its id.
    pub async fn complete(&self, key: &IdempotencyKey, sent_at: u64, report: &Report, deadline: Instant) {
        let (Some(history), Ok(outcome)) = (&self.history, serde_json::to_string(report)) else { return };
        match timeout_at(deadline - FOR_THE_ANSWER, history.complete(key, sent_at, outcome)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "claim not completed"),
            Err(_) => tracing::warn!("claim not completed in time"),
        }
    }
}
