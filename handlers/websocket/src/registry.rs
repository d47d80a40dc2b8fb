//! The DynamoDB table of channels and the connections in them.
//!
//! | attribute | key | type |
//! |---|---|---|
//! | `channel` | hash | the channel's name and the number of a shard: `*#0` |
//! | `connectionId` | range, and hash of the index `by-connection` | the id |
//! | `connectedAt` | | milliseconds since the Unix epoch |
//! | `expiresAt` | TTL | seconds since the Unix epoch |
//! | `sourceIp`, `userAgent` | | the client's, where known |
//!
//! A channel's rows are spread over its [`Shards`] by a hash of the connection's id, each a partition of the table.
//! To reach a channel is a query of every shard, to forget a connection a query of the index; nothing scans.

use std::{
    collections::{HashMap, HashSet},
    error::Error as StdError,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::{Stream, TryStreamExt, stream};

use crate::{
    channel::Channel,
    connection::{Connection, ConnectionId},
    shards::Shards,
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
    shards: Shards,
}

/// A connection that is in a channel, and the row that says so: it can be in another shard than the connection
/// would be put into now, when the number of shards has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The connection, the row's range key.
    pub id: ConnectionId,
    /// The row's hash key.
    partition: String,
}

impl Registry {
    /// The registry in the table of that name, each channel spread over so many shards.
    pub fn new(client: Client, table: impl Into<String>, shards: Shards) -> Self {
        Self { client, table: table.into(), shards }
    }

    /// Puts a connection into a channel. To put it again changes nothing.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn add(&self, channel: &Channel, connection: &Connection) -> Result<(), RegistryError> {
        let mut row = self.member(channel, &connection.id).into_key();
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

    /// The connections in a channel, without those whose row has expired: all shards at once, page after page as
    /// they come, in no order.
    ///
    /// The reads are consistent: who was added before the call is in it. It is there twice if it was added again
    /// under another number of shards.
    ///
    /// Where a shard cannot be read, an error stands for the rest of it; the others are read on.
    pub fn members(&self, channel: &Channel) -> impl Stream<Item = Result<Member, RegistryError>> + use<'_> {
        let partitions = self.shards.numbers().map(|shard| channel.partition_key(shard));
        stream::select_all(partitions.map(|partition| Box::pin(self.members_in(partition))))
    }

    fn members_in(&self, partition: String) -> impl Stream<Item = Result<Member, RegistryError>> + use<'_> {
        // DynamoDB deletes expired rows within days, not at once.
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("channel = :channel")
            .filter_expression("expiresAt > :now")
            .projection_expression("connectionId")
            .expression_attribute_values(":channel", text(&partition))
            .expression_attribute_values(":now", number(unix_seconds()))
            .into_paginator()
            .send();
        stream::unfold(pages, async |mut pages| pages.next().await.map(|page| (page, pages)))
            .map_err(|error| self.failed("Query", error))
            .map_ok(move |page| {
                let ids = page.items().iter().filter_map(read_id);
                let members = ids.map(|id| Ok(Member { id, partition: partition.clone() }));
                // At once: a page of thousands of rows waits here for each shard, and a row is many times a member.
                stream::iter(members.collect::<Vec<_>>())
            })
            .try_flatten()
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
            .projection_expression("channel")
            .expression_attribute_values(":id", text(id.as_str()))
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| self.failed("Query", error))?;
        let partitions = found.iter().filter_map(|row| read_text(row, "channel"));
        let mut members: HashSet<_> =
            partitions.map(|partition| Member { id: id.clone(), partition }).collect();
        // The index lags behind the table: this row is there though the index may not show it yet.
        members.insert(self.member(&Channel::everyone(), id));
        self.prune(members).await
    }

    /// Takes members out of their channels, many at a time: the very rows that were read.
    ///
    /// # Errors
    /// When not all rows could be deleted.
    pub async fn prune(&self, members: impl IntoIterator<Item = Member>) -> Result<(), RegistryError> {
        // One by one, some at a time: `BatchWriteItem` would need fewer calls, and a grant to write.
        stream::iter(members.into_iter().map(Ok))
            .try_for_each_concurrent(DELETES_AT_ONCE, async |member| {
                let delete =
                    self.client.delete_item().table_name(&self.table).set_key(Some(member.into_key()));
                delete.send().await.map_err(|error| self.failed("DeleteItem", error))?;
                Ok(())
            })
            .await
    }

    /// The connection in the shard that it is put into.
    fn member(&self, channel: &Channel, id: &ConnectionId) -> Member {
        Member { id: id.clone(), partition: channel.partition_key(self.shards.number_of(id)) }
    }

    fn failed(
        &self,
        operation: &'static str,
        source: impl StdError + Send + Sync + 'static,
    ) -> RegistryError {
        RegistryError { operation, table: self.table.clone(), source: Box::new(source) }
    }
}

impl Member {
    /// The key of its row.
    fn into_key(self) -> Row {
        Row::from([
            ("channel".to_owned(), AttributeValue::S(self.partition)),
            ("connectionId".to_owned(), text(self.id.as_str())),
        ])
    }
}

impl AsRef<ConnectionId> for Member {
    fn as_ref(&self) -> &ConnectionId {
        &self.id
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
