//! Each stack in examples/ does what it says; that with the authorizer is in [`authorizer`](crate::authorizer).

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use local_cloud::stack::Changes;
use serde_json::json;

use crate::cloud::Cloud;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("examples::minimal", minimal),
        trial("examples::custom_routes", custom_routes),
        trial("examples::existing_function", existing_function),
        trial("examples::custom_domain", custom_domain),
        trial("examples::direct_to_queue", direct_to_queue),
        trial("examples::complete", complete),
    ]
}

pub(crate) async fn start(example: &str) -> Result<Cloud> {
    Cloud::start(&format!("example-{example}"), &format!("examples/{example}")).await
}

/// Applies the stack, uses it, and destroys it. A second plan has nothing to do, and nothing is left.
pub(crate) async fn round_trip(cloud: Cloud, used: impl AsyncFnOnce(&Cloud) -> Result<()>) -> Result<()> {
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

        let mut late = cloud.clients(1).await?.pop().context("one")?;
        late.say(r#"{"action":"subscribe","channel":"*","since":0}"#).await?;
        ensure!(late.hear("message").await?["message"] == "hello", "it is told what was said before");
        ensure!(late.hear("subscribed").await?["replayed"] == 1);

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
