//! Checks that a message is JSON that every parser reads, and reads alike.
//!
//! A message is passed on byte for byte to clients in other languages. JSON's grammar ([RFC 8259]) allows texts that
//! some of their parsers refuse, or read in different ways. So one client could break another. As in [I-JSON], these
//! are rejected:
//!
//! | what | why |
//! |---|---|
//! | half of a surrogate pair, such as `"\ud800"` | no text in Unicode; refused by Python, Rust, Swift and others |
//! | a number beyond the range of a double, such as `1e400` | an error for one parser, infinity for another |
//! | a duplicate name in an object | parsers take the first, or the last, or report an error |
//! | more than [`MAX_DEPTH`] levels | parsers have limits: 64 in .NET, 100 in Ruby |
//!
//! Unlike in I-JSON, noncharacters such as U+FFFF are allowed: parsers read them.
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259
//! [I-JSON]: https://www.rfc-editor.org/rfc/rfc7493

use std::collections::HashSet;

use serde_json::value::RawValue;

/// The maximum depth of nested objects and arrays, the message's envelope included.
pub const MAX_DEPTH: usize = 64;

/// The maximum length of a quotation in an error, in characters.
const QUOTED: usize = 64;

/// Why a text is not JSON that every parser reads alike.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// It does not follow JSON's grammar.
    #[error("The message is not JSON.")]
    Grammar,
    /// It is nested too deeply.
    #[error("The message is nested more than {MAX_DEPTH} levels deep.")]
    TooDeep,
    /// A string contains half of a surrogate pair.
    #[error("The message holds half of a surrogate pair (\\ud800 to \\udfff), which is no character.")]
    Surrogate,
    /// A number is too large for a double.
    #[error("The number {found} is too large: at most 1.797e308 can be read everywhere.")]
    Number {
        /// The beginning of the number.
        found: String,
    },
    /// An object has two members with the same name.
    #[error("The name {name:?} comes twice in one object.")]
    DuplicateName {
        /// The beginning of the name.
        name: String,
    },
}

/// Checks that a text is JSON that every parser reads alike.
///
/// # Errors
/// When it is not. The error is the first fault in the text.
pub fn check(text: &str) -> Result<(), InvalidJson> {
    // The parser checks the grammar. It reads a raw value without recursion, and does not interpret it.
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| InvalidJson::Grammar)?;
    let text = raw.get();
    // The names so far in each open object or array; an array's set stays empty.
    let mut open: Vec<HashSet<String>> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let rest = &text[at..];
        at += match byte {
            b'{' | b'[' if open.len() == MAX_DEPTH => return Err(InvalidJson::TooDeep),
            b'{' | b'[' => {
                open.push(HashSet::new());
                1
            }
            b'}' | b']' => {
                open.pop();
                1
            }
            b'"' => {
                let string = &rest[..end_of_string(rest)];
                // The grammar is valid, so a surrogate is the only possible error.
                let decoded: String = serde_json::from_str(string).map_err(|_| InvalidJson::Surrogate)?;
                let is_name = rest[string.len()..].trim_start().starts_with(':');
                if let Some(names) = open.last_mut().filter(|_| is_name)
                    && let Some(decoded) = names.replace(decoded)
                {
                    return Err(InvalidJson::DuplicateName { name: beginning(&decoded) });
                }
                string.len()
            }
            b'-' | b'0'..=b'9' => {
                let in_number = |sign: char| sign.is_ascii_digit() || "+-.eE".contains(sign);
                let number = &rest[..rest.find(|sign| !in_number(sign)).unwrap_or(rest.len())];
                if !number.parse().is_ok_and(f64::is_finite) {
                    return Err(InvalidJson::Number { found: beginning(number) });
                }
                number.len()
            }
            // White space, a comma, a colon, or a letter of `true`, `false` and `null`: one byte each.
            _ => 1,
        };
    }
    Ok(())
}

/// The length in bytes of the string at the start of a text, quotation marks included.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |between| between + "\"\"".len())
}

fn beginning(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}{}", "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn what_every_parser_reads_is_allowed() {
        for text in [
            "null",
            " [1 ,\n2]\t",
            r#"{"a": {"a": [{"a": 1}, {"a": 2}]}, "b": "a", "": true}"#,
            r#""\ud83d\ude00 \u0000 \" \\ \/ \\\"""#,
            "\"\u{ffff}\u{fffe}\u{2028}\u{7f}😀\"",
            "[0, -0, 1.0, 1E+2, 12345678901234567890123, 1.7976931348623157e308, 1e-400]",
            r#"{"a": "x:", "b": ["a", "a"], "A": 1}"#,
            &nested(MAX_DEPTH),
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_parsers_refuse_or_read_in_different_ways_is_refused() {
        let number = |found: &str| InvalidJson::Number { found: found.to_owned() };
        let twice = |name: &str| InvalidJson::DuplicateName { name: name.to_owned() };
        for (text, error) in [
            ("", InvalidJson::Grammar),
            ("hello", InvalidJson::Grammar),
            ("{\"a\":1", InvalidJson::Grammar),
            ("\u{feff}1", InvalidJson::Grammar),
            ("1 1", InvalidJson::Grammar),
            ("01", InvalidJson::Grammar),
            ("NaN", InvalidJson::Grammar),
            ("\"\u{0}\"", InvalidJson::Grammar),
            (r#""\x""#, InvalidJson::Grammar),
            (r#"{"m":"\ud800"}"#, InvalidJson::Surrogate),
            (r#""\udc00\ud800""#, InvalidJson::Surrogate),
            (r#"{"\ud800":1}"#, InvalidJson::Surrogate),
            ("1e400", number("1e400")),
            ("[1,-1E+309]", number("-1E+309")),
            (&format!("1{}", "0".repeat(400)), number(&format!("1{}", "0".repeat(63)))),
            (r#"{"a":1,"a":1}"#, twice("a")),
            (r#"[{"x":{"a":1,"b":2 , "\u0061" : 1}}]"#, twice("a")),
            (r#"{"a":{"b":1},"b":{},"a":2}"#, twice("a")),
            (&nested(MAX_DEPTH + 1), InvalidJson::TooDeep),
            (&nested(60_000), InvalidJson::TooDeep),
        ] {
            assert_eq!(check(text), Err(error), "{text:.100}");
        }
    }

    #[test]
    fn a_fault_is_a_sentence() {
        for (text, sentence) in [
            ("hello", "The message is not JSON."),
            (&nested(65), "The message is nested more than 64 levels deep."),
            (
                r#""\udfff""#,
                r"The message holds half of a surrogate pair (\ud800 to \udfff), which is no character.",
            ),
            ("1e400", "The number 1e400 is too large: at most 1.797e308 can be read everywhere."),
            (r#"{"a":1,"a":1}"#, r#"The name "a" comes twice in one object."#),
        ] {
            assert_eq!(check(text).unwrap_err().to_string(), sentence);
        }
    }

    /// JSON that is nested no deeper than a strict parser allows, with names that collide.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<f64>().prop_filter_map("finite", |number| number.is_finite().then(|| number.to_string())),
            any::<String>().prop_map(|text| Value::from(text).to_string()),
            Just(r#""\ud800""#.to_owned()),
            Just("1e999".to_owned()),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(("[ab\"\\\\:]{0,2}", inner), 0..4).prop_map(|members| {
                    let members =
                        members.into_iter().map(|(name, value)| format!("{} :{value}", Value::from(name)));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    /// The number of members of all objects that a parser read: of two with the same name it keeps one.
    fn members(value: &Value) -> usize {
        match value {
            Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
            Value::Array(items) => items.iter().map(members).sum(),
            _ => 0,
        }
    }

    /// The number of members in the text: a colon outside of a string follows each name.
    fn colons(text: &str) -> usize {
        let mut is_in_string = false;
        let mut is_escaped = false;
        text.chars()
            .filter(|sign| {
                let counts = *sign == ':' && !is_in_string;
                if *sign == '"' && !is_escaped {
                    is_in_string = !is_in_string;
                }
                is_escaped = *sign == '\\' && !is_escaped;
                counts
            })
            .count()
    }

    proptest! {
        #[test]
        fn any_text_is_checked(text in any::<String>()) {
            prop_assert_eq!(check(&text).is_ok(), serde_json::from_str::<Value>(&text).is_ok());
        }

        /// The check accepts a text exactly when a full parser reads it and loses no member.
        #[test]
        fn it_agrees_with_a_parser_that_reads_all_of_it(text in json()) {
            let read = serde_json::from_str::<Value>(&text).ok().map(|value| members(&value));
            prop_assert_eq!(check(&text).is_ok(), read == Some(colons(&text)), "{}", text);
        }
    }
}
