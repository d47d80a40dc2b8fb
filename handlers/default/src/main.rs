//! The program of `$default`.

use default::refuse;
use lambda_websocket::{config, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let actions = config::list(default::ACTIONS);
    runtime::run(async |event| Ok(refuse(&actions, &event))).await
}
