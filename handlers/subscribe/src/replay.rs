//! Replays the messages that a client missed, in order.

use std::time::Duration;

use crate::request::Start;
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
    /// Posts the channel's messages from there on to the sender of the request, one after another. The replay ends with
    /// the first message that cannot be delivered: the client never has a message without those before it. It also
    /// returns the number through which the client has them.
    ///
    /// # Errors
    /// When the history could not be read.
    pub(crate) async fn replay(
        &self,
        channel: &Channel,
        start: Start,
        event: &Message,
    ) -> Result<(u64, Replay), Error> {
        let missed = match start {
            Start::After(seq) => self.history.after(channel, seq).await?,
            Start::Since(time) => self.history.since(channel, time).await?,
        };
        let Missed { messages, mut seq, mut more, missing } = missed;
        let deadline = event.deadline - FOR_THE_ANSWER;
        let mut replayed = 0;
        for message in &messages {
            if self.poster.post_to(&event.connection.id, &message.frame, deadline).await != Outcome::Delivered
            {
                (seq, more) = (message.seq - 1, true);
                break;
            }
            replayed += 1;
        }
        Ok((seq, Replay { replayed, complete: !more && !missing, more, missing }))
    }
}
