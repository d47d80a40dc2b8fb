//! The connection table, in a DynamoDB engine in memory.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType,
    },
};
use dynoxide::Database;
use lambda_websocket::registry::{CONNECTION_INDEX, Registry};
use tokio::net::TcpListener;

/// A row of the table.
pub type Row = HashMap<String, AttributeValue>;

/// A DynamoDB of the test's own with the connection table in it, keyed as the Terraform module keys it.
#[derive(Clone, Debug)]
pub struct ConnectionTable {
    /// Where the engine listens.
    pub endpoint: String,
    /// A client of it.
    pub client: Client,
}

impl ConnectionTable {
    /// The table's name.
    pub const NAME: &str = "connections";

    /// Starts an engine, with an empty table.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().expect("a database in memory")));
        let client = lambda_websocket::aws::dynamodb(&crate::sdk_config(&endpoint));
        create(&client).await;
        Self { endpoint, client }
    }

    /// The registry in this table, with one shard per channel.
    pub fn registry(&self) -> Registry {
        self.sharded_registry(1)
    }

    /// The registry in this table, with so many shards per channel.
    pub fn sharded_registry(&self, shards: u8) -> Registry {
        let shards = shards.to_string().parse().expect("a number of shards");
        Registry::new(self.client.clone(), Self::NAME, shards)
    }

    /// Every row.
    pub async fn rows(&self) -> Vec<Row> {
        let items = self.client.scan().table_name(Self::NAME).into_paginator().items();
        items.send().try_collect().await.expect("a scan")
    }

    /// The connections that are in some channel, in order, each as often as it is.
    pub async fn connection_ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self
            .rows()
            .await
            .iter()
            .map(|row| row["connectionId"].as_s().expect("a string").clone())
            .collect();
        ids.sort();
        ids
    }

    /// Writes a row as it is.
    pub async fn put(&self, row: Row) {
        self.client.put_item().table_name(Self::NAME).set_item(Some(row)).send().await.expect("a put");
    }

    /// Takes the table away: every later call fails.
    pub async fn drop_table(&self) {
        self.client.delete_table().table_name(Self::NAME).send().await.expect("a deletion");
    }
}

async fn create(client: &Client) {
    let attribute = |name: &str| {
        let attribute =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        attribute.build().expect("complete")
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("complete")
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name(CONNECTION_INDEX)
        .key_schema(key("connectionId", KeyType::Hash))
        .key_schema(key("channel", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    client
        .create_table()
        .table_name(ConnectionTable::NAME)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("channel"))
        .attribute_definitions(attribute("connectionId"))
        .key_schema(key("channel", KeyType::Hash))
        .key_schema(key("connectionId", KeyType::Range))
        .global_secondary_indexes(index.build().expect("complete"))
        .send()
        .await
        .expect("a table");
}
