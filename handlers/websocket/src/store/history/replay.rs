//! What a client missed: the messages after a number, or since a time.

use std::{cmp::Ordering, collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};

use super::{History, Recorded};
use crate::{
    protocol::{channel::Channel, frame::is_announcement},
    store::{
        attribute_values::{Row, number, read_number, read_text, text},
        error::StoreError,
    },
    time::unix_millis,
};

/// How long before the client's `since` a replay begins. A client can get a later message before an earlier one. A
/// message has the time when API Gateway received it, but is recorded at any moment of the 29 seconds that a function
/// then has at most. And clocks differ.
pub const OVERLAP: Duration = Duration::from_secs(60);

/// The maximum size of the messages in a replay, in bytes: they are in memory together.
const MAX_BYTES: usize = 1024 * 1024;

/// How many rows are read at once where most may be older than what is asked for.
const ROWS: u16 = 100;

/// How many gaps are closed at once.
const CLOSES_AT_ONCE: usize = 8;

/// How many numbers a replay closes at most: what comes after them is for the next one.
const GAPS: usize = 256;

/// How many pages of expired messages are read at most, where DynamoDB has not come to delete them.
const EXPIRED_PAGES: usize = 4;

/// The messages that were sent to a channel while a client was away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The messages as their recipients got them, in order.
    pub messages: Vec<Recorded>,
    /// The last number that they cover: every message up to it that was asked for is among them, unless some are
    /// missing. What has a higher number comes live, or is asked for after it.
    pub seq: u64,
    /// Whether there is more after `seq` than a replay holds.
    pub more: bool,
    /// Whether some of what was asked for is not there any more, or, of what was sent since a time, more than a replay
    /// holds.
    pub missing: bool,
}

/// A row of the channel: a message, or a closed number.
#[derive(Debug)]
struct Entry {
    seq: u64,
    recorded_at: u64,
    expires_at: u64,
    frame: Option<String>,
}

impl Entry {
    fn read(row: &Row) -> Option<Self> {
        Some(Self {
            seq: read_number(row, "seq")?,
            recorded_at: read_number(row, "recordedAt")?,
            expires_at: read_number(row, "expiresAt")?,
            frame: read_text(row, "frame"),
        })
    }
}

/// Some rows in the order of the query, and where the next ones begin.
struct Rows {
    entries: Vec<Entry>,
    next: Option<HashMap<String, AttributeValue>>,
}

impl History {
    /// The messages of a channel after a number: the oldest of them, up to the limits of a replay.
    ///
    /// # Errors
    /// When the table could not be read, or a gap not closed.
    pub async fn after(&self, channel: &Channel, after: u64) -> Result<Missed, StoreError> {
        // The message `after` itself is read, too: while it is kept, so are all that came after it.
        let mut rows = self.max_messages.0.saturating_add(2);
        let (mut has_first, mut expired, mut next, mut pages) = (false, None, None, 0);
        let entries = loop {
            let page = self.entries(channel, after.max(1), true, rows, next).await?;
            let (mut kept, gone): (Vec<_>, Vec<_>) =
                page.entries.into_iter().partition(|entry| self.is_kept(entry));
            has_first |= kept.iter().any(|entry| entry.seq == after);
            expired = gone.iter().map(|entry| entry.seq).filter(|&seq| seq > after).max().or(expired);
            kept.retain(|entry| entry.seq > after);
            next = page.next;
            if next.is_none() || !kept.is_empty() {
                break kept;
            }
            pages += 1;
            if let (EXPIRED_PAGES, Some(seq)) = (pages, expired) {
                return Ok(Missed { messages: vec![], seq, more: true, missing: true });
            }
            rows = u16::MAX; // As many as a page holds.
        };
        let is_known_whole = expired.is_none() && has_first;
        let Some(first) = entries.first().map(|entry| entry.seq) else {
            let (seq, missing) = if is_known_whole {
                (after, false)
            } else {
                self.end(channel, after, expired.is_none()).await?
            };
            return Ok(Missed { messages: vec![], seq, more: false, missing });
        };
        let is_whole = is_known_whole
            || expired.is_none()
                && (first == after.saturating_add(1) || self.counter(channel).await?.is_young());
        let from = if is_whole { after } else { first - 1 };
        let (mut messages, mut seq, is_cut) = self.without_gaps(channel, from, entries).await?;
        let mut more = next.is_some() || is_cut;
        let max = usize::from(self.max_messages.0);
        if messages.len() > max {
            messages.truncate(max);
            seq = messages.last().map_or(after, |message| message.seq);
            more = true;
        }
        Ok(Missed { messages, seq, more, missing: !is_whole })
    }

    /// Where no message is kept after a number: the number that a client has all of now, and whether some are missing.
    /// No row is written for that: what is under way comes live, and closes what is before it.
    async fn end(
        &self,
        channel: &Channel,
        after: u64,
        has_none_expired: bool,
    ) -> Result<(u64, bool), StoreError> {
        let counter = self.counter(channel).await?;
        Ok(match counter.last.cmp(&after) {
            Ordering::Equal => (after, false),
            Ordering::Less => (counter.settled(), true), // The numbers have begun anew.
            Ordering::Greater if has_none_expired && counter.is_young() => (after, false),
            Ordering::Greater => (counter.settled().max(after), true),
        })
    }

    /// The messages that were recorded in a channel since a time, in milliseconds since the Unix epoch, and in the
    /// [`OVERLAP`] before it: the newest of them, up to the limits of a replay, and without joins and leaves.
    ///
    /// # Errors
    /// When the table could not be read, or a gap not closed.
    pub async fn since(&self, channel: &Channel, since: u64) -> Result<Missed, StoreError> {
        let overlap = OVERLAP.as_secs() * 1_000;
        let start = since.min(unix_millis()).saturating_sub(overlap);
        let max = self.max_messages.0;
        // What comes before the messages that were asked for, and whether it was asked for, too.
        let (mut before, mut is_cut) = (None, false);
        let (mut entries, mut bytes, mut next) = (Vec::new(), 0, None);
        'pages: loop {
            let page = self.entries(channel, 1, false, ROWS.min(max.saturating_add(1)), next).await?;
            for entry in page.entries {
                bytes += entry.frame.as_ref().map_or(0, String::len);
                is_cut = entries.len() >= usize::from(max) || bytes > MAX_BYTES;
                let is_older = entry.recorded_at < start || !self.is_kept(&entry);
                if is_older || is_cut {
                    is_cut &= !is_older;
                    before = Some(entry.seq);
                    break 'pages;
                }
                entries.push(entry);
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        let Some(newest) = entries.first().map(|entry| entry.seq).or(before) else {
            let seq = self.counter(channel).await?.settled();
            return Ok(Missed { messages: vec![], seq, more: false, missing: start < self.oldest() });
        };
        let mut from = before.unwrap_or_else(|| entries.last().map_or(newest, |first| first.seq - 1));
        // Of more gaps than are closed at once, the newest.
        let (mut above, mut gaps) = (newest + 1, GAPS as u64);
        for (index, seq) in entries.iter().map(|entry| entry.seq).chain([from]).enumerate() {
            let gap = above - seq - 1;
            if gap > gaps {
                (from, is_cut) = (above - 1 - gaps, true);
                entries.truncate(index);
                break;
            }
            (above, gaps) = (seq, gaps - gap);
        }
        entries.reverse();
        let (mut messages, seq, _) = self.without_gaps(channel, from, entries).await?;
        // Who looks back for the first time has no list that these would change.
        messages.retain(|message| !is_announcement(&message.frame));
        Ok(Missed { messages, seq, more: false, missing: is_cut || start < self.oldest() })
    }

    /// Whether a row is still kept: by the limit of now, and by that of the time when it was written.
    fn is_kept(&self, entry: &Entry) -> bool {
        let ends =
            entry.expires_at.saturating_mul(1_000).saturating_sub(super::DELETED_AFTER.as_millis() as u64);
        entry.recorded_at >= self.oldest() && unix_millis() < ends
    }

    /// Reads rows of a channel from this number on, forwards or from the last one backwards.
    async fn entries(
        &self,
        channel: &Channel,
        from: u64,
        forward: bool,
        rows: u16,
        next: Option<HashMap<String, AttributeValue>>,
    ) -> Result<Rows, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("channel = :channel AND seq >= :from")
            .expression_attribute_values(":channel", text(channel.as_str()))
            .expression_attribute_values(":from", number(from))
            .scan_index_forward(forward)
            .set_exclusive_start_key(next)
            .limit(rows.into());
        let page = query.send().await.map_err(|error| self.failed("Query", error))?;
        let entries = page.items().iter().filter_map(Entry::read).collect();
        Ok(Rows { entries, next: page.last_evaluated_key })
    }

    /// The messages of these rows, once the gaps between them, and after this number, are closed; the last number that
    /// they cover; and whether that is not the last row's, as there are too many gaps.
    async fn without_gaps(
        &self,
        channel: &Channel,
        from: u64,
        mut entries: Vec<Entry>,
    ) -> Result<(Vec<Recorded>, u64, bool), StoreError> {
        let mut last = from;
        let mut gaps = Vec::new();
        'entries: for entry in &entries {
            for seq in last + 1..entry.seq {
                if gaps.len() == GAPS {
                    break 'entries;
                }
                gaps.push((seq, entry.recorded_at));
                last = seq;
            }
            last = entry.seq;
        }
        let is_cut = entries.last().is_some_and(|entry| entry.seq > last);
        entries.retain(|entry| entry.seq <= last);
        let closed = stream::iter(gaps).map(|(seq, before)| self.close_row(channel, seq, before));
        let mut found = closed.buffered(CLOSES_AT_ONCE);
        while let Some(row) = found.try_next().await? {
            // A message that was recorded meanwhile.
            entries.extend(row.as_ref().and_then(Entry::read).filter(|entry| self.is_kept(entry)));
        }
        drop(found);
        let recorded = |Entry { seq, frame, .. }| Some(Recorded { seq, frame: frame? });
        let mut messages: Vec<_> = entries.into_iter().filter_map(recorded).collect();
        messages.sort_by_key(|message| message.seq);
        Ok((messages, last, is_cut))
    }
}
