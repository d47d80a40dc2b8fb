//! The program of the actions `subscribe`, `unsubscribe` and `list`.

use lambda_websocket::{
    aws, config,
    fanout::{Fanout, Policy},
    history::History,
    registry::Registry,
    runtime,
};
use subscribe::{MAX_SUBSCRIPTIONS, Replayer, Subscriptions, subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let table = config::required(config::CONNECTION_TABLE)?;
    let shards = config::parsed(config::CONNECTION_SHARDS)?;
    let sdk = aws::sdk_config().await;
    let subscriptions = Subscriptions {
        max: config::parsed(MAX_SUBSCRIPTIONS)?,
        registry: Registry::new(aws::dynamodb(&sdk), table, shards),
        replayer: History::from_env(&sdk)?.map(|history| Replayer {
            history,
            fanout: Fanout::new(aws::connections(&sdk), Policy::default()),
        }),
    };
    runtime::run(async |event| subscribe(&subscriptions, event).await).await
}
