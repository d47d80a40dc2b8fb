//! The program of `$connect`.

use connect::{Admission, connect};
use lambda_websocket::{Registry, aws, config, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let registry = Registry::from_env(&aws::sdk_config().await)?;
    let admission = Admission::new(registry, config::list(connect::SUBPROTOCOLS));
    runtime::run(async |event| connect(&admission, event).await).await
}
