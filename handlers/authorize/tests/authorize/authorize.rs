//! The authorizer, asked as API Gateway asks: good tokens, and every other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{SystemTime, UNIX_EPOCH};

use authorize::{Authorizer, authorize, config::Config};
use axum::http::{HeaderMap, StatusCode};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::{
    fixtures, hostile,
    issuer::Issuer,
    sdk_config,
    tokens::{Signer, jwks, unsigned},
};
use tokio::net::TcpListener;

const ISSUER: &str = "https://issuer.example.com/";
const SECRET_ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf";
const PARAMETER_ARN: &str = "arn:aws:ssm:eu-central-1:123456789012:parameter/key";
const SECRET: &str = "a secret of the test, 32 bytes long";
const METHOD_ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/dev/$connect";

fn config(name: &'static str, value: &str) -> Config {
    let issuer = if name == "ISSUER" { value } else { ISSUER };
    let variable = |asked| match asked {
        "ISSUER" => Some(issuer.to_owned()),
        "AUDIENCE" => Some("web,mobile".to_owned()),
        asked => (asked == name).then(|| value.to_owned()),
    };
    Config::read(variable).unwrap()
}

/// An authorizer that knows the public keys of these signers.
fn knowing(signers: &[&Signer]) -> Authorizer {
    with_keys(&jwks(signers.iter().copied())["keys"])
}

/// An authorizer with these keys.
fn with_keys(keys: &Value) -> Authorizer {
    Authorizer::new(config("JWKS", &json!({ "keys": keys }).to_string()), &sdk_config("http://127.0.0.1:9"))
}

/// An authorizer whose secret is handed out by an AWS that answers this to the one question that it should be asked.
async fn asking(arn: &'static str, status: u16, answer: Value) -> Authorizer {
    let question = match arn {
        PARAMETER_ARN => ("AmazonSSM.GetParameter", json!({"Name": arn, "WithDecryption": true})),
        _ => ("secretsmanager.GetSecretValue", json!({"SecretId": arn})),
    };
    let status = StatusCode::from_u16(status).unwrap();
    let respond = async move |headers: HeaderMap, body: String| {
        let asked = (headers["x-amz-target"].to_str().unwrap(), serde_json::from_str(&body).unwrap());
        if asked == question {
            (status, answer.to_string())
        } else {
            (StatusCode::BAD_REQUEST, format!("{asked:?}"))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(respond);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Authorizer::new(config("SECRET_ARN", arn), &sdk_config(&url))
}

/// What either service answers that has the secret.
fn handed_out(arn: &str, secret: &str) -> Value {
    match arn {
        PARAMETER_ARN => {
            json!({"Parameter": {"ARN": arn, "Name": "/key", "Type": "SecureString", "Value": secret, "Version": 1}})
        }
        _ => json!({"ARN": arn, "SecretString": secret}),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The claims of a good token, changed in one place: a claim that is null is left out.
fn claims(name: &str, value: Value) -> Value {
    let mut claims = json!({"sub": "ada", "iss": ISSUER, "aud": "web", "exp": now() + 600});
    claims[name] = value;
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn good() -> Value {
    claims("sub", json!("ada"))
}

fn request(token: Option<&str>) -> authorize::request::Request {
    let mut event = fixtures::authorize_json();
    if let Some(token) = token {
        event["queryStringParameters"]["token"] = json!(token);
    }
    serde_json::from_value(event).unwrap()
}

async fn ask(authorizer: &Authorizer, token: &str) -> Value {
    serde_json::to_value(authorize(authorizer, request(Some(token))).await.unwrap()).unwrap()
}

/// The principal that is let in; none: denied, in the one way that there is.
async fn let_in(authorizer: &Authorizer, token: &str) -> Option<String> {
    let answer = ask(authorizer, token).await;
    let statement = &answer["policyDocument"]["Statement"];
    assert_eq!(statement.as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(
        (&statement[0]["Action"], &statement[0]["Resource"]),
        (&json!("execute-api:Invoke"), &json!(METHOD_ARN)),
        "{answer}"
    );
    match statement[0]["Effect"].as_str().unwrap() {
        "Allow" => Some(answer["principalId"].as_str().unwrap().to_owned()),
        "Deny" => {
            assert_eq!(
                (&answer["principalId"], &answer["context"]),
                (&json!("nobody"), &json!({})),
                "{answer}"
            );
            None
        }
        effect => panic!("{effect}"),
    }
}

#[tokio::test]
async fn a_token_of_each_algorithm_lets_in() {
    let signers = [Signer::rs256("rsa"), Signer::es256("ec"), Signer::eddsa("ed")];
    let authorizer = knowing(&signers.each_ref());
    for signer in &signers {
        let token = signer.token(&good());
        assert_eq!(let_in(&authorizer, &token).await, Some("ada".to_owned()), "{}", signer.algorithm());
    }
}

#[tokio::test]
async fn a_token_signed_with_the_secret_lets_in() {
    for arn in [SECRET_ARN, PARAMETER_ARN] {
        let authorizer = asking(arn, 200, handed_out(arn, SECRET)).await;
        let token = Signer::hs256(SECRET).token(&good());
        assert_eq!(let_in(&authorizer, &token).await, Some("ada".to_owned()), "{arn}");
        let token = Signer::hs256("another secret, that is as long as it").token(&good());
        assert_eq!(let_in(&authorizer, &token).await, None, "{arn}");
    }
}

#[tokio::test]
async fn a_token_of_an_issuer_that_is_asked_for_its_keys_lets_in() {
    let signer = Signer::rs256("1");
    let issuer = Issuer::start(jwks([&signer])).await;
    let authorizer = Authorizer::new(config("ISSUER", &issuer.url), &sdk_config("http://127.0.0.1:9"));
    authorizer.warm().await;
    let mut claims = good();
    assert_eq!(let_in(&authorizer, &signer.token(&claims)).await, None, "of another issuer");
    claims["iss"] = json!(issuer.url);
    assert_eq!(let_in(&authorizer, &signer.token(&claims)).await, Some("ada".to_owned()));
}

#[tokio::test]
async fn what_the_claims_say_decides() {
    let signer = Signer::eddsa("1");
    let authorizer = knowing(&[&signer]);
    for (name, value, good) in [
        ("exp", json!(now() + 1), true),
        ("exp", json!(now() - 20), true),
        ("exp", json!(now() - 40), false),
        ("exp", json!(0), false),
        ("exp", json!(-1), false),
        ("exp", json!("4102444800"), false),
        ("exp", Value::Null, false),
        ("exp", json!(1e30), false),
        ("exp", json!(now() as f64 + 600.5), true),
        ("nbf", json!(now() - 1), true),
        ("nbf", json!(now() + 20), true),
        ("nbf", json!(now() + 40), false),
        ("nbf", json!("0"), false),
        ("iat", json!(now() + 600), true),
        ("iss", json!("https://issuer.example.com"), false),
        ("iss", json!("https://ISSUER.example.com/"), false),
        ("iss", json!(7), false),
        ("iss", Value::Null, false),
        ("aud", json!("mobile"), true),
        ("aud", json!(["other", "mobile"]), true),
        ("aud", json!("other"), false),
        ("aud", json!("web,mobile"), false),
        ("aud", json!([]), false),
        ("aud", json!([7]), false),
        ("aud", Value::Null, false),
        ("sub", json!(""), false),
        ("sub", json!(7), false),
        ("sub", json!("a\nb"), false),
        ("sub", json!("a".repeat(129)), false),
        ("sub", Value::Null, false),
        ("channels", json!(["a"]), true),
        ("channels", json!([1]), false),
        ("channels", json!({}), false),
        ("channels", json!("x".repeat(9_000)), false),
    ] {
        let token = signer.token(&claims(name, value.clone()));
        assert_eq!(let_in(&authorizer, &token).await.is_some(), good, "{name}: {value}");
    }
}

#[tokio::test]
async fn the_channels_of_a_token_are_handed_on() {
    let signer = Signer::eddsa("1");
    let authorizer = knowing(&[&signer]);
    for (claim, context) in [
        (Value::Null, json!({})),
        (json!(["room:*", "news"]), json!({"channels": "room:* news"})),
        (json!("room:* news"), json!({"channels": "room:* news"})),
        (json!([]), json!({"channels": " "})),
    ] {
        let answer = ask(&authorizer, &signer.token(&claims("channels", claim))).await;
        assert_eq!(answer["context"], context);
    }
}

#[tokio::test]
async fn a_key_is_good_for_its_own_algorithm_alone() {
    let rsa = Signer::rs256("1");
    let authorizer = knowing(&[&rsa]);
    let header = |algorithm: &str| json!({"alg": algorithm, "typ": "JWT", "kid": "1"});

    for algorithm in ["none", "None", "NONE", ""] {
        let unsigned = unsigned(&header(algorithm), &good());
        for token in [format!("{unsigned}."), unsigned.clone(), format!("{unsigned}.AAAA")] {
            assert_eq!(let_in(&authorizer, &token).await, None, "{token}");
        }
    }
    // The public key is public: whoever takes it for a secret can sign with it.
    let jwk = rsa.jwk();
    let (text, modulus) = (jwk.to_string(), jwk["n"].as_str().unwrap());
    for secret in [text.as_str(), modulus] {
        let token = Signer::hs256(secret).token_with(&header("HS256"), &good());
        assert_eq!(let_in(&authorizer, &token).await, None);
        let token = Signer::hs256(secret).token_with(&header("RS256"), &good());
        assert_eq!(let_in(&authorizer, &token).await, None);
    }
    for algorithm in ["RS384", "RS512", "PS256", "ES256", "EdDSA"] {
        let token = rsa.token_with(&header(algorithm), &good());
        assert_eq!(let_in(&authorizer, &token).await, None, "{algorithm}");
    }
}

#[tokio::test]
async fn a_secret_is_no_public_key() {
    let authorizer = asking(SECRET_ARN, 200, handed_out(SECRET_ARN, SECRET)).await;
    for signer in [Signer::rs256("1"), Signer::es256("1"), Signer::eddsa("1")] {
        assert_eq!(let_in(&authorizer, &signer.token(&good())).await, None, "{}", signer.algorithm());
    }
    for algorithm in ["HS384", "HS512"] {
        let token = Signer::hs256(SECRET).token_with(&json!({"alg": algorithm}), &good());
        assert_eq!(let_in(&authorizer, &token).await, None, "{algorithm}");
    }
}

#[tokio::test]
async fn keys_that_come_with_the_token_are_not_trusted() {
    let (ours, theirs) = (Signer::eddsa("1"), Signer::eddsa("1"));
    let authorizer = knowing(&[&ours]);
    for (name, value) in [
        ("jwk", theirs.jwk()),
        ("jku", json!("https://theirs.example.com/keys")),
        ("x5u", json!("https://theirs.example.com/certificate")),
        ("kid", json!("2")),
        ("kid", json!("../../../dev/null")),
    ] {
        let mut header = json!({"alg": "EdDSA", "kid": "1"});
        header[name] = value;
        assert_eq!(let_in(&authorizer, &theirs.token_with(&header, &good())).await, None, "{header}");
    }
    let header = json!({"alg": "EdDSA", "kid": "1", "crit": ["b64"], "b64": false});
    assert_eq!(let_in(&authorizer, &ours.token_with(&header, &good())).await, None, "not understood");
}

#[tokio::test]
async fn what_is_no_token_is_denied() {
    let signer = Signer::eddsa("1");
    let authorizer = knowing(&[&signer]);
    let token = signer.token(&good());
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    for text in [
        ".",
        "..",
        "...",
        "a.b.c",
        "e30.e30.e30",
        "é.é.é",
        "\0",
        header,
        &format!("{header}.{claims}"),
        &format!("{header}.{claims}."),
        &format!("{header}..{signature}"),
        &format!(".{claims}.{signature}"),
        &format!("{token}."),
        &format!("{token}.{signature}"),
        &format!("{token}="),
        &format!(" {token}"),
        &format!("{token}\n"),
        &format!("{claims}.{header}.{signature}"),
    ] {
        assert_eq!(let_in(&authorizer, text).await, None, "{text:?}");
    }
    let answer = serde_json::to_value(authorize(&authorizer, request(None)).await.unwrap()).unwrap();
    assert_eq!(answer["policyDocument"]["Statement"][0]["Effect"], "Deny", "without any");
}

/// RFC 9864 gives each algorithm a name of its own: `EdDSA` with Ed25519 is `Ed25519`.
#[tokio::test]
async fn ed25519_is_known_by_both_of_its_names() {
    let signer = Signer::eddsa("1");
    for in_key in [json!("EdDSA"), json!("Ed25519"), Value::Null] {
        let mut jwk = signer.jwk();
        jwk["alg"] = in_key.clone();
        let authorizer = with_keys(&json!([jwk]));
        for in_token in ["EdDSA", "Ed25519"] {
            let token = signer.token_with(&json!({"alg": in_token, "kid": "1"}), &good());
            assert!(let_in(&authorizer, &token).await.is_some(), "{in_token}, key {in_key}");
        }
        for other in ["Ed448", "ED25519", "ES256"] {
            let token = signer.token_with(&json!({"alg": other, "kid": "1"}), &good());
            assert_eq!(let_in(&authorizer, &token).await, None, "{other}");
        }
    }
}

#[tokio::test]
async fn of_several_keys_that_fit_each_is_tried() {
    let (ours, theirs) = (Signer::rs256("1"), Signer::eddsa("1"));
    let (other, token) = (Signer::eddsa("1"), theirs.token(&good()));
    let without = |signer: &Signer, name: &str| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().remove(name);
        jwk
    };
    let with_algorithm = |signer: &Signer| {
        let mut jwk = signer.jwk();
        jwk["alg"] = json!("EdDSA");
        jwk
    };
    for keys in [
        json!([theirs.jwk(), theirs.jwk()]),
        json!([theirs.jwk(), with_algorithm(&theirs)]),
        json!([ours.jwk(), other.jwk(), theirs.jwk()]),
        json!([without(&other, "kid"), without(&theirs, "kid")]),
    ] {
        let authorizer = with_keys(&keys);
        assert!(let_in(&authorizer, &token).await.is_some(), "{keys}");
        let forged = Signer::eddsa("1").token(&good());
        assert_eq!(let_in(&authorizer, &forged).await, None, "{keys}");
    }
    let token = theirs.token_with(&json!({"alg": "EdDSA"}), &good());
    assert!(let_in(&with_keys(&json!([other.jwk(), theirs.jwk()])), &token).await.is_some(), "without a kid");
}

#[tokio::test]
async fn a_modulus_may_begin_with_a_zero() {
    let signer = Signer::rs256("1");
    for (name, zeros) in [("n", 1), ("n", 3), ("e", 1)] {
        let mut jwk = signer.jwk();
        let mut octets = vec![0; zeros];
        octets.extend(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
        jwk[name] = json!(URL_SAFE_NO_PAD.encode(octets));
        let authorizer = with_keys(&json!([jwk]));
        assert!(let_in(&authorizer, &signer.token(&good())).await.is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_key_that_may_not_verify_does_not() {
    let signer = Signer::eddsa("1");
    let token = signer.token(&good());
    for (name, value, good) in [
        ("use", json!("sig"), true),
        ("use", Value::Null, true),
        ("use", json!("enc"), false),
        ("use", json!("tls"), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["sign", "verify"]), true),
        ("key_ops", json!(["sign"]), false),
        ("key_ops", json!(["encrypt", "wrapKey"]), false),
        ("key_ops", json!([]), false),
        ("alg", json!("RS256"), false),
    ] {
        let mut jwk = signer.jwk();
        jwk[name] = value.clone();
        let keys = json!([jwk, Signer::es256("2").jwk()]);
        let principal = let_in(&with_keys(&keys), &token).await;
        assert_eq!(principal.is_some(), good, "{name}: {value}");
    }
}

#[tokio::test]
async fn what_a_header_asks_for_and_is_not_known_is_refused() {
    let (signer, claims) = (Signer::eddsa("1"), good());
    let authorizer = knowing(&[&signer]);
    for (name, value, good) in [
        ("typ", json!("JWT"), true),
        ("typ", json!("jwt"), true),
        ("typ", json!("at+jwt"), true),
        ("typ", json!("application/at+JWT"), true),
        ("typ", Value::Null, true),
        ("typ", json!("logout+jwt"), false),
        ("typ", json!("secevent+jwt"), false),
        ("typ", json!("JOSE+JSON"), false),
        ("typ", json!(""), false),
        ("typ", json!(["JWT"]), false),
        ("crit", Value::Null, false),
        ("crit", json!([]), false),
        ("crit", json!(["exp"]), false),
        ("crit", json!("exp"), false),
        ("b64", json!(true), true),
        ("b64", json!(false), false),
        ("b64", Value::Null, false),
        ("kid", json!(1), false),
    ] {
        let mut header = json!({"alg": "EdDSA", "kid": "1"});
        header[name] = value;
        let principal = let_in(&authorizer, &signer.token_with(&header, &claims)).await;
        assert_eq!(principal.is_some(), good, "{header}");
    }
    let twice = r#"{"alg":"EdDSA","kid":"2","kid":"1"}"#;
    assert_eq!(let_in(&authorizer, &signer.token_of(twice, &claims.to_string())).await, None, "{twice}");
}

/// As API Gateway's own authorizer of HTTP APIs does it: the other claim counts only where there is no `aud`.
#[tokio::test]
async fn without_an_audience_the_client_counts_where_that_is_asked_for() {
    let signer = Signer::eddsa("1");
    let keys = jwks([&signer]).to_string();
    let authorizer = |claim: Option<&str>| {
        let variable = |name| match name {
            "ISSUER" => Some(ISSUER.to_owned()),
            "AUDIENCE" => Some("web,mobile".to_owned()),
            "JWKS" => Some(keys.clone()),
            "CLIENT_CLAIM" => claim.map(str::to_owned),
            _ => None,
        };
        Authorizer::new(Config::read(variable).unwrap(), &sdk_config("http://127.0.0.1:9"))
    };
    for (claim, audience, client, good) in [
        (None, None, json!("web"), false),
        (Some("client_id"), None, json!("web"), true),
        (Some("client_id"), None, json!("mobile"), true),
        (Some("client_id"), None, json!("other"), false),
        (Some("client_id"), None, json!(["web"]), false),
        (Some("client_id"), None, json!(7), false),
        (Some("client_id"), None, Value::Null, false),
        (Some("azp"), None, json!("web"), false),
        (Some("client_id"), Some(json!("web")), json!("other"), true),
        (Some("client_id"), Some(json!("other")), json!("web"), false),
        (Some("client_id"), Some(json!([])), json!("web"), false),
        (Some("client_id"), Some(json!(null)), json!("web"), false),
        (Some("client_id"), Some(json!(7)), json!("web"), false),
    ] {
        let mut claims = claims("aud", Value::Null);
        claims["client_id"] = client;
        if let Some(audience) = audience {
            claims["aud"] = audience;
        }
        let principal = let_in(&authorizer(claim), &signer.token(&claims)).await;
        assert_eq!(principal.is_some(), good, "{claim:?}: {claims}");
    }
}

/// What is handed on is read by `connect`, and by every function after it.
#[tokio::test]
async fn channels_that_no_function_could_read_are_denied() {
    let signer = Signer::eddsa("1");
    let authorizer = knowing(&[&signer]);
    for (claim, context) in [
        (json!("[\"room:*\", \"news\"]"), Some("room:* news")),
        (json!(" [] "), Some(" ")),
        (json!("[1]"), None),
        (json!("[\"a\""), None),
        (json!("[a b]"), None),
        (json!("{\"a\": 1}"), None),
        (json!(["a*b"]), None),
        (json!(["**"]), None),
        (json!("room,news"), None),
        (json!(["räume"]), None),
        (json!(["user:ada", "user:*", "*"]), Some("user:ada user:* *")),
        (json!("x".repeat(200)), None),
    ] {
        let token = signer.token(&claims("channels", claim.clone()));
        let found = ask(&authorizer, &token).await["context"]["channels"].as_str().map(str::to_owned);
        assert_eq!(found.as_deref(), context, "{claim}");
        let_in(&authorizer, &token).await;
    }
}

#[tokio::test]
async fn a_token_may_be_in_a_second_header_line_and_bearer_in_any_case() {
    let signer = Signer::eddsa("1");
    let (authorizer, token) = (knowing(&[&signer]), signer.token(&good()));
    for (name, last, lines) in [
        ("Sec-WebSocket-Protocol", json!("chat.v1"), json!([format!("bearer, {token}"), "chat.v1"])),
        ("Sec-WebSocket-Protocol", json!(token), json!(["bearer", token])),
        ("sec-websocket-protocol", json!("x"), json!(["chat.v1, Bearer", format!("{token}, chat.v2")])),
        ("Sec-WebSocket-Protocol", json!(format!("BEARER, {token}")), Value::Null),
        ("Authorization", json!("Basic MQ=="), json!([format!("bearer {token}"), "Basic MQ=="])),
    ] {
        let mut event = fixtures::authorize_json();
        for (headers, value) in [("headers", last), ("multiValueHeaders", lines)] {
            let headers = event[headers].as_object_mut().unwrap();
            headers.remove("Sec-WebSocket-Protocol");
            if !value.is_null() {
                headers.insert(name.to_owned(), value);
            }
        }
        let answer = authorize(&authorizer, serde_json::from_value(event.clone()).unwrap()).await.unwrap();
        let answer = serde_json::to_value(answer).unwrap();
        assert_eq!(answer["principalId"], "ada", "{event}");
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_our_fault() {
    let token = Signer::hs256(SECRET).token(&good());
    let parameter = |kind: &str| json!({"Parameter": {"Type": kind, "Value": SECRET}});
    for (arn, status, answer, sentence) in [
        (
            SECRET_ARN,
            400,
            json!({"__type": "ResourceNotFoundException", "message": "no such secret"}),
            "no such secret",
        ),
        (SECRET_ARN, 400, json!({"__type": "AccessDeniedException", "message": "not yours"}), "not yours"),
        (SECRET_ARN, 200, json!({"ARN": SECRET_ARN}), "holds no key: it is no text"),
        (SECRET_ARN, 200, handed_out(SECRET_ARN, "secret"), "a secret for HS256 has 32 bytes or more, not 6"),
        (PARAMETER_ARN, 400, json!({"__type": "ParameterNotFound"}), "ParameterNotFound"),
        (PARAMETER_ARN, 400, json!({"__type": "AccessDeniedException", "Message": "not yours"}), "not yours"),
        (PARAMETER_ARN, 200, parameter("String"), "holds no key: it is no SecureString"),
        (PARAMETER_ARN, 200, parameter("StringList"), "holds no key: it is no SecureString"),
        (PARAMETER_ARN, 200, json!({}), "holds no key: it is no SecureString"),
        (
            PARAMETER_ARN,
            200,
            handed_out(PARAMETER_ARN, "secret"),
            "a secret for HS256 has 32 bytes or more, not 6",
        ),
    ] {
        let authorizer = asking(arn, status, answer.clone()).await;
        authorizer.warm().await;
        let error = authorize(&authorizer, request(Some(&token))).await.unwrap_err();
        let diagnostic = lambda_runtime::Diagnostic::from(error);
        assert_eq!(diagnostic.error_type, "Authorizer.Keys", "{answer}");
        let message = diagnostic.error_message;
        assert!(message.contains(arn) && message.contains(sentence), "{message}");
        assert!(!message.contains(SECRET), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// One byte of a good token changed, taken out or put in: it never lets in, and nothing breaks.
    #[test]
    fn a_token_that_was_changed_never_lets_in(
        which in 0..4_usize, at in any::<prop::sample::Index>(), byte in 0x20..0x7f_u8, edit in 0..3,
    ) {
        let signers = [Signer::rs256("0"), Signer::es256("1"), Signer::eddsa("2")];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (authorizer, token) = match signers.get(which) {
                Some(signer) => (knowing(&signers.each_ref()), signer.token(&good())),
                None => (
                    asking(SECRET_ARN, 200, handed_out(SECRET_ARN, SECRET)).await,
                    Signer::hs256(SECRET).token(&good()),
                ),
            };
            let mut changed = token.clone().into_bytes();
            let at = at.index(changed.len());
            match edit {
                0 => changed[at] = byte,
                1 => changed.insert(at, byte),
                _ => { changed.remove(at); }
            }
            let changed = String::from_utf8(changed).unwrap();
            prop_assume!(changed != token);
            prop_assert_eq!(let_in(&authorizer, &changed).await, None, "{} became {}", token, changed);
            Ok(())
        })?;
    }

    /// Whatever a client sends as a token, as a header of one or as claims, it gets an answer.
    #[test]
    fn any_text_is_answered(text in any::<String>(), header in any::<String>(), name in "[a-z]{3}", claim in any::<String>()) {
        let signer = Signer::eddsa("1");
        let authorizer = knowing(&[&signer]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            prop_assert_eq!(let_in(&authorizer, &text).await, None);
            let other = signer.token_with(&json!({"alg": header, "kid": text}), &good());
            prop_assert_eq!(let_in(&authorizer, &other).await, None);
            let_in(&authorizer, &signer.token(&claims(&name, json!(claim)))).await;
            Ok(())
        })?;
    }

    /// A token whose parts are no JSON, or JSON that nobody expects, never lets in, well signed or not.
    #[test]
    fn any_header_and_any_claims_are_answered(
        header in prop_oneof![
            Just(r#"{"alg":"EdDSA","kid":"1"}"#.to_owned()),
            hostile::object(&["alg", "kid", "typ", "crit", "jwk", "x5c"]),
            hostile::near(r#"{"alg":"EdDSA","kid":"1"}"#),
        ],
        claims in prop_oneof![
            hostile::object(&["sub", "iss", "aud", "exp", "nbf", "channels"]),
            hostile::near(r#"{"sub":"ada","iss":"https://issuer.example.com/","aud":"web","exp":1}"#),
        ],
    ) {
        let signer = Signer::eddsa("1");
        let authorizer = knowing(&[&signer]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let principal = runtime.block_on(let_in(&authorizer, &signer.token_of(&header, &claims)));
        prop_assert_eq!(principal, None);
    }
}
