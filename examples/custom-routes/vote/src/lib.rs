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

/// Counts votes and broadcasts the tally.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The table of votes.
    pub votes: Votes,
    /// Delivers broadcasts.
    pub broadcaster: Broadcaster,
}

/// The table of votes: an item for each poll, with a number for each option.
#[derive(Clone, Debug)]
pub struct Votes {
    /// A client of DynamoDB.
    pub client: Client,
    /// The table's name.
    pub table: String,
}

/// The expected message, as rejections show it.
const USAGE: &str = r#"{"type": "vote", "option": text}"#;

/// Counts the vote and posts the tally to every connection, the voter's included.
///
/// API Gateway has validated the message against the route's model. A message that still cannot be parsed, such as one
/// with a duplicate option, is rejected.
///
/// # Errors
/// When the vote could not be counted, or not all connections could be read.
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
    /// Adds a vote, and returns the votes for each option. Concurrent votes are all counted. If an answer is lost on
    /// the way, the SDK sends the vote again, and it is counted again.
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
