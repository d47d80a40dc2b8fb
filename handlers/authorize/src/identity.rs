//! The principal and the channels that a token names.

use std::borrow::Cow;

use lambda_websocket::{ChannelPermissions, Principal};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::denial::Denial;

/// The identity of a client with a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The principal: the claim `sub`.
    pub principal: Principal,
    /// The channels that the client may join. `None`: the token has no such claim.
    pub channels: Option<Channels>,
}

/// Channel patterns, separated by spaces.
///
/// A token without the claim allows all channels that are not reserved. A token with an empty claim allows none. So an
/// invalid claim must not be read as either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Channels(String);

impl Identity {
    /// Parses the claims of a verified token.
    ///
    /// # Errors
    /// When a claim is not of the required form.
    pub fn parse(claims: &Map<String, Value>, channels_claim: &str) -> Result<Self, Denial> {
        let principal = claims.get("sub").and_then(Value::as_str).ok_or(Denial::InvalidSubject)?;
        Ok(Self {
            principal: Principal::parse(principal).map_err(|_| Denial::InvalidSubject)?,
            channels: claims.get(channels_claim).map(Channels::parse).transpose()?,
        })
    }
}

impl Channels {
    /// An empty list of patterns.
    ///
    /// AWS does not document whether API Gateway passes on an empty string. Left out, it would open every channel. A
    /// space holds no pattern either, and is not empty.
    const NONE: &str = " ";

    /// Parses a list of patterns, or a string of patterns with spaces between them, as in OAuth's `scope`. A list
    /// written as a string is accepted too, since an attribute of a Cognito user cannot be a list.
    fn parse(claim: &Value) -> Result<Self, Denial> {
        let claim = match claim {
            Value::String(text) if text.trim_start().starts_with('[') => {
                Cow::Owned(serde_json::from_str(text).map_err(|_| Denial::InvalidChannels)?)
            }
            claim => Cow::Borrowed(claim),
        };
        let patterns: Vec<&str> = match claim.as_ref() {
            Value::String(text) => text.split_whitespace().collect(),
            Value::Array(items) => {
                items.iter().map(Value::as_str).collect::<Option<_>>().ok_or(Denial::InvalidChannels)?
            }
            _ => return Err(Denial::InvalidChannels),
        };
        // A space within a pattern would split it into two patterns that the token does not name.
        let breaks = |sign: char| sign.is_whitespace() || sign.is_control();
        if patterns.iter().any(|pattern| pattern.is_empty() || pattern.contains(breaks)) {
            return Err(Denial::InvalidChannels);
        }
        let channels = if patterns.is_empty() { Self::NONE.to_owned() } else { patterns.join(" ") };
        // A value that the other functions cannot parse would be an error of `connect`.
        ChannelPermissions::parse(&channels).map_err(|_| Denial::InvalidChannels)?;
        Ok(Self(channels))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn channels(claim: &Value) -> Result<String, Denial> {
        Channels::parse(claim).map(|channels| channels.0)
    }

    #[test]
    fn a_principal_has_1_to_128_characters_and_no_control_characters() {
        for text in
            ["a", "auth0|5f7c8ec7c33c6c004bbafe82", "Ada Lovelace", "ünï@example.com", &"é".repeat(128)]
        {
            let claims = json!({ "sub": text });
            let identity = Identity::parse(claims.as_object().unwrap(), "channels").unwrap();
            assert_eq!(identity.principal.as_str(), text);
        }
        for sub in [
            json!(""),
            json!("a\nb"),
            json!("a\u{7f}"),
            json!("a\u{85}"),
            json!("a".repeat(129)),
            json!(null),
            json!(7),
            json!(["ada"]),
            json!({}),
        ] {
            let claims = json!({ "sub": sub });
            assert_eq!(
                Identity::parse(claims.as_object().unwrap(), "channels"),
                Err(Denial::InvalidSubject),
                "{claims}"
            );
        }
        assert_eq!(Identity::parse(&Map::new(), "channels"), Err(Denial::InvalidSubject));
    }

    #[test]
    fn channels_are_a_list_or_a_text() {
        for claim in [
            json!(["room:*", "news"]),
            json!("room:* news"),
            json!("  room:*\tnews "),
            json!(r#"["room:*","news"]"#),
            json!(" [ \"room:*\", \"news\" ]\n"),
        ] {
            assert_eq!(channels(&claim), Ok("room:* news".to_owned()), "{claim}");
        }
    }

    #[test]
    fn without_the_claim_there_are_no_channels_and_an_empty_one_opens_none() {
        let parse =
            |claims: Value, name| Identity::parse(claims.as_object().unwrap(), name).unwrap().channels;
        assert_eq!(parse(json!({"sub": "a"}), "channels"), None);
        assert_eq!(parse(json!({"sub": "a", "channels": "x"}), "https://example.com/channels"), None);
        for claim in [json!([]), json!(""), json!("  "), json!("[]")] {
            assert_eq!(
                parse(json!({"sub": "a", "rooms": claim}), "rooms"),
                Some(Channels(" ".to_owned())),
                "{claim}"
            );
        }
    }

    #[test]
    fn a_claim_that_is_not_understood_denies() {
        for claim in [
            json!(null),
            json!(true),
            json!(1),
            json!({"a": "b"}),
            json!([1]),
            json!(["a", null]),
            json!([["a"]]),
            json!([""]),
            json!(["a b"]),
            json!(["a\u{a0}b"]),
            json!(["a\u{0}"]),
            json!("a\u{1}b"),
            json!(["a*b"]),
            json!("räume"),
            json!("room,news"),
            json!("[1]"),
            json!("[\"a b\"]"),
            json!("[\"a\""),
            json!("[\"a\"] b"),
        ] {
            assert_eq!(channels(&claim), Err(Denial::InvalidChannels), "{claim}");
        }
    }

    proptest! {
        /// As the other functions parse it, the context holds exactly the patterns of the token.
        #[test]
        fn no_pattern_is_added(
            patterns in prop::collection::vec(prop_oneof![any::<String>(), "[a-z:* .]{1,6}", "user:\\PC{1,4}"], 0..5),
            as_text in any::<bool>(),
        ) {
            let claim = if as_text { json!(json!(patterns).to_string()) } else { json!(patterns) };
            if let Ok(text) = channels(&claim) {
                prop_assert!(ChannelPermissions::parse(&text).is_ok(), "{:?}", text);
                prop_assert!(!text.is_empty());
                prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), patterns);
            }
        }
    }
}
