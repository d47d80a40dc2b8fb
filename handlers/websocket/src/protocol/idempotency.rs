//! What makes two requests to send a message one message.

use crate::{
    hash::sha256,
    protocol::{
        bounded_text::BoundedText,
        channel::Channel,
        connection::{Connection, ConnectionId},
    },
};

/// How many hexadecimal digits of the hash there are: 128 bits.
const DIGITS: usize = 32;

/// The id that its sender, a client or a backend, chose for a message: 1 to 128 characters.
pub type MessageId = BoundedText<MAX_ID>;

/// The maximum length of a message's id, in characters.
pub(crate) const MAX_ID: usize = 128;

impl MessageId {
    /// What an id is, for a sender that sent something else.
    pub const EXPECTED: &str = "a text of 1 to 128 characters";
}

/// The sender, the channel, and the id that the sender chose, as one text of 32 hexadecimal digits. It is the id of the
/// message as well, where a client sends it.
///
/// It is a hash that the sender is part of: whatever id another client chooses, it gets another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key of a client's message. The sender is the principal, on whatever device; without one, the connection.
    pub fn of_client(sender: &Connection, channel: &Channel, id: &MessageId) -> Self {
        let id = id.as_str();
        match &sender.principal {
            Some(principal) => Self::of("principal", principal.as_str(), channel, id),
            None => Self::of("connection", sender.id.as_str(), channel, id),
        }
    }

    /// The key of a message that a backend published. All backends are one sender.
    pub fn of_backend(channel: &Channel, id: &str) -> Self {
        Self::of("backend", "", channel, id)
    }

    /// The key of a message that a backend published without an id: the queue may deliver its record more than once.
    pub fn of_record(channel: &Channel, record_id: &str) -> Self {
        Self::of("record", "", channel, record_id)
    }

    /// The key of an announcement about a connection: `joined`, `left` or `closed`, of the same kind another each time.
    pub(crate) fn of_announcement(
        kind: &str,
        channel: &Channel,
        connection: &ConnectionId,
        time: &str,
    ) -> Self {
        Self::of(kind, connection.as_str(), channel, time)
    }

    fn of(kind: &str, sender: &str, channel: &Channel, id: &str) -> Self {
        // JSON keeps the parts apart, whatever is in them.
        let mut hash = sha256(serde_json::json!([kind, sender, channel, id]).to_string().as_bytes());
        hash.truncate(DIGITS);
        Self(hash)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::protocol::principal::Principal;

    fn connection(id: &str, principal: Option<&str>) -> Connection {
        Connection {
            id: ConnectionId::parse(id).unwrap(),
            connected_at: 1,
            principal: principal.map(|name| Principal::parse(name).unwrap()),
            source_ip: None,
            user_agent: None,
        }
    }

    fn id_of(text: &str) -> MessageId {
        text.to_owned().try_into().unwrap()
    }

    fn channel(name: &str) -> Channel {
        Channel::parse(name).unwrap()
    }

    #[test]
    fn a_user_is_one_sender_on_all_devices_and_nobody_else_is() {
        let key = |id, principal| {
            IdempotencyKey::of_client(&connection(id, principal), &channel("lobby"), &id_of("1")).0
        };
        assert_eq!(key("a=", Some("ada")), key("b=", Some("ada")));
        let keys = [key("a=", Some("ada")), key("a=", Some("bob")), key("a=", None), key("ada", None)];
        let others = [IdempotencyKey::of_backend(&channel("lobby"), "1").as_str().to_owned()];
        assert_eq!(keys.iter().chain(&others).collect::<HashSet<_>>().len(), 5);
        assert!(keys.iter().all(|key| key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit())));
    }

    #[test]
    fn each_channel_and_each_id_has_a_key_of_its_own() {
        let sender = connection("a=", Some("ada"));
        let keys = [("lobby", "1"), ("lobby", "2"), ("lobby1", "-"), ("news", "1"), ("lobby", "\",\"1")];
        let keys = keys.map(|(name, id)| IdempotencyKey::of_client(&sender, &channel(name), &id_of(id)).0);
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 5);
    }

    #[test]
    fn a_key_is_the_same_in_each_release() {
        let key = IdempotencyKey::of_client(&connection("a=", Some("ada")), &channel("lobby"), &id_of("1"));
        assert_eq!(key.as_str(), "7059af78638112e2f12be610f7088353");
    }
}
