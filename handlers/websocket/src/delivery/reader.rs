//! Reads the recipients of a message, and keeps the cursors where it stopped.

use std::{collections::HashSet, vec};

use futures::{Stream, StreamExt, stream};
use tokio::time::Instant;

use crate::{
    protocol::{connection::ConnectionId, cursor::ShardCursor},
    store::{error::StoreError, pages::Page, registry::MemberKey},
};

/// Takes the recipients out of a channel's pages, one by one.
pub(super) struct Reader<'a, P> {
    pages: P,
    /// The page that recipients are taken from.
    current: Option<Current>,
    excluded: HashSet<&'a ConnectionId>,
    /// How many more members are taken, excluded ones included.
    left: usize,
    /// The time after which no more are taken.
    stop: Instant,
    /// The cursor where the rest of each shard begins; `None` where there is no rest.
    rest: Vec<Option<ShardCursor>>,
    error: Option<StoreError>,
}

struct Current {
    index: usize,
    members: vec::IntoIter<MemberKey>,
    next: Option<ShardCursor>,
}

impl<'a, P: Stream<Item = Page> + Unpin> Reader<'a, P> {
    /// Takes at most `max` members out of the pages that follow these cursors, until it is time to stop.
    pub(super) fn new(
        pages: P,
        places: &[ShardCursor],
        exclude: &'a [ConnectionId],
        max: usize,
        stop: Instant,
    ) -> Self {
        let rest = places.iter().cloned().map(Some).collect();
        Self { pages, current: None, excluded: exclude.iter().collect(), left: max, stop, rest, error: None }
    }

    /// The recipients, as they are read.
    pub(super) fn recipients(&mut self) -> impl Stream<Item = MemberKey> {
        stream::unfold(self, async |reader| reader.next().await.map(|member| (member, reader)))
    }

    async fn next(&mut self) -> Option<MemberKey> {
        loop {
            let Some(Current { index, members, next }) = &mut self.current else {
                let Page { index, members, next } = self.pages.next().await?;
                match members {
                    Ok(members) => {
                        self.current = Some(Current { index, members: members.into_iter(), next });
                    }
                    Err(error) => self.error = Some(error),
                }
                continue;
            };
            let Some(member) = members.next() else {
                self.rest[*index] = next.take();
                self.current = None;
                continue;
            };
            if self.left == 0 || Instant::now() >= self.stop {
                return None;
            }
            self.left -= 1;
            if let Some(place) = &mut self.rest[*index] {
                place.after = Some(member.id.clone());
            }
            if !self.excluded.contains(&member.id) {
                return Some(member);
            }
        }
    }

    /// The cursor of each shard with a rest, and the error of the last shard that could not be read.
    pub(super) fn end(self) -> (Vec<ShardCursor>, Option<StoreError>) {
        (self.rest.into_iter().flatten().collect(), self.error)
    }
}
