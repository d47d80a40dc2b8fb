//! Whether a principal has another connection in a channel.

use std::pin::pin;

use aws_sdk_dynamodb::operation::query::QueryOutput;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};

use super::{Registry, read_id};
use crate::{
    protocol::{channel::Channel, connection::ConnectionId, principal::Principal},
    store::{attribute_values::text, error::StoreError},
};

/// Up to this many connections of a principal are queried one by one: few people have more devices.
const ASKED: usize = 10;

/// Up to this many pages of each shard of a channel are read, of 1 MB each: some 5,000 members.
const PAGES: usize = 4;

impl Registry {
    /// Whether a principal has another connection than this one in a channel; `None` if that takes too long to find
    /// out.
    ///
    /// It costs a query of the principal's connections. Up to [`ASKED`] connections cost another query each, all at
    /// once. If there are more, such as those of a name that all guests share, the channel's members are read instead,
    /// until one is found. That reads [`PAGES`] of each shard at most, 256 read units each. So it takes as long as few
    /// calls do, however many connections the principal has.
    ///
    /// # Errors
    /// When the table could not be read.
    pub(crate) async fn is_there(
        &self,
        channel: &Channel,
        principal: &Principal,
        but: &ConnectionId,
    ) -> Result<Option<bool>, StoreError> {
        let Some(devices) = self.few_devices(principal).await? else {
            return self.is_among_members(channel, principal, but).await;
        };
        let others = devices.iter().filter(|id| *id != but);
        let asked = try_join_all(others.map(|id| self.is_member(channel, id))).await?;
        Ok(Some(asked.contains(&true)))
    }

    /// The connections of a principal; `None` if there are more than [`ASKED`].
    async fn few_devices(&self, principal: &Principal) -> Result<Option<Vec<ConnectionId>>, StoreError> {
        let channel = Channel::user(principal);
        let pages = try_join_all(self.shards.numbers(&channel).map(async |shard| {
            let query = self.live_rows(&channel.partition_key(shard)).projection_expression("connectionId");
            query.limit(ASKED as i32 + 1).send().await.map_err(|error| self.failed("Query", error))
        }));
        let pages = pages.await?;
        let devices: Vec<_> = pages.iter().flat_map(QueryOutput::items).filter_map(read_id).collect();
        let are_all = pages.iter().all(|page| page.last_evaluated_key.is_none());
        Ok((are_all && devices.len() <= ASKED).then_some(devices))
    }

    async fn is_among_members(
        &self,
        channel: &Channel,
        principal: &Principal,
        but: &ConnectionId,
    ) -> Result<Option<bool>, StoreError> {
        let shards = self.shards.numbers(channel).map(|shard| {
            let query = self
                .live_rows(&channel.partition_key(shard))
                .filter_expression("expiresAt > :now AND principal = :principal")
                .expression_attribute_values(":principal", text(principal.as_str()))
                .projection_expression("connectionId");
            Box::pin(self.pages(query).take(PAGES).enumerate())
        });
        let mut pages =
            pin!(stream::select_all(shards).map(|(number, page)| page.map(|page| (number, page))));
        let mut is_all = true;
        while let Some((number, page)) = pages.try_next().await? {
            if page.items().iter().filter_map(read_id).any(|id| id != *but) {
                return Ok(Some(true));
            }
            is_all &= number + 1 < PAGES || page.last_evaluated_key.is_none();
        }
        Ok(is_all.then_some(false))
    }
}
