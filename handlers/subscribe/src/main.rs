//! The program of the actions `subscribe`, `unsubscribe` and `list`.

use lambda_websocket::{aws, config, registry::Registry, runtime};
use subscribe::{MAX_SUBSCRIPTIONS, Subscriptions, subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let table = config::required(config::CONNECTION_TABLE)?;
    let shards = config::parsed(config::CONNECTION_SHARDS)?;
    let subscriptions = Subscriptions {
        max: config::parsed(MAX_SUBSCRIPTIONS)?,
        registry: Registry::new(aws::dynamodb(&aws::sdk_config().await), table, shards),
    };
    runtime::run(async |event| subscribe(&subscriptions, event).await).await
}
