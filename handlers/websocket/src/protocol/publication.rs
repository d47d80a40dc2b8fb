//! A publication: a message that a backend puts into the publisher's queue, for a channel, a user or a connection.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::protocol::{
    broadcast::{Broadcast, MAX_EXCLUDED, TooLarge},
    channel::Channel,
    connection::ConnectionId,
    frame::Frame,
    idempotency::{IdempotencyKey, MAX_ID},
    json,
    principal::Principal,
};

/// The maximum length of the reason why a text cannot be read, in characters.
const MAX_REASON: usize = 400;

/// A message that a backend published. Its JSON Schema is `modules/publisher/message.schema.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publication {
    #[serde(default, deserialize_with = "present")]
    channel: Option<Channel>,
    #[serde(default, deserialize_with = "present")]
    user: Option<Principal>,
    #[serde(default, deserialize_with = "present")]
    connection: Option<ConnectionId>,
    message: Box<RawValue>,
    #[serde(default)]
    exclude: Vec<ConnectionId>,
    #[serde(default, deserialize_with = "present")]
    id: Option<String>,
}

/// Why a publication cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPublication {
    /// It is not JSON that every client could read.
    #[error(transparent)]
    Json(#[from] json::InvalidJson),
    /// Its JSON does not have the expected form.
    #[error(r#"it is not {{"channel", "user" or "connection": …, "message": any JSON, "exclude": [connections], "id": text}}"#)]
    Unreadable(#[source] Reason),
    /// It has no destination, or more than one.
    #[error("it takes one of channel, user and connection")]
    Destination,
    /// It excludes too many connections.
    #[error("it leaves out more than {MAX_EXCLUDED} connections")]
    TooManyExcluded,
    /// Its id is empty or too long.
    #[error("its id has 1 to {MAX_ID} characters")]
    Id,
    /// Its frame is too long to be delivered.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

/// The fault in the JSON. It may quote what it found, so only the beginning goes into the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

impl From<serde_json::Error> for Reason {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string().chars().take(MAX_REASON).collect())
    }
}

/// Reads a present field as its type: `null` does not count as absent.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Publication {
    /// Reads a publication.
    ///
    /// # Errors
    /// When the text is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidPublication> {
        json::check(text)?;
        serde_json::from_str(text).map_err(|error| InvalidPublication::Unreadable(Reason::from(error)))
    }

    /// The broadcast of the publication.
    ///
    /// `id` is the message's id if the publication has none of its own. Of publications with the same id to a channel or
    /// a user, only the first is recorded and sent. Recipients are told that it was sent at `sent_at`, in milliseconds
    /// since the Unix epoch.
    ///
    /// # Errors
    /// When it cannot be passed on.
    pub fn into_broadcast(self, id: &str, sent_at: u64) -> Result<Broadcast, InvalidPublication> {
        let Self { channel, user, connection, message, exclude, id: own_id } = self;
        let id = own_id.as_deref().unwrap_or(id);
        if !(1..=MAX_ID).contains(&id.chars().take(MAX_ID + 1).count()) {
            return Err(InvalidPublication::Id);
        }
        if exclude.len() > MAX_EXCLUDED {
            return Err(InvalidPublication::TooManyExcluded);
        }
        let channel = match (channel, user, &connection) {
            (Some(channel), None, None) => Some(channel),
            (None, Some(user), None) => Some(Channel::user(&user)),
            (None, None, Some(_)) => None,
            _ => return Err(InvalidPublication::Destination),
        };
        let frame = Frame::Message {
            id,
            channel: channel.as_ref(),
            from: None,
            principal: None,
            message: &message,
            sent_at,
        }
        .to_json();
        let Some(channel) = channel else {
            // Every connection is in `*`: if this one is found gone, it has a row there to prune.
            let to = connection.into_iter().filter(|id| !exclude.contains(id));
            return Ok(Broadcast::new(id, Channel::everyone(), frame)?.only(to));
        };
        let key = match &own_id {
            Some(id) => IdempotencyKey::of_backend(&channel, id),
            None => IdempotencyKey::of_record(&channel, id),
        };
        Ok(Broadcast::new(id, channel, frame)?.except(exclude).telling_excluded().kept_once(key)?)
    }
}
