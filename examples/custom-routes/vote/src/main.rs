//! The program of the route `vote`.

use lambda_websocket::{Broadcaster, aws, config, runtime};
use vote::{Poll, Votes, vote};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let table = config::required(vote::VOTES_TABLE)?;
    let poll = Poll {
        votes: Votes { client: aws::dynamodb(&aws::sdk_config().await), table },
        broadcaster: Broadcaster::from_env(usize::MAX).await?,
    };
    runtime::run(async |event| vote(&poll, event).await).await
}
