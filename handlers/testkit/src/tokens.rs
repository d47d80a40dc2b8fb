//! JSON Web Tokens, signed with keys of the tests' own: valid tokens, and tokens to reject.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};

/// A key that signs tokens.
#[derive(Debug)]
pub struct Signer {
    /// The key's id, if its tokens name one.
    pub id: Option<String>,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Secret(hmac::Key),
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed(Ed25519KeyPair),
}

impl Signer {
    /// A secret for HS256: any bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Self {
        Self { id: None, key: Key::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref())) }
    }

    /// The key for RS256. There is only one: ring generates none, and generating it elsewhere takes time.
    pub fn rs256(id: &str) -> Self {
        let key = RsaKeyPair::from_pkcs8(include_bytes!("../fixtures/rsa.pk8")).expect("a key");
        Self { id: Some(id.to_owned()), key: Key::Rsa(Box::new(key)) }
    }

    /// A new key for ES256.
    pub fn es256(id: &str) -> Self {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
        Self { id: Some(id.to_owned()), key: Key::Ec(Box::new(key)) }
    }

    /// A new key for EdDSA.
    pub fn eddsa(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        Self { id: Some(id.to_owned()), key: Key::Ed(key) }
    }

    /// The algorithm's name.
    pub fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::Secret(_) => "HS256",
            Key::Rsa(_) => "RS256",
            Key::Ec(_) => "ES256",
            Key::Ed(_) => "EdDSA",
        }
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Value) -> String {
        let mut header = json!({"alg": self.algorithm(), "typ": "JWT"});
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        self.token_with(&header, claims)
    }

    /// A token with this header, correct or not.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    /// A token of two texts, JSON or not.
    pub fn token_of(&self, header: &str, claims: &str) -> String {
        let message = unsigned_of(header, claims);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// The public key, as a [JWK](https://www.rfc-editor.org/rfc/rfc7517).
    ///
    /// # Panics
    /// For a secret, which has no public key.
    pub fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.key {
            Key::Secret(_) => panic!("a secret has no public key"),
            Key::Rsa(key) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({"kty": "RSA", "n": encode(&n), "e": encode(&e)})
            }
            Key::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Key::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref())}),
        };
        jwk["use"] = json!("sig");
        jwk["kid"] = json!(self.id);
        jwk
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Secret(key) => hmac::sign(key, message).as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a signature");
                signature
            }
            Key::Ec(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Key::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// The JSON Web Key Set of these keys.
pub fn jwks<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Value {
    json!({ "keys": signers.into_iter().map(Signer::jwk).collect::<Vec<_>>() })
}

/// A token up to its signature, without the dot.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    unsigned_of(&header.to_string(), &claims.to_string())
}

fn unsigned_of(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
