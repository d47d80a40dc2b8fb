//! Hands over the work that one invocation has no time for: first the posts to repeat, then the rest of the
//! broadcast.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    delivery::{
        error::DeliveryError,
        poster::Poster,
        ranges::Ranges,
        report::{Posted, Report},
        task_queue::TaskQueue,
    },
    protocol::{
        broadcast::{Broadcast, MAX_RETRIES, Recipients},
        task::{MAX_CONNECTIONS, Task},
    },
};

/// The shortest wait before a connection that could not be reached is posted to again; it doubles with each retry.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// When and where the rest of a broadcast is handed over.
#[derive(Clone, Debug)]
pub struct Continuations {
    /// The queue of the function that continues the broadcast.
    pub queue: TaskQueue,
    /// The number of recipients after which a broadcast is handed over, unless time runs out before.
    pub after: usize,
    /// Cuts a channel with more recipients into ranges. Without it, an invocation posts to the first ones, and hands
    /// over the rest as one.
    pub ranges: Option<Ranges>,
}

impl Continuations {
    /// Puts the remaining work into the queue: the posts to repeat, and then, last, the recipients not yet posted to.
    ///
    /// So if the queue fails, this step is done again, and the rest has not begun meanwhile. Of several ranges, some may
    /// have: their members then receive the message twice.
    pub(crate) async fn hand_over(
        &self,
        poster: &Poster,
        broadcast: &Broadcast,
        posted: Posted,
        until: Instant,
    ) -> Result<Report, DeliveryError> {
        let Posted { mut report, failed, throttled, slow, rest, .. } = posted;
        let is_last_retry = broadcast.retries == MAX_RETRIES;
        if broadcast.retries > 0 {
            let stuck = slow.into_iter().filter(|id| poster.is_stuck(id));
            let given_up = if is_last_retry { throttled.clone() } else { vec![] };
            poster.close(stuck.chain(given_up), until).await;
        }
        let delay = RETRY_AFTER * 2u32.pow(broadcast.retries.into());
        let again = if is_last_retry {
            report.slow += throttled.len() as u64;
            if !failed.is_empty() && report == Report::default() {
                return Err(DeliveryError::Undelivered { failed: failed.len() });
            }
            // Only those that failed, and they are fewer than before: the others have the message.
            failed
                .chunks(MAX_CONNECTIONS)
                .map(|ids| broadcast.to(Recipients::Connections(ids.to_vec())))
                .collect()
        } else {
            let missed = [failed, throttled].concat();
            missed.chunks(MAX_CONNECTIONS).map(|ids| broadcast.again(ids)).collect::<Vec<_>>()
        };
        report.queued = !again.is_empty() || !rest.is_empty();
        self.queue.send(again.into_iter().map(|again| (Task::Broadcast(again), delay)), until).await?;
        let (queue, rate) = match &self.ranges {
            Some(ranges) => (&ranges.queue, Some(ranges.share())),
            None => (&self.queue, None),
        };
        let rest = rest.into_iter().map(|rest| {
            let rest = broadcast.to(rest);
            (Task::Broadcast(rate.into_iter().fold(rest, Broadcast::at_rate)), Duration::ZERO)
        });
        queue.send(rest, until).await?;
        Ok(report)
    }
}
