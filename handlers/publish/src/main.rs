//! The program behind the queues.

use lambda_websocket::{Broadcaster, config, lambda::queue_batch, runtime};
use publish::{HAND_OVER_AFTER, Publisher, publish};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let broadcaster = Broadcaster::from_env(HAND_OVER_AFTER).await?;
    // Without them, the recipients left over would get nothing.
    config::required(config::DELIVERY_QUEUE_URL)?;
    config::required(config::BROADCAST_QUEUE_URL)?;
    let task_queues =
        [config::required(config::DELIVERY_QUEUE_ARN)?, config::required(config::BROADCAST_QUEUE_ARN)?];
    let publisher = Publisher { broadcaster, task_queues };
    queue_batch::run_queue(async |record| publish(&publisher, record).await).await
}
