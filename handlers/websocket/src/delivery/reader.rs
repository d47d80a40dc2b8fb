//! Reads whom a message goes to, and keeps where it stopped.

use std::{collections::HashSet, vec};

use futures::{Stream, StreamExt, channel::mpsc, stream};
use tokio::time::Instant;

use crate::{
    protocol::{connection::ConnectionId, cursor::ShardCursor},
    store::{error::StoreError, pages::Page, registry::MemberKey},
};

/// Takes the recipients out of a channel's pages, one by one.
pub(super) struct Reader<'a> {
    pages: mpsc::Receiver<Page>,
    /// The page that recipients are taken from.
    current: Option<Current>,
    excluded: HashSet<&'a ConnectionId>,
    /// How many more are taken, those included that are left out.
    left: usize,
    /// When no more are taken.
    stop: Instant,
    /// Where the rest of each shard begins; nothing where there is none.
    rest: Vec<Option<ShardCursor>>,
    error: Option<StoreError>,
}

struct Current {
    index: usize,
    members: vec::IntoIter<MemberKey>,
    next: Option<ShardCursor>,
}

impl<'a> Reader<'a> {
    /// Takes at most so many out of the pages that follow these places, until it is time to stop.
    pub(super) fn new(
        pages: mpsc::Receiver<Page>,
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

    /// Where the rest begins in each shard that has one, and the last shard's error that could not be read.
    pub(super) fn end(self) -> (Vec<ShardCursor>, Option<StoreError>) {
        (self.rest.into_iter().flatten().collect(), self.error)
    }
}
