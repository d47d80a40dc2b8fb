//! Delivers a message to all members of a channel, however many they are.
//!
//! An invocation that runs out of time hands over the rest: it puts a continuation into a [`TaskQueue`]. The continuation
//! is a [`Broadcast`] of its own, with a cursor that begins where this one stopped, and another invocation goes on
//! from there. In a function that has [ranges], it is several at once instead. Posts that failed for a reason that may pass are handed over too. So are connections found gone, to be
//! [pruned](crate::delivery::departure). Delivery is at least once: if an invocation ends midway, the queue delivers
//! its part again.
//!
//! [ranges]: crate::delivery::ranges

use std::{mem, pin::pin, time::Duration};

use futures::{
    SinkExt, Stream, StreamExt, TryStreamExt,
    channel::mpsc,
    future::{Either, join, pending, select},
    stream,
};
use tokio::time::Instant;

use crate::{
    aws, config,
    delivery::{
        announcement::Announcement,
        connections::ConnectionsClient,
        continuations::Continuations,
        departure,
        error::DeliveryError,
        pace::paced,
        poster::{Outcome, Policy, Poster},
        presence::PresenceNotifier,
        ranges::{Found, Ranges},
        reader::Reader,
        recording::{self, Recording},
        report::{Posted, Report, Sent},
        task_queue::TaskQueue,
    },
    log::chain,
    metrics,
    protocol::{
        broadcast::{Broadcast, Keep, Recipients},
        cursor::ShardCursor,
        frame::Frame,
        task::{MAX_CONNECTIONS, Prune, Task},
    },
    store::{
        history::History,
        pages::{Page, read_on},
        registry::{MemberKey, Registry},
    },
    time::unix_millis,
};

/// The time kept free at the end of an invocation, after the posts: to hand over, to prune and to answer.
const FOR_THE_REST: Duration = Duration::from_secs(3);

/// The part of that time that is kept for the answer alone.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// How many excluded connections are looked up at once.
const ASKED_AT_ONCE: usize = 16;

/// If the rest can be handed over, reading recipients stops this long before posting does.
const FOR_THE_LAST_POSTS: Duration = Duration::from_secs(5);

/// Delivers broadcasts.
#[derive(Clone, Debug)]
pub struct Broadcaster {
    /// The connections and their channels.
    pub registry: Registry,
    /// Posts to connections.
    pub poster: Poster,
    /// Hands over the rest; without it, a message has one invocation's time.
    pub continuations: Option<Continuations>,
    /// Announces the leaves of connections that a message found gone, where leaves are announced.
    pub notifier: Option<PresenceNotifier>,
    /// Keeps messages for clients that are away; without it, they miss them.
    pub history: Option<History>,
}

impl Broadcaster {
    /// Builds the broadcaster from the environment variables: the table, its shards, `@connections`, and the history,
    /// the delivery queue and the queue of ranges where they are set. With a queue, a broadcast is handed over after `hand_over_after`
    /// recipients.
    ///
    /// # Errors
    /// When the table's name is missing, or a number of shards, a limit of the history, or what a queue of ranges needs
    /// is missing or invalid.
    pub async fn from_env(hand_over_after: usize) -> Result<Self, lambda_runtime::Error> {
        let queue = config::delivery_queue_url()?;
        let sdk = aws::sdk_config().await;
        let registry = Registry::from_env(&sdk)?;
        Ok(Self {
            notifier: PresenceNotifier::from_env(&sdk, &registry)?,
            history: History::from_env(&sdk)?,
            registry,
            poster: Poster::new(ConnectionsClient::new(&sdk), Policy::default()),
            continuations: match queue {
                Some(url) => Some(Continuations {
                    queue: TaskQueue::new(aws::sqs(&sdk), url),
                    after: hand_over_after,
                    ranges: Ranges::from_env(&sdk)?,
                }),
                None => None,
            },
        })
    }

    /// Records a message in the history and posts it to the recipients that it has yet to reach. Near the end of the
    /// invocation, it hands over the rest and the connections found gone. Without a queue, gone connections are
    /// pruned at once.
    ///
    /// # Errors
    /// When no member's row could be read, or the rest could not be handed over. Also when a retry to named
    /// connections reached none of them, after more than a minute of retries. The queue then delivers the task once
    /// more, or makes it a dead letter. Some recipients may have the message by then. If the history did not take the
    /// message, no recipient has it.
    pub async fn send(&self, broadcast: &Broadcast, deadline: Instant) -> Result<Sent, DeliveryError> {
        self.send_and(broadcast, true, deadline).await
    }

    /// The same, with or without pruning: where many leave at once, each leave would find the same connections gone.
    async fn send_and(
        &self,
        broadcast: &Broadcast,
        prunes: bool,
        deadline: Instant,
    ) -> Result<Sent, DeliveryError> {
        // Before any member's row is read: a client that is not found there finds the message in the history.
        let recording = match &self.history {
            Some(history) => recording::record(history, broadcast, deadline).await?,
            None => None,
        };
        match recording {
            None => {
                let report = self.deliver(broadcast, prunes, deadline).await?;
                Ok(Sent { report, seq: None, is_duplicate: false })
            }
            Some(Recording::Recorded { seq, frame }) => {
                let recorded = broadcast.recorded(frame);
                let told = Box::pin(self.tell_excluded(broadcast, seq, deadline));
                let (report, ()) = join(self.deliver(&recorded, prunes, deadline), told).await;
                let report = report?;
                if let (Some(history), Keep::Once(key)) = (&self.history, &broadcast.keep)
                    && !report.incomplete
                {
                    recording::complete(history, key, seq, &report, deadline).await;
                }
                Ok(Sent { report, seq: Some(seq), is_duplicate: false })
            }
            Some(Recording::Sent { seq, report }) => {
                tracing::info!(message_id = broadcast.message_id, seq, "sent before");
                Ok(Sent { report, seq: Some(seq), is_duplicate: true })
            }
        }
    }

    /// Tells the connections that a message excludes that its number is not missing. It is best effort: a client that
    /// does not hear of it asks for the message.
    async fn tell_excluded(&self, broadcast: &Broadcast, seq: u64, deadline: Instant) {
        let Broadcast { message_id, channel, exclude, .. } = broadcast;
        if exclude.is_empty() || !broadcast.tells_excluded {
            return;
        }
        let told = async {
            let asked = stream::iter(exclude)
                .map(async |id| Ok::<_, DeliveryError>((id, self.registry.is_member(channel, id).await?)))
                .buffered(ASKED_AT_ONCE);
            let members: Vec<_> = asked.try_collect().await?;
            let members = members.into_iter().filter(|(_, is_member)| *is_member).map(|(id, _)| id.clone());
            let frame = Frame::Skipped { channel, seq }.to_json();
            self.deliver(&Broadcast::new(message_id, channel.clone(), frame)?.only(members), true, deadline)
                .await
        };
        if let Err(error) = told.await {
            tracing::warn!(message_id, error = chain(&error), "excluded connections not told");
        }
    }

    /// Posts a message to the recipients that it has yet to reach, and hands over what there is no time for.
    async fn deliver(
        &self,
        broadcast: &Broadcast,
        prunes: bool,
        deadline: Instant,
    ) -> Result<Report, DeliveryError> {
        let mut posted = self.post_to_all(broadcast, deadline).await?;
        let gone = if prunes { mem::take(&mut posted.gone) } else { vec![] };
        let until = deadline - FOR_THE_ANSWER;
        let (handed_over, ()) =
            join(self.hand_over(broadcast, posted, until), self.prune_later(broadcast, gone, until)).await;
        handed_over.inspect(|report| log(broadcast, report))
    }

    /// Posts to the recipients that a message has yet to reach, as far as time allows.
    async fn post_to_all(&self, broadcast: &Broadcast, deadline: Instant) -> Result<Posted, DeliveryError> {
        let (start, until) = (Instant::now(), deadline - FOR_THE_REST);
        let posted = match &broadcast.to {
            Recipients::Everyone => {
                metrics::count(metrics::MESSAGES, 1);
                self.to_places(broadcast, self.registry.places(&broadcast.channel), until).await?
            }
            Recipients::Cursor(places) => self.to_places(broadcast, places.clone(), until).await?,
            Recipients::Connections(ids) => {
                let members = ids.iter().map(|id| self.registry.member(&broadcast.channel, id));
                self.post(broadcast, stream::iter(members), until).await
            }
        };
        metrics::time(metrics::DELIVERY_TIME, start.elapsed());
        Ok(posted)
    }

    /// Performs a task that another invocation left. It may have been performed before: `receives` is how often the
    /// queue has delivered it.
    ///
    /// # Errors
    /// As [`Broadcaster::send`], or when the table or the queue failed.
    pub async fn perform(&self, task: Task, receives: u32, deadline: Instant) -> Result<(), DeliveryError> {
        let notifier = self.notifier.as_ref();
        match task {
            Task::Broadcast(broadcast) => self.send(&broadcast, deadline).await.map(drop),
            Task::Prune(prune) => {
                departure::prune(&self.registry, notifier, prune, deadline - FOR_THE_ANSWER).await
            }
            Task::Join(join) => self.announce(join.into(), receives > 1, deadline).await,
            Task::Leave(leave) => {
                let until = deadline - FOR_THE_ANSWER;
                match departure::leave(&self.registry, notifier, leave, receives > 1, until).await? {
                    Some(left) => self.announce(left, receives > 1, deadline).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Tells a channel that somebody joined or left, if it still is so: otherwise whoever changed it tells.
    async fn announce(
        &self,
        announcement: Announcement,
        is_again: bool,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        let Some(notifier) = &self.notifier else { return Ok(()) };
        let mut may_be_told = is_again;
        if notifier.is_so(&announcement).await? {
            let broadcast = announcement.broadcast()?;
            if self.history.is_none() {
                return self.deliver(&broadcast, announcement.is_there(), deadline).await.map(drop);
            }
            let broadcast = broadcast.kept_once(announcement.key())?;
            self.send_and(&broadcast, announcement.is_there(), deadline).await?;
            // It may have changed before the announcement had its number, and what tells so may have a lower one.
            if notifier.is_so(&announcement).await? {
                return Ok(());
            }
            may_be_told = true;
        }
        if may_be_told && self.history.is_some() {
            let opposite = (announcement.reversed().into(), Duration::ZERO);
            notifier.queue.send([opposite], deadline - FOR_THE_ANSWER).await?;
        }
        Ok(())
    }

    /// Posts to the members in these ranges: reads them on, or cuts them into smaller ones, to be handed over.
    async fn to_places(
        &self,
        broadcast: &Broadcast,
        places: Vec<ShardCursor>,
        until: Instant,
    ) -> Result<Posted, DeliveryError> {
        let now = Instant::now();
        let stop = match self.continuations {
            Some(_) => until - FOR_THE_LAST_POSTS.min((until - now) / 2),
            None => until + FOR_THE_REST / 2, // Recipients it has no time for are counted, as far as it gets.
        };
        let after = self.continuations.as_ref().map_or(usize::MAX, |continuations| continuations.after);
        let ranges = self.continuations.as_ref().and_then(|continuations| continuations.ranges.as_ref());
        let Some(ranges) = ranges else {
            return self.read_and_post(broadcast, &places, after, stop, until).await;
        };
        match ranges.read(&self.registry, &broadcast.channel, &places, after, stop).await {
            Found::Few(pages) => {
                let mut reader =
                    Reader::new(stream::iter(pages), &places, &broadcast.exclude, usize::MAX, stop);
                let posted = self.post(broadcast, reader.recipients(), until).await;
                self.with_rest(posted, reader, &places)
            }
            Found::Many(rest) => {
                tracing::info!(message_id = broadcast.message_id, ranges = rest.len(), "broadcast split");
                Ok(Posted { rest, ..Posted::default() })
            }
        }
    }

    /// Reads the channel on from these cursors, and meanwhile posts to the members it finds: to `max` at most.
    async fn read_and_post(
        &self,
        broadcast: &Broadcast,
        places: &[ShardCursor],
        max: usize,
        stop: Instant,
        until: Instant,
    ) -> Result<Posted, DeliveryError> {
        let (mut pages_in, pages) = mpsc::channel(0);
        let read = async {
            // Reads one row more than it posts to: that row shows whether any recipients are left.
            let mut pages = pin!(read_on(&self.registry, &broadcast.channel, places, max.saturating_add(1)));
            while let Some(page) = pages.next().await {
                if pages_in.send(page).await.is_err() {
                    break;
                }
            }
            pages_in.close_channel();
            pending::<()>().await; // The posts go on.
        };

        let mut reader = Reader::new(pages, places, &broadcast.exclude, max, stop);
        // Side by side: the next page is read while this one is posted to.
        let posted = {
            let posts = pin!(self.post(broadcast, reader.recipients(), until));
            match select(posts, pin!(read)).await {
                Either::Left((posted, _)) => posted,
                Either::Right(((), posts)) => posts.await,
            }
        };
        self.with_rest(posted, reader, places)
    }

    /// The outcome of the posts to these ranges, with what the reader did not come to.
    fn with_rest(
        &self,
        mut posted: Posted,
        reader: Reader<'_, impl Stream<Item = Page> + Unpin>,
        places: &[ShardCursor],
    ) -> Result<Posted, DeliveryError> {
        let (rest, error) = reader.end();
        // Without progress the rest would be handed over for ever.
        let got_on = rest != places;
        match error {
            Some(error) if got_on => {
                tracing::warn!(error = chain(&error), "channel not read to its end");
            }
            Some(error) => return Err(DeliveryError::Store(error)),
            None if !got_on && self.continuations.is_some() => return Err(DeliveryError::NoTime),
            None => {}
        }
        if !rest.is_empty() {
            posted.rest.push(Recipients::Cursor(rest));
        }
        Ok(posted)
    }

    /// Posts to these recipients, and sorts them by outcome.
    async fn post(
        &self,
        broadcast: &Broadcast,
        recipients: impl Stream<Item = MemberKey>,
        until: Instant,
    ) -> Posted {
        let recipients = paced(recipients, broadcast.rate);
        let mut posts = pin!(self.poster.post(broadcast.frame.get(), recipients, until));
        let mut posted = Posted::default();
        while let Some((member, outcome)) = posts.next().await {
            match outcome {
                Outcome::Delivered => posted.report.delivered += 1,
                Outcome::Gone => posted.gone.push(member),
                Outcome::Slow => posted.slow.push(member.id),
                Outcome::Refused => posted.report.failed += 1,
                Outcome::Failed => posted.failed.push(member.id),
                Outcome::Throttled => posted.throttled.push(member.id),
            }
        }
        let report = &mut posted.report;
        (report.gone, report.slow) = (posted.gone.len() as u64, posted.slow.len() as u64);
        metrics::count(metrics::DELIVERED, report.delivered);
        metrics::count(metrics::GONE, report.gone);
        metrics::count(metrics::SLOW, report.slow);
        let missed = posted.failed.len() + posted.throttled.len();
        metrics::count(metrics::FAILED, report.failed + missed as u64);
        posted
    }

    /// Leaves the rest of the work to another invocation.
    async fn hand_over(
        &self,
        broadcast: &Broadcast,
        posted: Posted,
        until: Instant,
    ) -> Result<Report, DeliveryError> {
        match &self.continuations {
            Some(continuations) => continuations.hand_over(&self.poster, broadcast, posted, until).await,
            None => Ok(posted.given_up()),
        }
    }

    /// Hands over the connections found gone; without a queue, prunes them at once.
    ///
    /// If that fails, the next message finds them gone again. Being late would make the queue deliver this message
    /// again.
    async fn prune_later(&self, broadcast: &Broadcast, gone: Vec<MemberKey>, until: Instant) {
        let found_at = unix_millis();
        let members: Vec<_> = gone.iter().filter_map(MemberKey::cursor).collect();
        let prunes = members.chunks(MAX_CONNECTIONS).map(|members| Prune {
            channel: broadcast.channel.clone(),
            members: members.to_vec(),
            found_at,
        });
        let pruned = async {
            if let Some(Continuations { queue, .. }) = &self.continuations {
                let prunes = prunes.map(|prune| (Task::Prune(prune), Duration::ZERO));
                queue.send(prunes, until).await.map_err(DeliveryError::from)
            } else {
                for prune in prunes {
                    departure::prune(&self.registry, self.notifier.as_ref(), prune, until).await?;
                }
                Ok(())
            }
        };
        if let Err(error) = pruned.await {
            tracing::warn!(error = chain(&error), "gone connections not pruned");
        }
    }
}

fn log(broadcast: &Broadcast, report: &Report) {
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
}
