//! A channel: a named set of connections that a message can be sent to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::principal::Principal;

/// The name of a channel.
///
/// | name | members |
/// |---|---|
/// | `*` | every connection, from `$connect` on |
/// | `user:` and a [`Principal`] | the connections of that principal, from `$connect` on |
/// | 1 to 128 of the characters `A-Z a-z 0-9 _ - . : /` | the connections that subscribed to it |
///
/// The first two are [reserved](Channel::is_reserved). A channel exists while it has members; nobody has to create it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Channel(String);

/// The text is not the name of a channel.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a channel is {}, not {found:?}", Channel::EXPECTED)]
pub struct InvalidChannel {
    found: String,
}

const EVERYONE: &str = "*";

/// The prefix of the name of a user's channel.
pub(crate) const USER: &str = "user:";

/// Separates a channel's name from the shard's number. A principal may contain it, so only the last one counts.
const SHARD: char = '#';

impl Channel {
    /// The maximum length of a name that is not a user's, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// The valid names, as error messages describe them.
    pub const EXPECTED: &str =
        r#""*", "user:" and a principal, or 1 to 128 of the characters A-Z a-z 0-9 _ - . : /"#;

    /// The channel that every connection is in, written `*`.
    pub fn everyone() -> Self {
        Self(EVERYONE.to_owned())
    }

    /// The channel of all connections of a principal, written `user:` and the principal.
    pub fn user(principal: &Principal) -> Self {
        Self(format!("{USER}{principal}"))
    }

    /// The channels that a connection is in from `$connect` on: `*`, and the principal's channel if there is a
    /// principal.
    pub fn of_connect(principal: Option<&Principal>) -> impl Iterator<Item = Self> {
        [Some(Self::everyone()), principal.map(Self::user)].into_iter().flatten()
    }

    /// Reads a name, such as one that a client sends.
    ///
    /// # Errors
    /// When it is none of the names that [`Channel`] lists.
    pub fn parse(name: impl Into<String>) -> Result<Self, InvalidChannel> {
        let name = name.into();
        let valid = match name.strip_prefix(USER) {
            Some(principal) => Principal::parse(principal).is_ok(),
            None => name == EVERYONE || is_plain(&name),
        };
        if valid {
            Ok(Self(name))
        } else {
            Err(InvalidChannel { found: name.chars().take(Self::MAX_LENGTH).collect() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `$connect` decides its members: a client can neither subscribe to it nor unsubscribe from it.
    pub fn is_reserved(&self) -> bool {
        self.0 == EVERYONE || self.is_of_a_user()
    }

    /// Whether it is the channel of a principal.
    pub fn is_of_a_user(&self) -> bool {
        self.0.starts_with(USER)
    }

    /// The value of the table's hash key for this channel's rows in a shard.
    ///
    /// It ends in the shard's number, so that a channel can be spread over several partitions: see
    /// [`Shards`](crate::protocol::shards::Shards).
    pub(crate) fn partition_key(&self, shard: u8) -> String {
        format!("{}{SHARD}{shard}", self.0)
    }

    /// Whether the hash key is one of this channel's, in any shard.
    pub(crate) fn has_partition(&self, key: &str) -> bool {
        key.rsplit_once(SHARD).is_some_and(|(name, _)| name == self.0)
    }

    /// The channel whose rows have this hash key.
    pub(crate) fn of_partition(key: &str) -> Option<Self> {
        Self::parse(key.rsplit_once(SHARD)?.0).ok()
    }

    /// The number of the shard whose rows have this hash key.
    pub(crate) fn shard_of_partition(key: &str) -> Option<u8> {
        key.rsplit_once(SHARD)?.1.parse().ok()
    }
}

fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    (1..=Channel::MAX_LENGTH).contains(&name.len()) && name.bytes().all(allowed)
}

impl TryFrom<String> for Channel {
    type Error = InvalidChannel;

    fn try_from(name: String) -> Result<Self, InvalidChannel> {
        Self::parse(name)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read() {
        for (name, is_reserved) in [
            ("lobby", false),
            ("orders.eu-central-1:42/items_7", false),
            ("USER:ada", false),
            (&"x".repeat(128), false),
            ("*", true),
            ("user:ada", true),
            ("user:auth0|5f7c#8ec7", true),
        ] {
            let channel = Channel::parse(name).unwrap();
            assert_eq!((channel.as_str(), channel.is_reserved()), (name, is_reserved));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_sentence() {
        for name in ["", "**", "orders.*", "a#0", "a b", "lobby\n", "ä", "user:", "user:\0", &"x".repeat(129)]
        {
            let error = Channel::parse(name).unwrap_err().to_string();
            assert!(
                error.starts_with("a channel is \"*\", \"user:\" and a principal, or 1 to 128"),
                "{error}"
            );
        }
        let error = Channel::parse("x".repeat(100_000)).unwrap_err().to_string();
        assert!(error.len() < 300, "it quotes the beginning alone: {} bytes", error.len());
    }

    #[test]
    fn a_user_is_a_channel() {
        let channel = Channel::user(&Principal::parse("ada").unwrap());
        assert_eq!(channel, Channel::parse("user:ada").unwrap());
        assert!(channel.is_of_a_user() && !Channel::everyone().is_of_a_user());
    }

    #[test]
    fn a_connection_is_with_everyone_and_its_user_from_the_beginning() {
        let channels = |principal: Option<&Principal>| {
            Channel::of_connect(principal).map(|channel| channel.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(channels(None), ["*"]);
        assert_eq!(channels(Principal::parse("ada").ok().as_ref()), ["*", "user:ada"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_whole_or_refused(name in any::<String>()) {
            if let Ok(channel) = Channel::parse(name.clone()) {
                prop_assert_eq!(channel.as_str(), name);
            }
        }

        /// The name and the hash keys of a user's channel read back as that channel, never as another.
        #[test]
        fn every_users_channel_is_its_own(text in "[^\\p{Cc}]{1,128}", shard in 0..64_u8) {
            let channel = Channel::user(&Principal::parse(text).unwrap());
            prop_assert_eq!(&Channel::parse(channel.to_string()).unwrap(), &channel);
            let key = channel.partition_key(shard);
            prop_assert!(channel.has_partition(&key));
            prop_assert_eq!(Channel::of_partition(&key), Some(channel));
        }
    }
}
