//! The connection table and the history, in a DynamoDB engine in memory.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::create_table::builders::CreateTableFluentBuilder,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType,
    },
};
use dynoxide::Database;
use lambda_websocket::{
    Channel, Connection, ConnectionId, History, Registry,
    store::{
        error::StoreError,
        registry::{CONNECTION_INDEX, DeletedRow},
    },
};
use tokio::net::TcpListener;

/// The name of the history's table.
pub(crate) const HISTORY: &str = "history";

/// A row of the table.
pub type Row = HashMap<String, AttributeValue>;

/// A DynamoDB for one test, with the connection table in it, keyed as the Terraform module keys it.
#[derive(Clone, Debug)]
pub struct ConnectionTable {
    /// The endpoint of the engine.
    pub endpoint: String,
    /// A client of the engine.
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
        let index = GlobalSecondaryIndex::builder()
            .index_name(CONNECTION_INDEX)
            .key_schema(key("connectionId", KeyType::Hash))
            .key_schema(key("channel", KeyType::Range))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
        let table = new_table(&client, Self::NAME, "connectionId", ScalarAttributeType::S);
        let table = table.global_secondary_indexes(index.build().expect("complete"));
        table.send().await.expect("a table");
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

    /// Creates an empty history beside the table. It replays so many messages at most.
    pub async fn history(&self, max: u16) -> History {
        self.history_for(A_DAY, max).await
    }

    /// The same, with so many seconds for which it keeps a message.
    pub async fn history_for(&self, seconds: &str, max: u16) -> History {
        new_table(&self.client, HISTORY, "seq", ScalarAttributeType::N).send().await.expect("a table");
        history(self.client.clone(), seconds, max)
    }

    /// Every row of the history.
    pub async fn history_rows(&self) -> Vec<Row> {
        let items = self.client.scan().table_name(HISTORY).into_paginator().items();
        items.send().try_collect().await.expect("a scan")
    }

    /// Every message of the history: its channel, its number, and its frame, in order.
    pub async fn messages(&self) -> Vec<(String, u64, String)> {
        let rows = self.history_rows().await;
        let message = |row: &Row| {
            let frame = row.get("frame")?.as_s().expect("a text").clone();
            let channel = row["channel"].as_s().expect("a text").clone();
            Some((channel, row["seq"].as_n().expect("a number").parse().expect("a number"), frame))
        };
        let mut messages: Vec<_> = rows.iter().filter_map(message).collect();
        messages.sort();
        messages
    }

    /// Writes a message as one that was recorded at this time, in milliseconds since the Unix epoch.
    pub async fn put_recorded(&self, channel: &str, seq: u64, recorded_at: u64, frame: &str) {
        let number = |value: u64| AttributeValue::N(value.to_string());
        let put = self.client.put_item().table_name(HISTORY);
        let put = put.item("channel", AttributeValue::S(channel.to_owned())).item("seq", number(seq));
        let put = put.item("expiresAt", number(recorded_at / 1_000 + 24 * 60 * 60 + 60));
        let put = put.item("recordedAt", number(recorded_at)).item("id", AttributeValue::S(frame.to_owned()));
        put.item("frame", AttributeValue::S(frame.to_owned())).send().await.expect("a put");
    }

    /// Sets when a channel's counter began, in milliseconds since the Unix epoch.
    pub async fn age_counter(&self, channel: &str, created_at: u64) {
        self.set_history(&format!("#seq:{channel}"), "createdAt", created_at).await;
    }

    /// Lets the last number of a channel be one that was taken so long ago that no sender is at work on it.
    pub async fn settle_counter(&self, channel: &str) {
        let now = crate::fixtures::now_millis() / 1_000;
        self.set_history(&format!("#seq:{channel}"), "expiresAt", now + 400 * 24 * 60 * 60 - 16 * 60).await;
    }

    /// Lets all claims expire, without deleting them.
    pub async fn expire_claims(&self) {
        for row in self.history_rows().await.iter().filter(|row| row.contains_key("messageSeq")) {
            self.set_history(row["channel"].as_s().expect("a text"), "expiresAt", 1).await;
        }
    }

    async fn set_history(&self, hash: &str, name: &str, value: u64) {
        let update = self.client.update_item().table_name(HISTORY);
        let update = update.key("channel", AttributeValue::S(hash.to_owned()));
        let update = update.key("seq", AttributeValue::N("0".to_owned()));
        let update = update.update_expression(format!("SET {name} = :value"));
        let update = update.expression_attribute_values(":value", AttributeValue::N(value.to_string()));
        update.send().await.expect("an update");
    }

    /// Deletes the history's table: every later call about it fails.
    pub async fn drop_history(&self) {
        self.client.delete_table().table_name(HISTORY).send().await.expect("a deletion");
    }

    /// Every row.
    pub async fn rows(&self) -> Vec<Row> {
        let items = self.client.scan().table_name(Self::NAME).into_paginator().items();
        items.send().try_collect().await.expect("a scan")
    }

    /// The sorted connection ids of all rows: each connection as often as it is in a channel.
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

    /// Deletes the table: every later call fails.
    pub async fn drop_table(&self) {
        self.client.delete_table().table_name(Self::NAME).send().await.expect("a deletion");
    }
}

/// How long a history keeps a message by default, in seconds.
pub const A_DAY: &str = "86400";

/// The history beside the connection table, through this client.
pub fn history(client: Client, seconds: &str, max: u16) -> History {
    let max = max.to_string().parse().expect("a number of messages");
    History::new(client, HISTORY, seconds.parse().expect("a time"), max)
}

/// A table with the hash key `channel` and this range key.
fn new_table(
    client: &Client,
    name: &str,
    range: &str,
    range_type: ScalarAttributeType,
) -> CreateTableFluentBuilder {
    let attribute = |name: &str, of_type: ScalarAttributeType| {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(of_type);
        attribute.build().expect("complete")
    };
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("channel", ScalarAttributeType::S))
        .attribute_definitions(attribute(range, range_type))
        .key_schema(key("channel", KeyType::Hash))
        .key_schema(key(range, KeyType::Range))
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("complete")
}

/// Deletes the rows of a closed connection, and returns their contents.
///
/// # Errors
/// When the rows could not be read, or not all deleted.
pub async fn remove(registry: &Registry, connection: &Connection) -> Result<Vec<DeletedRow>, StoreError> {
    registry.delete(registry.rows_of_closed(connection).await?, None).await
}

/// Deletes the rows of a connection in a channel, and returns their contents.
///
/// # Errors
/// As [`remove`].
pub async fn unsubscribe(
    registry: &Registry,
    channel: &Channel,
    id: &ConnectionId,
) -> Result<Vec<DeletedRow>, StoreError> {
    registry.delete(registry.rows_in(channel, id).await?, None).await
}
