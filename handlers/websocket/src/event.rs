//! What happened on the socket: API Gateway's event, parsed once into a closed set of types.
//!
//! The fields follow API Gateway's [`$context` variables of WebSocket APIs][context].
//!
//! [context]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html

use aws_lambda_events::apigw::{ApiGatewayWebsocketProxyRequest, ApiGatewayWebsocketProxyRequestContext};
use http::HeaderMap;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    config::split_list,
    connection::{Connection, ConnectionId, InvalidConnectionId},
    error::chain,
    patterns::{ChannelPatterns, InvalidPattern},
    principal::{InvalidPrincipal, Principal},
};

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

/// A client wants to connect (`$connect`). The socket exists only once the function has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// What there is to know of the new connection.
    pub connection: Connection,
    /// The channels that the connection may use.
    pub channels: ChannelPatterns,
    /// API Gateway's id of this request, which its logs hold too.
    pub request_id: String,
    /// The sub-protocols that the client offers, in its order of preference.
    pub subprotocols: Vec<String>,
}

/// A client sent a message: a route of its own, or `$default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it.
    pub connection: Connection,
    /// The channels that the connection may use.
    pub channels: ChannelPatterns,
    /// API Gateway's id of this request, which its logs hold too.
    pub request_id: String,
    /// API Gateway's id of the message, unique in the API.
    pub message_id: String,
    /// When API Gateway received it, in milliseconds since the Unix epoch.
    pub received_at: u64,
    /// The text as the client sent it; empty when it sent none.
    pub body: String,
    /// When Lambda ends the invocation.
    pub deadline: Instant,
}

/// A connection is closed (`$disconnect`). Best effort: the event can be missing, late or doubled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnect {
    /// What was known of the connection.
    pub connection: Connection,
    /// The channels that the connection might use.
    pub channels: ChannelPatterns,
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
    /// A field is absent that API Gateway always sends.
    #[error("requestContext.{0} is missing: is the function behind a WebSocket API?")]
    Missing(&'static str),
    /// A time lies before the Unix epoch.
    #[error("requestContext.{0} is negative")]
    NegativeTime(&'static str),
    /// The connection's id is not one.
    #[error(transparent)]
    ConnectionId(#[from] InvalidConnectionId),
    /// Who the authorizer says it is cannot be.
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

/// How much of a `User-Agent` is kept, in characters. It is the client's to choose, and whoever reads a
/// channel pays for its length.
const USER_AGENT_KEPT: usize = 256;

/// How much of an unknown type is told, in characters: it goes into the log.
const TYPE_SHOWN: usize = 64;

impl Event {
    /// Reads an event of an invocation that Lambda ends at the deadline.
    ///
    /// # Errors
    /// When the event is none of a WebSocket API.
    pub fn parse(request: ApiGatewayWebsocketProxyRequest, deadline: Instant) -> Result<Self, EventError> {
        let context = request.request_context;
        let request_id = required(context.request_id.as_deref(), "requestId")?;
        let event_type = required(context.event_type.as_deref(), "eventType")?;
        let (principal, channels) = match authorized(&context) {
            Ok(authorized) => authorized,
            // It is not let in.
            Err(error) if event_type == CONNECT => return Err(error),
            // It was let in by a function that reads other things. From now on no channel is open to it.
            Err(error) => {
                tracing::warn!(
                    connection_id = context.connection_id,
                    error = chain(&error),
                    "no channel allowed"
                );
                (None, ChannelPatterns::none())
            }
        };
        let connection = connection(&context, principal)?;
        match event_type.as_str() {
            CONNECT => Ok(Self::Connect(Connect {
                connection,
                channels,
                request_id,
                subprotocols: subprotocols(&request.headers, &request.multi_value_headers),
            })),
            MESSAGE => Ok(Self::Message(Message {
                connection,
                channels,
                request_id,
                message_id: required(context.message_id.as_deref(), "messageId")?,
                received_at: millis(context.request_time_epoch, "requestTimeEpoch")?,
                body: request.body.unwrap_or_default(),
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

/// Every event of a connection tells all of it.
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

/// The sub-protocols that a client offers: in one header, or in several, of which `headers` holds the last alone.
fn subprotocols(headers: &HeaderMap, multi_value_headers: &HeaderMap) -> Vec<String> {
    const NAME: &str = "sec-websocket-protocol";
    let headers = if multi_value_headers.contains_key(NAME) { multi_value_headers } else { headers };
    let lines = headers.get_all(NAME).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(split_list).collect()
}

/// What the authorizer said of a connection: whose it is, where it says so, and which channels are open to it. API
/// Gateway hands it on as text, with every event of the connection.
///
/// The authorizer need not be ours. What is left out, `null` or empty names nobody. Where it says nothing of channels,
/// every one is open; what it says and names none, such as `null`, opens none.
fn authorized(
    context: &ApiGatewayWebsocketProxyRequestContext,
) -> Result<(Option<Principal>, ChannelPatterns), EventError> {
    let said = |name: &str| context.authorizer.fields.get(name).map(as_text);
    let principal = said("principalId").filter(|text| !text.is_empty()).map(Principal::parse);
    let channels = said("channels").map(|text| ChannelPatterns::parse(&text));
    Ok((
        principal.transpose().map_err(EventError::Principal)?,
        channels.transpose().map_err(EventError::Channels)?.unwrap_or_else(ChannelPatterns::all),
    ))
}

/// A value of an authorizer's context as API Gateway hands it on; emulators leave it as it was.
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

/// A function that serves one kind of event takes it out of [`Event`], and refuses the others.
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
