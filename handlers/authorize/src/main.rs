//! The program of the authorizer.

use authorize::{Authorizer, authorize, config::Config, request::Request};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use lambda_websocket::{aws, config, log::chain, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let config = Config::read(config::optional).map_err(|error| chain(&error))?;
    let authorizer = Authorizer::new(config, &aws::sdk_config().await);
    authorizer.warm().await;
    // The library's loop is for the events of routes. An authorizer's request and answer have shapes of their own.
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Request>| {
        Box::pin(authorize(&authorizer, event.payload)).await.map_err(Diagnostic::from)
    }))
    .await
}
