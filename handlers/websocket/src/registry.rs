//! The DynamoDB table of channels and the connections in them.
//!
//! | attribute | key | type |
//! |---|---|---|
//! | `channel` | hash | the channel's name and a shard number: `*#0` |
//! | `connectionId` | range, and hash of the index `by-connection` | the id |
//! | `connectedAt` | | milliseconds since the Unix epoch |
//! | `expiresAt` | TTL | seconds since the Unix epoch |
//! | `sourceIp`, `userAgent` | | the client's, where known |
//!
//! To reach a channel is a query of its partition, to forget a connection a query of the index; nothing scans.

use std::{
    collections::{HashMap, HashSet},
    error::Error as StdError,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::{
    channel::Channel,
    connection::{Connection, ConnectionId},
};

/// The index that finds all rows of a connection.
pub const CONNECTION_INDEX: &str = "by-connection";

/// How many deletes are under way at once.
const DELETES_AT_ONCE: usize = 16;

/// The table could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on the table {table}")]
pub struct RegistryError {
    operation: &'static str,
    table: String,
    source: Box<dyn StdError + Send + Sync>,
}

/// The table of channels and the connections in them.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    table: String,
}

impl Registry {
    /// The registry in the table of that name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Puts a connection into a channel. To put it again changes nothing.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn add(&self, channel: &Channel, connection: &Connection) -> Result<(), RegistryError> {
        let mut row = Key::new(channel, &connection.id).into_attributes();
        row.insert("connectedAt".to_owned(), number(connection.connected_at));
        row.insert("expiresAt".to_owned(), number(connection.expires_at()));
        for (name, value) in [("sourceIp", &connection.source_ip), ("userAgent", &connection.user_agent)] {
            if let Some(value) = value {
                row.insert(name.to_owned(), text(value));
            }
        }
        let put = self.client.put_item().table_name(&self.table).set_item(Some(row));
        put.send().await.map_err(|error| self.failed("PutItem", error))?;
        Ok(())
    }

    /// The connections in a channel, page after page, without those whose row has expired.
    ///
    /// The reads are consistent: who was added before the call is in it.
    pub fn members(
        &self,
        channel: &Channel,
    ) -> impl Stream<Item = Result<ConnectionId, RegistryError>> + use<'_> {
        // DynamoDB deletes expired rows within days, not at once.
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("channel = :channel")
            .filter_expression("expiresAt > :now")
            .projection_expression("connectionId")
            .expression_attribute_values(":channel", text(channel.partition_key()))
            .expression_attribute_values(":now", number(unix_seconds()))
            .into_paginator()
            .send();
        stream::unfold(pages, async |mut pages| pages.next().await.map(|page| (page, pages)))
            .map_err(|error| self.failed("Query", error))
            .map_ok(|page| stream::iter(page.items.unwrap_or_default()).map(Ok))
            .try_flatten()
            .try_filter_map(async |row| Ok(read_id(&row)))
    }

    /// Takes a connection out of every channel. To remove it again changes nothing.
    ///
    /// # Errors
    /// When the rows could not be read, or not all deleted.
    pub async fn remove(&self, id: &ConnectionId) -> Result<(), RegistryError> {
        let found: Vec<_> = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(CONNECTION_INDEX)
            .key_condition_expression("connectionId = :id")
            .projection_expression("channel, connectionId")
            .expression_attribute_values(":id", text(id.as_str()))
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| self.failed("Query", error))?;
        let mut keys: HashSet<Key> = found.iter().filter_map(Key::of).collect();
        // The index lags behind the table: this row is there though the index may not show it yet.
        keys.insert(Key::new(&Channel::everyone(), id));
        self.delete(keys).await
    }

    /// Takes connections out of a channel, many at a time.
    ///
    /// # Errors
    /// When not all rows could be deleted.
    pub async fn prune(&self, channel: &Channel, ids: &[ConnectionId]) -> Result<(), RegistryError> {
        self.delete(ids.iter().map(|id| Key::new(channel, id)).collect()).await
    }

    /// Deletes rows one by one, some at a time. `BatchWriteItem` would need fewer calls, and a grant to write.
    async fn delete(&self, keys: HashSet<Key>) -> Result<(), RegistryError> {
        stream::iter(keys.into_iter().map(Ok))
            .try_for_each_concurrent(DELETES_AT_ONCE, async |key| {
                let delete =
                    self.client.delete_item().table_name(&self.table).set_key(Some(key.into_attributes()));
                delete.send().await.map_err(|error| self.failed("DeleteItem", error))?;
                Ok(())
            })
            .await
    }

    fn failed(
        &self,
        operation: &'static str,
        source: impl StdError + Send + Sync + 'static,
    ) -> RegistryError {
        RegistryError { operation, table: self.table.clone(), source: Box::new(source) }
    }
}

/// A row's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    partition: String,
    connection_id: String,
}

impl Key {
    fn new(channel: &Channel, id: &ConnectionId) -> Self {
        Self { partition: channel.partition_key(), connection_id: id.to_string() }
    }

    /// The key of a row that was read; none when the row is not one of ours.
    fn of(row: &Row) -> Option<Self> {
        Some(Self { partition: read_text(row, "channel")?, connection_id: read_text(row, "connectionId")? })
    }

    fn into_attributes(self) -> Row {
        Row::from([
            ("channel".to_owned(), AttributeValue::S(self.partition)),
            ("connectionId".to_owned(), AttributeValue::S(self.connection_id)),
        ])
    }
}

type Row = HashMap<String, AttributeValue>;

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn read_text(row: &Row, name: &str) -> Option<String> {
    row.get(name)?.as_s().ok().cloned()
}

/// The connection that a row is about; a row with anything else in place of an id cannot be posted to.
fn read_id(row: &Row) -> Option<ConnectionId> {
    ConnectionId::parse(read_text(row, "connectionId")?)
        .inspect_err(|error| tracing::warn!(%error, "a row of the connection table was passed over"))
        .ok()
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
