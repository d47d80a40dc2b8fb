//! The authorizer beside `jsonwebtoken`: what the one lets in, the other does too, and nothing else.
//!
//! Both check signatures with ring. What is compared is how a token is taken apart, which key it is checked with, and
//! what its claims must say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{SystemTime, UNIX_EPOCH};

use authorize::{Authorizer, authorize, config::Config};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    decode,
    errors::{ErrorKind, Result, new_error},
    jwk::JwkSet,
    signature::{Error, Verifier},
};
use proptest::{prelude::*, sample::select};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Map, Value, json};
use testkit::{
    fixtures, hostile, sdk_config,
    tokens::{Signer, jwks},
};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(new_error(ErrorKind::UnsupportedAlgorithm))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    match (key.family(), algorithm) {
        (AlgorithmFamily::Rsa, Algorithm::RS256)
        | (AlgorithmFamily::Ec, Algorithm::ES256)
        | (AlgorithmFamily::Ed, Algorithm::EdDSA) => {
            Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
        }
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let verified = match (self.algorithm, self.key.kind()) {
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature)
            }
            _ => Err(ring::error::Unspecified),
        };
        verified.map_err(|_| Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Whether `jsonwebtoken` takes the token for one of these keys.
fn reference(keys: &Value, token: &str) -> bool {
    let _already_there = RING.install_default();
    let keys: JwkSet = serde_json::from_value(keys.clone()).unwrap();
    keys.keys.iter().zip([Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA]).any(|(jwk, algorithm)| {
        let mut rules = Validation::new(algorithm);
        rules.leeway = 30;
        rules.validate_nbf = true;
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.set_issuer(&["me"]);
        rules.set_audience(&["web", "mobile"]);
        let token = decode::<Map<String, Value>>(token, &DecodingKey::from_jwk(jwk).unwrap(), &rules);
        token.is_ok_and(|token| token.header.kid.is_none_or(|kid| Some(kid) == jwk.common.key_id))
    })
}

fn ours(keys: &Value, token: &str) -> bool {
    let keys = keys.to_string();
    let config = Config::read(|name| match name {
        "ISSUER" => Some("me".to_owned()),
        "AUDIENCE" => Some("web,mobile".to_owned()),
        "JWKS" => Some(keys.clone()),
        "CHANNELS_CLAIM" => Some("not compared".to_owned()),
        _ => None,
    });
    let authorizer = Authorizer::new(config.unwrap(), &sdk_config("http://127.0.0.1:9"));
    let mut event = fixtures::authorize_json();
    event["queryStringParameters"]["token"] = json!(token);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(authorize(&authorizer, serde_json::from_value(event).unwrap())).unwrap();
    serde_json::to_value(answer).unwrap()["policyDocument"]["Statement"][0]["Effect"] == "Allow"
}

/// Values of a claim: those that count, and such as may be taken for them.
fn value() -> impl Strategy<Value = Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    prop_oneof![
        4 => select(vec![
            json!(now + 600), json!(now - 600), json!(now as f64 + 600.4), json!(0), json!(-1), json!(1e300),
            json!(u64::MAX), json!("me"), json!("web"), json!(["web"]), json!(["other", "mobile"]), json!("other"),
            json!(["web", 7]), json!([]), json!(null), json!(true), json!("4102444800"), json!("ada"),
        ]),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_same_claims_are_good(
        which in 0..3_usize,
        changes in prop::collection::vec((select(vec!["exp", "nbf", "iss", "aud", "sub", "iat"]), value()), 0..3),
    ) {
        let signers = [Signer::rs256("0"), Signer::es256("1"), Signer::eddsa("2")];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({"sub": "ada", "iss": "me", "aud": "web", "exp": now + 600});
        for (name, value) in changes {
            claims[name] = value;
        }
        // A list of issuers and an empty subject are no good here; to the reference they are.
        prop_assume!(!claims["iss"].is_array());
        let (keys, token) = (jwks(&signers), signers[which].token(&claims));
        prop_assert_eq!(ours(&keys, &token), reference(&keys, &token), "{}", claims);
    }

    /// The other way round does not hold: what a header asks for is looked at more closely here.
    #[test]
    fn no_other_header_is_good(
        header in prop_oneof![
            hostile::object(&["alg", "kid", "typ", "crit", "b64"]),
            hostile::near(r#"{"alg":"EdDSA","kid":"2"}"#),
            hostile::near(r#"{"alg":"ES256","typ":"JWT"}"#),
            Just(r#"{"alg":"EdDSA"}"#.to_owned()),
        ],
        edit in prop::option::of((any::<prop::sample::Index>(), 0x20..0x7f_u8)),
    ) {
        let signers = [Signer::rs256("0"), Signer::es256("1"), Signer::eddsa("2")];
        let claims = json!({"sub": "ada", "iss": "me", "aud": "web", "exp": 4_102_444_800_u64});
        let mut token = signers[2].token_of(&header, &claims.to_string()).into_bytes();
        if let Some((at, byte)) = edit {
            let at = at.index(token.len());
            token[at] = byte;
        }
        let (keys, token) = (jwks(&signers), String::from_utf8(token).unwrap());
        prop_assert!(!ours(&keys, &token) || reference(&keys, &token), "{} {}", header, token);
    }
}
