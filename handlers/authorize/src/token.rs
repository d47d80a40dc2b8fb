//! Parses a token, and verifies its signature with the candidate keys.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::{
    denial::Denial,
    key::{Algorithm, Key},
};

/// A JSON Web Token in the [compact form](https://www.rfc-editor.org/rfc/rfc7515#section-7.1). Nothing in it is
/// verified yet. It cannot be printed.
pub(crate) struct Token<'a> {
    pub(crate) header: Header,
    /// The signed part: the header and the claims, as they were sent.
    message: &'a str,
    claims: &'a str,
    signature: Vec<u8>,
}

/// The algorithm and the key that a token names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
}

impl<'a> Token<'a> {
    /// Parses a token without verifying it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Denial> {
        let (message, signature) = text.rsplit_once('.').ok_or(Denial::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Denial::Malformed)?;
        Ok(Self { header: Header::parse(&object(header)?)?, message, claims, signature: decode(signature)? })
    }

    /// The token's claims, if it was signed with one of these keys.
    pub(crate) fn verify(&self, keys: &[Key]) -> Result<Map<String, Value>, Denial> {
        if keys.iter().any(|key| key.verifies(self.message.as_bytes(), &self.signature)) {
            object(self.claims)
        } else {
            Err(Denial::BadSignature)
        }
    }
}

impl Header {
    /// The accepted types of tokens: [those of RFC 7519][jwt], and [access tokens][at]. Others have another purpose,
    /// such as logout.
    ///
    /// [jwt]: https://www.rfc-editor.org/rfc/rfc7519#section-5.1
    /// [at]: https://www.rfc-editor.org/rfc/rfc9068#section-2.1
    const TYPES: [&str; 2] = ["jwt", "at+jwt"];

    fn parse(header: &Map<String, Value>) -> Result<Self, Denial> {
        // A token whose `crit` names an unsupported extension has to be refused (RFC 7515, 4.1.11). None is supported
        // here. Claims that are not encoded (RFC 7797) are one, and have to be named there.
        if header.contains_key("crit") || header.get("b64").is_some_and(|encoded| *encoded != true) {
            return Err(Denial::UnknownExtension);
        }
        if let Some(kind) = text(header, "typ")? {
            let kind = kind.to_ascii_lowercase();
            if !Self::TYPES.contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
                return Err(Denial::WrongType);
            }
        }
        let algorithm = match text(header, "alg")? {
            None | Some("") => return Err(Denial::Malformed),
            Some(name) if name.eq_ignore_ascii_case("none") => return Err(Denial::Malformed),
            Some(name) => Algorithm::parse(name).ok_or(Denial::WrongAlgorithm)?,
        };
        Ok(Self { algorithm, kid: text(header, "kid")?.map(str::to_owned) })
    }
}

/// An optional field that is a string.
fn text<'a>(header: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Denial> {
    match header.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(Denial::Malformed),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denial::Malformed)
}

fn object(part: &str) -> Result<Map<String, Value>, Denial> {
    let Unambiguous(object) = serde_json::from_slice(&decode(part)?).map_err(|_| Denial::Malformed)?;
    Ok(object)
}

/// An object without duplicate names. Other parsers may take the first value where ours takes the last.
struct Unambiguous(Map<String, Value>);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Unambiguous;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unambiguous, A::Error> {
                let mut object = Map::new();
                while let Some((name, value)) = entries.next_entry()? {
                    if object.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name comes twice"));
                    }
                }
                Ok(Unambiguous(object))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::tokens::Signer;

    use super::*;
    use crate::key::KeySet;

    #[test]
    fn a_name_that_comes_twice_is_malformed() {
        let signer = Signer::eddsa("1");
        let keys = KeySet::parse(&json!({"keys": [signer.jwk()]}).to_string()).unwrap();
        let claims = |header: &str, claims: &str| {
            let text = signer.token_of(header, claims);
            let token = Token::parse(&text)?;
            token.verify(&keys.find(&token.header)?)
        };
        assert!(claims(r#"{"alg":"EdDSA"}"#, r#"{"sub":"ada"}"#).is_ok());
        for (header, body) in [
            (r#"{"alg":"EdDSA","alg":"EdDSA"}"#, r#"{"sub":"ada"}"#),
            (r#"{"alg":"EdDSA","x":1,"x":1}"#, r#"{"sub":"ada"}"#),
            (r#"{"alg":"EdDSA"}"#, r#"{"sub":"ada","sub":"eve"}"#),
            (r#"{"alg":"EdDSA"}"#, "[]"),
            ("[]", r#"{"sub":"ada"}"#),
        ] {
            assert_eq!(claims(header, body), Err(Denial::Malformed), "{header} {body}");
        }
    }

    /// Base64 with nonzero bits at its end, or with padding, would be a second token with the same signature.
    #[test]
    fn there_is_one_way_to_write_a_token() {
        let signer = Signer::eddsa("1");
        let token = signer.token(&json!({"sub": "ada"}));
        assert!(Token::parse(&token).is_ok());
        let (rest, last) = token.split_at(token.len() - 1); // 64 bytes leave 4 bits over.
        assert!(["A", "Q", "g", "w"].contains(&last), "{last}");
        for text in [format!("{rest}B"), format!("{rest}f"), format!("{token}=="), format!("{token}\n")] {
            assert_eq!(Token::parse(&text).err(), Some(Denial::Malformed));
        }
    }
}
