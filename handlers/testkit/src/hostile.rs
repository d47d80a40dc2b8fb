//! Texts that an attacker might send: close to valid ones, and far from them.

use std::iter;

use proptest::{collection::vec, prelude::*, sample::select};

/// The maximum nesting depth: as deep as a message of 128 KB can be, and deeper than a stack.
const DEEP: usize = 60_000;

/// JSON, or something close to it, in place of a value.
pub fn value() -> impl Strategy<Value = String> {
    let short = select(vec![
        "null",
        "true",
        "0",
        "-0",
        "1e999",
        "-1e-999",
        "1.0",
        "18446744073709551616",
        "-9223372036854775809",
        "NaN",
        "\"\"",
        "\"*\"",
        "\"lobby\"",
        "\"user:\"",
        "\"user:ada\"",
        "\"user:\\u0000\"",
        "\"c1=\"",
        "\"0.c1=\"",
        "\"subscribe\"",
        "\"send\"",
        "\"list\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\u00",
        "\"\\x\"",
        "\"\u{0}\"",
        "\"\u{202e}\u{feff}\"",
        "[]",
        "{}",
        "[\"c1=\",\"c1=\"]",
        "{\"type\":\"error\"}",
    ]);
    prop_oneof![
        8 => short.prop_map(str::to_owned),
        2 => any::<i128>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_map(|number| number.to_string()),
        4 => any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => any::<String>(),
        1 => (select(vec!["[", "{\"a\":", "[{\"a\":"]), 1..DEEP).prop_map(|(open, depth)| nested(open, depth)),
        1 => (select(vec!["x", "é", "\\u0000", "\\\"", "*", "c1=,"]), 1_000..100_000_usize)
            .prop_map(|(piece, count)| format!("\"{}\"", piece.repeat(count))),
        1 => (1_000..20_000_usize).prop_map(|count| format!("[{}0]", "\"c1=\",".repeat(count))),
    ]
}

/// An object with some of these fields, in any order, perhaps duplicated, with any values; or the beginning of one.
pub fn object(fields: &'static [&'static str]) -> impl Strategy<Value = String> {
    let names = prop_oneof![8 => select(fields).prop_map(str::to_owned), 1 => any::<String>()];
    let fields = vec((names, value()), 0..6).prop_map(|fields| {
        let fields =
            fields.iter().map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name.as_str())));
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    });
    (fields, prop_oneof![8 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)]).prop_map(
        |(text, cut)| match cut {
            Some(cut) => text.chars().take(cut.index(text.len() + 1)).collect(),
            None => text,
        },
    )
}

/// A valid text with a few characters replaced or inserted, or with itself inserted.
pub fn near(right: &'static str) -> impl Strategy<Value = String> {
    let edits = vec(
        (
            any::<prop::sample::Index>(),
            prop_oneof![any::<char>(), select(vec!['"', '{', '[', ',', ':', '\\'])],
            0..3_u8,
        ),
        1..4,
    );
    edits.prop_map(move |edits| {
        let mut text: Vec<char> = right.chars().collect();
        for (at, sign, edit) in edits {
            let at = at.index(text.len());
            match edit {
                0 => text[at] = sign,
                1 => text.insert(at, sign),
                _ => drop(text.splice(at..at, right.chars())),
            }
        }
        text.into_iter().collect()
    })
}

fn nested(open: &str, depth: usize) -> String {
    let close: String = open
        .chars()
        .rev()
        .filter_map(|sign| match sign {
            '[' => Some(']'),
            '{' => Some('}'),
            _ => None,
        })
        .collect();
    let (open, close): (String, String) =
        (iter::repeat_n(open, depth).collect(), iter::repeat_n(close, depth).collect());
    format!("{open}0{close}")
}
