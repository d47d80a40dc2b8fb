//! The DynamoDB table of channels and the connections in them.
//!
//! | attribute | key | type |
//! |---|---|---|
//! | `channel` | hash | the channel's name and the number of a shard: `*#0` |
//! | `connectionId` | range, and hash of the index `by-connection` | the id |
//! | `connectedAt` | | milliseconds since the Unix epoch |
//! | `expiresAt` | TTL | seconds since the Unix epoch |
//! | `principal`, `sourceIp`, `userAgent` | | the client's, if known |
//!
//! There is also a row for each replay in progress.
//!
//! A channel's rows are spread over its [`Shards`] by a hash of the connection's id. Each shard is a partition of the
//! table. Reading a channel is a query of every shard. Finding the rows of a connection is a query of the index.
//! Nothing scans.
//!
//! The index lags a moment behind the table, and `$disconnect` may overtake a subscription in progress. So the row of a
//! subscription made just before the end can outlive its connection. The first message to its channel finds the
//! connection gone, and it is [pruned](crate::delivery::departure). Until then [`Registry::list`] shows it, until the
//! row expires at the latest. No message goes astray: the id of a connection is never used again.

mod devices;
mod replay;

use std::{collections::HashSet, error::Error as StdError, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{
        delete_item::DeleteItemError,
        query::{QueryOutput, builders::QueryFluentBuilder},
    },
    types::{AttributeValue, ReturnValue},
};
use futures::{Stream, StreamExt, TryStreamExt, future::try_join_all, stream};

use crate::{
    aws, config,
    protocol::{
        channel::Channel,
        connection::{Connection, ConnectionId, MAX_LIFETIME},
        cursor::{Cursor, ShardCursor},
        member::Member,
        principal::Principal,
        shards::Shards,
    },
    store::{
        attribute_values::{Row, number, read_text, text},
        error::{Store, StoreError},
    },
    time::unix_seconds,
};

/// The index that finds all rows of a connection.
pub const CONNECTION_INDEX: &str = "by-connection";

/// The maximum number of deletes in progress at once.
pub(crate) const DELETES_AT_ONCE: usize = 16;

/// The minimum age of a connection that is taken for closed when it is found gone. A younger one may not be open yet:
/// its row is written before API Gateway has the answer to `$connect`. API Gateway waits 29 seconds for that answer,
/// and its clock may differ from ours.
pub const OPEN_AFTER: Duration = Duration::from_secs(60);

/// How long a row outlives [`MAX_LIFETIME`]: clocks differ, and a row that expires early hides a live connection.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10 * 60);

/// The table of channels and the connections in them.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    table: String,
    shards: Shards,
}

/// The result of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// The connection is in the channel now.
    Made,
    /// The connection was already in the channel.
    Kept,
    /// The connection has reached its limit of subscriptions, and this is another.
    TooMany,
}

/// A connection in a channel, and the key of its row. The row can be in another shard than a new one would be, when the
/// number of shards has changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberKey {
    /// The connection, the row's range key.
    pub id: ConnectionId,
    /// The row's hash key.
    partition: String,
}

/// The content of a deleted row: the connection is no longer in the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedRow {
    /// The channel.
    pub channel: Channel,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The principal, if authenticated.
    pub principal: Option<Principal>,
}

impl Registry {
    /// The registry in the table of that name, with these numbers of shards.
    pub fn new(client: Client, table: impl Into<String>, shards: Shards) -> Self {
        Self { client, table: table.into(), shards }
    }

    /// The registry that the environment configures.
    ///
    /// # Errors
    /// When the table's name is missing, or a number of shards is out of range.
    pub fn from_env(sdk: &SdkConfig) -> Result<Self, lambda_runtime::Error> {
        let table = config::required(config::CONNECTION_TABLE)?;
        let channel = config::parsed(config::CONNECTION_SHARDS)?;
        let everyone = config::optional_as(config::EVERYONE_SHARDS)?.unwrap_or(channel);
        let shards = Shards { channel, everyone, former: config::parsed(config::FORMER_SHARDS)? };
        Ok(Self::new(aws::dynamodb(sdk), table, shards))
    }

    /// Puts a new connection into the channels that it is in [from `$connect` on](Channel::of_connect).
    ///
    /// # Errors
    /// When a row could not be written. Other rows may have been written.
    pub async fn register(&self, connection: &Connection) -> Result<(), StoreError> {
        let channels: Vec<_> = Channel::of_connect(connection.principal.as_ref()).collect();
        try_join_all(channels.iter().map(|channel| self.add(channel, connection))).await?;
        Ok(())
    }

    /// Subscribes a connection to a channel, unless it has `max` other subscriptions. Subscribing is idempotent.
    ///
    /// Reserved channels do not count, and their rows are written again: a message that was sent while the client
    /// connected may have found it gone, and pruned it.
    ///
    /// The limit is soft: concurrent subscriptions do not count each other, and the index that counts them lags a
    /// moment behind.
    ///
    /// # Errors
    /// When the subscriptions could not be counted, or the row could not be written.
    pub async fn subscribe(
        &self,
        channel: &Channel,
        connection: &Connection,
        max: usize,
    ) -> Result<Subscription, StoreError> {
        if self.expected_subscription(channel, &connection.id, max).await? == Subscription::TooMany {
            return Ok(Subscription::TooMany);
        }
        // Written even if the index has the row: the index may still show a row that was deleted just now.
        let is_new = self.add(channel, connection).await?;
        Ok(if is_new { Subscription::Made } else { Subscription::Kept })
    }

    /// The expected result of a subscription, according to the index, which lags a moment behind.
    ///
    /// # Errors
    /// When the subscriptions could not be counted.
    pub(crate) async fn expected_subscription(
        &self,
        channel: &Channel,
        id: &ConnectionId,
        max: usize,
    ) -> Result<Subscription, StoreError> {
        let rows = self.partitions_of(id).await?;
        if rows.iter().any(|partition| channel.has_partition(partition)) {
            return Ok(Subscription::Kept);
        }
        let subscribed: HashSet<_> = rows
            .iter()
            .filter_map(|partition| Channel::of_partition(partition))
            .filter(|channel| !channel.is_reserved())
            .collect();
        let is_another = !channel.is_reserved() && subscribed.len() >= max;
        Ok(if is_another { Subscription::TooMany } else { Subscription::Made })
    }

    /// Adds a connection to a channel. Returns whether it was not in the channel before. Adding is idempotent.
    ///
    /// # Errors
    /// When the row could not be written.
    pub async fn add(&self, channel: &Channel, connection: &Connection) -> Result<bool, StoreError> {
        let mut row = self.member(channel, &connection.id).into_key();
        row.insert("connectedAt".to_owned(), number(connection.connected_at));
        row.insert("expiresAt".to_owned(), number(expires_at(connection)));
        for (name, value) in [
            ("principal", connection.principal.as_ref().map(Principal::as_str)),
            ("sourceIp", connection.source_ip.as_deref()),
            ("userAgent", connection.user_agent.as_deref()),
        ] {
            if let Some(value) = value {
                row.insert(name.to_owned(), text(value));
            }
        }
        let put = self.client.put_item().table_name(&self.table).set_item(Some(row));
        let put = put.return_values(ReturnValue::AllOld).send().await;
        Ok(put.map_err(|error| self.failed("PutItem", error))?.attributes.is_none())
    }

    /// The connections in a channel, without those whose row has expired. All shards are read at once, page by page, in
    /// no order.
    ///
    /// The reads are consistent: a connection that was added before the call is included. It is included twice if it
    /// was added again under another number of shards.
    ///
    /// If a shard cannot be read, an error stands for the rest of it. The other shards are read on.
    pub fn members(&self, channel: &Channel) -> impl Stream<Item = Result<MemberKey, StoreError>> + use<'_> {
        let shards = self.places(channel).into_iter();
        stream::select_all(shards.map(|place| Box::pin(self.members_behind(channel, &place))))
    }

    /// The cursor at the beginning of each shard of a channel.
    pub(crate) fn places(&self, channel: &Channel) -> Vec<ShardCursor> {
        self.shards.numbers(channel).map(|shard| ShardCursor { shard, after: None, through: None }).collect()
    }

    /// The members in a range of a shard, in the order of their ids.
    fn members_behind(
        &self,
        channel: &Channel,
        place: &ShardCursor,
    ) -> impl Stream<Item = Result<MemberKey, StoreError>> + use<'_> {
        let partition = channel.partition_key(place.shard);
        self.pages(self.members_query(channel, place))
            .map_ok(move |page| {
                // Converted at once: a page of thousands of rows waits here for each shard, and a row is many times the
                // size of a member.
                stream::iter(read_members(&page, &partition).into_iter().map(Ok))
            })
            .try_flatten()
    }

    fn members_query(&self, channel: &Channel, place: &ShardCursor) -> QueryFluentBuilder {
        let partition = channel.partition_key(place.shard);
        let start = place.after.clone().map(|id| MemberKey { id, partition: partition.clone() }.into_key());
        let query =
            self.live_rows(&partition).projection_expression("connectionId").set_exclusive_start_key(start);
        match &place.through {
            Some(last) => query
                .key_condition_expression("channel = :channel AND connectionId <= :last")
                .expression_attribute_values(":last", text(last.as_str())),
            None => query,
        }
    }

    /// Reads up to `rows` rows of a range. Returns their members, the number of rows read, and the rest of the range if
    /// more may follow.
    pub(crate) async fn page(
        &self,
        channel: &Channel,
        place: &ShardCursor,
        rows: usize,
    ) -> Result<(Vec<MemberKey>, usize, Option<ShardCursor>), StoreError> {
        let query = self.members_query(channel, place).limit(i32::try_from(rows).unwrap_or(i32::MAX));
        let page = query.send().await.map_err(|error| self.failed("Query", error))?;
        let next = rest_of(place, &page);
        let read = usize::try_from(page.scanned_count).unwrap_or_default();
        Ok((read_members(&page, &channel.partition_key(place.shard)), read, next))
    }

    /// Reads as many rows of a range as DynamoDB returns at once: 1 MB. Returns their members, and the rest of the range
    /// if more may follow.
    ///
    /// Who has just been added may be missing: the read is eventually consistent, which costs half as much.
    pub(crate) async fn long_page(
        &self,
        channel: &Channel,
        place: &ShardCursor,
    ) -> Result<(Vec<MemberKey>, Option<ShardCursor>), StoreError> {
        let query = self.members_query(channel, place).consistent_read(false);
        let page = query.send().await.map_err(|error| self.failed("Query", error))?;
        Ok((read_members(&page, &channel.partition_key(place.shard)), rest_of(place, &page)))
    }

    /// The members of a channel after a cursor, with their principals. Expired rows are left out. The members are
    /// sorted by shard, and by id within a shard. `rows_at_a_time` rows are read at once, and only as far as the caller
    /// reads the list.
    ///
    /// Connections come and go meanwhile. A connection that is there all the while is listed. It is listed twice only
    /// if it was added again under another number of shards.
    pub fn list(
        &self,
        channel: &Channel,
        after: Option<&Cursor>,
        rows_at_a_time: u16,
    ) -> impl Stream<Item = Result<Member, StoreError>> + use<'_> {
        let (first, mut start) =
            after.map_or((0, None), |after| (after.shard, Some(after.connection_id.clone())));
        let numbers = self.shards.numbers(channel).skip(first.into());
        let shards: Vec<_> =
            numbers.map(|shard| (shard, channel.partition_key(shard), start.take())).collect();
        stream::iter(shards)
            .map(move |(shard, partition, start)| {
                let start = start.map(|id| MemberKey { id, partition: partition.clone() }.into_key());
                let query = self
                    .live_rows(&partition)
                    .projection_expression("connectionId, principal, connectedAt")
                    .set_exclusive_start_key(start)
                    .limit(rows_at_a_time.into());
                let list = move |page: QueryOutput| {
                    let rows = page.items.unwrap_or_default().into_iter();
                    stream::iter(rows.filter_map(move |row| read_member(&row, shard)).map(Ok))
                };
                Box::pin(self.pages(query).map_ok(list).try_flatten())
            })
            .flatten()
    }

    /// Queries the rows of a partition that have not expired: DynamoDB deletes expired rows within days, not at once.
    fn live_rows(&self, partition: &str) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("channel = :channel")
            .filter_expression("expiresAt > :now")
            .expression_attribute_values(":channel", text(partition))
            .expression_attribute_values(":now", number(unix_seconds()))
    }

    /// The pages of a query's result, each read on demand.
    fn pages(
        &self,
        query: QueryFluentBuilder,
    ) -> impl Stream<Item = Result<QueryOutput, StoreError>> + use<'_> {
        let pages = query.into_paginator().send();
        stream::unfold(pages, async |mut pages| pages.next().await.map(|page| (page, pages)))
            .map_err(|error| self.failed("Query", error))
    }

    /// The rows of a closed connection: those in the index, and those [from `$connect` on](Channel::of_connect), which
    /// the index may not have yet.
    ///
    /// # Errors
    /// When the index could not be read.
    pub async fn rows_of_closed(&self, connection: &Connection) -> Result<HashSet<MemberKey>, StoreError> {
        let mut rows = self.rows_of(&connection.id).await?;
        let channels = Channel::of_connect(connection.principal.as_ref());
        rows.extend(channels.map(|channel| self.member(&channel, &connection.id)));
        Ok(rows)
    }

    /// The rows of a connection that was found gone: the row that was read, and all others in the index.
    ///
    /// # Errors
    /// When the index could not be read.
    pub async fn rows_of_gone(&self, member: MemberKey) -> Result<HashSet<MemberKey>, StoreError> {
        let mut rows = self.rows_of(&member.id).await?;
        rows.insert(member);
        Ok(rows)
    }

    /// The rows of a connection in a channel, in any shard. They are those in the index, and the one where it would be
    /// put now, which the index may not have yet.
    ///
    /// # Errors
    /// When the index could not be read.
    pub async fn rows_in(
        &self,
        channel: &Channel,
        id: &ConnectionId,
    ) -> Result<HashSet<MemberKey>, StoreError> {
        let mut rows = self.rows_of(id).await?;
        rows.retain(|row| channel.has_partition(&row.partition));
        rows.insert(self.member(channel, id));
        Ok(rows)
    }

    /// A connection's rows, according to the index.
    async fn rows_of(&self, id: &ConnectionId) -> Result<HashSet<MemberKey>, StoreError> {
        let partitions = self.partitions_of(id).await?.into_iter();
        Ok(partitions.map(|partition| MemberKey { id: id.clone(), partition }).collect())
    }

    /// The hash keys of a connection's rows, according to the index.
    async fn partitions_of(&self, id: &ConnectionId) -> Result<Vec<String>, StoreError> {
        let rows: Vec<_> = self
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
        Ok(rows.iter().filter_map(|row| read_text(row, "channel")).collect())
    }

    /// Deletes rows and returns their content. If a time is given, in milliseconds since the Unix epoch, it deletes
    /// only rows of connections that were established before it.
    ///
    /// # Errors
    /// When not all could be deleted.
    pub async fn delete(
        &self,
        rows: HashSet<MemberKey>,
        connected_before: Option<u64>,
    ) -> Result<Vec<DeletedRow>, StoreError> {
        // Single deletes, some at a time: `BatchWriteItem` would need fewer calls, but also a permission to write. It
        // does not return the deleted rows either, so two callers that delete the same row would both announce the
        // leave.
        stream::iter(rows)
            .map(async |member| {
                let delete =
                    self.client.delete_item().table_name(&self.table).set_key(Some(member.into_key()));
                let mut delete = delete.return_values(ReturnValue::AllOld);
                if let Some(time) = connected_before {
                    delete = delete
                        .condition_expression("attribute_not_exists(connectedAt) OR connectedAt < :time")
                        .expression_attribute_values(":time", number(time));
                }
                match delete.send().await {
                    Ok(deleted) => Ok(deleted.attributes.as_ref().and_then(read_deleted)),
                    Err(error) if is_condition(&error) => Ok(None),
                    Err(error) => Err(self.failed("DeleteItem", error)),
                }
            })
            .buffer_unordered(DELETES_AT_ONCE)
            .try_filter_map(async |deleted| Ok(deleted))
            .try_collect()
            .await
    }

    /// The principal in this row, and when its connection was established, in milliseconds since the Unix epoch. `None`
    /// if the row is deleted or has expired.
    pub(crate) async fn read(&self, row: &MemberKey) -> Result<Option<(Option<Principal>, u64)>, StoreError> {
        let query = self
            .live_rows(&row.partition)
            .key_condition_expression("channel = :channel AND connectionId = :id")
            .expression_attribute_values(":id", text(row.id.as_str()));
        let found = query.send().await.map_err(|error| self.failed("Query", error))?;
        Ok(found.items().first().and_then(|row| {
            let connected_at = row.get("connectedAt")?.as_n().ok()?.parse().ok()?;
            Some((read_principal(row), connected_at))
        }))
    }

    /// Whether a connection is in a channel.
    ///
    /// # Errors
    /// When the row could not be read.
    pub(crate) async fn is_member(&self, channel: &Channel, id: &ConnectionId) -> Result<bool, StoreError> {
        for shard in self.shards.numbers_of(channel, id) {
            let query = self
                .live_rows(&channel.partition_key(shard))
                .key_condition_expression("channel = :channel AND connectionId = :id")
                .expression_attribute_values(":id", text(id.as_str()));
            let found = query.send().await.map_err(|error| self.failed("Query", error))?;
            if !found.items().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The key of a connection's row, in the shard that it is put into.
    pub(crate) fn member(&self, channel: &Channel, id: &ConnectionId) -> MemberKey {
        MemberKey { id: id.clone(), partition: channel.partition_key(self.shards.number_of(channel, id)) }
    }

    fn failed(&self, operation: &'static str, source: impl StdError + Send + Sync + 'static) -> StoreError {
        StoreError { store: Store::Registry, operation, table: self.table.clone(), source: Box::new(source) }
    }
}

impl MemberKey {
    /// The key of the row at a cursor of a channel.
    pub(crate) fn at(channel: &Channel, cursor: Cursor) -> Self {
        Self { partition: channel.partition_key(cursor.shard), id: cursor.connection_id }
    }

    /// The cursor of the row in its channel; `None` if [`Registry::add`] did not write the row.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        let shard = Channel::shard_of_partition(&self.partition)?;
        Some(Cursor { shard, connection_id: self.id.clone() })
    }

    /// The channel; `None` if [`Registry::add`] did not write the row.
    pub(crate) fn channel(&self) -> Option<Channel> {
        Channel::of_partition(&self.partition)
    }

    /// The key of its row, as attributes.
    fn into_key(self) -> Row {
        Row::from([
            ("channel".to_owned(), AttributeValue::S(self.partition)),
            ("connectionId".to_owned(), text(self.id.as_str())),
        ])
    }
}

impl AsRef<ConnectionId> for MemberKey {
    fn as_ref(&self) -> &ConnectionId {
        &self.id
    }
}

/// When a connection's rows expire, since it cannot be open any more. In seconds since the Unix epoch (DynamoDB's TTL
/// requires seconds).
pub fn expires_at(connection: &Connection) -> u64 {
    connection.connected_at / 1_000 + (MAX_LIFETIME + EXPIRY_MARGIN).as_secs()
}

/// The connection id in a row; `None` if it is not a valid id, since such a row cannot be posted to.
fn read_id(row: &Row) -> Option<ConnectionId> {
    ConnectionId::parse(read_text(row, "connectionId")?)
        .inspect_err(|error| tracing::warn!(%error, "table row skipped"))
        .ok()
}

fn read_members(page: &QueryOutput, partition: &str) -> Vec<MemberKey> {
    let ids = page.items().iter().filter_map(read_id);
    ids.map(|id| MemberKey { id, partition: partition.to_owned() }).collect()
}

/// The part of a range behind a page of it, if more may follow.
fn rest_of(place: &ShardCursor, page: &QueryOutput) -> Option<ShardCursor> {
    let after = page.last_evaluated_key.as_ref().and_then(read_id)?;
    Some(ShardCursor { after: Some(after), ..place.clone() })
}

fn read_principal(row: &Row) -> Option<Principal> {
    Principal::parse(read_text(row, "principal")?).ok()
}

/// The content of a deleted row. A row that cannot be read was not written by `add`.
fn read_deleted(row: &Row) -> Option<DeletedRow> {
    Some(DeletedRow {
        channel: Channel::of_partition(&read_text(row, "channel")?)?,
        connection_id: read_id(row)?,
        principal: read_principal(row),
    })
}

/// The row as a member in its channel's list. Data that cannot be read was not written by `add`, and is left out.
fn read_member(row: &Row, shard: u8) -> Option<Member> {
    Some(Member {
        connection_id: read_id(row)?,
        principal: read_principal(row),
        connected_at: row.get("connectedAt")?.as_n().ok()?.parse().ok()?,
        shard,
    })
}

/// Whether the row was not deleted because the condition does not hold.
fn is_condition(error: &SdkError<DeleteItemError>) -> bool {
    error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_outlives_the_longest_connection() {
        let connection = Connection {
            id: ConnectionId::parse("L0SM9cOFvHcCIhw=").unwrap(),
            connected_at: 1_700_000_000_999,
            principal: None,
            source_ip: None,
            user_agent: None,
        };
        assert_eq!(expires_at(&connection), 1_700_000_000 + 7_200 + 600);
    }
}
