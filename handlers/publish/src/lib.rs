//! The function of the queues: broadcasts publications of backends to channels, users and connections, and performs the
//! tasks that other functions left.

use lambda_websocket::{
    Broadcaster, Error, Publication, Task, lambda::queue_batch::Record, time::unix_millis,
};

/// The number of recipients that one invocation posts to. A channel with more is cut into ranges, for several at once.
pub const HAND_OVER_AFTER: usize = 5_000;

/// Broadcasts publications and performs tasks.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// Delivers broadcasts.
    pub broadcaster: Broadcaster,
    /// The ARNs of the queues of tasks, which only this project's functions write to. Any other queue holds
    /// publications.
    pub task_queues: [String; 2],
}

/// Broadcasts a publication, or performs a task that another function left.
///
/// # Errors
/// When the record cannot be parsed, the history did not accept it, nobody could be reached, or the rest could not be
/// handed over. The queue delivers the record again, and moves it to the dead-letter queue after some attempts. Some
/// recipients may have the message by then.
pub async fn publish(publisher: &Publisher, record: Record) -> Result<(), Error> {
    let Publisher { broadcaster, task_queues } = publisher;
    let Record { id, body, queue, sent_at, receives, deadline } = record;
    if task_queues.contains(&queue) {
        return Ok(broadcaster.perform(Task::parse(&body, unix_millis())?, receives, deadline).await?);
    }
    let broadcast = Publication::parse(&body)?.into_broadcast(&id, sent_at)?;
    Ok(broadcaster.send(&broadcast, deadline).await.map(drop)?)
}
