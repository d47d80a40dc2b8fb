//! The history, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use lambda_websocket::{
    Channel, History,
    store::history::{MaxAge, MaxMessages, Missed},
};
use proptest::prelude::*;
use testkit::{dynamodb::ConnectionTable, fixtures::now_millis};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

fn channel(name: &str) -> Channel {
    Channel::parse(name).unwrap()
}

/// Writes these down as sent to the lobby, each as a frame that tells its time and its id.
async fn record(history: &History, messages: impl IntoIterator<Item = (u64, &str)>) {
    for (sent_at, id) in messages {
        history.record(&channel("lobby"), sent_at, id, &frame(sent_at, id)).await.unwrap();
    }
}

fn frame(sent_at: u64, id: &str) -> String {
    format!("{id} at {sent_at}")
}

async fn since(history: &History, since: u64) -> Missed {
    history.since(&channel("lobby"), since).await.unwrap()
}

fn missed<'a>(messages: impl IntoIterator<Item = (u64, &'a str)>, complete: bool) -> Missed {
    Missed { frames: messages.into_iter().map(|(sent_at, id)| frame(sent_at, id)).collect(), complete }
}

#[tokio::test]
async fn what_is_written_again_is_there_once_and_expires() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    record(&history, [(now, "a"), (now, "a")]).await;
    assert_eq!(since(&history, now).await, missed([(now, "a")], true));

    let rows = table.history_rows().await;
    let [row] = rows.as_slice() else { panic!("one row, not {rows:?}") };
    let text = |name: &str| row[name].as_s().unwrap().as_str();
    assert_eq!((text("channel"), text("at")), ("lobby", format!("{now}#a").as_str()));
    assert_eq!(text("frame"), frame(now, "a"));
    assert_eq!(row["expiresAt"].as_n().unwrap(), &(now.div_ceil(1_000) + 86_400).to_string());
}

#[tokio::test]
async fn each_channel_has_a_history_of_its_own() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    for name in ["lobby", "lobby2", "user:lobby", "*"] {
        history.record(&channel(name), now, "a", name).await.unwrap();
    }
    for name in ["lobby", "lobby2", "user:lobby", "*", "another"] {
        let frames = history.since(&channel(name), now).await.unwrap().frames;
        assert_eq!(frames, if name == "another" { vec![] } else { vec![name.to_owned()] });
    }
}

#[tokio::test]
async fn a_message_that_was_written_down_late_is_not_missed() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let seen = now_millis();
    record(&history, [(seen, "seen"), (seen - 29_000, "late"), (seen - MINUTE - 1, "long ago")]).await;
    assert_eq!(since(&history, seen).await, missed([(seen - 29_000, "late"), (seen, "seen")], true));
}

#[tokio::test]
async fn of_too_many_the_newest_are_replayed_and_the_client_hears_so() {
    let table = ConnectionTable::start().await;
    let history = table.history(3).await;
    let now = now_millis();
    let all = [(now - 30, "a"), (now - 20, "b"), (now - 20, "c"), (now - 10, "d")];
    record(&history, all[..3].iter().copied()).await;
    assert_eq!(since(&history, now - 30).await, missed(all[..3].iter().copied(), true), "as many as may be");
    record(&history, [all[3]]).await;
    assert_eq!(since(&history, now - 30).await, missed(all[1..].iter().copied(), false));
}

#[tokio::test]
async fn of_more_than_a_megabyte_the_newest_are_replayed_and_the_client_hears_so() {
    let table = ConnectionTable::start().await;
    let history = table.history(100).await;
    let now = now_millis();
    let long = |n: u64| format!("{n}{}", "x".repeat(127 * 1024));
    for n in 0..12 {
        history.record(&channel("lobby"), now + n, "id", &long(n)).await.unwrap();
    }
    let Missed { frames, complete } = since(&history, now).await;
    assert!((7..=9).contains(&frames.len()) && !complete, "{} {complete}", frames.len());
    let newest: Vec<_> = (12 - frames.len() as u64..12).map(long).collect();
    assert!(frames == newest, "the newest, in order");
}

#[tokio::test]
async fn what_is_older_than_is_kept_is_not_replayed_and_the_client_hears_so() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    // DynamoDB has not come to delete it.
    record(&history, [(now - DAY - MINUTE, "expired"), (now - DAY + MINUTE, "kept"), (now, "new")]).await;
    let kept = [(now - DAY + MINUTE, "kept"), (now, "new")];
    for (from, complete) in
        [(0, false), (now - DAY, false), (now - DAY + MINUTE / 2, false), (now - DAY + 2 * MINUTE, true)]
    {
        assert_eq!(since(&history, from).await, missed(kept, complete), "{} ms ago", now - from);
    }
}

#[tokio::test]
async fn what_no_clock_has_shown_yet_is_now() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    record(&history, [(now - 2 * MINUTE, "old"), (now, "new")]).await;
    for from in [now + DAY, 10_000_000_000_000, u64::MAX] {
        assert_eq!(since(&history, from).await, missed([(now, "new")], true), "{from}");
    }
}

#[tokio::test]
async fn a_table_that_is_away_is_an_error() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    table.drop_history().await;
    let error = history.record(&channel("lobby"), 0, "a", "").await.unwrap_err();
    assert_eq!(error.to_string(), "PutItem on the table history");
    let error = history.since(&channel("lobby"), 0).await.unwrap_err();
    assert_eq!(error.to_string(), "Query on the table history");
}

#[test]
fn the_bounds_are_numbers() {
    assert_eq!("86400".parse(), Ok(MaxAge::default()));
    assert_eq!("500".parse(), Ok(MaxMessages::default()));
    for text in ["", "299", "2592001", "1d"] {
        let error = text.parse::<MaxAge>().unwrap_err();
        assert_eq!(error.to_string(), "a message is kept for 300 to 2592000 seconds", "{text}");
    }
    for text in ["", "0", "1001", "all"] {
        let error = text.parse::<MaxMessages>().unwrap_err();
        assert_eq!(error.to_string(), "at most 1 to 1000 messages are replayed", "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In the order of the time and of the id, byte by byte, whatever came first; and of the newest, all.
    #[test]
    fn a_replay_is_in_order(
        messages in prop::collection::vec((0..6_u64, ".{1,3}"), 0..24),
        from in 0..6_u64,
        most in 1..20_u16,
    ) {
        let now = now_millis();
        // Half a minute between one time and the next: many messages have the same, and some are in the overlap.
        let time = |ago: u64| now - ago * MINUTE / 2;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let found = runtime.block_on(async {
            let history = ConnectionTable::start().await.history(most).await;
            record(&history, messages.iter().map(|(ago, id)| (time(*ago), id.as_str()))).await;
            since(&history, time(from)).await
        });
        let sent: BTreeSet<_> = messages.iter().map(|(ago, id)| (time(*ago), id.as_str())).collect();
        let asked: Vec<_> = sent.into_iter().filter(|(sent_at, _)| *sent_at >= time(from) - MINUTE).collect();
        let left_out = asked.len().saturating_sub(most.into());
        prop_assert_eq!(found, missed(asked[left_out..].iter().copied(), left_out == 0));
    }
}
