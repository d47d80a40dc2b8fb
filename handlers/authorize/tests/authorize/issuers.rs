//! The authorizer and an issuer's keys: those that it publishes, withdraws, or has somewhere else.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{SystemTime, UNIX_EPOCH};

use authorize::{Authorizer, authorize, config::Config};
use lambda_websocket::log::chain;
use serde_json::{Value, json};
use testkit::{
    fixtures,
    issuer::{Answer, Issuer},
    sdk_config,
    tokens::{Signer, jwks},
};

/// An authorizer that asks this issuer.
fn asking(url: &str) -> Authorizer {
    let variable = |name| match name {
        "ISSUER" => Some(url.to_owned()),
        "AUDIENCE" => Some("web".to_owned()),
        _ => None,
    };
    Authorizer::new(Config::read(variable).unwrap(), &sdk_config("http://127.0.0.1:9"))
}

fn token(issuer: &Issuer, signer: &Signer) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    signer.token(&json!({"sub": "ada", "iss": issuer.url, "aud": "web", "exp": now + 600}))
}

/// `Allow`, `Deny` or the error's sentence.
async fn answer(authorizer: &Authorizer, token: &str) -> String {
    let mut event = fixtures::authorize_json();
    event["queryStringParameters"]["token"] = json!(token);
    match authorize(authorizer, serde_json::from_value(event).unwrap()).await {
        Ok(answer) => {
            let answer = serde_json::to_value(answer).unwrap();
            answer["policyDocument"]["Statement"][0]["Effect"].as_str().unwrap().to_owned()
        }
        Err(error) => chain(&error),
    }
}

#[tokio::test]
async fn an_issuer_without_a_key_denies_and_is_no_error() {
    let signer = Signer::eddsa("1");
    let mut other = signer.jwk();
    other["alg"] = json!("ES512");
    for keys in [json!([]), json!([other]), json!([null])] {
        let issuer = Issuer::start(json!({ "keys": keys })).await;
        let authorizer = asking(&issuer.url);
        assert_eq!(answer(&authorizer, &token(&issuer, &signer)).await, "Deny", "{keys}");
    }
}

/// RFC 7517, section 5: what is not understood is ignored, entry by entry.
#[tokio::test]
async fn an_entry_that_cannot_be_read_spoils_no_other() {
    let signer = Signer::eddsa("1");
    let with = |name: &str, value: Value| {
        let mut key = signer.jwk();
        key[name] = value;
        key
    };
    for bad in [
        json!(null),
        json!("key"),
        json!([]),
        json!({}),
        json!({"kty": 1}),
        with("kid", json!(1)),
        with("use", json!(["sig"])),
        with("key_ops", json!("verify")),
        with("x", json!(7)),
        with("alg", json!({})),
    ] {
        let issuer = Issuer::start(json!({"keys": [bad, signer.jwk()]})).await;
        assert_eq!(answer(&asking(&issuer.url), &token(&issuer, &signer)).await, "Allow", "{bad}");

        let keys = json!({"keys": [bad, signer.jwk()]}).to_string();
        let fixed = Config::read(|name| match name {
            "ISSUER" => Some("me".to_owned()),
            "AUDIENCE" => Some("you".to_owned()),
            "JWKS" => Some(keys.clone()),
            _ => None,
        });
        assert!(fixed.is_ok(), "{bad}");
    }
    // What is not used may be anything.
    for (name, value) in [("x5c", json!("MIIC")), ("x5t", json!(1)), ("custom", json!({"a": []}))] {
        let issuer = Issuer::start(json!({"keys": [with(name, value)]})).await;
        assert_eq!(answer(&asking(&issuer.url), &token(&issuer, &signer)).await, "Allow", "{name}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_not_asked_by_each_client() {
    let signer = Signer::eddsa("1");
    let issuer = Issuer::start(jwks([&signer])).await;
    let authorizer = asking(&issuer.url);
    issuer.set(Answer::Status(503)).await;
    for _ in 0..50 {
        let error = answer(&authorizer, &token(&issuer, &signer)).await;
        assert!(error.ends_with("the answer was 503"), "{error}");
    }
    // One, or as many as the pauses allow on a machine that takes up to 15 seconds for it.
    assert!((1..=5).contains(&issuer.requests()), "{}", issuer.requests());
}

/// An issuer that has its keys at this address.
async fn naming(jwks_uri: &str) -> (Issuer, Authorizer) {
    let issuer = Issuer::start(json!({})).await;
    issuer.set(Answer::Text(json!({"issuer": issuer.url, "jwks_uri": jwks_uri}).to_string())).await;
    let authorizer = asking(&issuer.url);
    (issuer, authorizer)
}

#[tokio::test]
async fn keys_are_not_read_from_addresses_that_lead_inside() {
    for address in [
        "http://example.com/keys",
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/keys",
        "https://[fe80::1]/keys",
        "https://[fd00:ec2::254]/keys",
        "https://[::ffff:169.254.169.254]/keys",
        "https://0.0.0.0/keys",
        "https://user@example.com/keys",
        "file:///keys",
    ] {
        let (issuer, authorizer) = naming(address).await;
        let error = answer(&authorizer, &token(&issuer, &Signer::eddsa("1"))).await;
        assert!(error.contains("names a jwks_uri that is not safe"), "{address}: {error}");
    }
}
