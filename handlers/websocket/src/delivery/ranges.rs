//! Cuts a large channel into ranges, so that several functions post to it at once.
//!
//! The step that finds more members than one invocation posts to posts to none. It reads the ids on to the channel's
//! end, and leaves each range to an invocation of its own. The ranges meet, and do not overlap: who is in the channel is
//! in one of them. They are cut where members were found, since the ids are not evenly spread: those of API Gateway begin
//! with the time.

use std::num::NonZeroU32;

use aws_config::SdkConfig;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::{
    aws, config,
    delivery::task_queue::TaskQueue,
    log::chain,
    protocol::{broadcast::Recipients, channel::Channel, cursor::ShardCursor},
    store::{
        pages::{Page, read_on},
        registry::{MemberKey, Registry},
    },
};

/// The smallest range has this part of the members that an invocation posts to. With fewer, it would take longer to start
/// than to post.
const SMALLEST: usize = 5;

/// Ranges are cut to this part of those members.
const GRAINS: usize = 25;

/// The minimum of rows to read at once where only some of those that were read were of members.
const MIN_ROWS: usize = 100;

/// How many shards are read at once.
const SHARDS_AT_ONCE: usize = 8;

/// How many functions post to one channel at once, and where the ranges for them wait.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// The queue of the ranges.
    pub queue: TaskQueue,
    /// How many invocations of that queue there are at once.
    pub concurrency: NonZeroU32,
    /// How many posts a second they do together.
    pub rate_limit: NonZeroU32,
}

/// The members of a channel, as far as they were read.
pub(crate) enum Found {
    /// So few that one invocation posts to them.
    Few(Vec<Page>),
    /// More: the ranges that hold them.
    Many(Vec<Recipients>),
}

/// Members of a shard that follow each other.
#[derive(Debug, PartialEq, Eq)]
struct Grain {
    range: ShardCursor,
    members: usize,
}

impl Ranges {
    /// The ranges that the environment configures; `None` without a queue for them.
    ///
    /// # Errors
    /// When there is a queue, but not how many invocations it has and how many posts they do: a number above 0.
    pub fn from_env(sdk: &SdkConfig) -> Result<Option<Self>, lambda_runtime::Error> {
        let Some(url) = config::optional(config::BROADCAST_QUEUE_URL) else { return Ok(None) };
        Ok(Some(Self {
            queue: TaskQueue::new(aws::sqs(sdk), url),
            concurrency: config::required_as(config::BROADCAST_CONCURRENCY)?,
            rate_limit: config::required_as(config::BROADCAST_RATE_LIMIT)?,
        }))
    }

    /// The posts a second of an invocation. However many broadcasts there are, no more are under way at once.
    pub(crate) fn share(&self) -> NonZeroU32 {
        NonZeroU32::new(self.rate_limit.get() / self.concurrency).unwrap_or(NonZeroU32::MIN)
    }

    /// Reads these parts of a channel. If they have more than `max` members, it cuts them into ranges of `max` at most.
    /// What could not be read, or not before `stop`, is in a range too, to be cut by the invocation that gets it.
    pub(crate) async fn read(
        &self,
        registry: &Registry,
        channel: &Channel,
        places: &[ShardCursor],
        max: usize,
        stop: Instant,
    ) -> Found {
        let mut rest: Vec<_> = places.iter().cloned().map(Some).collect();
        let (mut pages, mut members) = (vec![], 0);
        // One more than an invocation posts to shows that there are more. Rows that have expired do not count.
        while members <= max {
            let open: Vec<_> =
                (0..).zip(&rest).filter_map(|(index, place)| Some((index, place.clone()?))).collect();
            // What is left over is then handed over as it is.
            let is_over = Instant::now() >= stop || pages.iter().any(|page: &Page| page.members.is_err());
            if open.is_empty() || is_over {
                return Found::Few(pages);
            }
            let (indices, open): (Vec<usize>, Vec<_>) = open.into_iter().unzip();
            let rows = (max - members).saturating_add(1).max(MIN_ROWS.min(max));
            let read: Vec<_> = read_on(registry, channel, &open, rows).collect().await;
            for page in read {
                let page = Page { index: indices[page.index], ..page };
                rest[page.index].clone_from(&page.next);
                members += page.members.as_ref().map_or(0, Vec::len);
                pages.push(page);
            }
        }
        let mut shards: Vec<_> = places.iter().map(|place| Grains::new(place, max)).collect();
        for page in pages {
            shards[page.index].add(page.members.as_deref().unwrap_or_default());
        }
        let shards = shards.into_iter().zip(rest).map(async |(mut grains, mut rest)| {
            while let Some(place) = &rest {
                match timeout_at(stop, registry.long_page(channel, place)).await {
                    Ok(Ok((members, next))) => {
                        grains.add(&members);
                        rest = next;
                    }
                    Ok(Err(error)) => {
                        tracing::warn!(error = chain(&error), "shard not read to its end");
                        break;
                    }
                    Err(_) => break,
                }
            }
            grains.end(rest.is_some())
        });
        let grains: Vec<_> = stream::iter(shards).buffered(SHARDS_AT_ONCE).concat().await;
        let ranges = cut(&grains, max, self.concurrency.get() as usize);
        Found::Many(ranges.into_iter().map(Recipients::Cursor).collect())
    }
}

/// The grains of a shard, as its members are read.
struct Grains {
    /// What was read behind the last grain: from there to the end of the shard's range.
    open: ShardCursor,
    /// The members in it.
    members: usize,
    /// The members of a grain.
    size: usize,
    grains: Vec<Grain>,
}

impl Grains {
    /// Those of a range of a shard, where an invocation posts to `max` members.
    fn new(place: &ShardCursor, max: usize) -> Self {
        Self { open: place.clone(), members: 0, size: (max / GRAINS).max(1), grains: vec![] }
    }

    fn add(&mut self, members: &[MemberKey]) {
        for member in members {
            self.members += 1;
            if self.members == self.size {
                let range = ShardCursor { through: Some(member.id.clone()), ..self.open.clone() };
                self.grains.push(Grain { range, members: self.size });
                (self.open.after, self.members) = (Some(member.id.clone()), 0);
            }
        }
    }

    /// All grains: together they are the whole range. So who was added just now is in the last one, even if the read,
    /// which may lag behind, did not find them.
    fn end(mut self, is_cut_short: bool) -> Vec<Grain> {
        match self.grains.last_mut() {
            Some(last) if self.members == 0 && !is_cut_short => last.range.through = self.open.through,
            _ => self.grains.push(Grain { range: self.open, members: self.members }),
        }
        self.grains
    }
}

/// Joins grains to ranges of about as many members each: as many ranges as invocations at once, or a multiple of it, so
/// that all are done at about the same time.
fn cut(grains: &[Grain], max: usize, concurrency: usize) -> Vec<Vec<ShardCursor>> {
    let members: usize = grains.iter().map(|grain| grain.members).sum();
    // A range may have a grain more than its share at each end. One with more than `max` members would be cut again.
    let share = max - 2 * (max / GRAINS);
    let rounds = members.div_ceil(share.saturating_mul(concurrency)).max(1);
    let count = rounds.saturating_mul(concurrency).min(members.div_ceil((max / SMALLEST).max(1))).max(1);
    let mut ranges: Vec<Vec<ShardCursor>> = vec![];
    let (mut before, mut last) = (0, None);
    for Grain { range, members: more } in grains {
        // The range that the middle of the grain falls into.
        let number = ((before + more / 2) * count / members.max(1)).min(count - 1);
        before += more;
        if last != Some(number) {
            ranges.push(vec![]);
            last = Some(number);
        }
        let Some(places) = ranges.last_mut() else { continue };
        match places.last_mut() {
            Some(place) if place.shard == range.shard => place.through.clone_from(&range.through),
            _ => places.push(range.clone()),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{connection::ConnectionId, cursor::Cursor};

    fn id(number: usize) -> ConnectionId {
        ConnectionId::parse(format!("c{number:06}=")).unwrap()
    }

    fn place(shard: u8) -> ShardCursor {
        ShardCursor { shard, after: None, through: None }
    }

    /// The grains of shards with so many members each, whose ids begin with 0.
    fn grains(shards: &[usize], max: usize) -> Vec<Grain> {
        let shards = shards.iter().enumerate().flat_map(|(shard, count)| {
            let place = place(shard as u8);
            let mut grains = Grains::new(&place, max);
            let channel = Channel::everyone();
            let members: Vec<_> = (0..*count)
                .map(|number| {
                    let connection_id = id(number);
                    MemberKey::at(&channel, Cursor { shard: place.shard, connection_id })
                })
                .collect();
            members.chunks(333).for_each(|page| grains.add(page));
            grains.end(false)
        });
        shards.collect()
    }

    fn holds(range: &ShardCursor, shard: u8, id: &ConnectionId) -> bool {
        range.shard == shard
            && range.after.as_ref().is_none_or(|after| after < id)
            && range.through.as_ref().is_none_or(|through| id <= through)
    }

    proptest! {
        #[test]
        fn whoever_was_found_is_in_one_range(
            shards in prop::collection::vec(prop_oneof![0..20_usize, 0..200_usize], 1..8),
            concurrency in 1..20_usize,
            max in prop_oneof![1..10_usize, Just(50), Just(125)],
        ) {
            let ranges = cut(&grains(&shards, max), max, concurrency);
            let holders = |shard: usize, id: &ConnectionId| {
                ranges.iter().filter(|range| range.iter().any(|place| holds(place, shard as u8, id))).count()
            };
            for (shard, id) in (0..shards.len()).flat_map(|shard| [(shard, "a="), (shard, "z=")]) {
                let id = ConnectionId::parse(id).unwrap();
                prop_assert_eq!(holders(shard, &id), 1, "who came just now, in shard {}", shard);
            }
            let mut sizes = vec![0; ranges.len()];
            for (shard, count) in shards.iter().enumerate() {
                for number in 0..*count {
                    let found: Vec<_> = (0..ranges.len())
                        .filter(|range| ranges[*range].iter().any(|r| holds(r, shard as u8, &id(number))))
                        .collect();
                    prop_assert_eq!(found.len(), 1, "{} in shard {}", number, shard);
                    sizes[found[0]] += 1;
                }
            }
            for range in &ranges {
                let shards: BTreeSet<_> = range.iter().map(|place| place.shard).collect();
                prop_assert_eq!(shards.len(), range.len(), "each shard once: {:?}", range);
            }
            let members: usize = shards.iter().sum();
            let even = members.div_ceil(ranges.len().max(1));
            let grain = (max / GRAINS).max(1);
            prop_assert!(sizes.iter().all(|size| *size <= max && *size <= even + 2 * grain), "{sizes:?}");
            prop_assert!(members <= max || ranges.len() > 1, "it would be cut for ever");
        }
    }

    #[test]
    fn there_are_as_many_ranges_as_invocations_or_a_multiple() {
        let count = |members| cut(&grains(&[members], 2_500), 2_500, 8).len();
        assert_eq!([501, 2_600, 4_000, 20_000, 20_500, 100_000].map(count), [2, 6, 8, 16, 16, 48]);
    }

    #[test]
    fn what_was_not_read_is_the_last_range() {
        let range = place(3);
        assert_eq!(Grains::new(&range, 500).end(true), [Grain { range, members: 0 }]);
    }

    #[test]
    fn invocations_share_the_rate() {
        let (concurrency, rate_limit) = (NonZeroU32::new(8).unwrap(), NonZeroU32::new(5_000).unwrap());
        let client = aws_sdk_sqs::Client::from_conf(
            aws_sdk_sqs::Config::builder().behavior_version(aws_config::BehaviorVersion::latest()).build(),
        );
        let ranges = Ranges { queue: TaskQueue::new(client, ""), concurrency, rate_limit };
        assert_eq!(ranges.share().get(), 625);
        let ranges = Ranges { rate_limit: NonZeroU32::MIN, ..ranges };
        assert_eq!(ranges.share().get(), 1, "none would never end");
    }
}
