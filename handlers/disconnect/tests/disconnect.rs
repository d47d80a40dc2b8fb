//! `$disconnect`, against a DynamoDB engine.

use disconnect::disconnect;
use lambda_websocket::channel::Channel;
use testkit::{dynamodb::ConnectionTable, fixtures};

#[tokio::test]
async fn a_connection_is_forgotten_however_often_its_end_is_told() {
    let table = ConnectionTable::start().await;
    let registry = table.registry();
    for id in ["a=", "b="] {
        registry.add(&Channel::everyone(), &fixtures::connect(id).connection).await.unwrap();
    }
    for _ in 0..2 {
        disconnect(&registry, fixtures::disconnect("a=")).await.unwrap();
        assert_eq!(table.connection_ids().await, ["b="]);
    }
}

#[tokio::test]
async fn a_connection_that_was_never_registered_is_no_error() {
    let table = ConnectionTable::start().await;
    disconnect(&table.registry(), fixtures::disconnect("a=")).await.unwrap();
}

#[tokio::test]
async fn a_row_that_cannot_be_deleted_is_an_error() {
    let table = ConnectionTable::start().await;
    table.drop_table().await;
    assert!(disconnect(&table.registry(), fixtures::disconnect("a=")).await.is_err());
}
