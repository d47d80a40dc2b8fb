//! What a client is told that sent what nobody understands.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use default::{Expected, FIELD, refuse};
use proptest::prelude::*;
use serde_json::Value;
use testkit::{fixtures, hostile};

fn answer(body: &str) -> (String, String) {
    answer_where(FIELD, body)
}

/// The answer where this field names the action.
fn answer_where(field: &str, body: &str) -> (String, String) {
    let expected = Expected { field: field.to_owned(), actions: vec!["ping".to_owned(), "send".to_owned()] };
    let response = serde_json::to_value(refuse(&expected, &fixtures::message("a=", body))).unwrap();
    let frame: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
    assert_eq!((&frame["type"], &frame["requestId"]), (&"error".into(), &"BkQ5aH5UliAFpOA=".into()));
    (frame["code"].as_str().unwrap().to_owned(), frame["message"].as_str().unwrap().to_owned())
}

#[test]
fn an_unknown_action_is_named_beside_the_known_ones() {
    let (code, message) = answer(r#"{"action":"shout"}"#);
    assert_eq!(code, "unknown_action");
    assert_eq!(
        message,
        r#"There is no action "shout". Send a JSON object whose "action" is one of: ping, send."#
    );
}

#[test]
fn the_answer_carries_the_clients_reference_whatever_is_wrong() {
    let expected = Expected { field: FIELD.to_owned(), actions: vec![] };
    let reference = |body: &str| {
        let response = serde_json::to_value(refuse(&expected, &fixtures::message("a=", body))).unwrap();
        serde_json::from_str::<Value>(response["body"].as_str().unwrap()).unwrap()["ref"].take()
    };
    assert_eq!(reference(r#"{"action":"shout","ref":"7"}"#), "7");
    assert_eq!(reference(r#"{"ref":"7"}"#), "7");
    assert_eq!(reference(r#"{"action":"shout"}"#), Value::Null);
    assert_eq!(reference(r#"{"action":"shout","ref":7}"#), Value::Null);
}

#[test]
fn text_that_is_no_json_is_said_to_be_none() {
    for body in ["", "hello", "{\"action\":\"send\"", "\u{0}"] {
        let (code, message) = answer(body);
        assert_eq!(code, "invalid_json", "{body}");
        assert!(message.starts_with("The message is not JSON. "), "{message}");
    }
}

#[test]
fn json_that_not_every_parser_reads_is_said_to_be_so() {
    let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    for (value, says) in [
        (r#""\ud800""#, "The message holds half of a surrogate pair "),
        ("1e999", "The number 1e999 is too large: "),
        (r#"{"a":1,"a":2}"#, r#"The name "a" comes twice in one object. "#),
        (&deep, "The message is nested more than 64 levels deep. "),
    ] {
        let (code, message) = answer(&format!(r#"{{"action":"shout","message":{value}}}"#));
        assert_eq!(code, "invalid_json", "{value}");
        assert!(message.starts_with(says) && message.contains("one of: ping, send."), "{message}");
    }
}

#[test]
fn json_without_an_action_is_said_to_lack_one() {
    for body in ["{}", "[]", "42", "null", r#""send""#] {
        let (code, message) = answer(body);
        assert_eq!(code, "invalid_request", "{body}");
        assert!(message.starts_with("The message has no \"action\". "), "{message}");
    }
    let (code, message) = answer(r#"{"action":7}"#);
    assert_eq!(
        (code.as_str(), message.starts_with("The \"action\" is not a string.")),
        ("invalid_request", true)
    );
}

#[test]
fn another_field_can_name_the_action() {
    let (code, message) = answer_where("type", r#"{"type":"shout"}"#);
    assert_eq!(code, "unknown_action");
    assert_eq!(
        message,
        r#"There is no type "shout". Send a JSON object whose "type" is one of: ping, send."#
    );
    let (_, message) = answer_where("type", r#"{"action":"send"}"#);
    assert!(message.starts_with(r#"The message has no "type". "#), "{message}");
}

#[test]
fn a_long_name_is_not_repeated_whole() {
    let (_, message) = answer(&format!(r#"{{"action":"{}"}}"#, "é".repeat(100_000)));
    assert!(message.chars().count() < 200, "{} characters", message.chars().count());
}

proptest! {
    /// Whatever a client sends, it gets a short answer.
    #[test]
    fn any_text_is_answered(body in prop_oneof![
        any::<String>(),
        hostile::object(&["action", "type"]),
        hostile::near(r#"{"action":"shout","message":"hello"}"#),
    ]) {
        let (code, message) = answer(&body);
        prop_assert!(["invalid_json", "invalid_request", "unknown_action"].contains(&code.as_str()), "{}", code);
        prop_assert!(message.chars().count() < 500, "{}", message);
    }
}
