//! The program of the action `send`.

use lambda_websocket::{
    aws, config,
    fanout::{Fanout, Policy},
    registry::Registry,
    runtime,
};
use send::{Broadcaster, send};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let table = config::required(config::CONNECTION_TABLE)?;
    let shards = config::parsed(config::CONNECTION_SHARDS)?;
    let sdk = aws::sdk_config().await;
    let broadcaster = Broadcaster {
        registry: Registry::new(aws::dynamodb(&sdk), table, shards),
        fanout: Fanout::new(aws::connections(&sdk), Policy::default()),
    };
    runtime::run(async |event| send(&broadcaster, event).await).await
}
