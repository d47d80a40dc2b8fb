//! `$connect`, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use connect::{Admission, connect};
use lambda_websocket::{Connect, Principal};
use serde_json::json;
use testkit::{dynamodb::ConnectionTable, fixtures};

async fn response(table: &ConnectionTable, accepted: &[&str]) -> serde_json::Value {
    let accepted = accepted.iter().map(ToString::to_string).collect();
    let admission = Admission::new(table.registry(), accepted);
    serde_json::to_value(connect(&admission, fixtures::connect("a=")).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_is_registered_and_let_in() {
    let table = ConnectionTable::start().await;
    let response = response(&table, &[]).await;
    assert_eq!(response["statusCode"], 200);
    assert_eq!(response["headers"], serde_json::Value::Null);
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

/// Whatever the name, its connection is with everyone and with the user of that name, and in nobody else's channel.
#[tokio::test]
async fn any_principal_has_a_channel_of_its_own() {
    let longest = "é".repeat(Principal::MAX_LENGTH);
    let principals =
        ["ada", "ADA", "Ada Lovelace", " ", "#", "ada#0", "*", "user:ada", "auth0|5f7c", "ädä@☕", &longest];
    let table = ConnectionTable::start().await;
    let admission = Admission::new(table.registry(), vec![]);
    for (number, principal) in principals.into_iter().enumerate() {
        let mut event = fixtures::connect_json();
        event["requestContext"]["connectionId"] = json!(format!("{number}="));
        // An empty list of channels says where the client may go, and takes it out of neither of these.
        event["requestContext"]["authorizer"] = json!({"principalId": principal, "channels": " "});
        let event = Connect::try_from(fixtures::event(event)).unwrap();
        connect(&admission, event).await.unwrap();
    }
    let rows: BTreeSet<_> = table
        .rows()
        .await
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_s().unwrap().clone();
            (text("channel"), text("principal"), text("connectionId"))
        })
        .collect();
    let expected = principals.into_iter().enumerate().flat_map(|(number, principal)| {
        ["*#0".to_owned(), format!("user:{principal}#0")]
            .map(|channel| (channel, principal.to_owned(), format!("{number}=")))
    });
    assert_eq!(rows, expected.collect());
}

#[tokio::test]
async fn the_first_accepted_subprotocol_of_the_clients_list_is_echoed() {
    // The client offers "chat.v2, chat.v1".
    let table = ConnectionTable::start().await;
    for (accepted, chosen) in [(["chat.v1", "x"], "chat.v1"), (["chat.v1", "chat.v2"], "chat.v2")] {
        assert_eq!(response(&table, &accepted).await["headers"]["Sec-WebSocket-Protocol"], chosen);
    }
    assert_eq!(response(&table, &["chat"]).await["headers"], serde_json::Value::Null);
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
