//! The chat backend in terraform/.

use std::{collections::HashSet, env, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use aws_sdk_dynamodb::types::AttributeValue;
use end_to_end::{Client, harness::Sequence};
use futures::future::try_join_all;
use libtest_mimic::Trial;
use local_cloud::{repository, stack::Changes};
use serde_json::{Value, json};
use tokio::{process::Command, sync::OnceCell, time::timeout};

use crate::cloud::{AT_ONCE, Cloud};

type Shared = Arc<OnceCell<Cloud>>;

/// In this order: the first applies the stack, the last destroys it.
pub(crate) fn trials() -> Vec<Trial> {
    let cloud: Shared = Arc::default();
    let sequence = Sequence::default();
    macro_rules! on {
        ($cloud:ident, $($test:ident),* $(,)?) => {
            vec![$({
                let cloud = Arc::clone(&$cloud);
                sequence.trial(concat!("chat::", stringify!($test)), move || async move { $test(applied(&cloud).await?).await })
            }),*]
        };
    }
    let mut trials = on!(
        cloud,
        a_second_plan_has_nothing_to_do,
        everyone_hears_everyone,
        without_echo_the_sender_is_left_out,
        a_heartbeat_is_answered,
        what_nobody_understands_is_answered_and_the_connection_stays,
        a_message_too_large_to_deliver_is_answered_and_the_connection_stays,
        a_connection_is_a_row_that_expires,
        a_client_that_closes_is_forgotten,
        a_client_that_vanished_unnoticed_is_forgotten_at_the_next_broadcast,
        a_channel_hears_what_is_sent_to_it_and_nobody_else,
        a_subscription_ends_with_its_connection,
        who_joins_and_who_leaves_is_told_to_the_channel,
        who_comes_back_loses_nothing,
        who_is_there_is_listed_page_by_page,
        what_a_channel_does_not_allow_is_answered,
        two_hundred_clients_get_twenty_broadcasts_each_once,
        web_clients_whose_connections_are_cut_have_the_same_messages,
    );
    trials.push(sequence.trial("chat::destroy_leaves_nothing", move || destroy_leaves_nothing(cloud)));
    trials
}

async fn applied(cloud: &Shared) -> Result<&Cloud> {
    cloud
        .get_or_try_init(|| async {
            let cloud = Cloud::start("chat", "terraform").await?;
            cloud.stack.apply(|_, _| ()).await?;
            Ok(cloud)
        })
        .await
}

async fn pair(cloud: &Cloud) -> Result<[Client; 2]> {
    cloud.clients(2).await?.try_into().ok().context("two")
}

/// Closes the clients and waits until the backend has forgotten them: the next test starts alone.
async fn part(cloud: &Cloud, clients: impl IntoIterator<Item = Client>) -> Result<()> {
    let mut clients: Vec<_> = clients.into_iter().collect();
    while !clients.is_empty() {
        let stay = clients.len().saturating_sub(AT_ONCE);
        try_join_all(clients.drain(stay..).map(Client::close)).await?;
        cloud.rows_become(stay).await?;
    }
    Ok(())
}

async fn a_second_plan_has_nothing_to_do(cloud: &Cloud) -> Result<()> {
    ensure!(cloud.stack.plan().await? == Changes::default());
    Ok(())
}

async fn everyone_hears_everyone(cloud: &Cloud) -> Result<()> {
    let mut clients = cloud.clients(3).await?;
    for sender in 0..clients.len() {
        clients[sender].say(json!({"action": "send", "message": {"number": sender}}).to_string()).await?;
        let mut said = HashSet::new();
        for client in &mut clients {
            let frame = client.hear("message").await?;
            ensure!(frame["message"] == json!({"number": sender}) && frame["channel"] == "*", "{frame}");
            said.insert(frame["id"].to_string() + &frame["from"].to_string());
        }
        let ack = clients[sender].hear("ack").await?;
        ensure!(said.len() == 1, "everyone hears the same: {said:?}");
        ensure!(ack["delivered"] == 3 && ack["gone"] == 0 && ack["failed"] == 0, "{ack}");
    }
    part(cloud, clients).await
}

async fn without_echo_the_sender_is_left_out(cloud: &Cloud) -> Result<()> {
    let [mut sender, mut other] = pair(cloud).await?;
    sender.say(r#"{"action":"send","message":"psst","echo":false}"#).await?;
    ensure!(other.hear("message").await?["message"] == "psst");
    ensure!(sender.hear("ack").await?["delivered"] == 1);
    sender.hear_no("message", Duration::from_millis(300)).await?;
    part(cloud, [sender, other]).await
}

async fn a_heartbeat_is_answered(cloud: &Cloud) -> Result<()> {
    let [mut client, mut other] = pair(cloud).await?;
    client.say(r#"{"action":"ping"}"#).await?;
    ensure!(client.hear("pong").await? == json!({"type": "pong"}));
    other.hear_no("pong", Duration::from_millis(200)).await?;
    part(cloud, [client, other]).await
}

async fn what_nobody_understands_is_answered_and_the_connection_stays(cloud: &Cloud) -> Result<()> {
    let [mut client, mut other] = pair(cloud).await?;
    for (text, code) in [
        (r#"{"action":"shout"}"#, "unknown_action"),
        ("hello", "invalid_json"),
        (r#"{"message":"hello"}"#, "invalid_request"),
        (r#"{"action":"send"}"#, "invalid_request"),
        (r#"{"action":"send","message":1,"echo":"no"}"#, "invalid_request"),
        (r#"{"action":"send","message":1,"to":"you"}"#, "invalid_request"),
    ] {
        client.say(text).await?;
        let frame = client.hear("error").await.with_context(|| text.to_owned())?;
        ensure!(frame["code"] == code, "{text}: {frame}");
        ensure!(frame["message"].is_string() && frame["requestId"].is_string(), "{frame}");
    }
    client.say(r#"{"action":"shout"}"#).await?;
    let sentence = client.hear("error").await?["message"].to_string();
    ensure!(
        sentence.contains("list, ping, send, subscribe, unsubscribe"),
        "the known actions are named: {sentence}"
    );

    client.say(r#"{"action":"send","message":"still here"}"#).await?;
    ensure!(other.hear("message").await?["message"] == "still here");
    part(cloud, [client, other]).await
}

async fn a_message_too_large_to_deliver_is_answered_and_the_connection_stays(cloud: &Cloud) -> Result<()> {
    let [mut client, mut other] = pair(cloud).await?;
    let fill = |length: usize| json!({"action": "send", "message": "x".repeat(length)}).to_string();
    // What a client may send, 128 KB, is more than fits once the envelope is around it.
    let overhead = fill(0).len();
    client.say(fill(128 * 1024 - overhead)).await?;
    ensure!(client.hear("error").await?["code"] == "message_too_large");
    client.say(fill(127 * 1024)).await?;
    let length = other.hear("message").await?["message"].as_str().map(str::len);
    ensure!(length == Some(127 * 1024), "{length:?}");
    part(cloud, [client, other]).await
}

async fn a_connection_is_a_row_that_expires(cloud: &Cloud) -> Result<()> {
    let clients = cloud.clients(1).await?;
    let rows = cloud.rows().await?;
    let [row] = rows.as_slice() else { anyhow::bail!("one row, not {rows:?}") };
    let number = |name: &str| row[name].as_n().ok().and_then(|number| number.parse::<u64>().ok());
    let (connected, expires) =
        (number("connectedAt").context("a number")?, number("expiresAt").context("a number")?);
    ensure!(row["channel"].as_s() == Ok(&"*#0".to_owned()), "{row:?}");
    ensure!(expires == connected / 1_000 + 7_800, "{row:?}");
    ensure!(row["sourceIp"].as_s() == Ok(&"127.0.0.1".to_owned()), "{row:?}");

    let table = cloud.output("table_name").await?;
    let ttl = cloud.dynamodb().describe_time_to_live().table_name(table).send().await?;
    let ttl = ttl.time_to_live_description.context("a TTL")?;
    ensure!(ttl.attribute_name.as_deref() == Some("expiresAt"), "{ttl:?}");
    ensure!(ttl.time_to_live_status.as_ref().is_some_and(|status| status.as_str() == "ENABLED"), "{ttl:?}");
    part(cloud, clients).await
}

async fn a_client_that_closes_is_forgotten(cloud: &Cloud) -> Result<()> {
    let [leaver, mut stayer] = pair(cloud).await?;
    cloud.rows_become(2).await?;
    leaver.close().await?;
    cloud.rows_become(1).await?;
    stayer.say(r#"{"action":"send","message":1}"#).await?;
    let ack = stayer.hear("ack").await?;
    ensure!(ack["delivered"] == 1 && ack["gone"] == 0, "{ack}");
    part(cloud, [stayer]).await
}

async fn a_client_that_vanished_unnoticed_is_forgotten_at_the_next_broadcast(cloud: &Cloud) -> Result<()> {
    let ghost = cloud.clients(1).await?;
    let mut row = cloud.rows().await?.pop().context("the ghost's row")?;
    row.insert("connectedAt".to_owned(), AttributeValue::N("1".to_owned())); // One that is new may not be open yet.
    // The TCP connection breaks, without the WebSocket's good-bye. The emulator notices at once, so its
    // row is put back: as after a $disconnect that never came.
    drop(ghost);
    cloud.rows_become(0).await?;
    let table = cloud.output("table_name").await?;
    cloud.dynamodb().put_item().table_name(table).set_item(Some(row)).send().await?;

    let [mut client, other] = pair(cloud).await?;
    client.say(r#"{"action":"send","message":1}"#).await?;
    let ack = client.hear("ack").await?;
    ensure!(ack["delivered"] == 2 && ack["gone"] == 1 && ack["failed"] == 0, "{ack}");
    cloud.rows_become(2).await.context("the ghost's row and no other is gone")?;
    part(cloud, [client, other]).await
}

/// Sends an action about a channel, and waits for the answer.
async fn ask(client: &mut Client, action: &str, channel: &str, answer: &str) -> Result<Value> {
    client.say(json!({"action": action, "channel": channel}).to_string()).await?;
    let frame = client.hear(answer).await?;
    ensure!(frame["type"] == "error" || frame["channel"] == channel, "{frame}");
    Ok(frame)
}

async fn a_channel_hears_what_is_sent_to_it_and_nobody_else(cloud: &Cloud) -> Result<()> {
    let [mut ada, mut bob] = pair(cloud).await?;
    let mut outside = cloud.clients(1).await?.pop().context("one")?;
    for client in [&mut ada, &mut bob] {
        ask(client, "subscribe", "lobby", "subscribed").await?;
    }
    for number in [0, 1] {
        // The sender need not be there.
        let sender = if number == 0 { &mut ada } else { &mut outside };
        sender.say(json!({"action": "send", "channel": "lobby", "message": number}).to_string()).await?;
        let ack = sender.hear("ack").await?;
        ensure!(ack["delivered"] == 2 && ack["gone"] == 0, "{ack}");
        for client in [&mut ada, &mut bob] {
            let frame = client.hear("message").await?;
            ensure!(frame["channel"] == "lobby" && frame["message"] == number, "{frame}");
        }
    }
    ask(&mut bob, "unsubscribe", "lobby", "unsubscribed").await?;
    ada.say(r#"{"action":"send","channel":"lobby","message":"alone"}"#).await?;
    ensure!(ada.hear("ack").await?["delivered"] == 1);
    ensure!(ada.hear("message").await?["message"] == "alone");
    for client in [&mut bob, &mut outside] {
        client.hear_no("message", Duration::from_millis(300)).await?;
    }
    part(cloud, [ada, bob, outside]).await
}

async fn a_subscription_ends_with_its_connection(cloud: &Cloud) -> Result<()> {
    let mut leaver = cloud.clients(1).await?.pop().context("one")?;
    for channel in ["lobby", "orders.eu"] {
        ask(&mut leaver, "subscribe", channel, "subscribed").await?;
    }
    let rows = cloud.rows().await?;
    ensure!(rows.len() == 3, "{rows:?}");
    for name in ["connectionId", "connectedAt", "expiresAt"] {
        ensure!(rows.iter().all(|row| row[name] == rows[0][name]), "all rows expire at once: {rows:?}");
    }
    leaver.close().await?;
    cloud.rows_become(0).await
}

async fn who_joins_and_who_leaves_is_told_to_the_channel(cloud: &Cloud) -> Result<()> {
    let [mut ada, mut bob] = cloud.clients(2).await?.try_into().ok().context("two")?;
    ask(&mut ada, "subscribe", "lobby", "subscribed").await?;
    ask(&mut bob, "subscribe", "lobby", "subscribed").await?;
    let joined = ada.hear("joined").await?;
    ensure!(joined["channel"] == "lobby", "{joined}");
    bob.close().await?;
    // Who left before is told of a moment after the row is gone.
    while ada.hear("left").await?["connectionId"] != joined["connectionId"] {}
    ada.close().await?;
    cloud.rows_become(0).await
}

/// Subscribes, and hears what was sent since then: the messages, and whether they are all.
async fn catch_up(client: &mut Client, channel: &str, since: u64) -> Result<(Vec<Value>, bool)> {
    client.say(json!({"action": "subscribe", "channel": channel, "since": since}).to_string()).await?;
    let answer = client.hear("subscribed").await?;
    let replayed = answer["replayed"].as_u64().context("a number")?;
    let messages = (0..replayed).map(|_| client.heard("message")).collect::<Result<_>>()?;
    Ok((messages, answer["complete"].as_bool().context("a boolean")?))
}

/// As at the end of every connection, two hours after it began: what others say before the client is back, it hears then.
async fn who_comes_back_loses_nothing(cloud: &Cloud) -> Result<()> {
    let [mut ada, mut bob] = pair(cloud).await?;
    for channel in ["reconnect", "*"] {
        ask(&mut bob, "subscribe", channel, "subscribed").await?;
        let (mut seen, complete) = catch_up(&mut ada, channel, 0).await?;
        ensure!(!complete, "nobody knows what was said before it is kept");
        for number in 0..3 {
            say_in(&mut bob, channel, number).await?;
            seen.push(ada.hear("message").await?);
        }
        let last = seen[seen.len() - 1]["sentAt"].as_u64().context("a time")?;
        ada.close().await?;
        cloud.rows_become(2).await?;
        for number in 3..23 {
            say_in(&mut bob, channel, number).await?;
        }

        ada = cloud.clients(1).await?.pop().context("one")?;
        let (replayed, complete) = catch_up(&mut ada, channel, last).await?;
        ensure!(complete && replayed.iter().all(|message| message["channel"] == channel), "{replayed:?}");
        let ids: HashSet<_> = seen.iter().map(|message| message["id"].to_string()).collect();
        let missed = replayed.iter().filter(|message| !ids.contains(&message["id"].to_string()));
        let missed: Vec<_> = missed.map(|message| message["message"].as_u64()).collect();
        ensure!(missed == (3..23).map(Some).collect::<Vec<_>>(), "each once and in order: {missed:?}");
        ensure!(replayed.is_sorted_by_key(|message| message["seq"].as_u64()), "by number: {replayed:?}");

        say_in(&mut bob, channel, 23).await?;
        let live = ada.hear("message").await?;
        ensure!(live["message"] == 23, "and then it hears the others as before");
        let after = seen[0]["seq"].as_u64().context("a number")?;
        let count = live["seq"].as_u64().context("a number")? - after;
        ada.say(json!({"action": "subscribe", "channel": channel, "after": after}).to_string()).await?;
        let answer = ada.hear("subscribed").await?;
        ensure!(answer["replayed"] == count && answer["complete"] == true, "{answer}");
        ensure!(answer["seq"] == live["seq"], "up to the last one: {answer}");
        for seq in after + 1..=after + count {
            ensure!(ada.heard("message")?["seq"] == seq, "exactly what came after {after}");
        }
    }
    part(cloud, [ada, bob]).await
}

/// Sends a number to a channel, and waits until it is there.
async fn say_in(client: &mut Client, channel: &str, number: u64) -> Result<()> {
    client.say(json!({"action": "send", "channel": channel, "message": number}).to_string()).await?;
    client.hear("ack").await?;
    Ok(())
}

async fn who_is_there_is_listed_page_by_page(cloud: &Cloud) -> Result<()> {
    let mut clients = cloud.clients(5).await?;
    for client in &mut clients[..4] {
        ask(client, "subscribe", "lobby", "subscribed").await?;
    }
    for (channel, lengths) in [("lobby", [3, 1]), ("*", [3, 2])] {
        let (mut request, mut listed) =
            (json!({"action": "list", "channel": channel, "limit": 3}), HashSet::new());
        for (number, length) in lengths.iter().enumerate() {
            clients[4].say(request.to_string()).await?;
            let page = clients[4].hear("members").await?;
            let members = page["members"].as_array().context("members")?;
            ensure!(
                members.len() == *length && members.iter().all(|member| member["connectedAt"].is_u64()),
                "{page}"
            );
            ensure!(page["next"].is_string() == (number + 1 < lengths.len()), "{page}");
            listed.extend(members.iter().map(|member| member["connectionId"].to_string()));
            request["after"] = page["next"].clone();
        }
        ensure!(listed.len() == lengths.iter().sum::<usize>(), "each once: {listed:?}");
    }
    part(cloud, clients).await
}

async fn what_a_channel_does_not_allow_is_answered(cloud: &Cloud) -> Result<()> {
    let mut clients = cloud.clients(1).await?;
    for (action, channel, code) in [
        ("unsubscribe", "*", "forbidden"),
        ("subscribe", "user:ada", "forbidden"),
        ("subscribe", "lobby#0", "invalid_request"),
        ("list", "", "invalid_request"),
    ] {
        let frame = ask(&mut clients[0], action, channel, "error").await?;
        ensure!(frame["code"] == code, "{action} {channel}: {frame}");
    }
    part(cloud, clients).await
}

async fn two_hundred_clients_get_twenty_broadcasts_each_once(cloud: &Cloud) -> Result<()> {
    const CLIENTS: usize = 200;
    const BROADCASTS: usize = 20;
    let mut clients = cloud.clients(CLIENTS).await?;
    for number in 0..BROADCASTS {
        let sender = &mut clients[number * CLIENTS / BROADCASTS];
        sender.say(json!({"action": "send", "message": number}).to_string()).await?;
        let ack = sender.hear("ack").await?;
        ensure!(ack["delivered"] == CLIENTS && ack["gone"] == 0 && ack["failed"] == 0, "{ack}");
    }
    let listening = clients.into_iter().map(|mut client| async move {
        let mut numbers = Vec::new();
        for _ in 0..BROADCASTS {
            numbers.push(client.hear("message").await?["message"].as_u64().context("a number")?);
        }
        numbers.sort_unstable();
        ensure!(numbers.iter().copied().eq(0..BROADCASTS as u64), "each once: {numbers:?}");
        client.hear_no("message", Duration::from_millis(500)).await?;
        Ok(client)
    });
    let clients = try_join_all(listening).await?;
    part(cloud, clients).await
}

/// How long web clients whose connections are cut may take.
const CUT_WITHIN: Duration = Duration::from_secs(600);

/// With CLIENTS, and MESSAGES of all of them together.
async fn web_clients_whose_connections_are_cut_have_the_same_messages(cloud: &Cloud) -> Result<()> {
    let number = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let mut node = Command::new(repository().join(".local/venv/bin/node"));
    node.arg(repository().join("clients/js/test/cut.js")).arg(cloud.output("websocket_url").await?);
    let node = node.args([number("CLIENTS", "20"), number("MESSAGES", "60")]).kill_on_drop(true).output();
    let output = timeout(CUT_WITHIN, node).await.context("the web clients take too long")??;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    // A connection that is cut while it opens may leave its rows, until a message finds it a minute later.
    ensure!(output.status.success(), "{said}");
    Ok(())
}

async fn destroy_leaves_nothing(cloud: Shared) -> Result<()> {
    applied(&cloud).await?;
    let cloud = Arc::into_inner(cloud).and_then(OnceCell::into_inner).context("the last user")?;
    ensure!(!cloud.inventory().await?.is_empty(), "the inventory sees the stack");
    cloud.stack.destroy().await?;
    let left = cloud.inventory().await?;
    ensure!(left.is_empty(), "{left:?}");
    cloud.stop().await;
    Ok(())
}
