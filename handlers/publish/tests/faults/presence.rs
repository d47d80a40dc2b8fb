//! Who joined and who left, and whether the channel heard of it.
//!
//! What is promised, and checked at the end, when whoever is gone was found gone:
//!
//! - The last announcement about everybody, by number, tells whether they are in the channel.
//! - A join that was confirmed, and lasted until nobody was at work on its announcement any more, is announced at least
//!   once to all who were in the channel from before it was asked for until then. So is a leave, from before it began.
//! - Nobody hears of itself, of a connection that is in no such channel, or of a channel that it is not in.
//!
//! What is not promised: that of a user whose other device may have been there at the same time; that of a connection
//! whose row was written or deleted though nobody heard that it was, since nobody else can tell whether it was new; and the
//! join of a client that had to ask again, since its row may have been written the first time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use testkit::simulation::Delivery;
use tokio::time::Instant;

use crate::journal::{Destination, Stay};

/// The channel whose members are told.
pub(crate) const ANNOUNCED: &str = "lobby";

type Stays = BTreeMap<(String, Destination), Vec<Stay>>;

/// Announcements of one kind about one connection.
#[derive(Debug, Default)]
pub(crate) struct News {
    at_work: usize,
    /// When nobody was at work on them any more.
    done: Option<Instant>,
}

impl News {
    pub(crate) fn takes_up(&mut self) {
        self.at_work += 1;
        self.done = None;
    }

    pub(crate) fn puts_down(&mut self) {
        self.at_work -= 1;
        if self.at_work == 0 {
            self.done = Some(Instant::now());
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Presence {
    news: BTreeMap<String, News>,
    /// Who had to ask again to be let into the channel.
    asked_again: BTreeSet<String>,
    /// Whose each connection is.
    principals: BTreeMap<String, Option<&'static str>>,
}

impl Presence {
    /// Under what an announcement is known.
    pub(crate) fn key(kind: &str, connection: &str) -> String {
        format!("{kind} {connection}")
    }

    /// A connection is somebody's, or nobody knows whose.
    pub(crate) fn belongs(&mut self, connection: &str, principal: Option<&'static str>) {
        self.principals.insert(connection.to_owned(), principal);
    }

    /// Who is told to come and go with a connection: its principal, or without one, itself.
    fn identity(&self, connection: &str) -> String {
        let principal = self.principals.get(connection).copied().flatten();
        principal.map_or_else(|| format!("connection {connection}"), str::to_owned)
    }

    /// Whether the last announcement about everybody tells whether they are in the channel: these connections are.
    pub(crate) fn check_last(&self, rows: &[Map<String, Value>], members: &[String]) -> Result<(), String> {
        let mut last = BTreeMap::<String, (u64, String)>::new();
        for row in rows.iter().filter(|row| row["channel"]["S"] == ANNOUNCED) {
            let Some(frame) = row.get("frame").and_then(|frame| frame["S"].as_str()) else { continue };
            let frame: Value = serde_json::from_str(frame).unwrap();
            let (Some(about), Some(seq)) = (frame["connectionId"].as_str(), frame["seq"].as_u64()) else {
                continue;
            };
            let told = (seq, frame["type"].as_str().unwrap_or_default().to_owned());
            let before = last.entry(self.identity(about)).or_default();
            *before = told.max(before.clone());
        }
        let there: BTreeSet<_> = members.iter().map(|connection| self.identity(connection)).collect();
        for who in there.iter().chain(last.keys()) {
            let told = last.get(who).is_some_and(|(_, kind)| kind == "joined");
            if told != there.contains(who) {
                return Err(format!("{who}: told last was {:?}, members are {there:?}", last.get(who)));
            }
        }
        Ok(())
    }

    /// A connection asks again to be let into the channel.
    pub(crate) fn asks_again(&mut self, connection: &str) {
        self.asked_again.insert(connection.to_owned());
    }

    /// The announcements that are known so; none where that is a message's id.
    pub(crate) fn news(&mut self, key: &str) -> Option<&mut News> {
        let is_news = ["joined ", "left ", "gone ", "skipped "].iter().any(|kind| key.starts_with(kind));
        is_news.then(|| self.news.entry(key.to_owned()).or_default())
    }

    /// Whether an announcement may be heard.
    pub(crate) fn check_heard(
        &self,
        stays: &Stays,
        listener: &str,
        at: Instant,
        frame: &Value,
        replays: bool,
    ) -> Result<(), String> {
        let about = frame["connectionId"].as_str().unwrap_or_default();
        let known = self.principals.get(about);
        let is_said = ["joined", "left"].iter().any(|kind| frame["type"] == *kind)
            && frame["channel"] == ANNOUNCED
            && known.is_some_and(|principal| frame["principal"].as_str() == *principal)
            && frame["at"].is_u64();
        // A replay after a reconnect may hold what was told of oneself.
        if !is_said || !frame["seq"].is_u64() || about == listener && !replays {
            return Err(format!("{listener} heard {frame}"));
        }
        let is_in = |connection: &str, at: Instant| {
            let stays = stays.get(&(connection.to_owned(), ANNOUNCED.to_owned()));
            stays.is_some_and(|stays| stays.iter().any(|stay| stay.perhaps_from <= at))
        };
        if !is_in(listener, at) || !is_in(about, at) {
            return Err(format!("{listener} heard {frame}: one of them is not in the channel"));
        }
        Ok(())
    }

    /// Whether all was announced.
    pub(crate) fn check(
        &self,
        stays: &Stays,
        deliveries: &[Delivery],
        hopeless: &BTreeSet<String>,
        unsure: &BTreeSet<String>,
    ) -> Result<(), String> {
        let mut heard = BTreeSet::new();
        for delivery in deliveries {
            let frame: Value = serde_json::from_str(&delivery.frame).unwrap();
            if let (Some(kind), Some(about)) = (frame["type"].as_str(), frame["connectionId"].as_str()) {
                heard.insert((Self::key(kind, about), delivery.connection.clone()));
            }
        }
        let members = || stays.iter().filter(|((_, to), stays)| to == ANNOUNCED && !stays.is_empty());
        for ((about, _), of_it) in members().filter(|((about, _), _)| !unsure.contains(about)) {
            let (first, last) = (of_it[0], of_it[of_it.len() - 1]);
            let other_device = |from: Instant, until: Option<Instant>| {
                let principal = self.principals.get(about).copied().flatten();
                members().any(|((other, _), stays)| {
                    let is_theirs = self.principals.get(other).copied().flatten() == principal;
                    let at_the_time = |stay: &Stay| {
                        until.is_none_or(|until| stay.perhaps_from <= until)
                            && stay.perhaps_until.is_none_or(|other| other >= from)
                    };
                    principal.is_some() && other != about && is_theirs && stays.iter().any(at_the_time)
                })
            };
            let joined = first.surely_from.filter(|_| !self.asked_again.contains(about));
            let joined = joined.map(|until| ("joined", first.perhaps_from, Some(until)));
            let has_left = of_it.iter().all(|stay| stay.surely_until.is_some());
            let left = last.surely_from.and(last.surely_until).filter(|_| has_left);
            let left = left.map(|from| ("left", from, None));
            for (kind, from, until) in [joined, left].into_iter().flatten() {
                if other_device(from, until) {
                    continue;
                }
                let key = Self::key(kind, about);
                let done = self.news.get(&key).and_then(|news| news.done);
                let is_over = |end: Instant| done.is_none_or(|done| end <= done);
                if kind == "joined" && first.surely_until.is_some_and(is_over) {
                    continue;
                }
                let was_there = |stay: &Stay| {
                    stay.surely_from.is_some_and(|begin| begin < from)
                        && stay.surely_until.is_none_or(|end| done.is_some_and(|done| end > done))
                };
                for ((listener, _), stays) in members() {
                    if listener != about
                        && stays.iter().any(was_there)
                        && !hopeless.contains(listener)
                        && !heard.contains(&(key.clone(), listener.clone()))
                    {
                        return Err(format!("{listener} never heard that {about} {kind}"));
                    }
                }
            }
        }
        Ok(())
    }
}
