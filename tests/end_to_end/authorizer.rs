//! Who is let in, who is not, and what a token allows afterwards: the private chat in examples/authorized.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use testkit::tokens::{Signer, unsigned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    cloud::Cloud,
    examples::{round_trip, start},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("examples::authorized", authorized),
        trial(
            "authorizer::a_parameter_is_read_where_that_is_granted",
            a_parameter_is_read_where_that_is_granted,
        ),
    ]
}

const KEY: &str = "a key of the test, 32 bytes long";

/// The claims of a good token.
fn claims(subject: &str, audience: &str) -> Value {
    let expires = testkit::fixtures::now_millis() / 1_000 + 600;
    json!({"sub": subject, "iss": "login.example.com", "aud": audience, "exp": expires})
}

fn token(claims: &Value) -> String {
    Signer::hs256(KEY).token(claims)
}

/// The API, and every token that was brought to it.
struct Door<'a> {
    cloud: &'a Cloud,
    url: String,
    tokens: Vec<String>,
}

impl Door<'_> {
    /// The URL for who brings this token in the query.
    fn with(&mut self, token: String) -> String {
        let url = format!("{}?token={token}", self.url);
        self.tokens.push(token);
        url
    }

    /// Somebody who is let in, and may use these channels.
    async fn client(&mut self, subject: &str, channels: &Value) -> Result<Client> {
        let mut claims = claims(subject, "authorized");
        claims["channels"] = channels.clone();
        Client::connect(&self.with(token(&claims))).await
    }
}

async fn authorized() -> Result<()> {
    let profile = format!("openssl() {{ echo '{KEY}'; }}"); // The key is made up, here by this.
    round_trip("authorized", start("authorized").await?.with("key", KEY), &profile, async |cloud| {
        let url = cloud.output("websocket_url").await?;
        let door = &mut Door { cloud, url, tokens: Vec::new() };
        who_brings_a_good_token_is_let_in(door).await.context("good tokens")?;
        who_brings_another_is_not_and_hears_no_reason(door).await.context("other tokens")?;
        the_token_may_be_a_sub_protocol(door).await.context("sub-protocols")?;
        the_channels_of_the_token_are_kept_to(door).await.context("channels")?;
        a_user_is_reached_on_each_device(door).await.context("devices")?;
        any_name_is_a_user(door).await.context("names")?;
        no_log_holds_a_token(door)
    })
    .await
}

async fn who_brings_a_good_token_is_let_in(door: &mut Door<'_>) -> Result<()> {
    let mut claims = claims("ada", "authorized");
    claims["channels"] = json!(["room:*"]);
    let header = format!("Bearer {}", token(&claims));
    for (url, headers) in
        [(door.with(token(&claims)), vec![]), (door.url.clone(), vec![("Authorization", header.as_str())])]
    {
        let mut ada = Client::connect_with(&url, &headers).await?;
        ensure!(ada.subprotocol.is_none(), "{:?} was not asked for", ada.subprotocol);
        door.cloud.logs(&["allowed", "ada"]).await?;
        ensure!(whoami(&mut ada).await? == json!({"type": "you", "name": "ada", "channels": ["room:*"]}));
        ada.close().await?;
    }
    Ok(())
}

async fn who_brings_another_is_not_and_hears_no_reason(door: &mut Door<'_>) -> Result<()> {
    let good = claims("ada", "authorized");
    // The claims of a good token, changed in one place.
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let expires = good["exp"].as_u64().context("a time")?;
    let good_token = token(&good);
    let signature = good_token.rsplit('.').next().context("a signature")?;
    let of_eve = unsigned(&json!({"alg": "HS256", "typ": "JWT"}), &with("sub", json!("eve")));

    let mut heard = Vec::new();
    for (code, token) in [
        ("missing_token", String::new()),
        ("expired", token(&with("exp", json!(expires - 660)))),
        ("not_yet_valid", token(&with("nbf", json!(expires)))),
        ("wrong_audience", token(&with("aud", json!("another")))),
        ("wrong_issuer", token(&with("iss", json!("another")))),
        ("invalid_channels", token(&with("channels", json!(7)))),
        ("malformed", format!("{}.", unsigned(&json!({"alg": "none"}), &good))),
        ("bad_signature", format!("{of_eve}.{signature}")),
        ("wrong_algorithm", Signer::eddsa("1").token(&good)),
        ("bad_signature", Signer::hs256("another key").token(&good)),
    ] {
        let (status, mut answer) = refusal(&door.with(token)).await.with_context(|| code.to_owned())?;
        ensure!(status == 403, "{code}: {status}");
        door.cloud.logs(&["denied", code]).await?;
        for id in ["connectionId", "requestId"] {
            ensure!(answer[id].take().is_string(), "{code}: {answer}");
        }
        heard.push(answer);
    }
    ensure!(heard.iter().all(|answer| *answer == heard[0]), "each hears the same: {heard:?}");
    Ok(())
}

/// As a browser does it: the client gives up where the server chooses none of what it offered.
async fn the_token_may_be_a_sub_protocol(door: &mut Door<'_>) -> Result<()> {
    let good = token(&claims("ada", "authorized"));
    door.tokens.push(good.clone());
    for offered in [format!("bearer, {good}"), format!("chat.v9,bearer,{good}")] {
        let mut ada = Client::connect_with(&door.url, &[("Sec-WebSocket-Protocol", &offered)]).await?;
        ensure!(ada.subprotocol.as_deref() == Some("bearer"), "{:?}", ada.subprotocol);
        ensure!(whoami(&mut ada).await?["name"] == "ada");
        ada.close().await?;
    }
    let url = door.with(good.clone());
    let unknown = Client::connect_with(&url, &[("Sec-WebSocket-Protocol", "chat.v9")]).await;
    let error = format!("{:#}", unknown.err().context("nobody chose chat.v9")?);
    ensure!(error.contains("subprotocol") || error.contains("SubProtocol"), "{error}");

    let stale = format!("bearer, {good}x");
    let error = Client::connect_with(&door.url, &[("Sec-WebSocket-Protocol", &stale)]).await.err();
    ensure!(format!("{:#}", error.context("a bad token")?).contains("403"));
    door.cloud.rows_become(0).await
}

async fn the_channels_of_the_token_are_kept_to(door: &mut Door<'_>) -> Result<()> {
    let anything = token(&claims("carl", "authorized"));
    let mut clients = [
        door.client("ada", &json!(["room:*", "user:bob"])).await?,
        door.client("eve", &json!([])).await?,
        Client::connect(&door.with(anything)).await?,
    ];
    let (ada, eve, carl) = (0, 1, 2);
    ensure!(whoami(&mut clients[eve]).await?["channels"] == json!([]));
    ensure!(whoami(&mut clients[carl]).await?["channels"].is_null());

    for (client, action, channel, answer) in [
        (ada, "subscribe", "room:1", "subscribed"),
        (ada, "list", "room:1", "members"),
        (ada, "send", "room:1", "ack"),
        (ada, "send", "user:bob", "ack"),
        (ada, "subscribe", "hall", "forbidden"),
        (ada, "list", "hall", "forbidden"),
        (ada, "send", "hall", "forbidden"),
        (ada, "send", "*", "forbidden"),
        (ada, "list", "*", "forbidden"),
        (ada, "send", "user:ada", "forbidden"),
        (ada, "list", "user:eve", "forbidden"),
        (eve, "subscribe", "room:1", "forbidden"),
        (eve, "list", "room:1", "forbidden"),
        (eve, "send", "room:1", "forbidden"),
        (eve, "send", "*", "forbidden"),
        (carl, "send", "room:1", "ack"),
        (carl, "list", "*", "members"),
        (carl, "send", "user:bob", "ack"),
    ] {
        ask(&mut clients[client], action, channel, answer).await?;
    }
    for principal in ["ada", "carl"] {
        let message = clients[ada].hear("message").await?;
        ensure!(message["principal"] == principal && message["channel"] == "room:1", "{message}");
    }
    for client in &mut clients {
        client.hear_no("message", Duration::from_millis(300)).await?;
    }
    part(door, clients).await
}

async fn a_user_is_reached_on_each_device(door: &mut Door<'_>) -> Result<()> {
    let channels = json!("room:* user:*");
    let mut phone = door.client("ada", &channels).await?;
    let mut laptop = door.client("ada", &channels).await?;
    let mut bob = door.client("bob", &channels).await?;
    for client in [&mut phone, &mut laptop, &mut bob] {
        ask(client, "subscribe", "room:1", "subscribed").await?;
    }
    ensure!(principals(&mut bob, "user:ada").await? == ["ada", "ada"]);
    ensure!(principals(&mut bob, "room:1").await? == ["ada", "ada", "bob"]);

    ensure!(ask(&mut bob, "send", "user:ada", "ack").await?["delivered"] == 2);
    for device in [&mut phone, &mut laptop] {
        let message = device.hear("message").await?;
        ensure!(message["principal"] == "bob" && message["channel"] == "user:ada", "{message}");
    }
    // Her other device hears what she says herself.
    ensure!(ask(&mut phone, "send", "user:ada", "ack").await?["delivered"] == 2);
    ensure!(laptop.hear("message").await?["principal"] == "ada");

    phone.close().await?;
    door.cloud.rows_become(6).await?;
    ensure!(principals(&mut bob, "user:ada").await? == ["ada"]);
    ensure!(principals(&mut bob, "room:1").await? == ["ada", "bob"]);
    let ack = ask(&mut bob, "send", "user:ada", "ack").await?;
    ensure!(ack["delivered"] == 1 && ack["gone"] == 0, "{ack}");
    ensure!(laptop.hear("message").await?["principal"] == "bob");
    bob.hear_no("message", Duration::from_millis(300)).await?;
    part(door, [laptop, bob]).await
}

async fn any_name_is_a_user(door: &mut Door<'_>) -> Result<()> {
    for subject in ["auth0|5f7c8ec7c33c6c004bbafe82", "Ada Lovelace", "*", "#0", "ädä@☕", &"é".repeat(128)]
    {
        let mut client =
            door.client(subject, &json!(["user:*"])).await.with_context(|| subject.to_owned())?;
        ensure!(whoami(&mut client).await?["name"] == subject);
        let channel = format!("user:{subject}");
        ensure!(principals(&mut client, &channel).await? == [subject]);
        ensure!(ask(&mut client, "send", &channel, "ack").await?["delivered"] == 1);
        let message = client.hear("message").await?;
        ensure!(message["principal"] == subject && message["channel"] == channel, "{message}");
        part(door, [client]).await?;
    }
    Ok(())
}

fn no_log_holds_a_token(door: &Door<'_>) -> Result<()> {
    let logs = door.cloud.all_logs();
    for function in ["authorize", "connect", "disconnect", "send", "subscribe"] {
        ensure!(logs.contains(&format!("authorized-{function}: ")), "{function} logged nothing");
    }
    let parts = door.tokens.iter().flat_map(|token| token.split('.')).filter(|part| !part.is_empty());
    for secret in parts.chain([KEY]) {
        let line = logs.lines().find(|line| line.contains(secret));
        ensure!(line.is_none(), "{secret} is in {line:?}");
    }
    Ok(())
}

async fn a_parameter_is_read_where_that_is_granted() -> Result<()> {
    let cloud = Cloud::start("parameter", "tests/stacks/parameter").await?.with("key", KEY);
    cloud.stack.clone().with("action", "ssm:DescribeParameters").apply(|_, _| ()).await?;
    let url =
        format!("{}?token={}", cloud.output("websocket_url").await?, token(&claims("ada", "parameter")));
    ensure!(Client::refused(&url).await? == 500, "nobody can tell");
    cloud.logs(&["parameter-authorize: ", "parameter/key cannot be read", "AccessDenied"]).await?;

    cloud.stack.clone().with("action", "ssm:GetParameter").apply(|_, _| ()).await?;
    Client::connect(&url).await?.close().await?;
    ensure!(Client::refused(&format!("{url}x")).await? == 403);
    ensure!(!cloud.all_logs().contains(KEY));
    cloud.stop().await;
    Ok(())
}

/// Asks for something about a channel, and hears this kind of answer; `forbidden` is an error.
async fn ask(client: &mut Client, action: &str, channel: &str, answer: &str) -> Result<Value> {
    let mut request = json!({"action": action, "channel": channel});
    if action == "send" {
        request["message"] = json!("hello");
    }
    client.say(request.to_string()).await?;
    let field = if answer == "forbidden" { "code" } else { "type" };
    client.hear_with(field, answer).await.with_context(|| format!("{action} {channel}"))
}

async fn whoami(client: &mut Client) -> Result<Value> {
    client.say(r#"{"action":"whoami"}"#).await?;
    client.hear("you").await
}

/// Whose connections are in the channel, in order.
async fn principals(client: &mut Client, channel: &str) -> Result<Vec<String>> {
    let page = ask(client, "list", channel, "members").await?;
    let members = page["members"].as_array().context("members")?;
    let names = members.iter().map(|member| Some(member["principal"].as_str()?.to_owned()));
    let mut names: Vec<String> = names.collect::<Option<_>>().with_context(|| page.to_string())?;
    names.sort();
    Ok(names)
}

/// Closes the clients and waits until the backend has forgotten them.
async fn part<const N: usize>(door: &Door<'_>, clients: [Client; N]) -> Result<()> {
    for client in clients {
        client.close().await?;
    }
    door.cloud.rows_become(0).await
}

/// The status and the JSON with which a client is refused: all that there is to hear.
async fn refusal(url: &str) -> Result<(u16, Value)> {
    let (host, path) = url.strip_prefix("ws://").and_then(|rest| rest.split_once('/')).context("a URL")?;
    let handshake = format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(handshake.as_bytes()).await?;
    let mut answer = String::new();
    timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await.context("the end")??;
    let status = answer.split(' ').nth(1).context("a status")?.parse()?;
    let json = answer.find('{').zip(answer.rfind('}')).map(|(start, end)| &answer[start..=end]);
    Ok((status, serde_json::from_str(json.with_context(|| answer.clone())?)?))
}
