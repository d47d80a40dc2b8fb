//! The program of the actions `subscribe`, `unsubscribe` and `list`.

use lambda_websocket::{announcement::Announcer, aws, config, registry::Registry, runtime};
use subscribe::{MAX_SUBSCRIPTIONS, Subscriptions, subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let max = config::parsed(MAX_SUBSCRIPTIONS)?;
    let sdk = aws::sdk_config().await;
    let registry = Registry::from_env(&sdk)?;
    let announcer = Announcer::from_env(&sdk, &registry)?;
    let subscriptions = Subscriptions { registry, max, announcer };
    runtime::run(async |event| subscribe(&subscriptions, event).await).await
}
