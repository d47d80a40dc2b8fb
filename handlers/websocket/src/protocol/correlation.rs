//! What tells a client which request a frame answers.

use serde::{Deserialize, Serialize};

use crate::protocol::bounded_text::BoundedText;

/// A client's own name for a request: 1 to 64 characters of any kind. Two requests may have the same.
pub type Reference = BoundedText<64>;

/// The request that a frame answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Correlation<'a> {
    /// API Gateway's id of the request.
    pub request_id: &'a str,
    /// The client's own name for it, if it has one.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a Reference>,
}

/// A client's message, of which only this field matters.
#[derive(Deserialize)]
struct Referring {
    #[serde(rename = "ref")]
    reference: Reference,
}

impl Reference {
    /// What a reference is, for a client that sent something else.
    pub const EXPECTED: &str = "a text of 1 to 64 characters";

    /// The name of the field.
    pub const FIELD: &str = "ref";

    /// The reference in a client's message, if there is a valid one, whatever else is wrong with the message.
    pub fn of(message: &str) -> Option<Self> {
        // Few messages have one: the others are not read once more. In JSON, a letter may be written as `\u0072`. Serde
        // would take an array for an object.
        let names_one = message.contains(r#""ref""#) || message.contains(r"\u00");
        let may_have_one = message.trim_start().starts_with('{') && names_one;
        may_have_one.then(|| serde_json::from_str::<Referring>(message).ok())?.map(|found| found.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Option<String> {
        Reference::of(message).map(|reference| reference.as_str().to_owned())
    }

    #[test]
    fn a_reference_is_found_whatever_else_is_wrong() {
        for message in [
            r#"{"action":"send","ref":"7"}"#,
            r#"{"ref":"7","chanel":"lobby","message":{"ref":8}}"#,
            r#"{"ref" : "7", "action": 3}"#,
            r#"{"\u0072ef":"7"}"#,
        ] {
            assert_eq!(found(message).as_deref(), Some("7"), "{message}");
        }
        let longest = "é".repeat(64);
        assert_eq!(found(&format!(r#"{{"ref":"{longest}"}}"#)), Some(longest));
    }

    #[test]
    fn what_is_no_reference_is_not_taken_for_one() {
        let too_long = format!(r#"{{"ref":"{}"}}"#, "a".repeat(65));
        for message in [
            "",
            "ref",
            r#""ref""#,
            r#"{"ref":""}"#,
            r#"{"ref":7}"#,
            r#"{"ref":null}"#,
            r#"{"ref":["7"]}"#,
            r#"["ref"]"#,
            r#"{"message":{"ref":"7"}}"#,
            r#"{"ref":"7","ref":"8"}"#,
            r#"{"ref":"7""#,
            &too_long,
        ] {
            assert_eq!(found(message), None, "{message}");
        }
    }

    #[test]
    fn an_answer_has_no_field_for_a_reference_that_was_not_given() {
        let json = |reference| serde_json::to_string(&Correlation { request_id: "r", reference }).unwrap();
        assert_eq!(json(None), r#"{"requestId":"r"}"#);
        assert_eq!(
            json(Some(&Reference::try_from("7".to_owned()).unwrap())),
            r#"{"requestId":"r","ref":"7"}"#
        );
    }
}
