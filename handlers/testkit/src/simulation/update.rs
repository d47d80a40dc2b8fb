//! DynamoDB's update expressions.
//!
//! It supports the grammar that the functions use: `SET a = :value, b = if_not_exists(b, :value) ADD c :value`.
//! Anything else fails the test.

use serde_json::{Map, Value, json};

use super::expression::Row;

/// A change of some attributes of a row.
pub(super) struct Update<'a> {
    text: &'a str,
    values: &'a Value,
}

impl<'a> Update<'a> {
    /// The change that a call asks for.
    pub(super) fn of(call: &'a Value) -> Self {
        let text = call["UpdateExpression"].as_str().expect("an update expression");
        Self { text, values: &call["ExpressionAttributeValues"] }
    }

    /// Changes the row, and returns the attributes that have changed.
    pub(super) fn apply(&self, row: &mut Row) -> Row {
        let set = self
            .text
            .strip_prefix("SET ")
            .unwrap_or_else(|| panic!("it does not begin with SET: {}", self.text));
        let (set, add) = set.split_once(" ADD ").unwrap_or((set, ""));
        let mut changed = Map::new();
        let mut rest = set;
        while let Some((name, value)) = rest.split_once(" = ") {
            let end =
                value.find(')').filter(|_| value.starts_with("if_not_exists(")).map_or(0, |end| end + 1);
            let end = value[end..].find(", ").map_or(value.len(), |comma| end + comma);
            let value = match value[..end].strip_prefix("if_not_exists(") {
                Some(arguments) => {
                    let (former, new) =
                        arguments.trim_end_matches(')').split_once(", ").expect("two arguments");
                    row.get(former).cloned().unwrap_or_else(|| self.value(new))
                }
                None => self.value(&value[..end]),
            };
            changed.insert(name.to_owned(), value);
            rest = rest[name.len() + " = ".len() + end..].trim_start_matches(", ");
        }
        for (name, value) in add.split(", ").flat_map(|part| part.split_once(' ')) {
            let number =
                |value: &Value| value["N"].as_str().map(|number| number.parse::<i128>().expect("a number"));
            let former = row.get(name).and_then(number).unwrap_or_default();
            let sum = former + number(&self.value(value)).expect("a number");
            changed.insert(name.to_owned(), json!({ "N": sum.to_string() }));
        }
        row.extend(changed.clone());
        changed
    }

    fn value(&self, placeholder: &str) -> Value {
        let value = self.values.get(placeholder);
        value.unwrap_or_else(|| panic!("{placeholder} of {:?} has no value", self.text)).clone()
    }
}
