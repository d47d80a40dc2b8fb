//! What became of a message.

use crate::{
    protocol::{broadcast::Recipients, connection::ConnectionId},
    store::registry::MemberKey,
};

/// What became of a message, in numbers of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Those it was posted to.
    pub delivered: u64,
    /// Those that turned out to be closed. The registry forgets them.
    pub gone: u64,
    /// Those given up because their client does not keep up.
    pub slow: u64,
    /// Those that could not be reached for another reason, though they may be alive.
    pub failed: u64,
    /// Whether the rest is on its way: whoever is in none of the other numbers.
    pub queued: bool,
    /// Whether there are others, not counted and not on their way, as time ran out or the table broke off.
    pub incomplete: bool,
}

/// What became of the posts of a message, and what is left to do.
#[derive(Debug, Default)]
pub(crate) struct Posted {
    pub(crate) report: Report,
    /// Who was not reached for a reason that may pass.
    pub(crate) failed: Vec<ConnectionId>,
    /// As those, but their client may be too slow, and they are given up if this goes on.
    pub(crate) throttled: Vec<ConnectionId>,
    /// Who was given up because their client is too slow.
    pub(crate) slow: Vec<ConnectionId>,
    /// Whose connection is closed.
    pub(crate) gone: Vec<MemberKey>,
    /// Whom nobody has posted to.
    pub(crate) rest: Option<Recipients>,
}

impl Posted {
    /// The report where there is no queue for what is left.
    pub(crate) fn given_up(self) -> Report {
        let Self { report, failed, throttled, rest, .. } = self;
        Report {
            failed: report.failed + failed.len() as u64,
            slow: report.slow + throttled.len() as u64,
            incomplete: rest.is_some(),
            ..report
        }
    }
}
