//! The message contract is written twice, as a JSON Schema for who publishes and as a parser: they agree.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use jsonschema::Validator;
use lambda_websocket::Publication;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

const SCHEMA: &str = include_str!("../../../../modules/publisher/message.schema.json");

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// A text that is right, wrong by one character, or wrong.
fn text() -> impl Strategy<Value = Value> {
    let lengths = select(vec![0, 1, 127, 128, 129]);
    prop_oneof![
        select(vec![
            "*",
            "**",
            "lobby",
            "orders.eu:1/a_b-c",
            "a b",
            "user:",
            "user:ada",
            "USER:ada",
            "user:a\u{85}",
            "c1="
        ])
        .prop_map(Value::from),
        "[A-Za-z0-9_.:/ +=-]{0,4}".prop_map(Value::from),
        "(user:)?[a#|é\u{0}\u{1f} \u{7f}\u{9f}\u{a0}😀\n]{1,4}".prop_map(Value::from),
        (select(vec!["x", "é", "😀", "user:", ":", "="]), lengths.clone())
            .prop_map(|(piece, count)| piece.repeat(count).into()),
        lengths.prop_map(|count| format!("user:{}", "😀".repeat(count)).into()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text(),
        1 => select(vec![json!(null), json!(1), json!(true), json!({}), json!([])]),
        1 => vec(text(), 0..3).prop_map(Value::from),
        1 => select(vec![999, 1_000, 1_001]).prop_map(|count| vec!["c1="; count].into()),
    ]
}

/// A publication, or nearly one.
fn publication() -> impl Strategy<Value = Value> {
    let field = |name: &'static str, share: f64| {
        option::weighted(share, value()).prop_map(move |value| (name, value))
    };
    let more = select(vec!["more", "Channel", "remainder", ""]).prop_flat_map(move |name| field(name, 0.05));
    (
        field("channel", 0.4),
        field("user", 0.3),
        field("connection", 0.3),
        field("message", 0.9),
        field("exclude", 0.3),
        field("id", 0.3),
        more,
    )
        .prop_map(|(a, b, c, d, e, f, g)| {
            let fields =
                [a, b, c, d, e, f, g].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
            Value::Object(fields.collect::<Map<_, _>>())
        })
}

fn is_read(publication: &Value) -> bool {
    Publication::parse(&publication.to_string()).and_then(|it| it.into_broadcast("sqs", 0)).is_ok()
}

#[test]
fn the_schemas_examples_are_read() {
    let examples = schema()["examples"].as_array().unwrap().clone();
    assert!(!examples.is_empty());
    for example in examples {
        assert!(VALIDATOR.is_valid(&example) && is_read(&example), "{example}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn what_the_schema_allows_is_read_and_nothing_else(publication in publication()) {
        prop_assert_eq!(is_read(&publication), VALIDATOR.is_valid(&publication), "{}", publication);
    }
}
