//! The function behind two queues: passes what backends publish on to channels, users and connections, and does what other
//! functions had no time for.

use lambda_websocket::{Broadcast, Broadcaster, Error, Task, runtime::Record, time::unix_millis};

/// How many recipients one invocation posts to.
pub const HAND_OVER_AFTER: usize = 10_000;

/// What it takes to publish.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The way to channels.
    pub broadcaster: Broadcaster,
    /// The ARN of the queue that only this project's functions write to. What is in any other is a publication.
    pub delivery_queue: String,
}

/// Passes a publication on, or does what another function left to do.
///
/// # Errors
/// When it cannot be read, the history did not take it, nobody could be reached, or what is left not be handed over: the
/// queue brings it again, and puts it aside after some times. Some recipients may have the message by then.
pub async fn publish(publisher: &Publisher, record: Record) -> Result<(), Error> {
    let Publisher { broadcaster, delivery_queue } = publisher;
    let Record { id, body, queue, sent_at, receives, deadline } = record;
    if queue == *delivery_queue {
        return Ok(broadcaster.perform(Task::parse(&body, unix_millis())?, receives, deadline).await?);
    }
    broadcaster.send(&Broadcast::parse(&body, &id, sent_at)?, deadline).await?;
    Ok(())
}
