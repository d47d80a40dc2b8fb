//! Reads the fields of a client's message one by one. An invalid field is rejected with a sentence of our own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    lambda::rejection::Rejection,
    protocol::{correlation::Reference, frame::ErrorCode, json},
};

/// How much of an unknown field's name is quoted, in characters.
const QUOTED: usize = 64;

/// The fields of a JSON object that a client sent, each as it was sent.
///
/// ```
/// use lambda_websocket::{Fields, Rejection};
///
/// fn seat(body: &str) -> Result<(u8, Option<bool>), Rejection> {
///     let mut fields = Fields::parse(body, r#"{"action": "sit", "seat": 0 to 255, "window": true or false}"#)?;
///     fields.required::<String>("action", "a text")?;
///     let seat = fields.required("seat", "a whole number from 0 to 255")?;
///     let window = fields.optional("window", "true or false")?;
///     fields.end()?;
///     Ok((seat, window))
/// }
///
/// assert_eq!(seat(r#"{"action": "sit", "seat": 7}"#), Ok((7, None)));
/// assert!(seat(r#"{"action": "sit", "seat": 700}"#).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    fields: BTreeMap<String, &'a RawValue>,
    usage: &'static str,
}

impl<'a> Fields<'a> {
    /// Parses a client's message. `usage` says what to send, for a client that sent something else. Each message may have
    /// a [`Reference`] besides; it is not among the fields.
    ///
    /// # Errors
    /// When it is not [JSON that every parser reads](json), or not an object, or its reference is invalid.
    pub fn parse(text: &'a str, usage: &'static str) -> Result<Self, Rejection> {
        let rejection = |code, problem: &str| Rejection::new(code, format!("{problem} Send {usage}."));
        json::check(text).map_err(|error| rejection(ErrorCode::InvalidJson, &error.to_string()))?;
        let fields = serde_json::from_str(text)
            .map_err(|_| rejection(ErrorCode::InvalidRequest, "The message is not a JSON object."))?;
        let mut fields = Self { fields, usage };
        fields.optional::<Reference>(Reference::FIELD, Reference::EXPECTED)?;
        Ok(fields)
    }

    /// Takes a required field. `expected` says what it must be, for the rejection, as in "a whole number from 1 to
    /// 9".
    ///
    /// # Errors
    /// When it is missing, or cannot be read as the type.
    pub fn required<T: Deserialize<'a>>(&mut self, name: &str, expected: &str) -> Result<T, Rejection> {
        match self.optional(name, expected)? {
            Some(value) => Ok(value),
            None => Err(self.invalid(&format!("The field {name:?} is missing."))),
        }
    }

    /// Takes an optional field.
    ///
    /// # Errors
    /// When it cannot be read as the type. So `null` is an error, unless the type is an `Option` itself.
    pub fn optional<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Rejection> {
        let Some(value) = self.fields.remove(name) else { return Ok(None) };
        match serde_json::from_str(value.get()) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(self.invalid(&format!("The field {name:?} must be {expected}."))),
        }
    }

    /// Rejects unknown fields, those that were not taken: one may be a misspelled optional field.
    ///
    /// # Errors
    /// When there is one.
    pub fn end(self) -> Result<(), Rejection> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(QUOTED).collect();
                Err(self.invalid(&format!("The field {name:?} is unknown.")))
            }
        }
    }

    fn invalid(&self, problem: &str) -> Rejection {
        Rejection::new(ErrorCode::InvalidRequest, format!("{problem} Send {}.", self.usage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = r#"{"action": "sit", "seat": number}"#;

    fn rejection(read: Result<(), Rejection>) -> Rejection {
        read.unwrap_err()
    }

    #[test]
    fn a_field_is_taken_once_and_as_it_was_sent() {
        let mut fields = Fields::parse(r#" { "a" : [1, 2.0] , "b":null, "\u0063": "é" } "#, USAGE).unwrap();
        assert_eq!(fields.required::<&RawValue>("a", "any JSON").unwrap().get(), "[1, 2.0]");
        assert_eq!(fields.optional::<Option<u8>>("b", "a number"), Ok(Some(None)));
        assert_eq!(fields.required("c", "a text"), Ok("é".to_owned()));
        assert_eq!(fields.optional::<u8>("a", "a number"), Ok(None));
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told_in_a_sentence() {
        let said = |code, problem: &str| Rejection::new(code, format!("{problem} Send {USAGE}."));
        for (text, code, problem) in [
            ("hello", ErrorCode::InvalidJson, "The message is not JSON."),
            (
                r#"{"seat":1e400}"#,
                ErrorCode::InvalidJson,
                "The number 1e400 is too large: at most 1.797e308 can be read everywhere.",
            ),
            (r#"["sit"]"#, ErrorCode::InvalidRequest, "The message is not a JSON object."),
            ("{}", ErrorCode::InvalidRequest, r#"The field "seat" is missing."#),
            (
                r#"{"seat":-1}"#,
                ErrorCode::InvalidRequest,
                r#"The field "seat" must be a whole number from 0 to 255."#,
            ),
            (
                r#"{"seat":null}"#,
                ErrorCode::InvalidRequest,
                r#"The field "seat" must be a whole number from 0 to 255."#,
            ),
            (r#"{"seat":1,"setas":2}"#, ErrorCode::InvalidRequest, r#"The field "setas" is unknown."#),
        ] {
            let read = Fields::parse(text, USAGE).and_then(|mut fields| {
                fields.required::<u8>("seat", "a whole number from 0 to 255")?;
                fields.end()
            });
            assert_eq!(rejection(read), said(code, problem), "{text}");
        }
        let long = format!(r#"{{"{}":1}}"#, "é".repeat(10_000));
        let sentence = format!("{:?}", rejection(Fields::parse(&long, USAGE).and_then(Fields::end)));
        assert!(sentence.len() < 400, "{} bytes", sentence.len());
    }
}
