//! A task in the delivery queue: work that a function leaves to the function `publish`.
//!
//! Only this project's functions may write to this queue, unlike to the queue of
//! [publications](crate::protocol::publication). It is still read as strictly: a text that no function would write is
//! refused.
//!
//! ```json
//! {"broadcast": {"messageId": "m", "channel": "lobby", "frame": {…}, "exclude": [], "to": {"cursor": [{"shard": 0, "after": "b="}]}, "retries": 0}}
//! {"broadcast": {"messageId": "m", "channel": "lobby", "frame": {…}, "exclude": [], "to": {"cursor": [{"shard": 0, "after": "b=", "through": "c="}]}, "retries": 0, "rate": 625}}
//! {"broadcast": {"messageId": "m", "channel": "lobby", "frame": {…}, "exclude": [], "to": {"connections": ["a=", "b="]}, "retries": 1}}
//! {"prune": {"channel": "lobby", "members": ["0.a=", "3.b="], "foundAt": 1700000000123}}
//! {"join": {"channel": "lobby", "connectionId": "a=", "principal": "ada", "at": 1700000000123}}
//! {"leave": {"channel": "lobby", "connectionId": "a=", "principal": "ada", "shard": 0, "isClosed": true, "at": 1700000000123}}
//! {"leave": {"channel": "lobby", "connectionId": "a=", "principal": "ada", "at": 1700000000123}}
//! ```
//!
//! The text is JSON in the characters that SQS allows. JSON has two characters more, U+FFFE and U+FFFF, which SQS
//! refuses or replaces. They are escaped in the queue, so a frame reaches its recipients byte for byte as it would
//! without the queue.

use std::{borrow::Cow, collections::HashSet, hash::Hash, num::NonZeroU32, ops::Not, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::protocol::{
    broadcast::{Broadcast, Keep, MAX_EXCLUDED, MAX_RETRIES, Recipients, TooLarge},
    channel::Channel,
    connection::ConnectionId,
    cursor::Cursor,
    idempotency::MAX_ID,
    principal::Principal,
    publication::Reason,
    shards::ShardCount,
};

/// The maximum number of connections in a task: with the longest message they fit into one SQS message.
pub(crate) const MAX_CONNECTIONS: usize = 500;

/// How far a time may be ahead of this function's clock.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Work that an invocation left to another.
#[derive(Clone, Debug)]
pub enum Task {
    /// A message, with the recipients that it has yet to reach.
    Broadcast(Broadcast),
    /// Connections that were found closed.
    Prune(Prune),
    /// The beginning of a connection in a channel whose joins are announced.
    Join(Join),
    /// The end of a connection in a channel whose leaves are announced.
    Leave(Leave),
}

/// Connections that a message to a channel found gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    pub(crate) channel: Channel,
    /// The cursors of their rows in the channel.
    pub(crate) members: Vec<Cursor>,
    /// When they were found gone, in milliseconds since the Unix epoch.
    pub(crate) found_at: u64,
}

/// The beginning of a connection in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub(crate) channel: Channel,
    pub(crate) connection_id: ConnectionId,
    /// The principal, if authenticated.
    pub(crate) principal: Option<Principal>,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
}

/// The end of a connection in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    pub(crate) channel: Channel,
    pub(crate) connection_id: ConnectionId,
    /// The principal, if authenticated.
    pub(crate) principal: Option<Principal>,
    /// The shard that holds its row; `None` once the row is deleted.
    pub(crate) shard: Option<u8>,
    /// Whether the connection is closed: it leaves only once.
    pub(crate) is_closed: bool,
    /// When it was noticed, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
}

/// Why a text is not a task.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTask {
    /// It is not the JSON of a task.
    #[error("it is no broadcast, prune, join or leave that a function wrote")]
    Unreadable(#[source] Reason),
    /// The frame is too long to be delivered.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A list or a number is out of range.
    #[error("its {field} is not {expected}")]
    OutOfBounds {
        /// The name of the field.
        field: &'static str,
        /// What the field must be.
        expected: &'static str,
    },
}

/// A task in the form that the queue holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
enum Wire {
    Broadcast {
        message_id: String,
        channel: Channel,
        /// The text that every recipient gets, byte for byte. As JSON inside JSON, it does not grow.
        frame: Box<RawValue>,
        exclude: Vec<ConnectionId>,
        to: Recipients,
        /// How many times these recipients were posted to before.
        retries: u8,
        /// The posts a second.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<NonZeroU32>,
    },
    Prune {
        channel: Channel,
        members: Vec<Cursor>,
        found_at: u64,
    },
    Join {
        channel: Channel,
        connection_id: ConnectionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        principal: Option<Principal>,
        at: u64,
    },
    Leave {
        channel: Channel,
        connection_id: ConnectionId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        principal: Option<Principal>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shard: Option<u8>,
        #[serde(default, skip_serializing_if = "Not::not")]
        is_closed: bool,
        at: u64,
    },
}

impl Task {
    /// Reads a task from its text in the queue.
    ///
    /// # Errors
    /// When no function would have written the text at the time `now`, in milliseconds since the Unix epoch.
    pub fn parse(text: &str, now: u64) -> Result<Self, InvalidTask> {
        let text = unescape(text).ok_or(InvalidTask::OutOfBounds { field: "text", expected: "escaped" })?;
        let wire: Wire =
            serde_json::from_str(&text).map_err(|error| InvalidTask::Unreadable(error.into()))?;
        wire.check(now)?;
        Ok(wire.into())
    }

    /// The task as it goes into the queue.
    #[expect(clippy::expect_used, reason = "strings, numbers and valid JSON always serialise")]
    pub fn to_text(self) -> String {
        let text = serde_json::to_string(&Wire::from(self)).expect("a task is JSON");
        match escape(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(escaped) => escaped,
        }
    }
}

impl Wire {
    fn check(&self, now: u64) -> Result<(), InvalidTask> {
        let check = |holds, field, expected| {
            if holds { Ok(()) } else { Err(InvalidTask::OutOfBounds { field, expected }) }
        };
        let is_past = |time: u64| time <= now.saturating_add(CLOCK_SKEW.as_millis() as u64);
        match self {
            Self::Broadcast { message_id, channel: _, frame, exclude, to, retries, rate: _ } => {
                TooLarge::check(frame)?;
                let length = message_id.chars().take(MAX_ID + 1).count();
                check((1..=MAX_ID).contains(&length), "messageId", "1 to 128 characters")?;
                check(exclude.len() <= MAX_EXCLUDED, "exclude", "1,000 connections at most")?;
                let max = if matches!(to, Recipients::Connections(_)) { MAX_RETRIES } else { 0 };
                check(*retries <= max, "retries", "5 at most, and those of connections")?;
                match to {
                    Recipients::Everyone => Ok(()),
                    Recipients::Cursor(places) => {
                        let shards = places.iter().map(|place| place.shard);
                        let is_one = (1..=ShardCount::MAX.into()).contains(&places.len())
                            && shards.clone().all(|shard| shard < ShardCount::MAX)
                            && are_distinct(shards);
                        check(is_one, "cursor", "a place in each of 1 to 64 shards")
                    }
                    Recipients::Connections(ids) => check(
                        (1..=MAX_CONNECTIONS).contains(&ids.len()) && are_distinct(ids),
                        "connections",
                        "1 to 500 that differ",
                    ),
                }
            }
            Self::Prune { channel: _, members, found_at } => {
                let ids = members.iter().map(|member| &member.connection_id);
                let are_some = (1..=MAX_CONNECTIONS).contains(&members.len())
                    && members.iter().all(|member| member.shard < ShardCount::MAX)
                    && are_distinct(ids);
                check(are_some, "members", "1 to 500 connections that differ, each in one of 64 shards")?;
                check(is_past(*found_at), "foundAt", "a time that has come")
            }
            Self::Join { at, .. } => check(is_past(*at), "at", "a time that has come"),
            Self::Leave { shard, at, .. } => {
                check(shard.is_none_or(|shard| shard < ShardCount::MAX), "shard", "less than 64")?;
                check(is_past(*at), "at", "a time that has come")
            }
        }
    }
}

fn are_distinct<T: Eq + Hash>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.into_iter().all(|item| seen.insert(item))
}

impl From<Task> for Wire {
    fn from(task: Task) -> Self {
        match task {
            Task::Broadcast(Broadcast {
                message_id,
                channel,
                frame,
                exclude,
                to,
                retries,
                rate,
                keep: _,
                tells_excluded: _,
            }) => Self::Broadcast { message_id, channel, frame, exclude, to, retries, rate },
            Task::Prune(Prune { channel, members, found_at }) => Self::Prune { channel, members, found_at },
            Task::Join(Join { channel, connection_id, principal, at }) => {
                Self::Join { channel, connection_id, principal, at }
            }
            Task::Leave(Leave { channel, connection_id, principal, shard, is_closed, at }) => {
                Self::Leave { channel, connection_id, principal, shard, is_closed, at }
            }
        }
    }
}

impl From<Wire> for Task {
    fn from(wire: Wire) -> Self {
        match wire {
            // A message that the history keeps is recorded before it enters the queue.
            Wire::Broadcast { message_id, channel, frame, exclude, to, retries, rate } => {
                let keep = Keep::No;
                Self::Broadcast(Broadcast {
                    message_id,
                    channel,
                    frame,
                    exclude,
                    tells_excluded: false,
                    to,
                    retries,
                    rate,
                    keep,
                })
            }
            Wire::Prune { channel, members, found_at } => Self::Prune(Prune { channel, members, found_at }),
            Wire::Join { channel, connection_id, principal, at } => {
                Self::Join(Join { channel, connection_id, principal, at })
            }
            Wire::Leave { channel, connection_id, principal, shard, is_closed, at } => {
                Self::Leave(Leave { channel, connection_id, principal, shard, is_closed, at })
            }
        }
    }
}

/// A private-use character that SQS allows. With a digit of [`ESCAPED`] after it, it stands for another character.
const ESCAPE: char = '\u{e000}';

/// The escaped characters by digit: the escape itself, and the two that SQS does not accept. The text grows by a third
/// at most.
const ESCAPED: [(char, char); 3] = [('0', ESCAPE), ('1', '\u{fffe}'), ('2', '\u{ffff}')];

fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPED.map(|(_, character)| character)) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() * 4 / 3);
    for character in text.chars() {
        match ESCAPED.iter().find(|(_, escaped)| *escaped == character) {
            Some((digit, _)) => escaped.extend([ESCAPE, *digit]),
            None => escaped.push(character),
        }
    }
    escaped.into()
}

/// `None` if an escape stands for no character.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(ESCAPE) {
        return Some(text.into());
    }
    let mut unescaped = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(mut character) = characters.next() {
        if character == ESCAPE {
            let found = characters.next()?;
            character = ESCAPED.iter().find(|(digit, _)| *digit == found)?.1;
        }
        unescaped.push(character);
    }
    Some(unescaped.into())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::cursor::ShardCursor;

    fn id(text: &str) -> ConnectionId {
        ConnectionId::parse(text).unwrap()
    }

    fn broadcast(frame: &str) -> Broadcast {
        let frame = RawValue::from_string(frame.to_owned()).unwrap();
        Broadcast::new("m", Channel::parse("lobby").unwrap(), frame).unwrap()
    }

    #[test]
    fn tasks_have_the_form_that_the_queue_holds() {
        let channel = Channel::parse("lobby").unwrap();
        let message = broadcast(r#"{"type": 1.0}"#).except([id("c=")]);
        let places = vec![
            ShardCursor { shard: 0, after: Some(id("b=")), through: None },
            ShardCursor { shard: 1, after: None, through: None },
        ];
        assert_snapshot!(Task::Broadcast(message.to(Recipients::Cursor(places))).to_text(), @r#"{"broadcast":{"messageId":"m","channel":"lobby","frame":{"type": 1.0},"exclude":["c="],"to":{"cursor":[{"shard":0,"after":"b="},{"shard":1,"after":null}]},"retries":0}}"#);
        let range = ShardCursor { shard: 0, after: Some(id("b=")), through: Some(id("c=")) };
        let range = message.to(Recipients::Cursor(vec![range])).at_rate(NonZeroU32::new(625).unwrap());
        assert_snapshot!(Task::Broadcast(range).to_text(), @r#"{"broadcast":{"messageId":"m","channel":"lobby","frame":{"type": 1.0},"exclude":["c="],"to":{"cursor":[{"shard":0,"after":"b=","through":"c="}]},"retries":0,"rate":625}}"#);
        assert_snapshot!(Task::Broadcast(message.again(&[id("a=")])).to_text(), @r#"{"broadcast":{"messageId":"m","channel":"lobby","frame":{"type": 1.0},"exclude":[],"to":{"connections":["a="]},"retries":1}}"#);
        assert_snapshot!(Task::Broadcast(broadcast("1")).to_text(), @r#"{"broadcast":{"messageId":"m","channel":"lobby","frame":1,"exclude":[],"to":"everyone","retries":0}}"#);
        let members = vec![Cursor { shard: 3, connection_id: id("a=") }];
        assert_snapshot!(Task::Prune(Prune { channel: channel.clone(), members, found_at: 12 }).to_text(), @r#"{"prune":{"channel":"lobby","members":["3.a="],"foundAt":12}}"#);
        let principal = Principal::parse("ada").ok();
        let join =
            Join { channel: channel.clone(), connection_id: id("a="), principal: principal.clone(), at: 12 };
        assert_snapshot!(Task::Join(join).to_text(), @r#"{"join":{"channel":"lobby","connectionId":"a=","principal":"ada","at":12}}"#);
        let leave =
            Leave { channel, connection_id: id("a="), principal, shard: Some(3), is_closed: true, at: 12 };
        assert_snapshot!(Task::Leave(leave.clone()).to_text(), @r#"{"leave":{"channel":"lobby","connectionId":"a=","principal":"ada","shard":3,"isClosed":true,"at":12}}"#);
        let leave = Leave { shard: None, is_closed: false, ..leave };
        assert_snapshot!(Task::Leave(leave).to_text(), @r#"{"leave":{"channel":"lobby","connectionId":"a=","principal":"ada","at":12}}"#);
    }

    fn is_in_sqs_alphabet(character: char) -> bool {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    }

    proptest! {
        #[test]
        fn any_message_passes_through_sqs_byte_for_byte(
            text in prop_oneof![any::<String>(), "[\u{e000}\u{fffe}\u{ffff}012a\"\\\\]{0,12}"],
            principal in "[\u{e000}\u{fffe}\u{ffff}a]{1,4}",
        ) {
            let frame = serde_json::to_string(&text).unwrap();
            let mut message = broadcast(&frame);
            message.channel = Channel::user(&Principal::parse(principal).unwrap());
            let sent = Task::Broadcast(message.clone()).to_text();
            prop_assert!(sent.chars().all(is_in_sqs_alphabet), "{}", sent);
            let Task::Broadcast(read) = Task::parse(&sent, 0).unwrap() else { panic!("{sent}") };
            prop_assert_eq!(read.frame.get(), frame);
            prop_assert_eq!(read.channel, message.channel);
        }
    }

    #[test]
    fn an_escape_that_stands_for_nothing_is_refused() {
        for text in ["\u{e000}", "\u{e000}3", "a\u{e000}\u{e000}"] {
            assert_eq!(unescape(text), None, "{text:?}");
        }
    }
}
