//! What a client missed, told in order.

use std::time::Duration;

use lambda_websocket::{
    Channel, Error, History, Message,
    delivery::poster::{Outcome, Poster},
    protocol::frame::Replay,
    store::history::Missed,
};

/// The part of an invocation's time that is left for the answer.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// What it takes to tell clients what they missed.
#[derive(Clone, Debug)]
pub struct Replayer {
    /// What was sent.
    pub history: History,
    /// The way to the clients.
    pub poster: Poster,
}

impl Replayer {
    /// Posts to the sender what was sent to the channel since then, one message after another. It ends with the first that
    /// cannot be delivered: the client never has one without those before it.
    ///
    /// # Errors
    /// When the history could not be read.
    pub(crate) async fn replay(
        &self,
        channel: &Channel,
        since: u64,
        event: &Message,
    ) -> Result<Replay, Error> {
        let Missed { frames, complete } = self.history.since(channel, since).await?;
        let deadline = event.deadline - FOR_THE_ANSWER;
        let mut replayed = 0;
        for frame in &frames {
            if self.poster.post_to(&event.connection.id, frame, deadline).await != Outcome::Delivered {
                break;
            }
            replayed += 1;
        }
        Ok(Replay { replayed, complete: complete && replayed == frames.len() })
    }
}
