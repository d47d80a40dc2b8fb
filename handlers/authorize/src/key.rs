//! The keys that tokens are signed with, each with the one algorithm that it is for.

use std::{fmt, str::FromStr};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};

use crate::denial::Denial;

/// A key.
///
/// Its algorithm comes with it and not with the token: a public key can be no secret of HS256, whatever a token says.
#[derive(Clone)]
pub(crate) struct Key {
    id: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) decoding: DecodingKey,
}

/// The keys of an issuer: one or more.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<Key>);

/// What was read holds no key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeys {
    /// It is no JSON Web Key Set.
    #[error("it is no JSON Web Key Set")]
    Json(#[from] serde_json::Error),
    /// None of the set's keys is for signatures of an algorithm that is known here.
    #[error("none of its keys is one for signatures with RS256, ES256 (P-256) or EdDSA (Ed25519)")]
    NoneFits,
    /// The secret is shorter than [RFC 7518](https://www.rfc-editor.org/rfc/rfc7518#section-3.2) lets it be.
    #[error("a secret for HS256 has {} bytes or more, not {found}", KeySet::MIN_SECRET)]
    ShortSecret {
        /// How many bytes there are.
        found: usize,
    },
    /// The secret is no text.
    #[error("it is no text")]
    NoText,
    /// The parameter is one that is kept and shown as plain text.
    #[error("it is no SecureString")]
    Unencrypted,
}

impl KeySet {
    const MIN_SECRET: usize = 32;

    /// The one key that is a secret, for HS256. It answers to every `kid`.
    pub(crate) fn secret(secret: &str) -> Result<Self, InvalidKeys> {
        if secret.len() < Self::MIN_SECRET {
            return Err(InvalidKeys::ShortSecret { found: secret.len() });
        }
        let decoding = DecodingKey::from_secret(secret.as_bytes());
        Ok(Self(vec![Key { id: None, algorithm: Algorithm::HS256, decoding }]))
    }

    /// The key that a token says it is signed with.
    pub(crate) fn find(&self, header: &Header) -> Result<&Key, Denial> {
        let named: Vec<&Key> = self.0.iter().filter(|key| key.answers_to(header.kid.as_deref())).collect();
        if named.is_empty() {
            return Err(Denial::UnknownKey);
        }
        let mut fitting = named.into_iter().filter(|key| key.algorithm == header.alg);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Denial::UnknownKey),
            (None, _) => Err(Denial::WrongAlgorithm),
        }
    }
}

/// A [JSON Web Key Set](https://www.rfc-editor.org/rfc/rfc7517#section-5). Keys for other uses are left out, and so
/// are secrets: a set is public.
impl FromStr for KeySet {
    type Err = InvalidKeys;

    fn from_str(json: &str) -> Result<Self, InvalidKeys> {
        let set: JwkSet = serde_json::from_str(json)?;
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::public).collect();
        if keys.is_empty() { Err(InvalidKeys::NoneFits) } else { Ok(Self(keys)) }
    }
}

impl Key {
    fn public(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        };
        let common = &jwk.common;
        let for_signatures =
            common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
        let for_algorithm =
            common.key_algorithm.is_none_or(|intended| intended == KeyAlgorithm::from(algorithm));
        let decoding = DecodingKey::from_jwk(jwk).ok()?;
        (for_signatures && for_algorithm).then(|| Self { id: common.key_id.clone(), algorithm, decoding })
    }

    /// Whether a token with this `kid` may mean it. Both may do without one.
    fn answers_to(&self, kid: Option<&str>) -> bool {
        match (self.id.as_deref(), kid) {
            (Some(id), Some(kid)) => id == kid,
            _ => true,
        }
    }
}

/// Without the key itself: it may be a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use testkit::hostile;

    use super::*;

    fn set(keys: &Value) -> Result<KeySet, InvalidKeys> {
        json!({ "keys": keys }).to_string().parse()
    }

    /// Keys of RFC 7517 and 8037, appendix A.
    fn ec(id: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": id,
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
    }

    fn ed(id: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    fn found(set: &KeySet, kid: Option<&str>, algorithm: Algorithm) -> Result<Algorithm, Denial> {
        let mut header = Header::new(algorithm);
        header.kid = kid.map(str::to_owned);
        set.find(&header).map(|key| key.algorithm)
    }

    #[test]
    fn a_key_is_found_by_its_id_and_is_of_one_algorithm() {
        let set = set(&json!([ec("1"), ed("2")])).unwrap();
        assert_eq!(found(&set, Some("1"), Algorithm::ES256), Ok(Algorithm::ES256));
        assert_eq!(found(&set, Some("2"), Algorithm::EdDSA), Ok(Algorithm::EdDSA));
        assert_eq!(found(&set, Some("3"), Algorithm::EdDSA), Err(Denial::UnknownKey));
        for other in [Algorithm::HS256, Algorithm::RS256, Algorithm::ES384, Algorithm::EdDSA] {
            assert_eq!(found(&set, Some("1"), other), Err(Denial::WrongAlgorithm), "{other:?}");
        }
    }

    #[test]
    fn without_an_id_there_must_be_no_doubt() {
        let one_of_each = set(&json!([ec("1"), ed("2")])).unwrap();
        assert_eq!(found(&one_of_each, None, Algorithm::EdDSA), Ok(Algorithm::EdDSA));
        let two = set(&json!([ed("1"), ed("2")])).unwrap();
        assert_eq!(found(&two, None, Algorithm::EdDSA), Err(Denial::UnknownKey));
        assert_eq!(found(&two, Some("2"), Algorithm::EdDSA), Ok(Algorithm::EdDSA));
    }

    #[test]
    fn keys_for_something_else_are_left_out() {
        let with = |mut key: Value, name: &str, value: &str| {
            key[name] = json!(value);
            key
        };
        let secret =
            json!({"kty": "oct", "kid": "1", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"});
        for other in [
            secret,
            with(ec("1"), "use", "enc"),
            with(ec("1"), "alg", "ES384"),
            with(ec("1"), "alg", "ECDH-ES"),
            with(ec("1"), "crv", "P-384"),
            with(ec("1"), "crv", "secp256k1"),
            with(ec("1"), "x", "not base64!"),
            with(ed("1"), "crv", "X25519"),
            json!({"kty": "RSA", "kid": "1"}),
            json!({"kty": "AKP", "kid": "1"}),
        ] {
            assert!(matches!(set(&json!([other])), Err(InvalidKeys::NoneFits)), "{other}");
            let set = set(&json!([other, ed("2")])).unwrap();
            assert_eq!(found(&set, Some("1"), Algorithm::HS256), Err(Denial::UnknownKey), "{other}");
        }
        assert!(set(&json!([with(with(ec("1"), "use", "sig"), "alg", "ES256")])).is_ok());
    }

    #[test]
    fn what_holds_no_keys_is_refused_with_a_sentence() {
        for json in ["", "{}", "[]", r#"{"keys": 1}"#] {
            let error = json.parse::<KeySet>().unwrap_err();
            assert_eq!(error.to_string(), "it is no JSON Web Key Set", "{json}");
        }
        let error = set(&json!([])).unwrap_err();
        assert!(error.to_string().starts_with("none of its keys is one for signatures"), "{error}");
    }

    #[test]
    fn a_secret_has_32_bytes_and_is_not_shown() {
        let error = KeySet::secret(&"x".repeat(31)).unwrap_err();
        assert_eq!(error.to_string(), "a secret for HS256 has 32 bytes or more, not 31");
        let set = KeySet::secret(&"x".repeat(32)).unwrap();
        assert!(!format!("{set:?}").contains("xx"), "{set:?}");
        for kid in [None, Some("1")] {
            assert_eq!(found(&set, kid, Algorithm::HS256), Ok(Algorithm::HS256));
            assert_eq!(found(&set, kid, Algorithm::RS256), Err(Denial::WrongAlgorithm));
        }
    }

    proptest! {
        /// Whatever an issuer hands out is keys or an error.
        #[test]
        fn any_text_is_a_set_of_keys_or_none(json in prop_oneof![
            any::<String>(),
            hostile::object(&["keys"]),
            hostile::object(&["kty", "crv", "x", "y", "n", "e", "k", "kid", "use", "alg", "key_ops", "x5c"])
                .prop_map(|key| format!(r#"{{"keys":[{key}]}}"#)),
            hostile::near(r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#),
        ]) {
            if let Ok(KeySet(keys)) = json.parse() {
                prop_assert!(!keys.is_empty());
            }
        }
    }
}
