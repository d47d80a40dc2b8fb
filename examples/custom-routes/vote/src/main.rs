//! The program of the route `vote`.

use lambda_websocket::{
    aws, config,
    fanout::{Fanout, Policy},
    registry::Registry,
    runtime,
};
use vote::{Poll, Votes, vote};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let table = config::required(config::CONNECTION_TABLE)?;
    let shards = config::parsed(config::CONNECTION_SHARDS)?;
    let sdk = aws::sdk_config().await;
    let poll = Poll {
        votes: Votes { client: aws::dynamodb(&sdk), table: config::required(vote::VOTES_TABLE)? },
        registry: Registry::new(aws::dynamodb(&sdk), table, shards),
        fanout: Fanout::new(aws::connections(&sdk), Policy::default()),
    };
    runtime::run(async |event| vote(&poll, event).await).await
}
