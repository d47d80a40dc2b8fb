//! The JSON that clients receive.

use std::{borrow::Cow, fmt, ops::Not};

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::protocol::{
    channel::Channel, connection::ConnectionId, correlation::Correlation, cursor::Cursor, member::Member,
    principal::Principal,
};

/// The maximum length of a message that `@connections` accepts, in bytes ([quota], fixed).
///
/// [quota]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
pub const MAX_BYTES: usize = 128 * 1024;

/// The maximum size of a message's number in a frame, in bytes.
pub(crate) const SEQ_BYTES: usize = r#","seq":"#.len() + 20;

/// A frame to a client. Its `type` names the variant.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Frame<'a> {
    /// A message from a client or a backend. Where the channel has a history, it comes with its number,
    /// `seq`, as the last field.
    Message {
        /// Unique to the message, as long as the history keeps it. Delivery is at least once: a client drops a `seq`,
        /// or where there is none an id, that it has seen.
        id: &'a str,
        /// The channel that it was sent to; omitted if it was sent to a single connection.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<&'a Channel>,
        /// The connection that sent it; omitted if a backend sent it.
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a ConnectionId>,
        /// The sender's principal, if authenticated.
        #[serde(skip_serializing_if = "Option::is_none")]
        principal: Option<&'a Principal>,
        /// The content: any JSON, passed on byte for byte.
        message: &'a RawValue,
        /// When API Gateway received it, or when SQS took a backend's message, in milliseconds since the Unix epoch.
        sent_at: u64,
    },
    /// The answer to a message that was sent to others.
    Ack {
        /// The id of the message, as its recipients see it.
        id: &'a str,
        /// The request that it answers.
        #[serde(flatten)]
        request: Correlation<'a>,
        /// The message's number in the channel, if the channel has a history.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// The number of connections that the message was posted to.
        delivered: u64,
        /// The number of connections that were found closed; they are pruned from the registry.
        gone: u64,
        /// The number of connections that could not be reached, though they may be open.
        failed: u64,
        /// `true`: the rest is being delivered in the background, and is in none of the numbers.
        #[serde(skip_serializing_if = "Not::not")]
        queued: bool,
        /// `true`: time ran out before the rest was reached, and the rest is in none of the numbers.
        #[serde(skip_serializing_if = "Not::not")]
        incomplete: bool,
        /// `true`: the message was sent before, under the same id. The numbers are those of then.
        #[serde(skip_serializing_if = "Not::not")]
        duplicate: bool,
    },
    /// The answer to a subscription: the connection receives the channel's messages.
    Subscribed {
        /// The channel.
        channel: &'a Channel,
        /// The connection that is in it now: the client's own.
        connection_id: &'a ConnectionId,
        /// The client's principal, if authenticated.
        #[serde(skip_serializing_if = "Option::is_none")]
        principal: Option<&'a Principal>,
        /// The request that it answers.
        #[serde(flatten)]
        request: Correlation<'a>,
        /// The last number that the client need not wait for, if the channel has a history: messages with higher ones
        /// come live. If there was a replay, it covers all up to this number.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// The replay that preceded this answer, if the client asked for missed messages.
        #[serde(flatten)]
        replay: Option<Replay>,
    },
    /// The answer to a request to unsubscribe.
    Unsubscribed {
        /// The channel.
        channel: &'a Channel,
        /// The request that it answers.
        #[serde(flatten)]
        request: Correlation<'a>,
    },
    /// The answer to a request for a channel's members: one page of them.
    Members {
        /// The channel.
        channel: &'a Channel,
        /// The members, in no meaningful order.
        members: &'a [Member],
        /// The cursor of the next page, if there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        next: Option<Cursor>,
        /// On the first page, if the channel has a history: joins and leaves up to this number are in the list.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// The request that it answers.
        #[serde(flatten)]
        request: Correlation<'a>,
    },
    /// A message that this connection was left out of: its number is not missing.
    Skipped {
        /// The channel.
        channel: &'a Channel,
        /// The message's number.
        seq: u64,
    },
    /// A principal, or a connection without one, joined the channel.
    Joined {
        /// The channel.
        channel: &'a Channel,
        /// The connection that joined.
        connection_id: &'a ConnectionId,
        /// The principal, if authenticated: this is its first connection in the channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        principal: Option<&'a Principal>,
        /// When the join was noticed, in milliseconds since the Unix epoch.
        at: u64,
    },
    /// A principal, or a connection without one, left the channel.
    Left {
        /// The channel.
        channel: &'a Channel,
        /// The connection that left.
        connection_id: &'a ConnectionId,
        /// The principal, if authenticated: this was its last connection in the channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        principal: Option<&'a Principal>,
        /// When the leave was noticed, in milliseconds since the Unix epoch.
        at: u64,
    },
    /// The answer to a message that was rejected.
    Error {
        /// What was wrong, for programs.
        code: ErrorCode,
        /// What was wrong and what to do, for people. It may quote what the client sent. A long sentence is cut, so
        /// that the answer itself is never too large.
        #[serde(serialize_with = "shorten")]
        message: Cow<'a, str>,
        /// The request that it answers.
        #[serde(flatten)]
        request: Correlation<'a>,
    },
}

/// The result of a replay of missed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// How many messages were posted.
    pub replayed: usize,
    /// Whether they are all the messages that were asked for.
    pub complete: bool,
    /// `true`: the replay ended before the newest message. The client asks on after `seq`.
    #[serde(skip_serializing_if = "Not::not")]
    pub more: bool,
    /// `true`: some messages that were asked for are not kept any more.
    #[serde(skip_serializing_if = "Not::not")]
    pub missing: bool,
}

/// The reason why a client's message was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The text is not JSON, or not [JSON that every parser reads](crate::protocol::json).
    InvalidJson,
    /// It is JSON, but a field is missing, unknown or of the wrong type.
    InvalidRequest,
    /// `action` names no route.
    UnknownAction,
    /// The frame that would go to the recipients is longer than [`MAX_BYTES`].
    MessageTooLarge,
    /// The connection may not use the channel, or not in this way.
    Forbidden,
    /// The connection has reached its limit of subscriptions.
    TooManySubscriptions,
    /// The connection already has a replay in progress.
    TooManyRequests,
}

/// The code as clients read it.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Frame<'_> {
    /// The frame as it goes over the wire.
    #[expect(clippy::expect_used, reason = "strings, numbers and valid JSON always serialise")]
    pub fn to_json(&self) -> Box<RawValue> {
        to_raw_value(self).expect("a frame is JSON")
    }
}

/// The frame with this number at its end, as `seq`; a frame that is no object as it is.
pub(crate) fn numbered(frame: &RawValue, seq: u64) -> String {
    match frame.get().strip_suffix('}') {
        Some("{") => format!(r#"{{"seq":{seq}}}"#),
        Some(fields) => format!(r#"{fields},"seq":{seq}}}"#),
        None => frame.get().to_owned(),
    }
}

/// The maximum length of an error's sentence, in characters.
const SENTENCE: usize = 400;

fn shorten<S: Serializer>(sentence: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match sentence.char_indices().nth(SENTENCE) {
        None => serializer.serialize_str(sentence),
        Some((end, _)) => serializer.collect_str(&format_args!("{} …", &sentence[..end])),
    }
}

/// Whether a frame, as text, announces that somebody joined or left.
pub(crate) fn is_announcement(frame: &str) -> bool {
    [r#"{"type":"joined","#, r#"{"type":"left","#].iter().any(|start| frame.starts_with(start))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn request() -> Correlation<'static> {
        Correlation { request_id: "r", reference: None }
    }

    #[test]
    fn a_message_carries_any_json_as_it_was_sent() {
        let frame = Frame::Message {
            id: "IAjG6fdVIAMCIZg=",
            channel: Some(&Channel::everyone()),
            from: Some(&ConnectionId::parse("L0SM9cOFvHcCIhw=").unwrap()),
            principal: None,
            message: serde_json::from_str(r#"{ "text": "h\u00e9", "n": 1.0 }"#).unwrap(),
            sent_at: 1_700_000_000_123,
        };
        assert_snapshot!(frame.to_json(), @r#"{"type":"message","id":"IAjG6fdVIAMCIZg=","channel":"*","from":"L0SM9cOFvHcCIhw=","message":{ "text": "h\u00e9", "n": 1.0 },"sentAt":1700000000123}"#);
    }

    #[test]
    fn a_message_says_whose_it_is_where_that_is_known() {
        let frame = Frame::Message {
            id: "IAjG6fdVIAMCIZg=",
            channel: Some(&Channel::parse("lobby").unwrap()),
            from: Some(&ConnectionId::parse("L0SM9cOFvHcCIhw=").unwrap()),
            principal: Some(&Principal::parse("ada").unwrap()),
            message: serde_json::from_str("1").unwrap(),
            sent_at: 1_700_000_000_123,
        };
        assert_snapshot!(frame.to_json(), @r#"{"type":"message","id":"IAjG6fdVIAMCIZg=","channel":"lobby","from":"L0SM9cOFvHcCIhw=","principal":"ada","message":1,"sentAt":1700000000123}"#);
    }

    #[test]
    fn what_a_backend_says_to_one_connection_tells_neither_channel_nor_sender() {
        let frame = Frame::Message {
            id: "42",
            channel: None,
            from: None,
            principal: None,
            message: serde_json::from_str("1").unwrap(),
            sent_at: 1_700_000_000_123,
        };
        assert_snapshot!(frame.to_json(), @r#"{"type":"message","id":"42","message":1,"sentAt":1700000000123}"#);
    }

    #[test]
    fn a_subscription_is_confirmed() {
        let channel = &Channel::parse("lobby").unwrap();
        let connection_id = &ConnectionId::parse("a=").unwrap();
        let subscribed = |seq, replay| {
            Frame::Subscribed { channel, connection_id, principal: None, request: request(), seq, replay }
                .to_json()
        };
        let principal = Some(&Principal::parse("ada").unwrap());
        let frame = Frame::Subscribed {
            channel,
            connection_id,
            principal,
            request: request(),
            seq: None,
            replay: None,
        };
        assert_snapshot!(frame.to_json(), @r#"{"type":"subscribed","channel":"lobby","connectionId":"a=","principal":"ada","requestId":"r"}"#);
        assert_snapshot!(subscribed(None, None), @r#"{"type":"subscribed","channel":"lobby","connectionId":"a=","requestId":"r"}"#);
        assert_snapshot!(subscribed(Some(0), None), @r#"{"type":"subscribed","channel":"lobby","connectionId":"a=","requestId":"r","seq":0}"#);
        let replay = |complete| Replay { replayed: 3, complete, more: !complete, missing: !complete };
        assert_snapshot!(subscribed(Some(7), Some(replay(true))), @r#"{"type":"subscribed","channel":"lobby","connectionId":"a=","requestId":"r","seq":7,"replayed":3,"complete":true}"#);
        assert_snapshot!(subscribed(Some(7), Some(replay(false))), @r#"{"type":"subscribed","channel":"lobby","connectionId":"a=","requestId":"r","seq":7,"replayed":3,"complete":false,"more":true,"missing":true}"#);
        let frame = Frame::Unsubscribed { channel, request: request() };
        assert_snapshot!(frame.to_json(), @r#"{"type":"unsubscribed","channel":"lobby","requestId":"r"}"#);
    }

    #[test]
    fn a_page_of_members_tells_where_the_next_begins() {
        let presence = |id: &str, principal: Option<&str>| Member {
            connection_id: ConnectionId::parse(id).unwrap(),
            principal: principal.map(|text| Principal::parse(text).unwrap()),
            connected_at: 1_700_000_000_123,
            shard: 3,
        };
        let members = &[presence("a=", Some("ada")), presence("b=", None)];
        let channel = &Channel::everyone();
        let frame = Frame::Members {
            channel,
            members,
            next: Some(members[1].cursor()),
            seq: Some(7),
            request: request(),
        };
        assert_snapshot!(frame.to_json(), @r#"{"type":"members","channel":"*","members":[{"connectionId":"a=","principal":"ada","connectedAt":1700000000123},{"connectionId":"b=","connectedAt":1700000000123}],"next":"3.b=","seq":7,"requestId":"r"}"#);
        let frame = Frame::Members { channel, members: &[], next: None, seq: None, request: request() };
        assert_snapshot!(frame.to_json(), @r#"{"type":"members","channel":"*","members":[],"requestId":"r"}"#);
    }

    #[test]
    fn a_join_and_a_leave_tell_who_and_when() {
        let channel = &Channel::parse("lobby").unwrap();
        let (id, ada) = (&ConnectionId::parse("a=").unwrap(), Principal::parse("ada").unwrap());
        let joined =
            Frame::Joined { channel, connection_id: id, principal: Some(&ada), at: 1_700_000_000_123 };
        assert_snapshot!(joined.to_json(), @r#"{"type":"joined","channel":"lobby","connectionId":"a=","principal":"ada","at":1700000000123}"#);
        let left = Frame::Left { channel, connection_id: id, principal: None, at: 1_700_000_000_123 };
        assert_snapshot!(left.to_json(), @r#"{"type":"left","channel":"lobby","connectionId":"a=","at":1700000000123}"#);
    }

    #[test]
    fn a_number_is_the_last_field_of_a_frame() {
        let number = |frame: &str, seq| numbered(&RawValue::from_string(frame.to_owned()).unwrap(), seq);
        assert_eq!(number(r#"{"a":{"seq":1}}"#, 7), r#"{"a":{"seq":1},"seq":7}"#);
        assert_eq!(number("{}", 7), r#"{"seq":7}"#);
        assert_eq!(number(r#""text}""#, 7), r#""text}""#);
        let longest = number("{}", u64::MAX).len() - "{}".len();
        assert_eq!(longest + ",".len(), SEQ_BYTES, "and a comma");
        let channel = &Channel::parse("lobby").unwrap();
        assert_snapshot!(Frame::Skipped { channel, seq: 7 }.to_json(), @r#"{"type":"skipped","channel":"lobby","seq":7}"#);
    }

    #[test]
    fn an_ack_counts() {
        let ack = |queued, incomplete: bool| {
            let id = "IAjG6fdVIAMCIZg=";
            Frame::Ack {
                id,
                request: request(),
                seq: incomplete.then_some(7),
                delivered: 3,
                gone: 1,
                failed: 0,
                queued,
                incomplete,
                duplicate: false,
            }
            .to_json()
        };
        assert_snapshot!(ack(false, true), @r#"{"type":"ack","id":"IAjG6fdVIAMCIZg=","requestId":"r","seq":7,"delivered":3,"gone":1,"failed":0,"incomplete":true}"#);
        assert_snapshot!(ack(false, false), @r#"{"type":"ack","id":"IAjG6fdVIAMCIZg=","requestId":"r","delivered":3,"gone":1,"failed":0}"#);
        assert_snapshot!(ack(true, false), @r#"{"type":"ack","id":"IAjG6fdVIAMCIZg=","requestId":"r","delivered":3,"gone":1,"failed":0,"queued":true}"#);
    }

    #[test]
    fn an_error_has_a_code_and_a_sentence() {
        let frame = Frame::Error {
            code: ErrorCode::MessageTooLarge,
            message: "Send less.".into(),
            request: request(),
        };
        assert_snapshot!(frame.to_json(), @r#"{"type":"error","code":"message_too_large","message":"Send less.","requestId":"r"}"#);
    }

    #[test]
    fn of_a_long_sentence_the_beginning_goes_out() {
        let message = "é".repeat(100_000).into();
        let frame = Frame::Error { code: ErrorCode::InvalidJson, message, request: request() };
        let sentence = format!("{} …", "é".repeat(400));
        assert_eq!(
            frame.to_json().get(),
            format!(r#"{{"type":"error","code":"invalid_json","message":"{sentence}","requestId":"r"}}"#)
        );
    }

    #[test]
    fn logs_show_an_error_code_as_clients_read_it() {
        assert_eq!(ErrorCode::InvalidJson.to_string(), "invalid_json");
    }
}
