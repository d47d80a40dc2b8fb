//! The function behind a queue: passes what backends publish on to channels, users and connections.

use lambda_websocket::{
    broadcast::{Broadcast, Broadcaster},
    error::Error,
    runtime::Record,
    time::unix_millis,
};

/// How many recipients one invocation posts to.
pub const HAND_OVER_AFTER: usize = 10_000;

/// Passes a publication on, or what an earlier invocation left of one.
///
/// # Errors
/// When it cannot be read, the history did not take it, nobody could be reached, or what is left not be handed over: the queue brings it again, and
/// puts it aside after some times. Some recipients may have the message by then.
pub async fn publish(broadcaster: &Broadcaster, record: Record) -> Result<(), Error> {
    let broadcast = Broadcast::parse(&record.body, &record.id, unix_millis())?;
    broadcaster.send(&broadcast, record.deadline).await?;
    Ok(())
}
