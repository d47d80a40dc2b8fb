//! Reads and writes the values of DynamoDB attributes. What each is called is in the file of its row.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// A row: its attributes by name.
pub(super) type Row = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn read_text(row: &Row, name: &str) -> Option<String> {
    row.get(name)?.as_s().ok().cloned()
}

pub(super) fn read_number(row: &Row, name: &str) -> Option<u64> {
    row.get(name)?.as_n().ok()?.parse().ok()
}
