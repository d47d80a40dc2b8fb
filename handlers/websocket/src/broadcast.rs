//! One message to all who are in a channel, however many they are.
//!
//! What one invocation has no time for is handed over: the rest of the message's way goes into a [`Queue`] as a
//! [`Broadcast`] of its own, which begins where this one stopped, and another invocation goes on from there. So is
//! what failed for a reason that may pass. Delivery is at least once: where an invocation ends in the middle, the
//! queue hands its part out again.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    pin::pin,
    time::Duration,
};

use futures::{
    Stream, StreamExt, TryStreamExt,
    channel::mpsc::{self, UnboundedSender},
    future::{join, ready},
    stream,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::{
    announcement::Announcer,
    aws,
    channel::Channel,
    config,
    connection::ConnectionId,
    error::{Error, chain},
    fanout::{Fanout, Outcome, Policy},
    frame::MAX_BYTES,
    history::History,
    queue::Queue,
    registry::{Member, Place, Registry, RegistryError},
    shards::Shards,
    telemetry,
};

/// The part of an invocation's time that is left for what follows the posts: to hand over, to forget, to answer.
const FOR_THE_REST: Duration = Duration::from_secs(3);

/// The part of that which is left for the answer alone.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// How long before the last post no more recipients are read, where the rest can be handed over.
const FOR_THE_LAST_POSTS: Duration = Duration::from_secs(5);

/// Who could not be reached is posted to again after this time, at the earliest; it doubles from time to time.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// How often these are posted to again: over a minute.
const MOST_RETRIES: u8 = 5;

/// How many connections are handed over at once: with the longest message they fit into one of SQS.
const CONNECTIONS_AT_ONCE: usize = 500;

/// The most connections that can be left out.
pub(crate) const MAX_EXCLUDED: usize = 1_000;

/// A message on its way to a channel, as far as it has yet to go.
///
/// Whoever may send to the queue can write one there: what no function would hand over is not read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Broadcast {
    message_id: String,
    channel: Channel,
    /// The text as every recipient gets it, byte for byte. As JSON in JSON it grows by nothing on its way.
    #[serde(deserialize_with = "deliverable")]
    frame: Box<RawValue>,
    #[serde(deserialize_with = "at_most::<MAX_EXCLUDED, _, _>")]
    exclude: Vec<ConnectionId>,
    to: Recipients,
    /// How often these recipients were posted to before.
    #[serde(default, deserialize_with = "bounded", skip_serializing_if = "is_zero")]
    retries: u8,
    /// When it was sent, where the history is yet to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_at: Option<u64>,
}

/// Who of the channel is yet to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Recipients {
    /// All of them.
    Everyone,
    /// Those who come behind these places.
    Behind(#[serde(deserialize_with = "at_most::<{ Shards::MAX as usize }, _, _>")] Vec<Place>),
    /// These connections. They need not be in the channel.
    Connections(#[serde(deserialize_with = "at_most::<CONNECTIONS_AT_ONCE, _, _>")] Vec<ConnectionId>),
}

/// A number of retries that is not too large.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let retries = u8::deserialize(deserializer)?;
    if retries > MOST_RETRIES {
        return Err(D::Error::custom(format_args!("{retries} retries where at most {MOST_RETRIES} are")));
    }
    Ok(retries)
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A frame that is not too long.
fn deliverable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<RawValue>, D::Error> {
    let frame = Box::deserialize(deserializer)?;
    TooLarge::check(&frame).map_err(D::Error::custom)?;
    Ok(frame)
}

/// A list that is not too long.
fn at_most<'de, const MOST: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let items = Vec::deserialize(deserializer)?;
    if items.len() > MOST {
        return Err(D::Error::custom(format_args!("a list of {} where at most {MOST} are", items.len())));
    }
    Ok(items)
}

/// A broadcast as it is in the queue, told apart from a [`Publication`](crate::publication::Publication) by its only field.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remainder {
    pub(crate) remainder: Broadcast,
}

/// The frame is longer than `@connections` accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the message would reach its recipients as {bytes} bytes; at most {MAX_BYTES} can be delivered")]
pub struct TooLarge {
    bytes: usize,
}

impl TooLarge {
    fn check(frame: &RawValue) -> Result<(), Self> {
        let bytes = frame.get().len();
        if bytes > MAX_BYTES { Err(Self { bytes }) } else { Ok(()) }
    }
}

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

/// Who was not reached for a reason that may pass.
#[derive(Debug, Default)]
struct Missed {
    failed: Vec<ConnectionId>,
    /// Their client may be too slow, and they are given up if this goes on.
    throttled: Vec<ConnectionId>,
}

impl Missed {
    /// Counts them as given up.
    fn count(&self, report: &mut Report) {
        report.failed += self.failed.len() as u64;
        report.slow += self.throttled.len() as u64;
    }
}

/// What it takes to reach a channel.
#[derive(Clone, Debug)]
pub struct Broadcaster {
    /// Who is connected.
    pub registry: Registry,
    /// The way to them.
    pub fanout: Fanout,
    /// Where the rest goes; without it, a message has one invocation's time.
    pub handover: Option<Handover>,
    /// Tells channels whom a message found gone, where they are to be told.
    pub announcer: Option<Announcer>,
    /// What keeps messages for who is away; without it, they miss them.
    pub history: Option<History>,
}

/// When and where the rest of a message's way is handed over.
#[derive(Clone, Debug)]
pub struct Handover {
    /// The queue of the function that goes on.
    pub queue: Queue,
    /// After so many recipients, or else when time runs out.
    pub after: usize,
}

impl Broadcast {
    /// A frame to everyone in a channel, under an id for the logs.
    ///
    /// # Errors
    /// When the frame is longer than [`MAX_BYTES`].
    pub fn new(
        message_id: impl Into<String>,
        channel: Channel,
        frame: Box<RawValue>,
    ) -> Result<Self, TooLarge> {
        TooLarge::check(&frame)?;
        let to = Recipients::Everyone;
        let message_id = message_id.into();
        Ok(Self { message_id, channel, frame, exclude: vec![], to, retries: 0, sent_at: None })
    }

    /// The same, but not to these: 1,000 at most, since the rest of a message to all but more is not read from the
    /// queue.
    pub fn except(self, exclude: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { exclude: exclude.into_iter().collect(), ..self }
    }

    /// The same, but only to these, in the channel or not.
    pub fn only(self, connections: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { to: Recipients::Connections(connections.into_iter().collect()), ..self }
    }

    /// The same, and kept in the channel's history, where there is one, as sent at this time in milliseconds since the
    /// Unix epoch. Who is left out may find it there.
    pub fn kept(self, sent_at: u64) -> Self {
        Self { sent_at: Some(sent_at), ..self }
    }

    /// What is left of it: the history has it.
    fn to(&self, to: Recipients) -> Self {
        Self { to, sent_at: None, ..self.clone() }
    }

    /// The same to these connections, once more: nobody of them is left out.
    fn again(&self, connections: &[ConnectionId]) -> Self {
        let Self { message_id, channel, frame, retries, .. } = self.clone();
        let to = Recipients::Connections(connections.to_vec());
        Self { message_id, channel, frame, exclude: vec![], to, retries: retries + 1, sent_at: None }
    }
}

impl Broadcaster {
    /// What the environment says: the table, its shards, `@connections`, and the history and the queue for the rest after
    /// so many recipients, where there are such.
    ///
    /// # Errors
    /// When the table's name is missing, or the number of shards or a bound of the history cannot be.
    pub async fn from_env(hand_over_after: usize) -> Result<Self, lambda_runtime::Error> {
        let queue = config::optional(config::PUBLISH_QUEUE_URL);
        let sdk = aws::sdk_config().await;
        let registry = Registry::from_env(&sdk)?;
        Ok(Self {
            announcer: Announcer::from_env(&sdk, &registry)?,
            history: History::from_env(&sdk)?,
            registry,
            fanout: Fanout::new(aws::connections(&sdk), Policy::default()),
            handover: queue
                .map(|url| Handover { queue: Queue::new(aws::sqs(&sdk), url), after: hand_over_after }),
        })
    }

    /// Keeps a message in the history, posts it to whom it has yet to reach, forgets who is gone, and hands over what is left near the end of
    /// the invocation.
    ///
    /// # Errors
    /// When nobody's row could be read, or what is left not be handed over. Where these very connections were to be
    /// reached and some could not, again and again for more than a minute: it is for the queue to bring them once more,
    /// or to put them aside. Some recipients may have the message by then. Where the history did not take it, nobody has.
    pub async fn send(&self, broadcast: &Broadcast, deadline: Instant) -> Result<Report, Error> {
        if let (Some(history), Some(sent_at)) = (&self.history, broadcast.sent_at) {
            // Before anybody's row is read: who is not found finds the message.
            history.record(&broadcast.channel, sent_at, &broadcast.message_id, broadcast.frame.get()).await?;
        }
        let (start, until) = (Instant::now(), deadline - FOR_THE_REST);
        let (gone, to_forget) = mpsc::unbounded();
        let post = async {
            match &broadcast.to {
                Recipients::Everyone => {
                    telemetry::count(telemetry::MESSAGES, 1);
                    self.to_places(broadcast, self.registry.places(), until, gone).await
                }
                Recipients::Behind(places) => self.to_places(broadcast, places.clone(), until, gone).await,
                Recipients::Connections(ids) => self.to_connections(broadcast, ids, until, gone).await,
            }
        };
        // Side by side: to forget who is gone holds up no post.
        let (report, forgotten) =
            join(post, timeout_at(deadline - FOR_THE_ANSWER, self.forget(to_forget))).await;
        // They are found gone again by the next message. To be late would bring this one again.
        match forgotten {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "connections that are gone stay registered")
            }
            Err(_) => tracing::warn!("connections that are gone stay registered: time ran out"),
        }
        telemetry::time(telemetry::DELIVERY_TIME, start.elapsed());
        let report = report?;
        tracing::info!(
            message_id = broadcast.message_id,
            delivered = report.delivered,
            gone = report.gone,
            slow = report.slow,
            failed = report.failed,
            queued = report.queued,
            incomplete = report.incomplete,
            "broadcast",
        );
        Ok(report)
    }

    /// Reads the channel on from these places, and posts to whom it finds.
    async fn to_places(
        &self,
        broadcast: &Broadcast,
        places: Vec<Place>,
        until: Instant,
        gone: UnboundedSender<Member>,
    ) -> Result<Report, Error> {
        let most = self.handover.as_ref().map_or(usize::MAX, |handover| handover.after);
        let now = Instant::now();
        let stop = match self.handover {
            Some(_) => until - FOR_THE_LAST_POSTS.min((until - now) / 2),
            None => until + FOR_THE_REST / 2, // Whom it has no time for is counted, as far as it gets.
        };
        let (taken, stopped) = (Cell::new(0), Cell::new(false));
        let (reached, broken) = (RefCell::new(places.clone()), RefCell::new(None));

        let excluded: HashSet<_> = broadcast.exclude.iter().collect();
        let members = places.iter().enumerate().map(|(index, place)| {
            Box::pin(
                self.registry.members_behind(&broadcast.channel, place).map_ok(move |member| (index, member)),
            )
        });
        let recipients = stream::select_all(members)
            .take_while(|read| {
                stopped.set(read.is_ok() && (taken.get() >= most || Instant::now() >= stop));
                ready(!stopped.get())
            })
            .filter_map(|read| {
                ready(match read {
                    Ok((index, member)) => {
                        taken.set(taken.get() + 1);
                        reached.borrow_mut()[index].after = Some(member.id.clone());
                        (!excluded.contains(&member.id)).then_some(member)
                    }
                    Err(error) => {
                        broken.replace(Some(error));
                        None
                    }
                })
            });
        let (report, missed) = self.post(broadcast, recipients, until, gone).await;

        // Without progress the rest would be handed over for ever.
        let (broken, got_on) = (broken.into_inner(), taken.get() > 0);
        match broken {
            Some(error) if got_on => {
                tracing::warn!(error = chain(&error), "a channel was not read to its end");
            }
            Some(error) => return Err(Error::Registry(error)),
            None if !stopped.get() => return self.hand_over(broadcast, report, None, missed).await,
            None if !got_on && self.handover.is_some() => return Err(Error::NoTime),
            None => {}
        }
        self.hand_over(broadcast, report, Some(Recipients::Behind(reached.into_inner())), missed).await
    }

    async fn to_connections(
        &self,
        broadcast: &Broadcast,
        ids: &[ConnectionId],
        until: Instant,
        gone: UnboundedSender<Member>,
    ) -> Result<Report, Error> {
        let members = ids.iter().map(|id| self.registry.member(&broadcast.channel, id));
        let (mut report, missed) = self.post(broadcast, stream::iter(members), until, gone).await;
        if broadcast.retries < MOST_RETRIES || self.handover.is_none() {
            return self.hand_over(broadcast, report, None, missed).await;
        }
        if !missed.failed.is_empty() {
            return Err(Error::Undelivered { failed: missed.failed.len() });
        }
        missed.count(&mut report);
        Ok(report)
    }

    /// Posts to these, and gives back who could not be reached for a reason that may pass.
    async fn post(
        &self,
        broadcast: &Broadcast,
        recipients: impl Stream<Item = Member>,
        until: Instant,
        gone: UnboundedSender<Member>,
    ) -> (Report, Missed) {
        let mut posts = pin!(self.fanout.post(broadcast.frame.get(), recipients, until));
        let (mut report, mut missed) = (Report::default(), Missed::default());
        while let Some((member, outcome)) = posts.next().await {
            match outcome {
                Outcome::Delivered => report.delivered += 1,
                Outcome::Gone => {
                    report.gone += 1;
                    // Nobody listens once a deletion failed: the next message finds the others gone again.
                    let _ = gone.unbounded_send(member);
                }
                Outcome::Slow => report.slow += 1,
                Outcome::Refused => report.failed += 1,
                Outcome::Failed => missed.failed.push(member.id),
                Outcome::Throttled => missed.throttled.push(member.id),
            }
        }
        telemetry::count(telemetry::DELIVERED, report.delivered);
        telemetry::count(telemetry::GONE, report.gone);
        telemetry::count(telemetry::SLOW, report.slow);
        let missed_now = missed.failed.len() + missed.throttled.len();
        telemetry::count(telemetry::FAILED, report.failed + missed_now as u64);
        (report, missed)
    }

    /// Takes who is gone out of every channel, and tells the channels.
    async fn forget(&self, gone: impl Stream<Item = Member>) -> Result<(), RegistryError> {
        let departures = self.registry.forget(gone);
        departures
            .try_for_each(async |departure| {
                if let Some(announcer) = &self.announcer {
                    announcer.left(&departure).await;
                }
                Ok(())
            })
            .await
    }

    /// Puts into the queue what is left to do: whom nobody has posted to, and whom to post to again.
    async fn hand_over(
        &self,
        broadcast: &Broadcast,
        mut report: Report,
        rest: Option<Recipients>,
        missed: Missed,
    ) -> Result<Report, Error> {
        let Some(Handover { queue, .. }) = &self.handover else {
            missed.count(&mut report);
            report.incomplete = rest.is_some();
            return Ok(report);
        };
        let retry_after = RETRY_AFTER * 2u32.pow(broadcast.retries.into());
        let missed = [missed.failed, missed.throttled].concat();
        let retries = missed.chunks(CONNECTIONS_AT_ONCE).map(|ids| (broadcast.again(ids), retry_after));
        let rest = rest.map(|rest| (broadcast.to(rest), Duration::ZERO));
        for (remainder, delay) in rest.into_iter().chain(retries) {
            queue.send(&Remainder { remainder }, delay).await?;
            report.queued = true;
        }
        Ok(report)
    }
}
