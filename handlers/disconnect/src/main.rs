//! The program of `$disconnect`.

use disconnect::{Farewell, disconnect};
use lambda_websocket::{aws, notifier::PresenceNotifier, registry::Registry, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let sdk = aws::sdk_config().await;
    let registry = Registry::from_env(&sdk)?;
    let farewell = Farewell { notifier: PresenceNotifier::from_env(&sdk, &registry)?, registry };
    runtime::run(async |event| disconnect(&farewell, event).await).await
}
