//! The loop of a function: an event in, a handler called, a reply out.

use std::time::SystemTime;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use tokio::time::Instant;

use crate::{
    error::Error,
    event::{Event, EventError},
    reply::Reply,
    telemetry::Metrics,
};

/// Sends logs to standard output, as JSON or text and from the level on that the function's logging
/// configuration says (`AWS_LAMBDA_LOG_FORMAT`, `AWS_LAMBDA_LOG_LEVEL`).
pub fn init_logs() {
    lambda_runtime::tracing::init_default_subscriber();
}

/// Serves one kind of event with one handler, for as long as the environment lives.
///
/// # Errors
/// When the Lambda runtime API cannot be reached, or metrics are asked for and are set up already. A handler's error fails its invocation alone: it is
/// logged with its causes, and reported to Lambda under a stable name.
pub async fn run<E, H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    E: TryFrom<Event, Error = EventError>,
    H: AsyncFn(E) -> Result<Reply, Error>,
{
    let (handler, metrics) = (&handler, &Metrics::from_env()?);
    lambda_runtime::run(service_fn(|event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| async move {
        // Boxed: the types of nested SDK futures are too deep for the compiler otherwise.
        // And as a diagnostic, since the runtime logs an error in full: an SDK's with all of its response.
        let reply = Box::pin(serve(handler, event)).await.map_err(Diagnostic::from);
        metrics.log();
        reply
    }))
    .await
}

async fn serve<E, H>(handler: &H, event: LambdaEvent<ApiGatewayWebsocketProxyRequest>) -> Result<Reply, Error>
where
    E: TryFrom<Event, Error = EventError>,
    H: AsyncFn(E) -> Result<Reply, Error>,
{
    let deadline =
        Instant::now() + event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    handler(E::try_from(Event::parse(event.payload, deadline)?)?).await
}
