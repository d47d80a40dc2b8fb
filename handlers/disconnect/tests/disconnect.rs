//! `$disconnect`, against a DynamoDB engine.

use disconnect::{Disconnector, disconnect};
use lambda_websocket::{Channel, Principal, Registry};
use testkit::{dynamodb::ConnectionTable, fixtures};

fn disconnector(registry: Registry) -> Disconnector {
    Disconnector { registry, notifier: None }
}

#[tokio::test]
async fn a_connection_is_forgotten_however_often_its_end_is_told() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for id in ["a=", "b="] {
        registry.add(&Channel::everyone(), &fixtures::connect(id).connection).await.unwrap();
    }
    let disconnector = disconnector(registry);
    for _ in 0..2 {
        disconnect(&disconnector, fixtures::disconnect("a=")).await.unwrap();
        assert_eq!(table.connection_ids().await, ["b="]);
    }
}

#[tokio::test]
async fn a_connection_is_taken_out_of_all_channels() {
    let table = ConnectionTable::start().await;
    let registry = table.sharded_registry(4);
    for id in ["a=", "b="] {
        let mut connection = fixtures::connect(id).connection;
        connection.principal = Some(Principal::parse("ada").unwrap());
        registry.register(&connection).await.unwrap();
        registry.subscribe(&Channel::parse("lobby").unwrap(), &connection, 1).await.unwrap();
    }
    disconnect(&disconnector(registry), fixtures::disconnect("a=")).await.unwrap();
    assert_eq!(table.connection_ids().await, ["b=", "b=", "b="]);
}

#[tokio::test]
async fn a_connection_that_was_never_registered_is_no_error() {
    let table = ConnectionTable::start().await;
    disconnect(&disconnector(table.registry()), fixtures::disconnect("a=")).await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_deleted_is_an_error() {
    let table = ConnectionTable::start().await;
    table.drop_table().await;
    assert!(disconnect(&disconnector(table.registry()), fixtures::disconnect("a=")).await.is_err());
}
