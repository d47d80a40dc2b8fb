//! The functions' configuration: environment variables, read once at start.
//!
//! Each function reads what it uses and no more. The Terraform module sets [`CONNECTION_TABLE`] and
//! [`CONNECTION_SHARDS`] for a function that was granted the table, and the `@connections` endpoint under
//! the SDK's own name, `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.

use std::{env, fmt::Display, str::FromStr};

/// The name of the DynamoDB table of connections.
pub const CONNECTION_TABLE: &str = "CONNECTION_TABLE";

/// How many [`Shards`](crate::protocol::shards::Shards) a channel has; unset: one. It is the same for all functions of a table.
///
/// It can change while connections live: a row stays in the shard that it was written to.
/// - If it grows, all rows are still read. During the rollout, a function with the old number does not see the newest
///   connections.
/// - If it shrinks, connections in the removed shards miss messages until they reconnect, within two hours at most
///   ([`MAX_LIFETIME`](crate::protocol::connection::MAX_LIFETIME)), unless [`FORMER_SHARDS`] says that these shards are
///   read. Their rows are deleted when they disconnect, or else expire 2 h 10 min after they were written.
pub const CONNECTION_SHARDS: &str = "CONNECTION_SHARDS";

/// How many shards everyone's channel has; unset: as many as any channel.
pub const EVERYONE_SHARDS: &str = "EVERYONE_SHARDS";

/// How many shards a channel had before, where there were more; unset: no more.
pub const FORMER_SHARDS: &str = "FORMER_SHARDS";

/// The name of the DynamoDB table of the history; unset: no history is kept.
pub const HISTORY_TABLE: &str = "HISTORY_TABLE";

/// For how many seconds a message is kept ([`MaxAge`](crate::store::history::MaxAge)); unset: a day.
pub const HISTORY_SECONDS: &str = "HISTORY_SECONDS";

/// How many messages are replayed at most ([`MaxMessages`](crate::store::history::MaxMessages)); unset: 500.
pub const HISTORY_MESSAGES: &str = "HISTORY_MESSAGES";

/// The URL of the delivery queue, with the tasks for the function `publish`: the module `publisher`'s
/// `delivery_queue_url`. Unset: there is none.
pub const DELIVERY_QUEUE_URL: &str = "DELIVERY_QUEUE_URL";

/// The ARN of the delivery queue: `publish` uses it to tell that queue from the queue of publications.
pub const DELIVERY_QUEUE_ARN: &str = "DELIVERY_QUEUE_ARN";

/// The URL of the queue of large broadcasts, with the [ranges](crate::delivery::ranges) that `publish` leaves to itself.
pub const BROADCAST_QUEUE_URL: &str = "BROADCAST_QUEUE_URL";

/// The ARN of that queue: `publish` uses it to tell that queue from the queue of publications.
pub const BROADCAST_QUEUE_ARN: &str = "BROADCAST_QUEUE_ARN";

/// How many invocations of `publish` take ranges from that queue at once.
pub const BROADCAST_CONCURRENCY: &str = "BROADCAST_CONCURRENCY";

/// How many posts a second these invocations do together.
pub const BROADCAST_RATE_LIMIT: &str = "BROADCAST_RATE_LIMIT";

/// The name of [`DELIVERY_QUEUE_URL`] when there was one queue for both.
const PUBLISH_QUEUE_URL: &str = "PUBLISH_QUEUE_URL";

/// A variable that a function needs is not set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the environment variable {name} is not set")]
pub struct MissingVariable {
    name: String,
}

/// A variable has another name now, and another value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the environment variable {PUBLISH_QUEUE_URL} is not read any more: set {DELIVERY_QUEUE_URL} to the publisher's \
     output delivery_queue_url in its place, and take policy_statements from delivery_statements"
)]
pub struct RenamedVariable;

/// A variable has an invalid value.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the environment variable {name} is {value:?}: {reason}")]
pub struct InvalidVariable {
    name: String,
    value: String,
    reason: String,
}

/// The value of a variable that the function cannot work without.
///
/// # Errors
/// When the variable is unset or empty.
pub fn required(name: &str) -> Result<String, MissingVariable> {
    optional(name).ok_or_else(|| MissingVariable { name: name.to_owned() })
}

/// The value of [`DELIVERY_QUEUE_URL`].
///
/// # Errors
/// When it is unset but set under its old name: without it, a function would leave no work to others.
pub fn delivery_queue_url() -> Result<Option<String>, RenamedVariable> {
    renamed(optional(DELIVERY_QUEUE_URL), optional(PUBLISH_QUEUE_URL).as_deref())
}

fn renamed(now: Option<String>, before: Option<&str>) -> Result<Option<String>, RenamedVariable> {
    if now.is_none() && before.is_some() { Err(RenamedVariable) } else { Ok(now) }
}

/// The items of a variable that holds a list, separated by commas; none when it is unset.
pub fn list(name: &str) -> Vec<String> {
    split_list(&optional(name).unwrap_or_default())
}

/// The value of a variable that the function can work without, parsed as a type of its own; none when it is unset or
/// empty.
///
/// # Errors
/// When the type cannot parse the value.
pub fn optional_as<T: FromStr<Err: Display>>(name: &str) -> Result<Option<T>, InvalidVariable> {
    optional(name).map(|value| parse(name, value)).transpose()
}

/// The value of a variable, parsed as a type of its own; the type's default when it is unset or empty.
///
/// # Errors
/// When the type cannot parse the value.
pub fn parsed<T>(name: &str) -> Result<T, InvalidVariable>
where
    T: FromStr<Err: Display> + Default,
{
    Ok(optional_as(name)?.unwrap_or_default())
}

/// The value of a variable that the function cannot work without, parsed.
///
/// # Errors
/// When it is unset, empty, or cannot be parsed.
pub fn required_as<T: FromStr<Err: Display>>(name: &str) -> Result<T, lambda_runtime::Error> {
    Ok(parse(name, required(name)?)?)
}

fn parse<T: FromStr<Err: Display>>(name: &str, value: String) -> Result<T, InvalidVariable> {
    value.parse().map_err(|error: T::Err| InvalidVariable {
        name: name.to_owned(),
        reason: error.to_string(),
        value,
    })
}

/// The value of a variable that the function can work without; none when it is unset or empty.
pub fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Splits at commas, trims the items and drops empty ones.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::shards::ShardCount;

    #[test]
    fn a_missing_variable_names_itself() {
        let error = required("NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable NO_SUCH_VARIABLE is not set");
    }

    #[test]
    fn a_queue_under_its_old_name_is_refused_with_what_to_change() {
        let url = |text: &str| Some(text.to_owned());
        assert_eq!(renamed(None, None), Ok(None));
        assert_eq!(renamed(url("new"), None), Ok(url("new")));
        assert_eq!(renamed(url("new"), url("old").as_deref()), Ok(url("new")));
        let error = renamed(None, url("old").as_deref()).unwrap_err();
        let sentence = "the environment variable PUBLISH_QUEUE_URL is not read any more: set DELIVERY_QUEUE_URL to the \
                        publisher's output delivery_queue_url in its place, and take policy_statements from delivery_statements";
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn a_bad_value_names_itself_and_its_variable() {
        for value in ["0", "65", "many"] {
            let error = parse::<ShardCount>(CONNECTION_SHARDS, value.to_owned()).unwrap_err();
            let sentence = format!(
                "the environment variable CONNECTION_SHARDS is {value:?}: a channel has 1 to 64 shards"
            );
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn what_is_unset_is_the_default() {
        assert_eq!(parsed("NO_SUCH_VARIABLE"), Ok(ShardCount::default()));
    }

    #[test]
    fn a_list_is_trimmed() {
        assert_eq!(split_list(" chat.v2 ,,chat.v1, "), ["chat.v2", "chat.v1"]);
        assert!(list("NO_SUCH_VARIABLE").is_empty());
    }
}
