//! Each stack in examples/ does what it says.

use std::{collections::HashSet, fs};

use anyhow::{Context, Result, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use local_cloud::{repository, stack::Changes};
use serde_json::json;
use testkit::tokens::{Signer, unsigned};
use tokio::process::Command;

use crate::{cloud::Cloud, deploy::Checkout};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("examples::minimal", minimal),
        trial("examples::custom_routes", custom_routes),
        trial("examples::existing_function", existing_function),
        trial("examples::authorized", authorized),
        trial("examples::custom_domain", custom_domain),
        trial("examples::direct_to_queue", direct_to_queue),
        trial("examples::complete", complete),
        trial("examples::released_packages", released_packages),
    ]
}

async fn start(example: &str) -> Result<Cloud> {
    Cloud::start(&format!("example-{example}"), &format!("examples/{example}")).await
}

/// Applies the stack, uses it, and destroys it. A second plan has nothing to do, and nothing is left.
async fn round_trip(cloud: Cloud, used: impl AsyncFnOnce(&Cloud) -> Result<()>) -> Result<()> {
    cloud.stack.apply(|_, _| ()).await?;
    ensure!(cloud.stack.plan().await? == Changes::default());
    used(&cloud).await?;
    cloud.stack.destroy().await?;
    let left = cloud.inventory().await?;
    ensure!(left.is_empty(), "{left:?}");
    cloud.stop().await;
    Ok(())
}

async fn minimal() -> Result<()> {
    round_trip(start("minimal").await?, async |cloud| everyone_hears(&mut cloud.clients(2).await?).await)
        .await
}

/// The first client says hello, and all of them hear it.
async fn everyone_hears(clients: &mut [Client]) -> Result<()> {
    clients[0].say(r#"{"action":"send","message":"hello"}"#).await?;
    for client in clients {
        ensure!(client.hear("message").await?["message"] == "hello");
    }
    Ok(())
}

async fn custom_routes() -> Result<()> {
    round_trip(start("custom-routes").await?, async |cloud| {
        let mut clients = cloud.clients(2).await?;
        let vote = |option: &str| json!({"type": "vote", "option": option}).to_string();
        for (voter, option, tally) in [
            (0, "tea", json!({"tea": 1})),
            (1, "coffee", json!({"tea": 1, "coffee": 1})),
            (1, "tea", json!({"tea": 2, "coffee": 1})),
        ] {
            clients[voter].say(vote(option)).await?;
            for client in &mut clients {
                let heard = client.hear("tally").await?;
                ensure!(heard["votes"] == tally, "{heard}");
            }
        }
        let client = &mut clients[0];
        client.say(vote("beer")).await?;
        client.hear_with("message", "Bad request body").await?;
        client.say(r#"{"type":"ping"}"#).await?;
        client.hear("pong").await?;
        client.say(r#"{"type":"shout"}"#).await?;
        let error = client.hear("error").await?;
        ensure!(
            error["message"].as_str().is_some_and(|text| text.contains(r#"There is no type "shout"."#)),
            "{error}"
        );
        client.say(vote("water")).await?;
        let heard = client.hear("tally").await?;
        ensure!(
            heard["votes"] == json!({"tea": 2, "coffee": 1, "water": 1}),
            "nobody voted for beer: {heard}"
        );
        Ok(())
    })
    .await
}

async fn existing_function() -> Result<()> {
    round_trip(start("existing-function").await?, async |cloud| {
        let [mut ada, mut bob] = cloud.clients(2).await?.try_into().ok().context("two")?;
        ada.say(r#"{"action":"greet"}"#).await?;
        let id = ada.hear("greeted").await?["to"].take();
        ensure!(ada.hear("greeting").await?["from"] == id);

        bob.say(json!({"action": "greet", "to": id}).to_string()).await?;
        ensure!(bob.hear("greeted").await?["to"] == id);
        ensure!(ada.hear("greeting").await?["from"] != id, "it is Bob who greets");

        bob.say(r#"{"action":"greet","to":"nobody="}"#).await?;
        bob.hear("gone").await?;
        Ok(())
    })
    .await
}

async fn authorized() -> Result<()> {
    let key = "a key of the test, 32 bytes long";
    let signer = Signer::hs256(key);
    let now = testkit::fixtures::now_millis() / 1_000;
    let good = json!({
        "sub": "ada", "iss": "login.example.com", "aud": "authorized", "exp": now + 600, "channels": ["room:*"],
    });
    // The claims of a good token, changed in one place.
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let token = signer.token(&good);
    let signature = token.rsplit('.').next().context("a signature")?;
    let of_eve = unsigned(&json!({"alg": "HS256", "typ": "JWT"}), &with("sub", json!("eve")));

    round_trip(start("authorized").await?.with("key", key), async |cloud| {
        let url = cloud.output("websocket_url").await?;
        let with_token = |token: &str| format!("{url}?token={token}");
        let header = format!("Bearer {token}");
        for (url, headers) in
            [(with_token(&token), vec![]), (url.clone(), vec![("Authorization", header.as_str())])]
        {
            let mut ada = Client::connect_with(&url, &headers).await?;
            cloud.logs(&["allowed", "ada"]).await?;
            ada.say(r#"{"action":"whoami"}"#).await?;
            let you = ada.hear("you").await?;
            ensure!(you == json!({"type": "you", "name": "ada", "channels": ["room:*"]}), "{you}");
        }
        for (code, token) in [
            ("missing_token", String::new()),
            ("expired", signer.token(&with("exp", json!(now - 60)))),
            ("not_yet_valid", signer.token(&with("nbf", json!(now + 600)))),
            ("wrong_audience", signer.token(&with("aud", json!("another")))),
            ("wrong_issuer", signer.token(&with("iss", json!("another")))),
            ("invalid_channels", signer.token(&with("channels", json!(7)))),
            ("malformed", format!("{}.", unsigned(&json!({"alg": "none"}), &good))),
            ("bad_signature", format!("{of_eve}.{signature}")),
            ("wrong_algorithm", Signer::eddsa("1").token(&good)),
            ("bad_signature", Signer::hs256("another key").token(&good)),
        ] {
            let status = Client::refused(&with_token(&token)).await.with_context(|| code.to_owned())?;
            ensure!(status == 403, "{code}: {status}");
            cloud.logs(&["denied", code]).await?;
        }
        Ok(())
    })
    .await
}

async fn custom_domain() -> Result<()> {
    let cloud = start("custom-domain").await?.with("zone", "example.com").with("domain", "ws.example.com");
    let zone = json!({"Name": "example.com", "CallerReference": "example"});
    cloud.aws("route53", "create_hosted_zone", &zone).await?;
    round_trip(cloud, async |cloud| {
        ensure!(cloud.output("websocket_url").await? == "wss://ws.example.com");
        let made = cloud.inventory().await?;
        for name in [
            "acm ws.example.com",
            "apigatewayv2 ws.example.com",
            "route53 ws.example.com. A",
            "route53 ws.example.com. AAAA",
        ] {
            ensure!(made.iter().any(|found| found == name), "no {name}: {made:?}");
        }
        // Nobody here resolves the domain: the clients come by the API's own endpoint, which answers as well.
        let endpoint = cloud.output("management_endpoint").await?.replacen("http", "ws", 1);
        everyone_hears(&mut [Client::connect(&endpoint).await?, Client::connect(&endpoint).await?]).await
    })
    .await
}

async fn direct_to_queue() -> Result<()> {
    round_trip(start("direct-to-queue").await?, async |cloud| {
        let mut client = cloud.clients(1).await?.pop().context("one")?;
        let message = r#"{"action":"track","page":"/a?b=c&d=%20e+f","title":"\"Grüße\" ☕ 'x' <y> $z #{} \\"}"#;
        client.say(message).await?;
        client.hear("queued").await?;

        let receive = json!({
            "QueueUrl": cloud.output("queue_url").await?, "MessageAttributeNames": ["All"], "WaitTimeSeconds": 5,
        });
        let received = cloud.aws("sqs", "receive_message", &receive).await?["Messages"][0].take();
        ensure!(received["Body"] == message, "{received}");
        let attribute = |name: &str| received["MessageAttributes"][name]["StringValue"].as_str();
        ensure!(attribute("routeKey") == Some("track"), "{received}");
        for name in ["connectionId", "requestId"] {
            ensure!(attribute(name).is_some_and(|value| !value.is_empty()), "no {name}: {received}");
        }
        Ok(())
    })
    .await
}

async fn complete() -> Result<()> {
    round_trip(start("complete").await?, async |cloud| {
        let mut clients = cloud.clients(5).await?;
        everyone_hears(&mut clients).await?;
        let rows = cloud.rows().await?;
        let shards: HashSet<_> = rows.iter().filter_map(|row| row["channel"].as_s().ok()).collect();
        ensure!(rows.len() == 5 && shards.iter().all(|shard| shard.starts_with("*#")), "{rows:?}");

        let client = &mut clients[0];
        client.say(r#"{"action":"send"}"#).await?;
        client.hear_with("message", "Bad request body").await?;
        client.say(r#"{"action":"track"}"#).await?;
        client.hear("queued").await?;
        client.say(r#"{"action":"ping"}"#).await?;
        client.hear("pong").await?;

        cloud.logs(&["complete-send: ", r#""Namespace":"WebSocket/complete""#, r#""Delivered":5"#]).await?;
        let dashboard = json!({"DashboardName": cloud.output("dashboard_name").await?});
        let dashboard = cloud.aws("cloudwatch", "get_dashboard", &dashboard).await?;
        ensure!(dashboard["DashboardBody"].as_str().is_some_and(|body| body.contains("complete-send")));
        Ok(())
    })
    .await
}

async fn released_packages() -> Result<()> {
    let mut checkout = Checkout::start("example-released-packages").await?;
    let dist = checkout.release().await?;
    let cloud = checkout.cloud.another("examples/released-packages").await?;
    let folder = cloud.folder.join("examples/released-packages");
    fs::copy(repository().join("examples/released-packages/download"), folder.join("download"))?;
    let download = async || {
        let mut command = Command::new(folder.join("download"));
        command.arg(format!("file://{}", dist.display())).output().await
    };

    let send = dist.join("send-arm64.zip");
    let good = fs::read(&send)?;
    fs::write(&send, "another")?;
    let output = download().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        !output.status.success() && said.contains("send-arm64.zip is not what the release says it is"),
        "{said}"
    );
    ensure!(!folder.join("packages").exists(), "nothing of it is kept");

    fs::write(&send, good)?;
    ensure!(download().await?.status.success());
    round_trip(cloud, async |cloud| everyone_hears(&mut cloud.clients(2).await?).await).await
}
