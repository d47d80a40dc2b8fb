//! Takes connections out of their channels, and announces leaves to the channels with
//! [announcements](crate::delivery::presence).
//!
//! A connection ends with `$disconnect`, which is best effort, or when a message finds it gone. Connections found
//! gone are pruned by the function `publish`, so that no sender waits for that.
//!
//! No leave is lost. For an announced channel, a [`Leave`] goes into the queue first, and the row stays until
//! `publish` has the leave. `publish` deletes the row and queues the leave once more, to announce it a moment later.
//! Of several leaves of one row, only the first finds the row, so the channel hears one. If that invocation ends in
//! between, the queue delivers the leave again, and it is announced then.
//! The delay is for other connections that are gone: a leave announced while their rows exist is posted to all of
//! them. Only unsubscribing deletes the row at once: there the leave is queued before.

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt, TryStreamExt, future::join, stream};
use tokio::time::{Instant, timeout_at};

use crate::{
    delivery::{
        announcement::{Announcement, Kind},
        error::DeliveryError,
        presence::PresenceNotifier,
    },
    protocol::{
        channel::Channel,
        connection::{Connection, ConnectionId},
        cursor::Cursor,
        principal::Principal,
        task::{Leave, Prune, Task},
    },
    store::registry::{DELETES_AT_ONCE, MemberKey, OPEN_AFTER, Registry},
    time::unix_millis,
};

/// The delay between the deletion of a row and the announcement of its leave.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// Takes a closed connection out of every channel. It is idempotent.
///
/// # Errors
/// When the rows could not be read or not all deleted, or when the queue does not take the leaves: their rows stay.
pub async fn disconnect(
    registry: &Registry,
    notifier: Option<&PresenceNotifier>,
    connection: &Connection,
    deadline: Instant,
) -> Result<(), DeliveryError> {
    let rows = registry.rows_of_closed(connection).await?;
    let (told, others) = part(rows, notifier);
    let leaves = told.iter().filter_map(|row| leave_of(row, connection.principal.clone(), unix_millis()));
    let (queued, deleted) =
        join(queue(notifier, leaves, Duration::ZERO, deadline), registry.delete(others, None)).await;
    queued?;
    deleted?;
    Ok(())
}

/// Takes a connection out of a channel. Before that, it announces the leave if the channel is announced, unless
/// another connection of the principal stays. It is idempotent.
///
/// # Errors
/// When the rows could not be read or not all deleted, or when the queue does not take the announcement: the
/// connection may still be in the channel.
pub async fn unsubscribe(
    registry: &Registry,
    notifier: Option<&PresenceNotifier>,
    channel: &Channel,
    id: &ConnectionId,
) -> Result<(), DeliveryError> {
    let rows = registry.rows_in(channel, id).await?;
    let mut left = None;
    if let Some(notifier) = notifier.filter(|notifier| notifier.tells(channel)) {
        for row in &rows {
            let Some((principal, _)) = registry.read(row).await? else { continue };
            if !notifier.is_there(channel, principal.as_ref(), id).await? {
                let (channel, connection_id) = (channel.clone(), id.clone());
                let leave =
                    Announcement { channel, connection_id, principal, kind: Kind::Left, at: unix_millis() };
                notifier.announce_before(&leave).await?;
                left = Some((notifier, leave));
            }
            break;
        }
    }
    registry.delete(rows, None).await?;
    if let Some((notifier, leave)) = left {
        notifier.announce_after(leave).await;
    }
    Ok(())
}

/// Takes connections that were found gone out of every channel.
///
/// A connection that was younger than a minute stays: it may have been about to open. The next message finds it.
///
/// # Errors
/// When a row could not be read or deleted, when the queue does not take the leaves, or when time ran out.
pub(crate) async fn prune(
    registry: &Registry,
    notifier: Option<&PresenceNotifier>,
    prune: Prune,
    deadline: Instant,
) -> Result<(), DeliveryError> {
    let Prune { channel, members, found_at } = prune;
    let before = found_at.saturating_sub(OPEN_AFTER.as_millis() as u64);
    let channel = &channel;
    let leaves = stream::iter(members).map(async |member| {
        let rows = registry.rows_of_gone(MemberKey::at(channel, member)).await?;
        let (told, others) = part(rows, notifier);
        registry.delete(others, Some(before)).await?;
        let mut leaves = vec![];
        for row in told {
            if let Some((principal, connected_at)) = registry.read(&row).await?
                && connected_at < before
            {
                leaves.extend(leave_of(&row, principal, found_at));
            }
        }
        Ok::<_, DeliveryError>(leaves)
    });
    let leaves = leaves.buffer_unordered(DELETES_AT_ONCE).try_collect::<Vec<_>>();
    let leaves = timeout_at(deadline, leaves).await.map_err(|_| DeliveryError::NoTime)??;
    queue(notifier, leaves.into_iter().flatten(), Duration::ZERO, deadline).await
}

/// Performs a leave. If its row is still there, this deletes the row and queues the announcement for another
/// invocation. It queues the announcement only if it was the first to find the row, or if the task is done again. For
/// a leave without a row, it returns the announcement.
///
/// # Errors
/// When the row could not be deleted, or the queue does not take the remaining work.
pub(crate) async fn leave(
    registry: &Registry,
    notifier: Option<&PresenceNotifier>,
    leave: Leave,
    is_again: bool,
    deadline: Instant,
) -> Result<Option<Announcement>, DeliveryError> {
    let Some(shard) = leave.shard else { return Ok(Some(leave.into())) };
    let row = MemberKey::at(&leave.channel, Cursor { shard, connection_id: leave.connection_id.clone() });
    let was_there = !registry.delete(HashSet::from([row]), None).await?.is_empty();
    // By number, of several leaves one is announced, and nobody knows whether the answer to a first delete was lost.
    if was_there || is_again || notifier.is_some_and(|notifier| notifier.is_numbered) {
        queue(notifier, [Leave { shard: None, ..leave }], TOLD_AFTER, deadline).await?;
    }
    Ok(None)
}

/// Splits rows into those in announced channels and the others.
fn part(
    rows: HashSet<MemberKey>,
    notifier: Option<&PresenceNotifier>,
) -> (HashSet<MemberKey>, HashSet<MemberKey>) {
    rows.into_iter().partition(|row| {
        notifier.is_some_and(|notifier| row.channel().is_some_and(|channel| notifier.tells(&channel)))
    })
}

fn leave_of(row: &MemberKey, principal: Option<Principal>, at: u64) -> Option<Leave> {
    let Cursor { shard, connection_id } = row.cursor()?;
    Some(Leave { channel: row.channel()?, connection_id, principal, shard: Some(shard), is_closed: true, at })
}

async fn queue(
    notifier: Option<&PresenceNotifier>,
    leaves: impl IntoIterator<Item = Leave>,
    delay: Duration,
    deadline: Instant,
) -> Result<(), DeliveryError> {
    let Some(notifier) = notifier else { return Ok(()) };
    let leaves = leaves.into_iter().map(|leave| (Task::Leave(leave), delay));
    Ok(notifier.queue.send(leaves, deadline).await?)
}
