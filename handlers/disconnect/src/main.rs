//! The program of `$disconnect`.

use disconnect::disconnect;
use lambda_websocket::{aws, config, registry::Registry, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let table = config::required(config::CONNECTION_TABLE)?;
    let shards = config::parsed(config::CONNECTION_SHARDS)?;
    let registry = Registry::new(aws::dynamodb(&aws::sdk_config().await), table, shards);
    runtime::run(async |event| disconnect(&registry, event).await).await
}
