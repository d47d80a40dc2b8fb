//! The attributes of DynamoDB rows.

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
