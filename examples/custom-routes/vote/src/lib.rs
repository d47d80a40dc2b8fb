//! The function of the route `vote`: counts a vote and tells everyone the tally.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValue},
};
use lambda_websocket::{Broadcast, Broadcaster, Channel, Error, Fields, Message, Rejection, Response};
use serde_json::{json, value::to_raw_value};

/// The environment variable with the name of the table of votes.
pub const VOTES_TABLE: &str = "VOTES_TABLE";

/// The poll: the item of the table that holds its votes.
const POLL: &str = "drinks";

/// What it takes to count a vote and to reach everyone.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Where the votes are counted.
    pub votes: Votes,
    /// The way to everyone.
    pub broadcaster: Broadcaster,
}

/// The table of votes: for each poll an item, with a number for each option.
#[derive(Clone, Debug)]
pub struct Votes {
    /// A client of it.
    pub client: Client,
    /// Its name.
    pub table: String,
}

/// What to send, for who sent something else.
const USAGE: &str = r#"{"type": "vote", "option": text}"#;

/// Counts the vote and posts the tally to every connection, the voter's included.
///
/// API Gateway has held the message against the route's model. One that cannot be read all the same, such as an option
/// that comes twice, is refused.
///
/// # Errors
/// When the vote could not be counted, or the connections not be read to the end.
pub async fn vote(poll: &Poll, event: Message) -> Result<Response, Error> {
    let Poll { votes, broadcaster } = poll;
    let option = match option(&event.body) {
        Ok(option) => option,
        Err(refusal) => return Ok(refusal.into_response(&event)),
    };
    let tally = json!({ "type": "tally", "votes": votes.add(&option).await? });
    let tally = to_raw_value(&tally).map_err(Error::other)?;

    let broadcast = Broadcast::new(&event.message_id, Channel::everyone(), tally).map_err(Error::other)?;
    broadcaster.send(&broadcast, event.deadline).await?;
    tracing::info!(connection_id = %event.connection.id, request_id = event.request_id, "voted");
    Ok(Response::empty()) // The tally was the answer.
}

fn option(body: &str) -> Result<String, Rejection> {
    let mut fields = Fields::parse(body, USAGE)?;
    fields.required::<String>("type", "a text")?;
    let option = fields.required("option", "a text")?;
    fields.end()?;
    Ok(option)
}

impl Votes {
    /// Adds a vote, and says how many each option has now. Votes at the same time are all counted; one whose
    /// answer got lost on the way is sent again by the SDK, and counted again.
    async fn add(&self, option: &str) -> Result<BTreeMap<String, u64>, Error> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("poll", AttributeValue::S(POLL.to_owned()))
            .update_expression("ADD #option :one")
            .expression_attribute_names("#option", option)
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::AllNew);
        let item = update.send().await.map_err(Error::other)?.attributes.unwrap_or_default();
        Ok(item
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_n().ok()?.parse().ok()?)))
            .collect())
    }
}
