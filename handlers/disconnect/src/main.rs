//! The program of `$disconnect`.

use disconnect::{Disconnector, disconnect};
use lambda_websocket::{PresenceNotifier, Registry, aws, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let sdk = aws::sdk_config().await;
    let registry = Registry::from_env(&sdk)?;
    let disconnector = Disconnector { notifier: PresenceNotifier::from_env(&sdk, &registry)?, registry };
    runtime::run(async |event| disconnect(&disconnector, event).await).await
}
