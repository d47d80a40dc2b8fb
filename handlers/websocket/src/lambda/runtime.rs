//! The loop of a function: an event in, a handler called, a response out.

use std::{env, time::SystemTime};

use lambda_runtime::{
    Context, Diagnostic, LambdaEvent, service_fn,
    tracing::subscriber::{self, filter::LevelFilter},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::{
    lambda::{
        error::Error,
        event::{Event, EventError, Request},
        rejection::Rejection,
        response::Response,
    },
    log::chain,
    metrics::Metrics,
    protocol::frame::ErrorCode,
};

/// Writes logs to standard output. The function's logging configuration sets the format, JSON or text, and the lowest
/// level (`AWS_LAMBDA_LOG_FORMAT`, `AWS_LAMBDA_LOG_LEVEL`).
///
/// Nothing below DEBUG is logged: there the Lambda runtime logs each event in full, with the token and the message in
/// it.
pub fn init_logs() {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|level| level.parse().ok());
    let level = level.unwrap_or(LevelFilter::INFO).min(LevelFilter::DEBUG);
    let logs = subscriber::fmt().with_max_level(level).with_target(false).without_time();
    if env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json")) {
        logs.json().init();
    } else {
        logs.init();
    }
}

/// Serves one kind of event with one handler, for as long as the execution environment lives.
///
/// # Errors
/// When the Lambda runtime API cannot be reached, or metrics are turned on but set up already. A handler's error
/// fails its invocation alone: it is logged with its causes, and reported to Lambda under a stable name.
pub async fn run<E, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    E: TryFrom<Event, Error = EventError>,
    H: AsyncFn(E) -> Result<Response, Error>,
{
    invoked(async |request: Request, deadline| {
        let context = &request.request_context;
        let (connection_id, request_id) = (context.connection_id.clone(), context.request_id.clone());
        // The runtime logs it too, but without the ids that the client receives.
        serve(&handler, request, deadline).await.inspect_err(|error| {
            tracing::error!(
                connection_id,
                request_id,
                error_type = error.error_type(),
                error = chain(error),
                "event failed"
            );
        })
    })
    .await
}

/// Answers one event. A fault of the client, or in its authorizer's context, is not an error of the function.
async fn serve<E, H>(handler: &H, request: Request, deadline: Instant) -> Result<Response, Error>
where
    E: TryFrom<Event, Error = EventError>,
    H: AsyncFn(E) -> Result<Response, Error>,
{
    let (connection_id, request_id) =
        (request.request_context.connection_id.clone(), request.request_context.request_id.clone());
    match Event::parse(request, deadline).and_then(E::try_from) {
        Ok(event) => handler(event).await,
        Err(EventError::Unexpected { expected, found }) => match *found {
            // A client names the route of its message, and may name one that is not for messages, such as `$connect`.
            Event::Message(message) => {
                tracing::warn!(
                    connection_id,
                    request_id,
                    expected,
                    "message routed to a function that serves none"
                );
                let sentence = "This action is not for clients.";
                Ok(Rejection::new(ErrorCode::UnknownAction, sentence).into_response(&message))
            }
            found => Err(EventError::Unexpected { expected, found: Box::new(found) }.into()),
        },
        Err(error @ (EventError::Principal(_) | EventError::Channels(_))) => {
            tracing::error!(
                connection_id,
                request_id,
                error = chain(&error),
                "connection refused: authorizer context not readable"
            );
            Ok(Response::forbidden())
        }
        Err(error) => Err(error.into()),
    }
}

/// The loop itself, for events of any kind.
pub(super) async fn invoked<E, R, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    E: DeserializeOwned,
    R: Serialize,
    H: AsyncFn(E, Instant) -> Result<R, Error>,
{
    let (handler, metrics) = (&handler, &Metrics::from_env()?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<E>| async move {
        let deadline = deadline(&event.context);
        // Boxed: the types of nested SDK futures are too deep for the compiler otherwise. Converted to a diagnostic:
        // the runtime logs an error in full, and an SDK's error with its whole response.
        let reply = Box::pin(handler(event.payload, deadline)).await.map_err(Diagnostic::from);
        metrics.log();
        reply
    }))
    .await
}

fn deadline(context: &Context) -> Instant {
    Instant::now() + context.deadline().duration_since(SystemTime::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::lambda::event::{Connect, Disconnect, Message};

    /// An event as API Gateway sends it, with this authorizer context.
    fn request(event_type: &str, authorizer: &Value) -> Request {
        let context = json!({
            "eventType": event_type, "connectionId": "a=", "requestId": "r", "messageId": "m",
            "connectedAt": 1, "requestTimeEpoch": 1, "authorizer": authorizer,
        });
        let body = r#"{"action":"$connect"}"#;
        serde_json::from_value(json!({"requestContext": context, "body": body})).unwrap()
    }

    /// The response of a function that serves events of this type.
    async fn reply<E: TryFrom<Event, Error = EventError>>(
        event_type: &str,
        authorizer: &Value,
    ) -> Result<Value, Error> {
        let handler = async |_: E| Ok(Response::text("served"));
        let deadline = Instant::now() + Duration::from_secs(29);
        let reply = serve(&handler, request(event_type, authorizer), deadline).await?;
        Ok(serde_json::to_value(reply).unwrap())
    }

    #[tokio::test]
    async fn a_message_that_names_a_route_of_other_events_is_answered() {
        let nobody = json!(null);
        for reply in
            [reply::<Connect>("MESSAGE", &nobody).await, reply::<Disconnect>("MESSAGE", &nobody).await]
        {
            let body = reply.unwrap()["body"].take();
            let frame = r#"{"type":"error","code":"unknown_action","message":"This action is not for clients.","requestId":"r"}"#;
            assert_eq!(body, frame);
        }
        assert_eq!(reply::<Message>("MESSAGE", &nobody).await.unwrap()["body"], "served");
        // No client can cause this: it is a mistake in the routes.
        let error = reply::<Message>("CONNECT", &nobody).await.unwrap_err();
        let sentence = "the event cannot be served: this function serves MESSAGE events and got a CONNECT: is its route right?";
        assert_eq!(chain(&error), sentence);
    }

    #[tokio::test]
    async fn of_whom_the_authorizer_says_what_cannot_be_read_is_not_let_in() {
        for authorizer in
            [json!({"principalId": "a\nb"}), json!({"channels": "**"}), json!({"channels": "[1]"})]
        {
            let refused = json!({"statusCode": 403});
            assert_eq!(reply::<Connect>("CONNECT", &authorizer).await.unwrap(), refused, "{authorizer}");
            assert_eq!(reply::<Disconnect>("DISCONNECT", &authorizer).await.unwrap()["body"], "served");
        }
    }
}
