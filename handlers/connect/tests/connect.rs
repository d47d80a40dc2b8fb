//! `$connect`, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use connect::{Admission, connect};
use lambda_websocket::principal::Principal;
use testkit::{dynamodb::ConnectionTable, fixtures};

async fn reply(table: &ConnectionTable, accepted: &[&str]) -> serde_json::Value {
    let accepted = accepted.iter().map(ToString::to_string).collect();
    let admission = Admission::new(table.registry(), accepted);
    serde_json::to_value(connect(&admission, fixtures::connect("a=")).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_is_registered_and_let_in() {
    let table = ConnectionTable::start().await;
    let reply = reply(&table, &[]).await;
    assert_eq!(reply["statusCode"], 200);
    assert_eq!(reply["headers"], serde_json::Value::Null);
    assert_eq!(table.connection_ids().await, ["a="]);
}

#[tokio::test]
async fn a_client_of_a_principal_is_in_the_principals_channel_too() {
    let table = ConnectionTable::start().await;
    let mut event = fixtures::connect("a=");
    event.connection.principal = Some(Principal::parse("ada").unwrap());
    connect(&Admission::new(table.registry(), vec![]), event).await.unwrap();
    let mut channels: Vec<_> =
        table.rows().await.iter().map(|row| row["channel"].as_s().unwrap().clone()).collect();
    channels.sort();
    assert_eq!(channels, ["*#0", "user:ada#0"]);
}

#[tokio::test]
async fn the_first_accepted_subprotocol_of_the_clients_list_is_echoed() {
    // The client offers "chat.v2, chat.v1".
    let table = ConnectionTable::start().await;
    for (accepted, chosen) in [(["chat.v1", "x"], "chat.v1"), (["chat.v1", "chat.v2"], "chat.v2")] {
        assert_eq!(reply(&table, &accepted).await["headers"]["Sec-WebSocket-Protocol"], chosen);
    }
    assert_eq!(reply(&table, &["chat"]).await["headers"], serde_json::Value::Null);
}

#[tokio::test]
async fn who_cannot_be_registered_is_not_let_in() {
    let table = ConnectionTable::start().await;
    table.drop_table().await;
    let admission = Admission::new(table.registry(), vec![]);
    let error = connect(&admission, fixtures::connect("a=")).await.unwrap_err();
    let diagnostic = lambda_runtime::Diagnostic::from(error);
    assert_eq!(diagnostic.error_type, "WebSocket.Registry");
    assert!(
        diagnostic.error_message.contains("PutItem on the table connections"),
        "{}",
        diagnostic.error_message
    );
}
