//! The program behind the queues.

use lambda_websocket::{Broadcaster, config, runtime};
use publish::{HAND_OVER_AFTER, Publisher, publish};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let broadcaster = Broadcaster::from_env(HAND_OVER_AFTER).await?;
    config::required(config::DELIVERY_QUEUE_URL)?; // Without it, the recipients left over would get nothing.
    let publisher = Publisher { broadcaster, delivery_queue: config::required(config::DELIVERY_QUEUE_ARN)? };
    runtime::run_queue(async |record| publish(&publisher, record).await).await
}
