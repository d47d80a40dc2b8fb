//! What the function logs: whom it let in or not, and never the token or the secret.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{process::Stdio, time::Duration};

use serde_json::{Value, json};
use testkit::{
    fixtures,
    runtime_api::RuntimeApi,
    tokens::{Signer, jwks},
};
use tokio::{io::AsyncReadExt, process::Command};

const PATIENCE: Duration = Duration::from_secs(20);

/// All that the program writes while it answers these tokens.
async fn written(level: &str, format: &str, signer: &Signer, tokens: &[&str]) -> String {
    let mut api = RuntimeApi::start().await;
    let mut function = Command::new(env!("CARGO_BIN_EXE_authorize"))
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", api.address.as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "authorize"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_LOG_LEVEL", level),
            ("AWS_LAMBDA_LOG_FORMAT", format),
            ("AWS_REGION", "eu-central-1"),
            ("ISSUER", "me"),
            ("AUDIENCE", "you"),
            ("JWKS", &jwks([signer]).to_string()),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    for token in tokens {
        let mut event = fixtures::authorize_json();
        event["queryStringParameters"]["token"] = json!(token);
        event["headers"]["Sec-WebSocket-Protocol"] = json!(format!("bearer, {token}"));
        api.invoke(&event, PATIENCE).await.unwrap();
    }
    function.kill().await.unwrap();
    let mut written = String::new();
    function.stdout.take().unwrap().read_to_string(&mut written).await.unwrap();
    function.stderr.take().unwrap().read_to_string(&mut written).await.unwrap();
    written
}

#[tokio::test]
async fn no_line_of_any_level_holds_a_token() {
    let signer = Signer::eddsa("1");
    let claims = |expires: u64| json!({"sub": "ada", "iss": "me", "aud": "you", "exp": expires});
    let good = signer.token(&claims(4_102_444_800));
    let stale = signer.token(&claims(1_700_000_000));
    let forged = Signer::eddsa("1").token(&claims(4_102_444_800));
    for (level, format) in [("INFO", "JSON"), ("DEBUG", "Text"), ("TRACE", "JSON"), ("TRACE", "Text")] {
        let written = written(level, format, &signer, &[&good, &stale, &forged]).await;
        for word in ["allowed", "ada", "expired", "bad_signature", fixtures::CONNECTION_ID] {
            assert!(written.contains(word), "no {word} at {level}: {written}");
        }
        for part in [&good, &stale, &forged].into_iter().flat_map(|token| token.split('.')) {
            assert!(!written.contains(part), "{part} at {level}: {written}");
        }
    }
}

#[tokio::test]
async fn in_json_each_line_is_an_object() {
    let written = written("INFO", "JSON", &Signer::eddsa("1"), &["token"]).await;
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["fields"]["code"] == "malformed"), "{written}");
    assert!(lines.iter().all(|line| line["level"] == "INFO"), "{written}");
}

/// What turns the direction of writing around makes a line look like another.
#[tokio::test]
async fn a_principal_shows_what_is_not_seen() {
    let signer = Signer::eddsa("1");
    let sub = "bob\u{202e}\u{2066}nimda\u{2069}\u{200b}";
    let token = signer.token(&json!({"sub": sub, "iss": "me", "aud": "you", "exp": 4_102_444_800_u64}));
    for format in ["JSON", "Text"] {
        let written = written("INFO", format, &signer, &[&token]).await;
        assert!(written.contains(r"u{202e}"), "{format}: {written}");
        assert!(!written.contains(['\u{202e}', '\u{2066}', '\u{2069}', '\u{200b}']), "{format}: {written}");
    }
}

#[tokio::test]
async fn the_claim_that_is_missing_is_named() {
    let signer = Signer::eddsa("1");
    let token =
        signer.token(&json!({"sub": "ada", "iss": "me", "client_id": "you", "exp": 4_102_444_800_u64}));
    let written = written("INFO", "JSON", &signer, &[&token]).await;
    let mut lines = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(
        lines.any(|line| line["fields"]["code"] == "missing_claim" && line["fields"]["claim"] == "aud"),
        "{written}"
    );
}
