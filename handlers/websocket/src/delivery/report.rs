//! The outcome of a message.

use serde::{Deserialize, Serialize};

use crate::{
    protocol::{broadcast::Recipients, connection::ConnectionId},
    store::registry::MemberKey,
};

/// The outcome of a message, in numbers of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Connections that the message was posted to.
    pub delivered: u64,
    /// Connections that turned out to be closed. They are pruned from the registry.
    pub gone: u64,
    /// Connections given up because their client does not keep up.
    pub slow: u64,
    /// Connections that could not be reached for another reason, though they may be alive.
    pub failed: u64,
    /// Whether the rest is being delivered in the background: the recipients in none of the other numbers.
    pub queued: bool,
    /// Whether there are other recipients, neither counted nor queued, because time ran out or reading the table
    /// failed.
    pub incomplete: bool,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The outcome; where it was sent before, that of then.
    pub report: Report,
    /// Its number, if the history keeps it.
    pub seq: Option<u64>,
    /// Whether it was sent before, under the same key.
    pub is_duplicate: bool,
}

/// The outcome of a message's posts, and the remaining work.
#[derive(Debug, Default)]
pub(crate) struct Posted {
    pub(crate) report: Report,
    /// Connections that were not reached for a reason that may pass.
    pub(crate) failed: Vec<ConnectionId>,
    /// Like `failed`, but the client may be too slow: these connections are given up if this goes on.
    pub(crate) throttled: Vec<ConnectionId>,
    /// Connections given up because their client is too slow.
    pub(crate) slow: Vec<ConnectionId>,
    /// Connections that are closed.
    pub(crate) gone: Vec<MemberKey>,
    /// The recipients that were not posted to, in parts for one invocation each.
    pub(crate) rest: Vec<Recipients>,
}

impl Posted {
    /// The report where there is no queue for the remaining work.
    pub(crate) fn given_up(self) -> Report {
        let Self { report, failed, throttled, rest, .. } = self;
        Report {
            failed: report.failed + failed.len() as u64,
            slow: report.slow + throttled.len() as u64,
            incomplete: !rest.is_empty(),
            ..report
        }
    }
}
