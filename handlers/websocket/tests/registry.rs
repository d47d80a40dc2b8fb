//! The registry, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use futures::TryStreamExt;
use lambda_websocket::{
    channel::Channel,
    connection::{Connection, ConnectionId},
    error::chain,
    registry::{Registry, RegistryError},
};
use testkit::{
    dynamodb::{ConnectionTable, Row},
    fixtures,
};

use aws_sdk_dynamodb::types::AttributeValue;

fn connection(id: &str) -> Connection {
    fixtures::connect(id).connection
}

async fn members(registry: &Registry) -> Vec<String> {
    let ids: Result<Vec<ConnectionId>, RegistryError> =
        registry.members(&Channel::everyone()).try_collect().await;
    ids.unwrap().iter().map(ToString::to_string).collect()
}

fn row(channel: &str, connection_id: &str, expires_at: &str) -> Row {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    Row::from([
        ("channel".to_owned(), text(channel)),
        ("connectionId".to_owned(), text(connection_id)),
        ("expiresAt".to_owned(), AttributeValue::N(expires_at.to_owned())),
    ])
}

const FAR_AWAY: &str = "4102444800"; // the year 2100

#[tokio::test]
async fn who_is_added_is_a_member_once() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for _ in 0..2 {
        registry.add(&Channel::everyone(), &connection("a=")).await.unwrap();
    }
    assert_eq!(members(&registry).await, ["a="]);

    let rows = table.rows().await;
    let [row] = rows.as_slice() else { panic!("one row, not {rows:?}") };
    let number = |name: &str| row[name].as_n().unwrap().parse::<u64>().unwrap();
    assert_eq!(row["channel"].as_s().unwrap(), "*#0");
    assert_eq!(row["sourceIp"].as_s().unwrap(), "203.0.113.7");
    assert!(row["userAgent"].as_s().unwrap().contains("Firefox"));
    assert_eq!(number("expiresAt"), number("connectedAt") / 1_000 + 7_800);
}

#[tokio::test]
async fn an_expired_row_is_no_member() {
    let table = ConnectionTable::start().await;
    table.put(row("*#0", "old=", "1700000000")).await;
    table.put(row("*#0", "live=", FAR_AWAY)).await;
    table.put(row("team#0", "elsewhere=", FAR_AWAY)).await;
    assert_eq!(members(&table.registry()).await, ["live="]);
}

#[tokio::test]
async fn a_row_that_holds_no_id_is_passed_over() {
    let table = ConnectionTable::start().await;
    table.put(row("*#0", "not an id", FAR_AWAY)).await;
    table.put(row("*#0", "live=", FAR_AWAY)).await;
    assert_eq!(members(&table.registry()).await, ["live="]);
}

#[tokio::test]
async fn members_are_read_page_after_page() {
    // A page ends at 1 MB: 1,200 rows of 2 KB are three.
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    let expected: HashSet<String> = (0..1_200).map(|n| format!("c{n}=")).collect();
    for id in &expected {
        let mut connection = connection(id);
        connection.user_agent = Some("x".repeat(2_000));
        registry.add(&Channel::everyone(), &connection).await.unwrap();
    }
    let found = members(&registry).await;
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
}

#[tokio::test]
async fn remove_takes_a_connection_out_of_every_channel_and_leaves_the_others() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    let gone = connection("gone=");
    registry.add(&Channel::everyone(), &gone).await.unwrap();
    registry.add(&Channel::everyone(), &connection("live=")).await.unwrap();
    for n in 0..60 {
        table.put(row(&format!("team-{n}#0"), "gone=", FAR_AWAY)).await;
    }
    for _ in 0..2 {
        registry.remove(&gone.id).await.unwrap();
        assert_eq!(table.connection_ids().await, ["live="]);
    }
}

#[tokio::test]
async fn prune_takes_many_out_of_a_channel() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    let ids: Vec<_> = (0..60).map(|n| ConnectionId::parse(format!("c{n}=")).unwrap()).collect();
    for id in &ids {
        registry.add(&Channel::everyone(), &connection(id.as_str())).await.unwrap();
    }
    registry.prune(&Channel::everyone(), &ids[1..]).await.unwrap();
    assert_eq!(table.connection_ids().await, ["c0="]);
}

#[tokio::test]
async fn a_failure_names_the_operation_and_the_table() {
    let table = ConnectionTable::start().await;
    table.drop_table().await;
    let error = table.registry().add(&Channel::everyone(), &connection("a=")).await.unwrap_err();
    let sentence = chain(&error);
    assert!(sentence.starts_with("PutItem on the table connections: "), "{sentence}");
    assert!(sentence.contains("ResourceNotFoundException"), "{sentence}");
}
