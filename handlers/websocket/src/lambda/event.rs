//! API Gateway's event, parsed once into a closed set of types.
//!
//! The fields follow API Gateway's [`$context` variables of WebSocket APIs][context].
//!
//! [context]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html

use std::collections::HashMap;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequestContext;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    config::split_list,
    log::chain,
    protocol::{
        connection::{Connection, ConnectionId, InvalidConnectionId},
        correlation::{Correlation, Reference},
        permissions::{ChannelPermissions, InvalidPattern},
        principal::{InvalidPrincipal, Principal},
    },
};

/// An event as API Gateway sends it, reduced to the fields that are read.
///
/// The type of `aws_lambda_events` for it refuses headers with names or values that HTTP does not allow. The client
/// chooses them, and they must not make a function fail. An event may hold a token, so there is no way to print it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub(crate) request_context: ApiGatewayWebsocketProxyRequestContext,
    headers: Option<HashMap<String, String>>,
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
    body: Option<String>,
}

/// An event of a WebSocket API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client wants to connect.
    Connect(Connect),
    /// A client sent a message.
    Message(Message),
    /// A connection is closed.
    Disconnect(Disconnect),
}

/// A client wants to connect (`$connect`). The connection exists only once the function has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The new connection.
    pub connection: Connection,
    /// The channels that the connection may use.
    pub channels: ChannelPermissions,
    /// API Gateway's id of this request, which its logs hold too.
    pub request_id: String,
    /// The sub-protocols that the client offers, in its order of preference.
    pub subprotocols: Vec<String>,
}

/// A client sent a message, on a route of its own or on `$default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The connection that sent it.
    pub connection: Connection,
    /// The channels that the connection may use.
    pub channels: ChannelPermissions,
    /// API Gateway's id of this request, which its logs hold too.
    pub request_id: String,
    /// API Gateway's id of the message, unique in the API.
    pub message_id: String,
    /// When API Gateway received it, in milliseconds since the Unix epoch.
    pub received_at: u64,
    /// The text as the client sent it; empty when it sent none.
    pub body: String,
    /// The client's own name for the request, if the text gives it one.
    pub reference: Option<Reference>,
    /// When Lambda ends the invocation.
    pub deadline: Instant,
}

impl Message {
    /// The request, as an answer names it.
    pub fn request(&self) -> Correlation<'_> {
        Correlation { request_id: &self.request_id, reference: self.reference.as_ref() }
    }
}

/// A connection is closed (`$disconnect`). Best effort: the event can be missing, late or duplicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// The closed connection.
    pub connection: Connection,
    /// The channels that the connection was allowed to use.
    pub channels: ChannelPermissions,
    /// API Gateway's id of this request, which its logs hold too.
    pub request_id: String,
    /// The close code, such as 1000 or 1001.
    pub status_code: Option<i64>,
    /// The reason that came with the close code.
    pub reason: Option<String>,
    /// When Lambda ends the invocation.
    pub deadline: Instant,
}

/// The event is not one that the function serves.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// A field that API Gateway always sends is missing.
    #[error("requestContext.{0} is missing: is the function behind a WebSocket API?")]
    Missing(&'static str),
    /// A time lies before the Unix epoch.
    #[error("requestContext.{0} is negative")]
    NegativeTime(&'static str),
    /// The connection id is invalid.
    #[error(transparent)]
    ConnectionId(#[from] InvalidConnectionId),
    /// The authorizer's principal is invalid.
    #[error("requestContext.authorizer.principalId cannot be read")]
    Principal(#[source] InvalidPrincipal),
    /// The channels that the authorizer allows cannot be read.
    #[error("requestContext.authorizer.channels cannot be read")]
    Channels(#[source] InvalidPattern),
    /// The event's type is unknown.
    #[error("requestContext.eventType is {0:?}, not CONNECT, MESSAGE or DISCONNECT")]
    UnknownType(String),
    /// A function got an event of another route.
    #[error("this function serves {expected} events and got a {}: is its route right?", .found.kind())]
    Unexpected {
        /// The type of event that the function serves.
        expected: &'static str,
        /// The event that it got.
        found: Box<Event>,
    },
}

impl Event {
    /// The event's type, as API Gateway spells it.
    fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => CONNECT,
            Self::Message(_) => MESSAGE,
            Self::Disconnect(_) => DISCONNECT,
        }
    }
}

/// The types of events, as API Gateway spells them.
const CONNECT: &str = "CONNECT";
const MESSAGE: &str = "MESSAGE";
const DISCONNECT: &str = "DISCONNECT";

/// How much of a `User-Agent` is kept, in characters. The client chooses it, and every reader of a channel pays for
/// its length.
const USER_AGENT_KEPT: usize = 256;

/// How much of an unknown type is shown, in characters: it goes into the log.
const TYPE_SHOWN: usize = 64;

impl Event {
    /// Parses an event of an invocation that Lambda ends at the deadline.
    ///
    /// # Errors
    /// When the event is not one of a WebSocket API.
    pub fn parse(request: Request, deadline: Instant) -> Result<Self, EventError> {
        let Request { request_context: context, headers, multi_value_headers, body } = request;
        let request_id = required(context.request_id.as_deref(), "requestId")?;
        let event_type = required(context.event_type.as_deref(), "eventType")?;
        let (principal, channels) = match authorized(&context) {
            Ok(authorized) => authorized,
            // The client is not let in.
            Err(error) if event_type == CONNECT => return Err(error),
            // It was let in by a function that reads the context differently. From now on it may use no channel.
            Err(error) => {
                tracing::warn!(
                    connection_id = context.connection_id,
                    error = chain(&error),
                    "authorizer context not readable: no channel allowed"
                );
                (None, ChannelPermissions::none())
            }
        };
        let connection = connection(&context, principal)?;
        match event_type.as_str() {
            CONNECT => Ok(Self::Connect(Connect {
                connection,
                channels,
                request_id,
                subprotocols: subprotocols(headers, multi_value_headers),
            })),
            MESSAGE => Ok(Self::Message(Message {
                connection,
                channels,
                request_id,
                message_id: required(context.message_id.as_deref(), "messageId")?,
                received_at: millis(context.request_time_epoch, "requestTimeEpoch")?,
                reference: body.as_deref().and_then(Reference::of),
                body: body.unwrap_or_default(),
                deadline,
            })),
            DISCONNECT => Ok(Self::Disconnect(Disconnect {
                connection,
                channels,
                request_id,
                status_code: context.disconnect_status_code,
                reason: context.disconnect_reason.filter(|reason| !reason.is_empty()),
                deadline,
            })),
            unknown => Err(EventError::UnknownType(unknown.chars().take(TYPE_SHOWN).collect())),
        }
    }
}

/// The connection of an event: every event holds all of its data.
fn connection(
    context: &ApiGatewayWebsocketProxyRequestContext,
    principal: Option<Principal>,
) -> Result<Connection, EventError> {
    Ok(Connection {
        id: ConnectionId::parse(required(context.connection_id.as_deref(), "connectionId")?)?,
        connected_at: millis(context.connected_at, "connectedAt")?,
        principal,
        source_ip: context.identity.source_ip.clone(),
        user_agent: context
            .identity
            .user_agent
            .as_deref()
            .map(|agent| agent.chars().take(USER_AGENT_KEPT).collect()),
    })
}

/// The sub-protocols that a client offers, in one header or in several; of several, `headers` holds only the last.
fn subprotocols(
    headers: Option<HashMap<String, String>>,
    multi_value_headers: Option<HashMap<String, Vec<String>>>,
) -> Vec<String> {
    let is_offer = |name: &String| name.eq_ignore_ascii_case("sec-websocket-protocol");
    let lists = multi_value_headers.into_iter().flatten().find(|(name, _)| is_offer(name));
    let list = headers.into_iter().flatten().find(|(name, _)| is_offer(name));
    let lists = lists.map(|(_, lists)| lists).or_else(|| Some(vec![list?.1])).unwrap_or_default();
    lists.iter().flat_map(|list| split_list(list)).collect()
}

/// The principal, if the authorizer names one, and the channels that it allows. API Gateway passes the authorizer's
/// context on as text, with every event of the connection.
///
/// The authorizer need not be ours. A `principalId` that is missing, `null` or empty means no principal. Without
/// `channels`, every channel is allowed; a value that names none, such as `null`, allows none.
fn authorized(
    context: &ApiGatewayWebsocketProxyRequestContext,
) -> Result<(Option<Principal>, ChannelPermissions), EventError> {
    let said = |name: &str| context.authorizer.fields.get(name).map(as_text);
    let principal = said("principalId").filter(|text| !text.is_empty()).map(Principal::parse);
    let channels = said("channels").map(|text| ChannelPermissions::parse(&text));
    Ok((
        principal.transpose().map_err(EventError::Principal)?,
        channels.transpose().map_err(EventError::Channels)?.unwrap_or_else(ChannelPermissions::all),
    ))
}

/// A value of an authorizer's context as API Gateway passes it on: as text. Emulators leave it as it was.
fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn required(value: Option<&str>, name: &'static str) -> Result<String, EventError> {
    value.map(str::to_owned).ok_or(EventError::Missing(name))
}

fn millis(value: i64, name: &'static str) -> Result<u64, EventError> {
    u64::try_from(value).map_err(|_| EventError::NegativeTime(name))
}

/// Takes the one kind of event that a function serves out of [`Event`], and refuses the others.
macro_rules! only {
    ($kind:ident, $name:ident) => {
        impl TryFrom<Event> for $kind {
            type Error = EventError;

            fn try_from(event: Event) -> Result<Self, EventError> {
                match event {
                    Event::$kind(event) => Ok(event),
                    other => Err(EventError::Unexpected { expected: $name, found: Box::new(other) }),
                }
            }
        }
    };
}

only!(Connect, CONNECT);
only!(Message, MESSAGE);
only!(Disconnect, DISCONNECT);
