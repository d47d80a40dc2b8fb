//! The functions' configuration: environment variables, read once at start.
//!
//! Each function reads what it uses and no more. The Terraform module sets [`CONNECTION_TABLE`] for a
//! function that was granted the table, and the `@connections` endpoint under the SDK's own name,
//! `AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI`.

use std::env;

/// The name of the DynamoDB table of connections.
pub const CONNECTION_TABLE: &str = "CONNECTION_TABLE";

/// A variable that a function needs is not set.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the environment variable {name} is not set")]
pub struct MissingVariable {
    name: String,
}

/// The value of a variable that the function cannot work without.
///
/// # Errors
/// When the variable is unset or empty.
pub fn required(name: &str) -> Result<String, MissingVariable> {
    optional(name).ok_or_else(|| MissingVariable { name: name.to_owned() })
}

/// The items of a variable that holds a list, separated by commas; none when it is unset.
pub fn list(name: &str) -> Vec<String> {
    split_list(&optional(name).unwrap_or_default())
}

fn optional(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Splits at commas, without the blanks around items and without empty items.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_variable_names_itself() {
        let error = required("NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable NO_SUCH_VARIABLE is not set");
    }

    #[test]
    fn a_list_is_trimmed() {
        assert_eq!(split_list(" chat.v2 ,,chat.v1, "), ["chat.v2", "chat.v1"]);
        assert!(list("NO_SUCH_VARIABLE").is_empty());
    }
}
