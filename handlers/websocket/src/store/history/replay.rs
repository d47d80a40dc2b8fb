//! What a client missed: the messages after a number, or since a time.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{StreamExt, TryStreamExt, stream};

use super::{History, Recorded};
use crate::{
    protocol::channel::Channel,
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

/// How many numbers may have been taken without a row: those of senders that are between their two writes, or died there.
const UNDER_WAY: u64 = 32;

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
    frame: Option<String>,
}

impl Entry {
    fn read(row: &Row) -> Option<Self> {
        Some(Self {
            seq: read_number(row, "seq")?,
            recorded_at: read_number(row, "recordedAt")?,
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
        let oldest = self.oldest();
        // The message `after` itself is read, too: while it is kept, so are all that came after it.
        let mut rows = self.max_messages.0.saturating_add(2);
        let (mut expired, mut next) = (false, None);
        let mut entries = loop {
            let page = self.entries(channel, after.max(1), true, rows, next).await?;
            let all = page.entries.len();
            let kept: Vec<_> = page.entries.into_iter().filter(|entry| entry.recorded_at >= oldest).collect();
            expired |= kept.len() < all;
            next = page.next;
            if next.is_none() || kept.iter().any(|entry| entry.seq > after) {
                break kept;
            }
            rows = u16::MAX; // Expired ones that DynamoDB has not come to delete: as many as a page holds.
        };
        let mut more = next.is_some();
        let has_first = entries.first().is_some_and(|entry| entry.seq == after);
        entries.retain(|entry| entry.seq > after);

        let first = entries.first().map(|entry| entry.seq);
        let is_whole = has_first || first == Some(after.saturating_add(1));
        let (last, missing) = if is_whole {
            (after, false)
        } else {
            let counter = self.counter(channel).await?;
            // A channel as young as the messages that are kept has lost none.
            let has_all = !expired && counter.created_at >= oldest && after <= counter.last;
            (counter.last, counter.last != after && !has_all)
        };
        if entries.is_empty() {
            // Its messages are gone, or under way.
            let seq = if is_whole { after } else { last };
            let from = if missing { seq.saturating_sub(UNDER_WAY) } else { after };
            let found = self.close_all(channel, (from + 1)..=seq).await?;
            let messages = found.into_iter().filter(|message| message.seq > after).collect();
            return Ok(Missed { messages, seq, more, missing });
        }

        let from = if missing { first.unwrap_or(after).saturating_sub(1) } else { after };
        let (mut messages, mut seq) = self.without_gaps(channel, from, entries).await?;
        let max = usize::from(self.max_messages.0);
        if messages.len() > max {
            messages.truncate(max);
            seq = messages.last().map_or(after, |message| message.seq);
            more = true;
        }
        Ok(Missed { messages, seq, more, missing })
    }

    /// The messages that were recorded in a channel since a time, in milliseconds since the Unix epoch, and in the
    /// [`OVERLAP`] before it: the newest of them, up to the limits of a replay.
    ///
    /// # Errors
    /// When the table could not be read, or a gap not closed.
    pub async fn since(&self, channel: &Channel, since: u64) -> Result<Missed, StoreError> {
        let overlap = OVERLAP.as_secs() * 1_000;
        let (start, oldest) = (since.min(unix_millis()).saturating_sub(overlap), self.oldest());
        let max = self.max_messages.0;
        let (mut newest, mut entries, mut next) = (None, Vec::new(), None);
        let (mut count, mut bytes) = (0, 0);
        let cut_off = 'pages: loop {
            let page = self.entries(channel, 1, false, ROWS.min(max.saturating_add(1)), next).await?;
            for entry in page.entries {
                newest.get_or_insert(entry.seq);
                if entry.recorded_at < start.max(oldest) {
                    break 'pages false;
                }
                if let Some(frame) = &entry.frame {
                    (count, bytes) = (count + 1, bytes + frame.len());
                    if count > max || bytes > MAX_BYTES {
                        break 'pages true;
                    }
                }
                entries.push(entry);
            }
            next = page.next;
            if next.is_none() {
                break false;
            }
        };
        let missing = cut_off || start < oldest;
        entries.reverse();
        if let Some(first) = entries.first() {
            let from = first.seq.saturating_sub(1);
            let (messages, seq) = self.without_gaps(channel, from, entries).await?;
            return Ok(Missed { messages, seq, more: false, missing });
        }
        let Some(seq) = newest else {
            let last = self.last_seq(channel).await?;
            let messages = self.close_all(channel, last.saturating_sub(UNDER_WAY) + 1..=last).await?;
            return Ok(Missed { messages, seq: last, more: false, missing });
        };
        Ok(Missed { messages: vec![], seq, more: false, missing })
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

    /// The messages of these rows, once each gap between them, and after this number, is closed; and the last number.
    async fn without_gaps(
        &self,
        channel: &Channel,
        from: u64,
        entries: Vec<Entry>,
    ) -> Result<(Vec<Recorded>, u64), StoreError> {
        let mut gaps = Vec::new();
        let mut last = from;
        for entry in &entries {
            gaps.extend(last + 1..entry.seq);
            last = entry.seq;
        }
        let found = self.close_all(channel, gaps).await?;
        let recorded = |Entry { seq, frame, .. }| Some(Recorded { seq, frame: frame? });
        let mut messages: Vec<_> = entries.into_iter().filter_map(recorded).chain(found).collect();
        messages.sort_by_key(|message| message.seq);
        Ok((messages, last))
    }

    /// Closes these numbers, and returns the messages that have one of them, in order.
    async fn close_all(
        &self,
        channel: &Channel,
        numbers: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<Recorded>, StoreError> {
        let closed = stream::iter(numbers).map(|seq| self.close(channel, seq)).buffered(CLOSES_AT_ONCE);
        closed.try_filter_map(async |message| Ok(message)).try_collect().await
    }
}
