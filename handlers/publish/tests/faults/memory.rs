//! What is kept of what was said, and what those hear who come back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testkit::simulation::Delivery;
use tokio::time::Instant;

use crate::journal::Journal;

/// Where a replay begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    /// After this number.
    After(u64),
    /// At this time, in milliseconds since the Unix epoch.
    Since(u64),
}

/// Somebody who is back on a new connection, and asked a channel for what was missed.
#[derive(Debug)]
struct Return {
    connection: String,
    channel: String,
    start: Start,
    /// When it was told that it has all.
    complete: Instant,
}

/// What a connection was told: that it has all of a channel between two numbers.
#[derive(Debug)]
struct Covered {
    connection: String,
    channel: String,
    after: u64,
    through: u64,
    at: Instant,
}

/// The number that somebody was told who subscribed: what is sent afterwards has a higher one.
#[derive(Debug)]
struct Beginning {
    channel: String,
    seq: u64,
    at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    returns: Vec<Return>,
    covered: Vec<Covered>,
    beginnings: Vec<Beginning>,
    /// How often each connection asked for a replay.
    asked: BTreeMap<String, u64>,
}

/// A message in the history.
struct Kept {
    channel: String,
    seq: u64,
    sent_at: u64,
}

impl Memory {
    /// A connection asks for what it missed.
    pub(crate) fn asks(&mut self, connection: &str) {
        *self.asked.entry(connection.to_owned()).or_default() += 1;
    }

    /// A connection was told that it has all that was sent from there on.
    pub(crate) fn has_all(&mut self, connection: &str, channel: &str, start: Start) {
        let (connection, channel) = (connection.to_owned(), channel.to_owned());
        self.returns.push(Return { connection, channel, start, complete: Instant::now() });
    }

    /// A connection was told that it has all between these numbers.
    pub(crate) fn has(&mut self, connection: &str, channel: &str, after: u64, through: u64) {
        let (connection, channel) = (connection.to_owned(), channel.to_owned());
        self.covered.push(Covered { connection, channel, after, through, at: Instant::now() });
    }

    /// Somebody subscribed, and was told this number.
    pub(crate) fn begins(&mut self, channel: &str, seq: u64) {
        self.beginnings.push(Beginning { channel: channel.to_owned(), seq, at: Instant::now() });
    }

    /// How many replays there were to a connection.
    pub(crate) fn replays_to(&self, connection: &str) -> u64 {
        self.asked.get(connection).copied().unwrap_or_default()
    }
}

impl Journal {
    /// Whether what was acknowledged is kept, once and as it was heard, in order, and who came back heard it.
    pub(crate) fn check_memory(
        &self,
        rows: &[serde_json::Map<String, Value>],
        deliveries: &[Delivery],
    ) -> Result<(), String> {
        let mut heard = BTreeMap::<_, Instant>::new();
        let mut frames = BTreeMap::<String, BTreeSet<String>>::new();
        for delivery in deliveries {
            let frame: Value = serde_json::from_str(&delivery.frame).unwrap();
            if frame["type"] == "message" {
                let id = frame["id"].as_str().unwrap_or_default().to_owned();
                heard.entry((id.clone(), delivery.connection.as_str())).or_insert(delivery.at);
                frames.entry(id).or_default().insert(delivery.frame.clone());
            }
        }
        let kept = kept(rows, &mut frames)?;
        if let Some((id, frames)) = frames.iter().find(|(_, frames)| frames.len() > 1) {
            return Err(format!("{id} is not the same each time: {frames:?}"));
        }
        self.check_order(&kept)?;
        for Covered { connection, channel, after, through, at } in &self.memory.covered {
            let between = kept
                .iter()
                .filter(|(_, kept)| kept.channel == *channel && (after + 1..=*through).contains(&kept.seq));
            for (id, Kept { seq, .. }) in between {
                if heard.get(&(id.clone(), connection.as_str())).is_none_or(|first| first > at) {
                    return Err(format!(
                        "{connection} was told that it has {channel} after {after} through {through}, and did not have {id}, {seq}"
                    ));
                }
            }
        }
        let promised = self.messages.iter().filter(|(_, message)| message.promised);
        for (id, message) in promised.filter(|(_, message)| !message.to.starts_with("connection ")) {
            let Some(Kept { seq, sent_at, .. }) = kept.get(id) else {
                return Err(format!("{id} is not kept"));
            };
            for Return { connection, channel, start, complete } in &self.memory.returns {
                let key = (connection.clone(), channel.clone());
                let Some(stays) = self.stays.get(&key) else { continue };
                let end = message.done.map_or(*complete, |done| done.max(*complete));
                let stayed = stays.iter().any(|stay| stay.surely_until.is_none_or(|until| until > end));
                let is_asked = match start {
                    Start::After(after) => seq > after,
                    Start::Since(since) => sent_at >= since,
                };
                if message.to == *channel
                    && is_asked
                    && stayed
                    && !message.exclude.contains(connection)
                    && !heard.contains_key(&(id.clone(), connection.as_str()))
                {
                    return Err(format!(
                        "{connection} came back, asked {channel} {start:?}, and never heard {id}, {seq} of {sent_at}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether what came later has a higher number.
    fn check_order(&self, kept: &BTreeMap<String, Kept>) -> Result<(), String> {
        let messages = || kept.iter().filter_map(|(id, kept)| Some((id, kept, self.messages.get(id)?)));
        for (id, Kept { channel, seq, .. }, message) in messages() {
            for (other, before, earlier) in messages().filter(|(_, before, _)| before.channel == *channel) {
                if earlier.done.is_some_and(|done| done < message.begun) && before.seq >= *seq {
                    return Err(format!(
                        "{id} came after {other}, and has {seq}, not more than {}",
                        before.seq
                    ));
                }
            }
            for beginning in self.memory.beginnings.iter().filter(|beginning| beginning.channel == *channel) {
                if message.begun > beginning.at && *seq <= beginning.seq {
                    return Err(format!("{id} was sent after {beginning:?}, and has {seq}"));
                }
            }
        }
        Ok(())
    }
}

/// The messages in the history by their ids. Their frames are added to those that were heard.
fn kept(
    rows: &[serde_json::Map<String, Value>],
    frames: &mut BTreeMap<String, BTreeSet<String>>,
) -> Result<BTreeMap<String, Kept>, String> {
    let mut kept = BTreeMap::new();
    let (mut numbers, mut announcements) = (BTreeSet::new(), 0);
    for row in rows.iter().filter(|row| row.contains_key("frame")) {
        let text = |name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
        let frame: Value = serde_json::from_str(&text("frame")).unwrap();
        let id = frame["id"].as_str().unwrap_or_default().to_owned();
        let (channel, seq) =
            (text("channel"), row["seq"]["N"].as_str().and_then(|seq| seq.parse::<u64>().ok()));
        if let (Some(seq), Some("joined" | "left")) = (seq, frame["type"].as_str()) {
            announcements += 1;
            numbers.insert((channel, seq));
            continue;
        }
        let (Some(seq), Some(sent_at)) = (seq, frame["sentAt"].as_u64()) else {
            return Err(format!("{frame} is kept without a number or a time"));
        };
        if frame["seq"] != seq || frame["channel"] != channel {
            return Err(format!("{frame} is kept in {channel} as {seq}"));
        }
        frames.entry(id.clone()).or_default().insert(text("frame"));
        numbers.insert((channel.clone(), seq));
        if kept.insert(id.clone(), Kept { channel, seq, sent_at }).is_some() {
            return Err(format!("{id} is kept twice"));
        }
    }
    if numbers.len() < kept.len() + announcements {
        return Err("two messages have one number".to_owned());
    }
    Ok(kept)
}
