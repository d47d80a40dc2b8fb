//! Replays the messages that a client missed, in order.

use std::time::Duration;

use lambda_websocket::{
    Channel, Error, History, Message,
    delivery::poster::{Outcome, Poster},
    protocol::frame::Replay,
    store::history::Missed,
};

/// The time at the end of an invocation that is reserved for the response.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// Replays missed messages to clients.
#[derive(Clone, Debug)]
pub struct Replayer {
    /// The messages of each channel.
    pub history: History,
    /// Posts frames to connections.
    pub poster: Poster,
}

impl Replayer {
    /// Posts the channel's messages since that time to the sender of the request, one after another. The replay ends
    /// with the first message that cannot be delivered: the client never has a message without those before it.
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
