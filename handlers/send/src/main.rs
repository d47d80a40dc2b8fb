//! The program of the action `send`.

use lambda_websocket::{Broadcaster, runtime};
use send::{HAND_OVER_AFTER, send};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let broadcaster = Broadcaster::from_env(HAND_OVER_AFTER).await?;
    runtime::run(async |event| send(&broadcaster, event).await).await
}
