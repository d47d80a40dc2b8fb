//! Reads a channel's members page by page, and no more than the caller needs.

use std::collections::VecDeque;

use futures::{
    Stream, StreamExt,
    stream::{self, FuturesUnordered},
};

use crate::{
    protocol::{channel::Channel, cursor::ShardCursor},
    store::{
        error::StoreError,
        registry::{MemberKey, Registry},
    },
};

/// How many pages are read at once.
const PAGES_AT_ONCE: usize = 8;

/// The minimum and maximum rows of a page: a call that reads fewer costs as much, and more would wait in memory.
const ROWS: (usize, usize) = (100, 1_000);

/// A page of a shard of a channel.
#[derive(Debug)]
pub(crate) struct Page {
    /// The index of its cursor among those that the read began from.
    pub(crate) index: usize,
    /// The members whose rows have not expired. An error stands for the rest of the shard.
    pub(crate) members: Result<Vec<MemberKey>, StoreError>,
    /// Where the next page begins, if there may be one.
    pub(crate) next: Option<ShardCursor>,
}

/// Reads on from these cursors of a channel, a few shards at a time: at most `max_rows` rows, expired ones included.
///
/// An empty shard is queried too: only the query shows that it is empty.
pub(crate) fn read_on(
    registry: &Registry,
    channel: &Channel,
    places: &[ShardCursor],
    max_rows: usize,
) -> impl Stream<Item = Page> {
    let rows_of_a_page = (max_rows / PAGES_AT_ONCE.min(places.len().max(1))).clamp(ROWS.0, ROWS.1);
    let to_read: VecDeque<_> = places.iter().cloned().enumerate().collect();
    let state = (to_read, FuturesUnordered::new(), max_rows);
    stream::unfold(state, move |(mut to_read, mut under_way, mut rows_left)| async move {
        while under_way.len() < PAGES_AT_ONCE
            && rows_left > 0
            && let Some((index, place)) = to_read.pop_front()
        {
            let rows = rows_of_a_page.min(rows_left);
            rows_left -= rows;
            under_way.push(async move { (index, rows, registry.page(channel, &place, rows).await) });
        }
        let (index, rows, read) = under_way.next().await?;
        let page = match read {
            Ok((members, read, next)) => {
                rows_left = rows_left.saturating_add(rows.saturating_sub(read));
                if let Some(next) = &next {
                    to_read.push_front((index, next.clone()));
                }
                Page { index, members: Ok(members), next }
            }
            Err(error) => {
                rows_left = rows_left.saturating_add(rows);
                Page { index, members: Err(error), next: None }
            }
        };
        Some((page, (to_read, under_way, rows_left)))
    })
}
