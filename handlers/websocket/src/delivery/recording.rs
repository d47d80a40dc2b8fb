//! Records a message in the history before it is delivered, once however often it is asked for under the same key.

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    delivery::{error::DeliveryError, report::Report},
    log::chain,
    protocol::{
        broadcast::{Broadcast, Keep},
        frame::numbered,
        idempotency::IdempotencyKey,
    },
    store::{
        error::StoreError,
        history::{History, Recorded, claims::Claim},
    },
    time::unix_millis,
};

/// The time at the end of an invocation that is kept for the answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(200);

/// The time that a request keeps for itself when it waits for another one with the same key: half of what it has, at most.
const FOR_THE_MESSAGE: Duration = Duration::from_secs(10);

/// How long a request waits at first before it looks again whether the other one is done; it doubles each time.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What became of a message that was to be recorded.
pub(crate) enum Recording {
    /// It has a number now, and is to be delivered as this frame.
    Recorded { seq: u64, frame: Box<RawValue> },
    /// It was sent before.
    Sent { seq: u64, report: Report },
}

impl TryFrom<Recorded> for Recording {
    type Error = DeliveryError;

    fn try_from(Recorded { seq, frame }: Recorded) -> Result<Self, DeliveryError> {
        let frame = RawValue::from_string(frame).map_err(DeliveryError::Frame)?;
        Ok(Self::Recorded { seq, frame })
    }
}

/// Records a message, unless it was recorded before. `None`: it is not to be recorded.
///
/// If another request with the same key is at work on it, this waits until it is done, or until there is just enough
/// time to do it here.
pub(crate) async fn record(
    history: &History,
    broadcast: &Broadcast,
    deadline: Instant,
) -> Result<Option<Recording>, DeliveryError> {
    let key = match &broadcast.keep {
        Keep::No => return Ok(None),
        Keep::Yes => loop {
            let seq = history.next_seq(&broadcast.channel).await?;
            if let Some(recording) = record_under(history, broadcast, seq).await? {
                return Ok(Some(recording));
            }
        },
        Keep::Once(key) => key,
    };
    let work_until = unix_millis() + deadline.saturating_duration_since(Instant::now()).as_millis() as u64;
    'found: loop {
        let mut claimed = match done_or_left(history, key, deadline).await? {
            None => None,
            Some(Claim { seq, claimed_at, outcome, .. }) => {
                if let Some(report) = outcome.and_then(|outcome| serde_json::from_str(&outcome).ok()) {
                    return Ok(Some(Recording::Sent { seq, report }));
                }
                // The other request recorded the message and did not deliver it, or it never will record it.
                if let Some(recorded) = history.close(&broadcast.channel, seq, claimed_at).await? {
                    return Recording::try_from(recorded).map(Some);
                }
                Some(seq)
            }
        };
        loop {
            let seq = history.next_seq(&broadcast.channel).await?;
            if history.claim(key, seq, claimed, work_until).await?.is_some() {
                history.close(&broadcast.channel, seq, unix_millis()).await?;
                continue 'found; // Another request was first.
            }
            if let Some(recording) = record_under(history, broadcast, seq).await? {
                return Ok(Some(recording));
            }
            claimed = Some(seq);
        }
    }
}

/// Records a message under a number. `None`: a reader has closed the number meanwhile.
async fn record_under(
    history: &History,
    Broadcast { channel, message_id, frame, .. }: &Broadcast,
    seq: u64,
) -> Result<Option<Recording>, DeliveryError> {
    let recorded = history.record(channel, seq, message_id, &numbered(frame, seq)).await?;
    recorded.map(Recording::try_from).transpose()
}

/// The claim to a key, once its request is done or must be taken for dead; `None` if there is none.
async fn done_or_left(
    history: &History,
    key: &IdempotencyKey,
    deadline: Instant,
) -> Result<Option<Claim>, StoreError> {
    let mut wait = LOOK_AGAIN_AFTER;
    let until = deadline - FOR_THE_MESSAGE.min(deadline.saturating_duration_since(Instant::now()) / 2);
    loop {
        let claim = history.claim_to(key).await?;
        let is_at_work = claim.as_ref().is_some_and(|Claim { work_until, outcome, .. }| {
            outcome.is_none() && unix_millis() < *work_until
        });
        if !is_at_work || Instant::now() + wait > until {
            return Ok(claim);
        }
        sleep(wait).await;
        wait = (2 * wait).min(Duration::from_secs(1));
    }
}

/// Notes what came of a message that was claimed, and sent, in an invocation that Lambda ends at the deadline.
///
/// If that fails, or takes too long, another request with the same key posts the message again, and recipients drop it
/// by its number.
pub(crate) async fn complete(
    history: &History,
    key: &IdempotencyKey,
    seq: u64,
    report: &Report,
    deadline: Instant,
) {
    let Ok(outcome) = serde_json::to_string(report) else { return };
    match timeout_at(deadline - FOR_THE_ANSWER, history.complete(key, seq, outcome)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = chain(&error), "claim not completed"),
        Err(_) => tracing::warn!("claim not completed in time"),
    }
}
