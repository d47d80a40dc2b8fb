//! The keys that verify tokens, each for one algorithm.

use std::fmt;

use base64::{DecodeError, Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use lambda_websocket::log::visible;
use ring::{
    hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use serde::Deserialize;
use serde_json::Value;

use crate::{denial::Denial, token::Header};

/// The signature algorithm of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    Ed25519,
}

impl Algorithm {
    /// The algorithm of this name ([RFC 7518][jwa]). `EdDSA` is the name of Ed25519 [from before RFC 9864][specified].
    /// It was also that of Ed448, whose keys are not supported.
    ///
    /// [jwa]: https://www.rfc-editor.org/rfc/rfc7518#section-3.1
    /// [specified]: https://www.rfc-editor.org/rfc/rfc9864#section-2.2
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "Ed25519" | "EdDSA" => Some(Self::Ed25519),
            _ => None,
        }
    }
}

/// A key for one algorithm.
///
/// The key determines the algorithm, not the token. So no token can use a public key as a secret of HS256.
#[derive(Clone)]
pub(crate) struct Key {
    id: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(hmac::Key),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point of P-256, uncompressed.
    Point(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The keys of an issuer. There may be none: the issuer has withdrawn all, or has only other kinds.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<Key>);

/// The source holds no valid key.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeys {
    /// It is not a JSON Web Key Set.
    #[error("it is no JSON Web Key Set")]
    Json(#[from] serde_json::Error),
    /// None of the set's keys is for signatures with a supported algorithm.
    #[error("none of its keys is one for signatures with RS256, ES256 (P-256) or EdDSA (Ed25519)")]
    NoneFits,
    /// The secret is shorter than [RFC 7518](https://www.rfc-editor.org/rfc/rfc7518#section-3.2) allows.
    #[error("a secret for HS256 has {} bytes or more, not {found}", KeySet::MIN_SECRET)]
    ShortSecret {
        /// The length of the secret, in bytes.
        found: usize,
    },
    /// The secret is not text.
    #[error("it is no text")]
    NoText,
    /// The parameter is stored and shown as plain text.
    #[error("it is no SecureString")]
    Unencrypted,
}

impl KeySet {
    const MIN_SECRET: usize = 32;

    /// The maximum number of keys tried for a token. An issuer has a few; with more, the token's key is ambiguous.
    const MAX_TRIED: usize = 16;

    /// A set with one key, the secret for HS256. It matches every `kid`.
    pub(crate) fn secret(secret: &str) -> Result<Self, InvalidKeys> {
        if secret.len() < Self::MIN_SECRET {
            return Err(InvalidKeys::ShortSecret { found: secret.len() });
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Ok(Self(vec![Key { id: None, material: Material::Secret(secret) }]))
    }

    /// Parses a [JSON Web Key Set](https://www.rfc-editor.org/rfc/rfc7517#section-5). Entries that cannot be parsed,
    /// keys for other uses, and secrets are left out and logged. Secrets are left out since a set is public.
    pub(crate) fn parse(json: &str) -> Result<Self, InvalidKeys> {
        #[derive(Deserialize)]
        struct Entries {
            keys: Vec<Value>,
        }

        let Entries { keys } = serde_json::from_str(json)?;
        let (mut known, mut left_out) = (Vec::new(), LeftOut::default());
        for (place, entry) in keys.into_iter().enumerate() {
            match Key::public(entry) {
                Ok(key) => known.push(key),
                Err(reason) => left_out.add(place, &reason),
            }
        }
        left_out.log();
        if known.is_empty() {
            tracing::warn!("key set has no key for signatures: every token will be denied");
        }
        Ok(Self(known))
    }

    /// Parses a set that must hold at least one key, since it cannot change later.
    pub(crate) fn parse_fixed(json: &str) -> Result<Self, InvalidKeys> {
        let set = Self::parse(json)?;
        if set.0.is_empty() { Err(InvalidKeys::NoneFits) } else { Ok(set) }
    }

    /// The candidate keys for a token: one, unless the token has no `kid`, or several keys have its `kid`.
    pub(crate) fn find(&self, header: &Header) -> Result<Vec<Key>, Denial> {
        let named: Vec<&Key> = self.0.iter().filter(|key| key.answers_to(header.kid.as_deref())).collect();
        if named.is_empty() {
            return Err(Denial::UnknownKey);
        }
        let fitting: Vec<&Key> =
            named.into_iter().filter(|key| key.algorithm() == header.algorithm).collect();
        match fitting.len() {
            0 => Err(Denial::WrongAlgorithm),
            1..=Self::MAX_TRIED => Ok(fitting.into_iter().cloned().collect()),
            _ => Err(Denial::UnknownKey),
        }
    }
}

/// The entries of a set that are not usable keys. The log shows the first few.
#[derive(Default)]
struct LeftOut {
    count: usize,
    reasons: Vec<String>,
}

impl LeftOut {
    const SHOWN: usize = 5;

    fn add(&mut self, place: usize, reason: &NoKey) {
        self.count += 1;
        if self.reasons.len() < Self::SHOWN {
            self.reasons.push(format!("keys[{place}]: {reason}"));
        }
    }

    fn log(&self) {
        if self.count > 0 {
            let reasons = self.reasons.join("; ");
            tracing::info!(count = self.count, reasons, "key set entries skipped");
        }
    }
}

/// An entry of a set is not a key for signatures.
#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error("it cannot be read: {}", shown(&.0.to_string()))]
    Json(#[from] serde_json::Error),
    #[error("its use or its key_ops are not to verify signatures")]
    OtherUse,
    #[error("its kty or crv is another than RSA, EC with P-256, and OKP with Ed25519")]
    OtherType,
    #[error("its alg is {}", shown(.0))]
    OtherAlgorithm(String),
    #[error("its {0} is missing")]
    Missing(&'static str),
    #[error("its {0} is no base64url")]
    Base64(&'static str, #[source] DecodeError),
    #[error("its {0} is of a wrong length or value")]
    Value(&'static str),
}

/// The beginning of an issuer's text, for the log.
fn shown(text: &str) -> String {
    visible(&text.chars().take(80).collect::<String>())
}

/// The fields of a [JSON Web Key](https://www.rfc-editor.org/rfc/rfc7517#section-4) that are used.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn material(&self) -> Result<Material, NoKey> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                Ok(Material::Rsa { n: modulus(self.n.as_deref())?, e: exponent(self.e.as_deref())? })
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (coordinate("x", self.x.as_deref())?, coordinate("y", self.y.as_deref())?);
                Ok(Material::Point([&[UNCOMPRESSED][..], &x, &y].concat()))
            }
            ("OKP", Some("Ed25519")) => {
                let key = octets("x", self.x.as_deref())?;
                if key.len() == 32 { Ok(Material::Ed25519(key)) } else { Err(NoKey::Value("x")) }
            }
            _ => Err(NoKey::OtherType),
        }
    }
}

/// The first byte of a point that is followed by both of its coordinates.
const UNCOMPRESSED: u8 = 4;

fn octets(name: &'static str, field: Option<&str>) -> Result<Vec<u8>, NoKey> {
    let text = field.ok_or(NoKey::Missing(name))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|error| NoKey::Base64(name, error))
}

/// A number without leading zeros. [RFC 7518, 2][uint] forbids them, yet some issuers write them.
///
/// [uint]: https://www.rfc-editor.org/rfc/rfc7518#section-2
fn number(name: &'static str, field: Option<&str>) -> Result<Vec<u8>, NoKey> {
    let octets = octets(name, field)?;
    Ok(octets.into_iter().skip_while(|octet| *octet == 0).collect())
}

/// A modulus of 2,048 to 8,192 bits: [the range of ring](RSA_PKCS1_2048_8192_SHA256).
fn modulus(field: Option<&str>) -> Result<Vec<u8>, NoKey> {
    let number = number("n", field)?;
    if (256..=1024).contains(&number.len()) { Ok(number) } else { Err(NoKey::Value("n")) }
}

fn exponent(field: Option<&str>) -> Result<Vec<u8>, NoKey> {
    let number = number("e", field)?;
    if (1..=4).contains(&number.len()) { Ok(number) } else { Err(NoKey::Value("e")) }
}

fn coordinate(name: &'static str, field: Option<&str>) -> Result<[u8; 32], NoKey> {
    let number = number(name, field)?;
    let zeros = 32_usize.checked_sub(number.len()).ok_or(NoKey::Value(name))?;
    let mut coordinate = [0; 32];
    coordinate[zeros..].copy_from_slice(&number);
    Ok(coordinate)
}

impl Key {
    fn public(entry: Value) -> Result<Self, NoKey> {
        // Only from an object: a list would be read as the fields in their order.
        let jwk: Jwk = serde_json::from_value(Value::Object(serde_json::from_value(entry)?))?;
        let is_for_signatures = jwk.r#use.as_ref().is_none_or(|purpose| purpose == "sig");
        let may_verify =
            jwk.key_ops.as_ref().is_none_or(|allowed| allowed.iter().any(|operation| operation == "verify"));
        if !is_for_signatures || !may_verify {
            return Err(NoKey::OtherUse);
        }
        let material = jwk.material()?;
        let key = Self { id: jwk.kid, material };
        match jwk.alg {
            Some(other) if Algorithm::parse(&other) != Some(key.algorithm()) => {
                Err(NoKey::OtherAlgorithm(other))
            }
            _ => Ok(key),
        }
    }

    /// The key's only algorithm.
    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::Point(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Whether the message was signed with this key: checked with ring, which the function contains already, for TLS.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Secret(secret) => hmac::verify(secret, message, signature),
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::Point(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            Material::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
        };
        verified.is_ok()
    }

    /// Whether a token with this `kid` may mean this key. A key without an id, or a token without a `kid`, matches any.
    fn answers_to(&self, kid: Option<&str>) -> bool {
        match (self.id.as_deref(), kid) {
            (Some(id), Some(kid)) => id == kid,
            _ => true,
        }
    }
}

/// Without the key itself, which may be a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm())
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
        KeySet::parse_fixed(&json!({ "keys": keys }).to_string())
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

    /// The number of candidate keys for a token with this header.
    fn found(set: &KeySet, kid: Option<&str>, algorithm: Algorithm) -> Result<usize, Denial> {
        let keys = set.find(&Header { algorithm, kid: kid.map(str::to_owned) })?;
        assert!(keys.iter().all(|key| key.algorithm() == algorithm));
        Ok(keys.len())
    }

    #[test]
    fn a_key_is_found_by_its_id_and_is_of_one_algorithm() {
        let set = set(&json!([ec("1"), ed("2")])).unwrap();
        assert_eq!(found(&set, Some("1"), Algorithm::Es256), Ok(1));
        assert_eq!(found(&set, Some("2"), Algorithm::Ed25519), Ok(1));
        assert_eq!(found(&set, Some("3"), Algorithm::Ed25519), Err(Denial::UnknownKey));
        for other in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Ed25519] {
            assert_eq!(found(&set, Some("1"), other), Err(Denial::WrongAlgorithm), "{other:?}");
        }
    }

    #[test]
    fn without_an_id_each_key_of_the_algorithm_is_meant_unless_there_are_far_too_many() {
        let one_of_each = set(&json!([ec("1"), ed("2")])).unwrap();
        assert_eq!(found(&one_of_each, None, Algorithm::Ed25519), Ok(1));
        let mut keys = vec![ec("0")];
        for number in 1..=KeySet::MAX_TRIED {
            keys.push(ed(&number.to_string()));
            let set = set(&json!(keys)).unwrap();
            assert_eq!(found(&set, None, Algorithm::Ed25519), Ok(number));
            assert_eq!(found(&set, Some("1"), Algorithm::Ed25519), Ok(1));
        }
        keys.push(ed("17"));
        let set = set(&json!(keys)).unwrap();
        assert_eq!(found(&set, None, Algorithm::Ed25519), Err(Denial::UnknownKey));
        assert_eq!(found(&set, Some("1"), Algorithm::Ed25519), Ok(1));
    }

    #[test]
    fn the_same_key_twice_is_no_doubt() {
        let mut with_algorithm = ed("1");
        with_algorithm["alg"] = json!("Ed25519");
        let set = set(&json!([ed("1"), with_algorithm, ec("1")])).unwrap();
        assert_eq!(found(&set, Some("1"), Algorithm::Ed25519), Ok(2));
        assert_eq!(found(&set, Some("1"), Algorithm::Es256), Ok(1));
    }

    #[test]
    fn a_number_may_begin_with_zeros_or_lack_them() {
        let pad = |text: &Value, zeros: usize| {
            let number = URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
            json!(URL_SAFE_NO_PAD.encode([vec![0; zeros], number].concat()))
        };
        let mut padded = ec("1");
        padded["x"] = pad(&padded["x"], 1);
        let materials = [ec("1"), padded].map(|key| match Key::public(key).unwrap().material {
            Material::Point(point) => point,
            _ => panic!("no point"),
        });
        assert_eq!(materials[0], materials[1]);
        assert_eq!(coordinate("x", Some("AQ")).unwrap()[30..], [0, 1]);
        for (octets, fits) in [(255, false), (256, true), (1024, true), (1025, false)] {
            for zeros in [0, 1] {
                let n = URL_SAFE_NO_PAD.encode([vec![0; zeros], vec![1; octets]].concat());
                let key = Key::public(json!({"kty": "RSA", "n": n, "e": "AAEAAQ"}));
                assert_eq!(key.is_ok(), fits, "{octets}");
            }
        }
        for e in ["", "AAAA", "AQAAAAE"] {
            let n = URL_SAFE_NO_PAD.encode([1; 256]);
            assert!(Key::public(json!({"kty": "RSA", "n": n, "e": e})).is_err(), "{e:?}");
        }
    }

    /// The log shows why entries were left out: for the first few of them, and with only the beginning of their text.
    #[test]
    fn what_is_left_out_is_told_and_no_more_than_a_few() {
        let entries = [
            (json!(null), "it cannot be read: invalid type: null, expected a map"),
            (json!(["OKP"]), "it cannot be read: invalid type: sequence, expected a map"),
            (
                json!({"kty": "OKP", "kid": 1}),
                "it cannot be read: invalid type: integer `1`, expected a string",
            ),
            (
                json!({"kty": "\u{202e}"}),
                "its kty or crv is another than RSA, EC with P-256, and OKP with Ed25519",
            ),
            (json!({"kty": "OKP", "crv": "Ed25519"}), "its x is missing"),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "="}), "its x is no base64url"),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "its x is of a wrong length or value"),
        ];
        let mut left_out = LeftOut::default();
        for (entry, reason) in entries {
            let found = Key::public(entry).unwrap_err();
            assert_eq!(found.to_string(), reason);
            left_out.add(7, &found);
        }
        assert_eq!((left_out.count, left_out.reasons.len()), (7, 5));
        let mut other = ed("1");
        other["alg"] = json!(format!("\u{202e}{}", "x".repeat(1_000)));
        let reason = Key::public(other).unwrap_err().to_string();
        assert_eq!(reason, format!(r"its alg is \u{{202e}}{}", "x".repeat(79)));
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
            with(ed("1"), "crv", "Ed448"),
            with(ed("1"), "alg", "Ed448"),
            json!({"kty": "RSA", "kid": "1"}),
            json!({"kty": "AKP", "kid": "1"}),
        ] {
            assert!(matches!(set(&json!([other])), Err(InvalidKeys::NoneFits)), "{other}");
            let set = set(&json!([other, ed("2")])).unwrap();
            assert_eq!(found(&set, Some("1"), Algorithm::Hs256), Err(Denial::UnknownKey), "{other}");
        }
        assert!(set(&json!([with(with(ec("1"), "use", "sig"), "alg", "ES256")])).is_ok());
    }

    #[test]
    fn what_holds_no_keys_is_refused_with_a_sentence() {
        for json in ["", "{}", "[]", r#"{"keys": 1}"#] {
            let error = KeySet::parse(json).unwrap_err();
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
            assert_eq!(found(&set, kid, Algorithm::Hs256), Ok(1));
            assert_eq!(found(&set, kid, Algorithm::Rs256), Err(Denial::WrongAlgorithm));
        }
    }

    proptest! {
        /// Every document of an issuer parses into keys or an error.
        #[test]
        fn any_text_is_a_set_of_keys_or_none(json in prop_oneof![
            any::<String>(),
            hostile::object(&["keys"]),
            hostile::object(&["kty", "crv", "x", "y", "n", "e", "k", "kid", "use", "alg", "key_ops", "x5c"])
                .prop_map(|key| format!(r#"{{"keys":[{key}]}}"#)),
            hostile::near(r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#),
        ]) {
            if let Ok(KeySet(keys)) = KeySet::parse_fixed(&json) {
                prop_assert!(!keys.is_empty());
            }
        }
    }
}
