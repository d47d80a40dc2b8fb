//! Each stack in examples/ does what it says; that with the authorizer is in `authorizer.rs`.

use std::{collections::HashSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use local_cloud::{repository, stack::Changes};
use serde_json::{Value, json};
use testkit::tokens::{Signer, jwks};
use tokio::process::Command;

use crate::{cloud::Cloud, deploy::Checkout, readme::Reader};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("examples::minimal", minimal),
        trial("examples::custom_routes", custom_routes),
        trial("examples::existing_function", existing_function),
        trial("examples::custom_domain", custom_domain),
        trial("examples::direct_to_queue", direct_to_queue),
        trial("examples::publisher", publisher),
        trial("examples::events_to_clients", events_to_clients),
        trial("examples::table_to_dashboards", table_to_dashboards),
        trial("examples::complete", complete),
        trial("examples::released_packages", released_packages),
    ]
}

pub(crate) async fn start(example: &str) -> Result<Cloud> {
    Cloud::start(&format!("example-{example}"), &format!("examples/{example}")).await
}

/// Applies the stack as its README says, uses it, and destroys it. A second plan has nothing to do, and nothing is left.
pub(crate) async fn round_trip(
    example: &str,
    cloud: Cloud,
    profile: &str,
    used: impl AsyncFnOnce(&Cloud) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::of(example, &cloud, profile).await?;
    reader.next_block().await?;
    ensure!(cloud.stack.plan().await? == Changes::default());
    used(&cloud).await?;
    reader.the_rest().await?;
    destroyed(cloud).await
}

/// Destroys the stack, and nothing is left.
async fn destroyed(cloud: Cloud) -> Result<()> {
    cloud.stack.destroy().await?;
    let left = cloud.inventory().await?;
    ensure!(left.is_empty(), "{left:?}");
    cloud.stop().await;
    Ok(())
}

async fn minimal() -> Result<()> {
    round_trip("minimal", start("minimal").await?, "", async |cloud| {
        everyone_hears(&mut cloud.clients(2).await?).await
    })
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
    round_trip("custom-routes", start("custom-routes").await?, "", async |cloud| {
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
    round_trip("existing-function", start("existing-function").await?, "", async |cloud| {
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
    round_trip("custom-domain", cloud, "", async |cloud| {
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
    round_trip("direct-to-queue", start("direct-to-queue").await?, "", async |cloud| {
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

async fn publisher() -> Result<()> {
    round_trip("publisher", start("publisher").await?, "", async |cloud| {
        let [mut ada, mut bob] = cloud.clients(2).await?.try_into().ok().context("two")?;
        ada.say(r#"{"action":"subscribe","channel":"orders.7"}"#).await?;
        ada.hear("subscribed").await?;
        let rows = cloud.rows().await?;
        let row = rows.iter().find(|row| row["channel"].as_s().is_ok_and(|key| key == "orders.7#0"));
        let id_of_ada = row.context("Ada's row")?["connectionId"].as_s().ok().context("an id")?;

        // By a program that may send, and do nothing else.
        let shop =
            json!({"FunctionName": "shop", "Payload": json!({"order": 7, "state": "sent"}).to_string()});
        let answer = cloud.aws("lambda", "invoke", &shop).await?;
        ensure!(answer["FunctionError"].is_null(), "{answer}");
        let heard = ada.hear("message").await?;
        ensure!(heard["channel"] == "orders.7" && heard["id"] == "7-sent", "{heard}");
        ensure!(heard["message"] == json!({"order": 7, "state": "sent"}), "{heard}");
        ensure!(heard["sentAt"].is_u64() && heard["from"].is_null(), "{heard}");

        // By hand: to everyone but one, and to one alone.
        let queue = cloud.output("queue_url").await?;
        let send = async |body: Value| {
            cloud
                .aws("sqs", "send_message", &json!({"QueueUrl": queue, "MessageBody": body.to_string()}))
                .await
        };
        let sent = send(json!({"channel": "*", "message": null, "exclude": [id_of_ada]})).await?;
        let heard = bob.hear("message").await?;
        ensure!(
            heard["channel"] == "*" && heard["message"].is_null() && heard["id"] == sent["MessageId"],
            "{heard}"
        );
        send(json!({"connection": id_of_ada, "message": ["for", "you"]})).await?;
        let heard = ada.hear("message").await?;
        ensure!(heard["message"] == json!(["for", "you"]) && heard["channel"].is_null(), "{heard}");

        a_bad_message_is_put_aside_alone(cloud, &queue).await?;
        for client in [&mut ada, &mut bob] {
            client.hear("message").await?; // What was good in the batch.
            client.hear_no("message", Duration::from_millis(300)).await?;
        }
        Ok(())
    })
    .await
}

/// Sends a batch, most of which cannot be read, and waits until that, and no more, is among the dead letters.
async fn a_bad_message_is_put_aside_alone(cloud: &Cloud, queue: &str) -> Result<()> {
    let dead_letters = cloud.output("dead_letter_queue_url").await?;
    // So that nobody waits for half an hour: it is tried once, and comes back soon.
    let attributes = json!({"QueueUrl": dead_letters, "AttributeNames": ["QueueArn"]});
    let arn = cloud.aws("sqs", "get_queue_attributes", &attributes).await?["Attributes"]["QueueArn"].take();
    let redrive = json!({"deadLetterTargetArn": arn, "maxReceiveCount": 1}).to_string();
    let soon =
        json!({"QueueUrl": queue, "Attributes": {"VisibilityTimeout": "10", "RedrivePolicy": redrive}});
    cloud.aws("sqs", "set_queue_attributes", &soon).await?;

    let bad =
        ["hello", r#"{"channel":"*","message":1,"mesage":2}"#, r#"{"user":"ada","channel":"*","message":1}"#];
    let bodies = [bad.as_slice(), &[r#"{"channel":"*","message":"good"}"#]].concat();
    let entries: Vec<_> =
        bodies.iter().zip(0..).map(|(body, id)| json!({"Id": id.to_string(), "MessageBody": body})).collect();
    cloud.aws("sqs", "send_message_batch", &json!({"QueueUrl": queue, "Entries": entries})).await?;

    let mut found = HashSet::new();
    let receive = json!({"QueueUrl": dead_letters, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20});
    while found.len() < bad.len() {
        let received = cloud.aws("sqs", "receive_message", &receive).await?;
        let messages = received["Messages"].as_array().context("no more dead letters came")?;
        found.extend(messages.iter().filter_map(|message| message["Body"].as_str().map(str::to_owned)));
    }
    ensure!(found.iter().map(String::as_str).collect::<HashSet<_>>() == HashSet::from(bad), "{found:?}");
    Ok(())
}

/// Those of the README.
const ISSUER: &str = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
const AUDIENCE: &str = "1example23456789";

async fn events_to_clients() -> Result<()> {
    let signer = Signer::eddsa("1");
    let now = testkit::fixtures::now_millis() / 1_000;
    let token =
        |name: &str| signer.token(&json!({"sub": name, "iss": ISSUER, "aud": AUDIENCE, "exp": now + 600}));
    let keys = jwks([&signer]).to_string();
    let cloud = start("events-to-clients")
        .await?
        .with("issuer", ISSUER)
        .with("audience", AUDIENCE)
        .with("jwks", &keys);
    let profile = format!("export TF_VAR_jwks='{keys}'\ntoken='{}'", token("ada"));
    round_trip("events-to-clients", cloud, &profile, async |cloud| {
        let url = cloud.output("websocket_url").await?;
        let connect = async |name: &str| Client::connect(&format!("{url}?token={}", token(name))).await;
        let (mut phone, mut laptop, mut bob) = (connect("ada").await?, connect("ada").await?, connect("bob").await?);

        // The detail is passed on as it is, whatever is in it.
        let detail = json!({"buyer": "ada", "order": 7, "note": "\"Grüße\" <you> \\ ☕"});
        let event = |source: &str| json!({"Source": source, "DetailType": "Order changed", "Detail": detail.to_string()});
        let events = json!({"Entries": [event("another"), event("shop")]});
        let put = cloud.aws("events", "put_events", &events).await?;
        for device in [&mut phone, &mut laptop] {
            let heard = device.hear("message").await?;
            ensure!(heard["message"] == detail && heard["channel"] == "user:ada", "{heard}");
            ensure!(heard["id"] == put["Entries"][1]["EventId"], "{heard}");
        }
        for client in [&mut phone, &mut laptop, &mut bob] {
            client.hear_no("message", Duration::from_millis(300)).await?;
        }
        Ok(())
    })
    .await
}

async fn table_to_dashboards() -> Result<()> {
    round_trip("table-to-dashboards", start("table-to-dashboards").await?, "", async |cloud| {
        let [mut berlin, mut paris] = cloud.clients(2).await?.try_into().ok().context("two")?;
        for (dashboard, warehouse) in [(&mut berlin, "berlin"), (&mut paris, "paris")] {
            let subscribe = json!({"action": "subscribe", "channel": format!("stock.{warehouse}")});
            dashboard.say(subscribe.to_string()).await?;
            dashboard.hear("subscribed").await?;
        }
        let table = cloud.output("stock_table").await?;
        let key = json!({"warehouse": {"S": "berlin"}, "item": {"S": "lamp"}});
        let mut versions = vec![];
        for quantity in [41, 40, 0] {
            if quantity == 0 {
                cloud.aws("dynamodb", "delete_item", &json!({"TableName": table, "Key": key})).await?;
            } else {
                let mut item = key.clone();
                item["quantity"] = json!({"N": quantity.to_string()});
                cloud.aws("dynamodb", "put_item", &json!({"TableName": table, "Item": item})).await?;
            }
            let heard = berlin.hear("message").await?;
            ensure!(
                heard["message"]["item"] == "lamp" && heard["message"]["quantity"] == quantity,
                "{heard}"
            );
            versions.push(heard["message"]["version"].as_str().and_then(|text| text.parse::<u128>().ok()));
        }
        ensure!(versions[0].is_some() && versions.is_sorted(), "{versions:?}");
        paris.hear_no("message", Duration::from_millis(300)).await
    })
    .await
}

async fn complete() -> Result<()> {
    round_trip("complete", start("complete").await?, "", async |cloud| {
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
    cloud.stack.apply(|_, _| ()).await?;
    everyone_hears(&mut cloud.clients(2).await?).await?;
    destroyed(cloud).await
}
