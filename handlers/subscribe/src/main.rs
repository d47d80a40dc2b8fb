//! The program of the actions `subscribe`, `unsubscribe` and `list`.

use lambda_websocket::{
    History, PresenceNotifier, Registry, aws, config,
    delivery::{
        connections::ConnectionsClient,
        poster::{Policy, Poster},
    },
    runtime,
};
use subscribe::{MAX_SUBSCRIPTIONS, Replayer, Subscriptions, subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let sdk = aws::sdk_config().await;
    let registry = Registry::from_env(&sdk)?;
    let subscriptions = Subscriptions {
        max: config::parsed(MAX_SUBSCRIPTIONS)?,
        notifier: PresenceNotifier::from_env(&sdk, &registry)?,
        replayer: History::from_env(&sdk)?.map(|history| Replayer {
            history,
            poster: Poster::new(ConnectionsClient::new(&sdk), Policy::default()),
        }),
        registry,
    };
    runtime::run(async |event| subscribe(&subscriptions, event).await).await
}
