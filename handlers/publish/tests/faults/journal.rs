//! What was said and done, and whether it is what was promised.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::simulation::Delivery;
use tokio::time::Instant;

use crate::{
    chaos::Unsure,
    memory::Memory,
    presence::{ANNOUNCED, Presence},
};

/// Where a message goes: the name of a channel, or [`alone`] a connection.
pub(crate) type Destination = String;

/// The destination that is one connection, whatever channels it is in.
pub(crate) fn alone(connection: &str) -> Destination {
    format!("connection {connection}")
}

/// A time that a connection was in a channel. Between a request and its answer nobody can tell whether it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    /// Before it, the connection was not there.
    pub(crate) perhaps_from: Instant,
    /// From then on it was, until it began to leave.
    pub(crate) surely_from: Option<Instant>,
    pub(crate) surely_until: Option<Instant>,
    /// After it, the connection was not there any more.
    pub(crate) perhaps_until: Option<Instant>,
}

/// A message, as its sender knows it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) to: Destination,
    pub(crate) exclude: Vec<String>,
    /// What recipients hear, but for when it was sent.
    pub(crate) frame: Value,
    pub(crate) begun: Instant,
    /// Whether its sender was told that it is on its way.
    pub(crate) promised: bool,
    /// When for the first time nobody was at work on it any more.
    pub(crate) done: Option<Instant>,
    /// How often it was begun anew, for all that is known: its environment died, its record came twice, a call failed.
    anew: u32,
    /// In how many places it is worked on: the queue's records, and invocations.
    at_work: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) stays: BTreeMap<(String, Destination), Vec<Stay>>,
    pub(crate) messages: BTreeMap<String, Message>,
    pub(crate) presence: Presence,
    pub(crate) memory: Memory,
    /// Connections to which no delivery is promised: they do not keep up, or are refused for good.
    pub(crate) hopeless: BTreeSet<String>,
}

impl Journal {
    fn stays(&mut self, connection: &str, to: &str) -> &mut Vec<Stay> {
        self.stays.entry((connection.to_owned(), to.to_owned())).or_default()
    }

    /// The connection asks to be in the channel.
    pub(crate) fn enters(&mut self, connection: &str, to: &str) {
        let stay =
            Stay { perhaps_from: Instant::now(), surely_from: None, surely_until: None, perhaps_until: None };
        self.stays(connection, to).push(stay);
    }

    /// The connection was told that it is in the channel.
    pub(crate) fn is_in(&mut self, connection: &str, to: &str) {
        for stay in self.stays(connection, to).iter_mut().filter(|stay| stay.surely_until.is_none()) {
            stay.surely_from.get_or_insert_with(Instant::now);
        }
    }

    /// The connection asks to leave the channel.
    pub(crate) fn leaves(&mut self, connection: &str, to: &str) {
        for stay in self.stays(connection, to) {
            stay.surely_until.get_or_insert_with(Instant::now);
        }
    }

    /// The connection was told that it is not in the channel any more.
    pub(crate) fn is_out(&mut self, connection: &str, to: &str) {
        for stay in self.stays(connection, to) {
            stay.perhaps_until.get_or_insert_with(Instant::now);
        }
    }

    /// The connection is closed.
    pub(crate) fn closes(&mut self, connection: &str) {
        for ((_, _), stays) in self.stays.iter_mut().filter(|((of, _), _)| of == connection) {
            for stay in stays {
                stay.surely_until.get_or_insert_with(Instant::now);
            }
        }
    }

    /// All connections that there ever were, more than once.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &str> {
        self.stays.keys().map(|(connection, _)| connection.as_str())
    }

    /// The channels that the connection is in.
    pub(crate) fn channels_of<'a>(&'a self, connection: &'a str) -> impl Iterator<Item = &'a str> {
        let of_it = self.stays.iter().filter(move |((of, to), _)| of == connection && *to != alone(of));
        let in_it = |stay: &Stay| stay.surely_from.is_some() && stay.surely_until.is_none();
        of_it.filter(move |(_, stays)| stays.iter().any(in_it)).map(|((_, to), _)| to.as_str())
    }

    /// A message is on its way.
    pub(crate) fn says(&mut self, id: &str, to: Destination, exclude: Vec<String>, frame: Value) {
        let begun = Instant::now();
        let message = Message { to, exclude, frame, begun, promised: false, done: None, anew: 0, at_work: 0 };
        assert!(self.messages.insert(id.to_owned(), message).is_none(), "{id} is said once");
    }

    /// The message's sender was told that it is on its way.
    pub(crate) fn promises(&mut self, id: &str) {
        self.message(id).promised = true;
    }

    /// In one more place, the message is worked on.
    pub(crate) fn takes_up(&mut self, id: &str) {
        match self.presence.news(id) {
            Some(news) => news.takes_up(),
            None => self.message(id).at_work += 1,
        }
    }

    /// The message may be posted once more to whom it was posted to.
    pub(crate) fn begins_anew(&mut self, id: &str) {
        if self.presence.news(id).is_none() {
            self.message(id).anew += 1;
        }
    }

    /// In one place, the message is not worked on any more.
    pub(crate) fn puts_down(&mut self, id: &str) {
        if let Some(news) = self.presence.news(id) {
            return news.puts_down();
        }
        let message = self.message(id);
        message.at_work -= 1;
        if message.at_work == 0 {
            message.done.get_or_insert_with(Instant::now);
        }
    }

    fn message(&mut self, id: &str) -> &mut Message {
        self.messages.get_mut(id).unwrap_or_else(|| panic!("the message {id} was never sent"))
    }

    /// How many messages there are, promised and not.
    pub(crate) fn count(&self) -> (usize, usize) {
        let promised = self.messages.values().filter(|message| message.promised).count();
        (promised, self.messages.len() - promised)
    }

    /// Whether who should have heard a message did, nobody else, and nobody too often. Some posts were made though nobody
    /// heard of it.
    pub(crate) fn check(&self, deliveries: &[Delivery], unsure: &Unsure) -> Result<(), String> {
        let mut heard = BTreeMap::<_, u64>::new();
        for Delivery { at, connection, frame } in deliveries {
            let mut frame: Value =
                serde_json::from_str(frame).map_err(|error| format!("{frame}: {error}"))?;
            if frame["type"] == "skipped" {
                let is_left_out = |message: &Message| {
                    frame["channel"] == message.to && message.exclude.contains(connection)
                };
                let is_left_out = frame["channel"] == ANNOUNCED || self.messages.values().any(is_left_out);
                if !frame["seq"].is_u64() || !is_left_out {
                    return Err(format!("{connection} heard {frame} and was not left out"));
                }
                continue;
            }
            if frame["type"] != "message" {
                let replays = self.memory.replays_to(connection) > 0;
                self.presence.check_heard(&self.stays, connection, *at, &frame, replays)?;
                continue;
            }
            let sent_at = frame.as_object_mut().and_then(|fields| fields.remove("sentAt"));
            if !sent_at.is_some_and(|sent_at| sent_at.is_u64()) {
                return Err(format!("{connection} heard {frame} without a time"));
            }
            let seq = frame.as_object_mut().and_then(|fields| fields.remove("seq"));
            if seq.is_some_and(|seq| seq.is_u64()) != frame["channel"].is_string() {
                return Err(format!("{connection} heard {frame} with the wrong number"));
            }
            let id = frame["id"].as_str().unwrap_or_default();
            let Some(message) = self.messages.get(id) else {
                return Err(format!("{connection} heard {frame}, which nobody said"));
            };
            if message.frame != frame {
                return Err(format!("{connection} heard {frame}, said was {}", message.frame));
            }
            if message.exclude.contains(connection) {
                return Err(format!("{connection} heard {frame} though it was left out"));
            }
            let was_there = |stay: &Stay| {
                stay.perhaps_from <= *at && stay.perhaps_until.is_none_or(|until| until >= message.begun)
            };
            if !self
                .stays
                .get(&(connection.clone(), message.to.clone()))
                .is_some_and(|stays| stays.iter().any(was_there))
            {
                return Err(format!("{connection} heard {frame} and was not in {}", message.to));
            }
            *heard.entry((id.to_owned(), connection.as_str())).or_default() += 1;
        }
        for ((id, connection), times) in &heard {
            let posts = unsure.posts.get(*connection).copied().unwrap_or_default() as u64;
            let at_most = (1 + posts + self.memory.replays_to(connection)) << self.messages[id].anew.min(16);
            if *times > at_most {
                return Err(format!(
                    "{connection} heard {id} {times} times, where {at_most} can be explained"
                ));
            }
        }
        for (id, message) in self.messages.iter().filter(|(_, message)| message.promised) {
            let Some(done) = message.done else {
                return Err(format!("the message {id} is still under way"));
            };
            let stayed = |stay: &Stay| {
                stay.surely_from.is_some_and(|from| from < message.begun)
                    && stay.surely_until.is_none_or(|until| until > done)
            };
            for ((connection, to), stays) in &self.stays {
                if *to == message.to
                    && stays.iter().any(stayed)
                    && !message.exclude.contains(connection)
                    && !self.hopeless.contains(connection)
                    && !heard.contains_key(&(id.clone(), connection.as_str()))
                {
                    return Err(format!("{connection} never heard {id}, which went to {to}"));
                }
            }
        }
        Ok(())
    }
}

/// What recipients hear of a message, but for when it was sent.
pub(crate) fn frame(
    id: &str,
    channel: Option<&str>,
    from: Option<(&str, Option<&str>)>,
    message: &Value,
) -> Value {
    let mut frame = json!({"type": "message", "id": id, "message": message});
    let (from, principal) = from.unzip();
    for (name, value) in [("channel", channel), ("from", from), ("principal", principal.flatten())] {
        if let Some(value) = value {
            frame[name] = json!(value);
        }
    }
    frame
}
