//! The answers of SQS to `SendMessage` and `SendMessageBatch`, by its rules.

use std::collections::HashSet;

use serde_json::{Value, json};

/// The maximum size of a message, in bytes, in a queue of the module `publisher`.
pub const MAX_QUEUED_BYTES: usize = 256 * 1024;

/// The maximum size of a batch of messages, in bytes, whatever a queue's own limit is.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// The maximum number of messages in a batch.
const MAX_BATCH_ENTRIES: usize = 10;

/// The maximum delay, in seconds.
const MAX_DELAY: u64 = 900;

/// A message that was put into a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The URL of the queue.
    pub url: String,
    /// The message.
    pub body: String,
    /// The delay until it can be received, in seconds.
    pub delay: u64,
    /// The trace that it belongs to, as SQS passes it on.
    pub trace: Option<String>,
}

/// An error's name, and whether the sender is at fault.
type Fault = (&'static str, bool);

/// Answers a call of this target, such as `AmazonSQS.SendMessage`, and puts the accepted messages into the queue. A
/// batch entry for which `fails` is true fails alone, and its sender is not at fault.
pub(crate) fn serve(
    target: &str,
    call: &Value,
    trace: Option<&str>,
    queued: &mut Vec<Sent>,
    mut fails: impl FnMut(&str) -> bool,
) -> (u16, Value) {
    let url = call["QueueUrl"].as_str().expect("a queue's URL");
    let mut take = |message: &Value| {
        let body = message["MessageBody"].as_str().expect("a body");
        let delay = message["DelaySeconds"].as_u64().unwrap_or_default();
        check(body, delay)?;
        queued.push(Sent {
            url: url.to_owned(),
            body: body.to_owned(),
            delay,
            trace: trace.map(str::to_owned),
        });
        Ok(json!({"MessageId": queued.len().to_string(), "MD5OfMessageBody": ""}))
    };
    match target {
        "AmazonSQS.SendMessage" => match take(call) {
            Ok(taken) => (200, taken),
            Err((name, _)) => refused(name),
        },
        "AmazonSQS.SendMessageBatch" => {
            let entries = call["Entries"].as_array().expect("entries");
            if let Err(name) = check_batch(entries) {
                return refused(name);
            }
            let (mut successful, mut failed) = (vec![], vec![]);
            for entry in entries {
                let result = if fails(entry["MessageBody"].as_str().expect("a body")) {
                    Err(("InternalError", false))
                } else {
                    take(entry)
                };
                match result {
                    Ok(mut taken) => {
                        taken["Id"] = entry["Id"].clone();
                        successful.push(taken);
                    }
                    Err((name, senders)) => {
                        failed.push(json!({"Id": entry["Id"], "Code": name, "SenderFault": senders}));
                    }
                }
            }
            (200, json!({"Successful": successful, "Failed": failed}))
        }
        other => panic!("the fake knows no {other}"),
    }
}

fn refused(name: &str) -> (u16, Value) {
    (400, json!({"__type": format!("com.amazonaws.sqs#{name}"), "message": name}))
}

/// Checks that SQS accepts a message.
fn check(body: &str, delay: u64) -> Result<(), Fault> {
    if body.is_empty() || body.len() > MAX_QUEUED_BYTES || delay > MAX_DELAY {
        return Err(("InvalidParameterValue", true));
    }
    if !body.chars().all(is_allowed) {
        return Err(("InvalidMessageContents", true));
    }
    Ok(())
}

/// Whether a message can contain this character: one of XML 1.0.
pub fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Checks that SQS accepts a batch, though perhaps not each of its messages.
fn check_batch(entries: &[Value]) -> Result<(), &'static str> {
    if entries.is_empty() {
        return Err("EmptyBatchRequest");
    }
    if entries.len() > MAX_BATCH_ENTRIES {
        return Err("TooManyEntriesInBatchRequest");
    }
    let ids: HashSet<_> = entries.iter().map(|entry| entry["Id"].as_str().expect("an id")).collect();
    let is_id = |id: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=80).contains(&id.len()) && id.bytes().all(allowed)
    };
    if !ids.iter().all(is_id) {
        return Err("InvalidBatchEntryId");
    }
    if ids.len() < entries.len() {
        return Err("BatchEntryIdsNotDistinct");
    }
    let bytes: usize = entries.iter().filter_map(|entry| entry["MessageBody"].as_str()).map(str::len).sum();
    if bytes > MAX_BATCH_BYTES { Err("BatchRequestTooLong") } else { Ok(()) }
}
