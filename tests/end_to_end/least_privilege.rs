//! IAM is enforced, and each grant is needed: with one taken away, the same call fails.

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::cloud::Cloud;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("least_privilege::each_grant_is_needed", each_grant_is_needed)]
}

const SEND: &str = r#"{"action":"send","message":1}"#;
const CATCH_UP: &str = r#"{"action":"subscribe","channel":"*","since":0}"#;

async fn each_grant_is_needed() -> Result<()> {
    let cloud = Cloud::start("least-privilege", "tests/stacks/least-privilege").await?;
    cloud.stack.apply(|_, _| ()).await?;
    let url = cloud.output("websocket_url").await?;
    let mut client = Client::connect(&url).await?;
    let ack = send(&mut client).await?;
    ensure!(ack["delivered"] == 1, "with every grant: {ack}");

    for (action, answer) in
        [("subscribe", "subscribed"), ("list", "members"), ("unsubscribe", "unsubscribed")]
    {
        client.say(about_the_lobby(action)).await?;
        client.hear(answer).await?;
    }
    client.say(CATCH_UP).await?;
    ensure!(client.hear("subscribed").await?["replayed"] == 1, "what it sent itself");

    for duplicate in [false, true] {
        client.say(r#"{"action":"send","message":2,"id":"once"}"#).await?;
        let ack = client.hear("ack").await?;
        ensure!(ack["delivered"] == 1 && ack["duplicate"].as_bool().unwrap_or(false) == duplicate, "{ack}");
    }

    for (grants, action, denied) in [
        (r#"["write", "delete"]"#, "list", "Query on the table"),
        (r#"["read", "delete"]"#, "subscribe", "PutItem on the table"),
        (r#"["read", "write"]"#, "unsubscribe", "Query on the table"),
    ] {
        with(&cloud, "subscribe", grants).await?;
        client.say(about_the_lobby(action)).await?;
        cloud.logs(&["least-privilege-subscribe: ", denied, "AccessDenied"]).await?;
    }

    with(&cloud, "send_history", r#"["read"]"#).await?;
    client.say(SEND).await?;
    cloud
        .logs(&["least-privilege-send: ", "UpdateItem on the table least-privilege-history", "AccessDenied"])
        .await?;

    with(&cloud, "subscribe_history", r#"["write"]"#).await?;
    client.say(CATCH_UP).await?;
    cloud
        .logs(&["least-privilege-subscribe: ", "Query on the table least-privilege-history", "AccessDenied"])
        .await?;

    with(&cloud, "subscribe_manages", r#"["GET"]"#).await?;
    client.say(CATCH_UP).await?;
    let subscribed = client.hear("subscribed").await?;
    ensure!(subscribed["replayed"] == 0 && subscribed["complete"] == false, "without POST: {subscribed}");
    cloud.logs(&["least-privilege-subscribe: ", "post failed", "not authorized"]).await?;

    the_publisher_needs_its_grants(&cloud, &mut client).await?;

    with(&cloud, "send_manages", r#"["GET"]"#).await?;
    let ack = send(&mut client).await?;
    ensure!(ack["delivered"] == 0 && ack["failed"] == 1, "without POST: {ack}");

    with(&cloud, "send", r#"["delete"]"#).await?;
    client.say(SEND).await?;
    cloud.logs(&["least-privilege-send: ", "Query on the table", "AccessDenied"]).await?;

    with(&cloud, "send", r#"["read"]"#).await?;
    plant_a_stale_row(&cloud).await?;
    let ack = send(&mut client).await?;
    ensure!(ack["gone"] == 1 && cloud.rows().await?.len() == 2, "the stale row stays: {ack}");
    cloud
        .logs(&[
            "least-privilege-send: ",
            "gone connections not pruned",
            "Query on the table",
            "AccessDenied",
        ])
        .await?;

    with(&cloud, "connect", r#"["read"]"#).await?;
    ensure!(Client::connect(&url).await.is_err(), "nobody gets in");
    cloud.logs(&["least-privilege-connect: ", "PutItem on the table", "AccessDenied"]).await?;

    with(&cloud, "disconnect", r#"["read"]"#).await?;
    client.close().await?;
    cloud.logs(&["least-privilege-disconnect: ", "Query on the table", "AccessDenied"]).await?;
    ensure!(cloud.rows().await?.len() == 2, "a closed connection stays");
    cloud.stop().await;
    Ok(())
}

/// Takes away the grants of the function `publish`, bit by bit, and gives them back.
async fn the_publisher_needs_its_grants(cloud: &Cloud, client: &mut Client) -> Result<()> {
    let queue = cloud.output("queue_url").await?;
    let publish = async |text: &str| {
        let body = json!({"channel": "*", "message": text}).to_string();
        cloud.aws("sqs", "send_message", &json!({"QueueUrl": queue, "MessageBody": body})).await
    };
    let without = async |policy: &str| {
        let policy = json!({"RoleName": "least-privilege-publish", "PolicyName": policy});
        cloud.aws("iam", "delete_role_policy", &policy).await
    };
    let logs =
        async |words: &[&str]| cloud.logs(&[["least-privilege-publish: "].as_slice(), words].concat()).await;
    publish("with every grant").await?;
    client.hear_with("message", "with every grant").await?;

    // What it leaves to itself where a channel is too large for one invocation.
    let broadcasts = json!({"QueueUrl": format!("{queue}-broadcasts"), "MessageBody": a_range("in a range")});
    cloud.aws("sqs", "send_message", &broadcasts).await?;
    client.hear_with("message", "in a range").await?;

    without("delete").await?;
    plant_a_stale_row(cloud).await?;
    publish("without delete").await?;
    client.hear_with("message", "without delete").await?;
    logs(&["Query on the table", "AccessDenied"]).await?;

    without("POST").await?;
    publish("without POST").await?;
    logs(&["post failed", "not authorized"]).await?;

    without("read").await?;
    publish("without read").await?;
    logs(&["record failed, returned to queue", "Query on the table", "AccessDenied"]).await?;
    cloud.stack.apply(|_, _| ()).await?;
    publish("with every grant again").await?;
    cloud.rows_become(1).await
}

/// The stack with one grant changed; the others are as they should be.
async fn with(cloud: &Cloud, variable: &str, value: &str) -> Result<()> {
    let changes = cloud.stack.clone().with(variable, value).apply(|_, _| ()).await?;
    ensure!(
        changes.add == 0 && changes.remove == 0 && changes.change <= 2,
        "only policies change: {changes:?}"
    );
    Ok(())
}

/// A range of everyone's channel, as `publish` puts it into the queue of large broadcasts.
fn a_range(text: &str) -> String {
    let frame = json!({"type": "message", "message": text});
    let to = json!({"cursor": [{"shard": 0, "after": null, "through": "zzzz="}]});
    json!({"broadcast": {"messageId": "m", "channel": "*", "frame": frame, "exclude": [], "to": to, "retries": 0, "rate": 10}})
        .to_string()
}

fn about_the_lobby(action: &str) -> String {
    json!({"action": action, "channel": "lobby"}).to_string()
}

async fn send(client: &mut Client) -> Result<Value> {
    client.say(SEND).await?;
    client.hear("ack").await
}

async fn plant_a_stale_row(cloud: &Cloud) -> Result<()> {
    let mut row = cloud.rows().await?.pop().context("a row")?;
    row.insert("connectionId".to_owned(), AttributeValue::S("stale=".to_owned()));
    row.insert("connectedAt".to_owned(), AttributeValue::N("1".to_owned())); // One that is new may not be open yet.
    let table = cloud.output("table_name").await?;
    cloud.dynamodb().put_item().table_name(table).set_item(Some(row)).send().await?;
    Ok(())
}
