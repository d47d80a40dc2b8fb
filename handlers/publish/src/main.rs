//! The program behind the queue.

use lambda_websocket::{broadcast::Broadcaster, config, runtime};
use publish::{HAND_OVER_AFTER, publish};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    config::required(config::PUBLISH_QUEUE_URL)?; // Without it, whom it has no time for would never hear.
    let broadcaster = Broadcaster::from_env(HAND_OVER_AFTER).await?;
    runtime::run_queue(async |record| publish(&broadcaster, record).await).await
}
