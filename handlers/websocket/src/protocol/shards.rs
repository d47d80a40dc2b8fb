//! The partitions that a channel is spread over, and the one that holds a connection's row.

use std::{ops::Range, str::FromStr};

use crate::protocol::{channel::Channel, connection::ConnectionId};

/// The numbers of shards of channels.
///
/// A shard is a partition key of the table, and one such key takes [1,000 writes and 3,000 reads of 4 KB a
/// second][partition]. So a channel of one shard keeps up with 500 new connections a second, while as many leave. API
/// Gateway lets in that many by default. Each further shard adds 500. Everyone's channel has each connection in it, so it
/// may have more shards than others.
///
/// [partition]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    /// That of a channel.
    pub channel: ShardCount,
    /// That of everyone's channel.
    pub everyone: ShardCount,
    /// A greater number that was in force when connections were established that still live. These shards are read, and
    /// nothing is put into them.
    pub former: ShardCount,
}

/// The number of shards of a channel: 1 to [`ShardCount::MAX`], and 1 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardCount(u8);

/// The text is not a number of shards.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a channel has 1 to {} shards", ShardCount::MAX)]
pub struct InvalidShards;

impl Shards {
    /// The numbers of the shards that are read for a channel.
    pub(crate) fn numbers(self, channel: &Channel) -> Range<u8> {
        0..self.of(channel).max(self.former).0
    }

    /// The number of the shard that a connection's row in a channel is put into.
    pub(crate) fn number_of(self, channel: &Channel, id: &ConnectionId) -> u8 {
        (fnv1a(id.as_str()) % u64::from(self.of(channel).0)) as u8
    }

    /// The numbers of the shards that may hold a connection's row in a channel: that of now, and the former one.
    pub(crate) fn numbers_of(self, channel: &Channel, id: &ConnectionId) -> impl Iterator<Item = u8> + use<> {
        let (now, former) =
            (self.number_of(channel, id), (fnv1a(id.as_str()) % u64::from(self.former.0)) as u8);
        let is_another = self.former > self.of(channel) && former != now;
        [Some(now), is_another.then_some(former)].into_iter().flatten()
    }

    fn of(self, channel: &Channel) -> ShardCount {
        if *channel == Channel::everyone() { self.everyone } else { self.channel }
    }
}

impl FromStr for Shards {
    type Err = InvalidShards;

    /// As many for each channel.
    fn from_str(text: &str) -> Result<Self, InvalidShards> {
        let channel = text.parse()?;
        Ok(Self { channel, everyone: channel, former: ShardCount::default() })
    }
}

impl ShardCount {
    /// More than the 40,000 writes a second that DynamoDB grants [a table by default][quotas] can use. Still few enough
    /// to read: every read of a channel is a query of each shard.
    ///
    /// [quotas]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
    pub const MAX: u8 = 64;
}

impl Default for ShardCount {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for ShardCount {
    type Err = InvalidShards;

    fn from_str(text: &str) -> Result<Self, InvalidShards> {
        let count = text.parse().map_err(|_| InvalidShards)?;
        if (1..=Self::MAX).contains(&count) { Ok(Self(count)) } else { Err(InvalidShards) }
    }
}

/// [FNV-1a] of 64 bits. Another build of a function must find a connection in the same shard, and the standard
/// library's hashes may change from release to release.
///
/// [FNV-1a]: https://datatracker.ietf.org/doc/html/rfc9923
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str) -> Channel {
        Channel::parse(name).unwrap()
    }

    #[test]
    fn everyones_channel_has_a_number_of_its_own_and_those_of_before_are_read() {
        let shards = Shards { channel: ShardCount(2), everyone: ShardCount(8), former: ShardCount(1) };
        assert_eq!((shards.numbers(&channel("lobby")), shards.numbers(&Channel::everyone())), (0..2, 0..8));
        let shards = Shards { former: ShardCount(4), ..shards };
        assert_eq!((shards.numbers(&channel("lobby")), shards.numbers(&Channel::everyone())), (0..4, 0..8));
        for number in 0..100 {
            let id = ConnectionId::parse(format!("c{number}=")).unwrap();
            let now = shards.number_of(&channel("lobby"), &id);
            assert!(now < 2, "nothing is put into a former one");
            let former = "4".parse::<Shards>().unwrap().number_of(&channel("lobby"), &id);
            let found: Vec<_> = shards.numbers_of(&channel("lobby"), &id).collect();
            assert_eq!(found, if former == now { vec![now] } else { vec![now, former] });
            assert_eq!(
                shards.numbers_of(&Channel::everyone(), &id).count(),
                1,
                "of everyone's there were fewer"
            );
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        let published =
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)];
        for (text, hash) in published {
            assert_eq!(fnv1a(text), hash, "{text}");
        }
    }

    #[test]
    fn a_connection_is_in_the_same_shard_for_good() {
        // If one of these changes, connections are looked up in a shard that does not hold their rows.
        for (id, numbers) in [
            ("L0SM9cOFvHcCIhw=", [0, 2, 1, 29]),
            ("BkQ3rc-0liACIhw=", [0, 1, 2, 38]),
            ("Zx9_-abcdef12345=", [0, 2, 3, 35]),
        ] {
            let id = ConnectionId::parse(id).unwrap();
            let found = ["1", "3", "4", "64"]
                .map(|count| count.parse::<Shards>().unwrap().number_of(&channel("lobby"), &id));
            assert_eq!(found, numbers, "{id}");
        }
    }

    #[test]
    fn a_channel_has_1_to_64_shards() {
        assert_eq!("1".parse(), Ok(ShardCount::default()));
        assert_eq!("64".parse(), Ok(ShardCount(64)));
        for text in ["", "0", "65", "256", "-1", "1.5", " 4", "four"] {
            let error = text.parse::<ShardCount>().unwrap_err();
            assert_eq!(error.to_string(), "a channel has 1 to 64 shards", "{text}");
        }
    }
}
