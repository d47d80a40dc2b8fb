//! The history, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use futures::future::join_all;
use lambda_websocket::{
    Channel, History,
    protocol::idempotency::IdempotencyKey,
    store::history::{MaxAge, MaxMessages, Missed, Recorded, claims::Claim},
};
use proptest::prelude::*;
use testkit::{dynamodb::ConnectionTable, fixtures::now_millis};

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

fn channel(name: &str) -> Channel {
    Channel::parse(name).unwrap()
}

fn lobby() -> Channel {
    channel("lobby")
}

/// Records messages in the lobby, and returns their numbers.
async fn record(history: &History, frames: &[&str]) -> Vec<u64> {
    let mut numbers = vec![];
    for frame in frames {
        let seq = history.next_seq(&lobby()).await.unwrap();
        assert!(history.record(&lobby(), seq, frame, frame).await.unwrap().is_some());
        numbers.push(seq);
    }
    numbers
}

/// Takes a number, as a sender that dies before it records its message.
async fn die(history: &History) -> u64 {
    history.next_seq(&lobby()).await.unwrap()
}

/// What was missed: the messages by number and frame, and the number that they cover.
fn missed(messages: &[(u64, &str)], seq: u64) -> Missed {
    let recorded = |(seq, frame): &(u64, &str)| Recorded { seq: *seq, frame: (*frame).to_owned() };
    Missed { messages: messages.iter().map(recorded).collect(), seq, more: false, missing: false }
}

async fn after(history: &History, seq: u64) -> Missed {
    history.after(&lobby(), seq).await.unwrap()
}

async fn since(history: &History, time: u64) -> Missed {
    history.since(&lobby(), time).await.unwrap()
}

#[tokio::test]
async fn each_channel_numbers_its_messages_from_one_on() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    for name in ["lobby", "lobby2", "user:lobby", "*"] {
        assert_eq!(history.last_seq(&channel(name)).await.unwrap(), 0, "{name}");
        for seq in 1..=2 {
            assert_eq!(history.next_seq(&channel(name)).await.unwrap(), seq, "{name}");
            history.record(&channel(name), seq, "a", name).await.unwrap();
        }
    }
    for name in ["lobby", "lobby2", "user:lobby", "*"] {
        let Missed { messages, seq, .. } = history.after(&channel(name), 0).await.unwrap();
        let frames: Vec<_> = messages.iter().map(|message| message.frame.as_str()).collect();
        assert_eq!((frames, seq, history.last_seq(&channel(name)).await.unwrap()), (vec![name; 2], 2, 2));
    }
    assert_eq!(history.after(&channel("another"), 0).await.unwrap(), missed(&[], 0));
}

#[tokio::test]
async fn senders_at_once_get_different_numbers() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let numbers = join_all((0..20).map(async |_| history.next_seq(&lobby()).await.unwrap())).await;
    assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), (1..=20).collect());
}

#[tokio::test]
async fn a_message_that_is_recorded_again_stays_as_it_was_and_expires() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let before = now_millis();
    let seq = history.next_seq(&lobby()).await.unwrap();
    for frame in ["first", "second"] {
        let recorded = history.record(&lobby(), seq, "a", frame).await.unwrap();
        assert_eq!(recorded, Some(Recorded { seq, frame: "first".to_owned() }));
    }
    assert_eq!(history.record(&lobby(), seq, "b", "another").await.unwrap(), None, "the number is taken");

    let rows = table.history_rows().await;
    let message = rows.iter().find(|row| row.contains_key("frame")).unwrap();
    let number = |name: &str| message[name].as_n().unwrap().parse::<u64>().unwrap();
    let text = |name: &str| message[name].as_s().unwrap().as_str();
    assert_eq!((text("channel"), number("seq"), text("id"), text("frame")), ("lobby", 1, "a", "first"));
    assert!((before..=now_millis()).contains(&number("recordedAt")));
    assert!((0..=1).contains(&(number("expiresAt") - number("recordedAt").div_ceil(1_000) - 86_460)));
    let counter = rows.iter().find(|row| row.contains_key("lastSeq")).unwrap();
    assert!(
        counter["expiresAt"].as_n().unwrap().parse::<u64>().unwrap() > number("expiresAt") + 365 * 86_400
    );
}

#[tokio::test]
async fn a_number_whose_sender_died_is_closed_by_who_reads_beyond_it() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    record(&history, &["a"]).await;
    let died = die(&history).await;
    assert_eq!(after(&history, 0).await, missed(&[(1, "a")], 1), "nobody has read beyond it");
    record(&history, &["c"]).await;
    let all = missed(&[(1, "a"), (3, "c")], 3);
    assert_eq!(after(&history, 0).await, all);
    assert_eq!(
        history.record(&lobby(), died, "b", "b").await.unwrap(),
        None,
        "it was only slow, and too late"
    );
    assert_eq!((after(&history, 0).await, since(&history, 0).await.messages), (all.clone(), all.messages));
    for from in [1, 2] {
        assert_eq!(after(&history, from).await, missed(&[(3, "c")], 3), "{from}");
    }
}

#[tokio::test]
async fn who_reads_by_time_closes_gaps_too() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    record(&history, &["a"]).await;
    let died = die(&history).await;
    record(&history, &["c"]).await;
    assert_eq!(since(&history, now_millis()).await.messages, missed(&[(1, "a"), (3, "c")], 3).messages);
    assert_eq!(history.record(&lobby(), died, "b", "b").await.unwrap(), None);
}

#[tokio::test]
async fn a_gap_in_which_a_message_was_recorded_meanwhile_is_none() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let recorded = record(&history, &["a"]).await[0];
    let close = async |seq| history.close(&lobby(), seq, now_millis()).await.unwrap();
    assert_eq!(close(recorded).await.unwrap().frame, "a");
    assert_eq!(close(recorded + 1).await, None);
    assert_eq!(close(recorded + 1).await, None);
}

#[tokio::test]
async fn the_first_numbers_of_a_channel_are_closed_once_there_is_a_message() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    for seq in 1..=3 {
        assert_eq!(die(&history).await, seq);
    }
    assert_eq!(after(&history, 0).await, missed(&[], 0), "they may be under way");
    assert_eq!(since(&history, 0).await, Missed { missing: true, ..missed(&[], 0) });
    record(&history, &["d"]).await;
    assert_eq!(after(&history, 0).await, missed(&[(4, "d")], 4));
    for seq in 1..=3 {
        assert_eq!(history.record(&lobby(), seq, "late", "late").await.unwrap(), None, "{seq}");
    }
}

#[tokio::test]
async fn who_asks_by_time_does_not_pass_what_is_under_way() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let slow = die(&history).await;
    assert_eq!(since(&history, now_millis()).await, missed(&[], 0));
    assert!(history.record(&lobby(), slow, "late", "late").await.unwrap().is_some());
    assert_eq!(after(&history, 0).await, missed(&[(1, "late")], 1));
}

#[tokio::test]
async fn who_asks_by_time_closes_the_gap_before_the_first_message_too() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    history.next_seq(&lobby()).await.unwrap();
    table.put_recorded("lobby", 1, now - 2 * MINUTE, "older").await;
    let slow = die(&history).await;
    record(&history, &["c"]).await;
    assert_eq!(since(&history, now).await, missed(&[(3, "c")], 3));
    assert_eq!(history.record(&lobby(), slow, "late", "late").await.unwrap(), None, "it would be missed");
}

#[tokio::test]
async fn nobody_has_rows_written_by_asking_for_what_is_not_there() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    record(&history, &["a", "b"]).await;
    die(&history).await;
    let rows = table.history_rows().await.len();
    for from in [0, 2, 3, 4, 40, u64::MAX - 1, u64::MAX] {
        after(&history, from).await;
    }
    for time in [0, now_millis(), u64::MAX] {
        since(&history, time).await;
    }
    assert_eq!(table.history_rows().await.len(), rows);
}

#[tokio::test]
async fn a_replay_closes_so_many_gaps_and_the_next_one_goes_on() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    for _ in 0..300 {
        die(&history).await;
    }
    record(&history, &["a", "b"]).await;
    let newest = since(&history, 0).await;
    assert_eq!(newest, Missed { missing: true, ..missed(&[(301, "a"), (302, "b")], 302) });
    assert_eq!(after(&history, 0).await, Missed { more: true, ..missed(&[], 256) });
    assert_eq!(after(&history, 256).await, missed(&[(301, "a"), (302, "b")], 302));
}

#[tokio::test]
async fn by_time_the_newest_messages_are_found_though_many_numbers_before_them_have_none() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    record(&history, &["a"]).await;
    for _ in 0..300 {
        die(&history).await;
    }
    record(&history, &["b"]).await;
    assert_eq!(since(&history, now_millis()).await, Missed { missing: true, ..missed(&[(302, "b")], 302) });
}

#[tokio::test]
async fn a_closed_number_is_kept_no_longer_than_the_message_after_it() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    for seq in 1..=3 {
        assert_eq!(die(&history).await, seq);
        if seq != 2 {
            table.put_recorded("lobby", seq, now - DAY + MINUTE, &seq.to_string()).await;
        }
    }
    after(&history, 0).await;
    let rows = table.history_rows().await;
    let times = |seq: &str| {
        let row = rows.iter().find(|row| row["seq"].as_n().unwrap() == seq).unwrap();
        ["recordedAt", "expiresAt"].map(|name| row[name].as_n().unwrap().parse::<u64>().unwrap())
    };
    let [[closed_at, closed_until], [recorded_at, recorded_until]] = [times("2"), times("3")];
    assert_eq!(closed_at, recorded_at);
    assert!(closed_until <= recorded_until + 1, "{closed_until} {recorded_until}");
}

#[tokio::test]
async fn a_replay_by_number_is_read_in_pages_from_the_oldest_on() {
    let table = ConnectionTable::start().await;
    let history = table.history(3).await;
    record(&history, &["a", "b", "c", "d", "e", "f", "g"]).await;
    for (from, messages, more) in [
        (0, vec![(1, "a"), (2, "b"), (3, "c")], true),
        (3, vec![(4, "d"), (5, "e"), (6, "f")], true),
        (4, vec![(5, "e"), (6, "f"), (7, "g")], false),
        (6, vec![(7, "g")], false),
        (7, vec![], false),
    ] {
        let found = after(&history, from).await;
        // A page that is full may say that there is more where there is not.
        let more = more || found.more && from == 4;
        assert_eq!(
            found,
            Missed { more, ..missed(&messages, from.max(messages.last().map_or(0, |last| last.0))) }
        );
    }
    assert_eq!(
        since(&history, 0).await,
        Missed { missing: true, ..missed(&[(5, "e"), (6, "f"), (7, "g")], 7) }
    );
}

#[tokio::test]
async fn of_more_than_a_megabyte_a_replay_holds_a_part() {
    let table = ConnectionTable::start().await;
    let history = table.history(100).await;
    let long = |n: u64| format!("{n}{}", "x".repeat(127 * 1024));
    for n in 1..=12 {
        let seq = history.next_seq(&lobby()).await.unwrap();
        history.record(&lobby(), seq, "id", &long(n)).await.unwrap();
    }
    let newest = since(&history, 0).await;
    let count = newest.messages.len() as u64;
    assert!((7..=9).contains(&count) && newest.missing && !newest.more, "{count}");
    assert!(newest.messages.iter().map(|message| message.seq).eq(13 - count..=12), "the newest, in order");
    let mut from = 0;
    for page in 1.. {
        let Missed { messages, seq, more, missing } = after(&history, from).await;
        assert!(messages.iter().map(|message| message.seq).eq(from + 1..=seq) && !missing, "page {page}");
        from = seq;
        if !more {
            break;
        }
    }
    assert_eq!(from, 12);
}

/// Messages 1 to 4, of which the first two have expired. DynamoDB has not come to delete them, or it has.
async fn with_expired(table: &ConnectionTable, history: &History, deleted: bool) {
    let now = now_millis();
    for (seq, age) in (1..).zip([DAY + 2 * MINUTE, DAY + MINUTE, DAY - MINUTE, 0]) {
        history.next_seq(&lobby()).await.unwrap();
        if !deleted || age < DAY {
            table.put_recorded("lobby", seq, now - age, &seq.to_string()).await;
        }
    }
    table.age_counter("lobby", now - 2 * DAY).await;
}

#[tokio::test]
async fn what_is_older_than_is_kept_is_not_replayed_and_the_client_hears_so() {
    for deleted in [false, true] {
        let table = ConnectionTable::start().await;
        let history = table.history(10).await;
        with_expired(&table, &history, deleted).await;
        let kept = missed(&[(3, "3"), (4, "4")], 4);
        for from in [0, 1] {
            assert_eq!(after(&history, from).await, Missed { missing: true, ..kept.clone() }, "after {from}");
        }
        assert_eq!(after(&history, 2).await, kept, "all that came after it is there");
        assert_eq!(after(&history, 3).await, missed(&[(4, "4")], 4));
        let now = now_millis();
        for (time, missing) in [
            (0, true),
            (now - DAY, true),
            (now - DAY + MINUTE / 2, true),
            (now - DAY + 3 * MINUTE / 2, false),
        ] {
            assert_eq!(
                since(&history, time).await,
                Missed { missing, ..kept.clone() },
                "{} ms ago",
                now - time
            );
        }
    }
}

#[tokio::test]
async fn where_all_has_expired_the_client_hears_so_and_goes_on_from_the_last_number() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    for seq in 1..=3 {
        history.next_seq(&lobby()).await.unwrap();
        table.put_recorded("lobby", seq, now_millis() - 2 * DAY, "expired").await;
    }
    table.age_counter("lobby", now_millis() - 2 * DAY).await;
    assert_eq!(after(&history, 1).await, Missed { missing: true, ..missed(&[], 1) }, "one may be under way");
    table.settle_counter("lobby").await;
    assert_eq!(after(&history, 1).await, Missed { missing: true, ..missed(&[], 3) });
    assert_eq!(after(&history, 3).await, missed(&[], 3), "it has heard all");
    let seq = record(&history, &["new"]).await[0];
    assert_eq!((seq, after(&history, 3).await), (4, missed(&[(4, "new")], 4)));
}

#[tokio::test]
async fn who_asks_after_a_number_that_was_never_given_begins_anew() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    assert_eq!(after(&history, 7).await, Missed { missing: true, ..missed(&[], 0) });
    record(&history, &["a"]).await;
    for from in [2, 7, u64::MAX] {
        assert_eq!(after(&history, from).await, Missed { missing: true, ..missed(&[], 0) }, "{from}");
    }
    table.settle_counter("lobby").await;
    assert_eq!(after(&history, 7).await, Missed { missing: true, ..missed(&[], 1) }, "nothing is under way");
}

#[tokio::test]
async fn a_message_that_expired_before_the_one_in_front_of_it_is_missing() {
    for (ages, from, expected) in [
        ([DAY - MINUTE, DAY + MINUTE, 0], 1, missed(&[(3, "3")], 3)),
        ([DAY - MINUTE, DAY + MINUTE, 0], 0, missed(&[(1, "1"), (3, "3")], 3)),
    ] {
        let table = ConnectionTable::start().await;
        let history = table.history(10).await;
        let now = now_millis();
        for (seq, age) in (1..).zip(ages) {
            history.next_seq(&lobby()).await.unwrap();
            table.put_recorded("lobby", seq, now - age, &seq.to_string()).await;
        }
        assert_eq!(after(&history, from).await, Missed { missing: true, ..expected }, "after {from}");
    }
}

#[tokio::test]
async fn what_was_kept_for_less_long_is_not_taken_for_kept_when_the_time_is_raised() {
    let table = ConnectionTable::start().await;
    let longer = table.history_for("172800", 10).await;
    let now = now_millis();
    for _ in 0..3 {
        longer.next_seq(&lobby()).await.unwrap();
    }
    // The first one was deleted; the second, with the same time, only expired.
    table.put_recorded("lobby", 2, now - DAY - 2 * MINUTE, "2").await;
    table.put_recorded("lobby", 3, now - MINUTE, "3").await;
    table.age_counter("lobby", now - DAY - 3 * MINUTE).await;
    for from in [0, 1] {
        assert_eq!(
            after(&longer, from).await,
            Missed { missing: true, ..missed(&[(3, "3")], 3) },
            "after {from}"
        );
    }
    assert_eq!(after(&longer, 2).await, Missed { missing: false, ..missed(&[(3, "3")], 3) });
}

#[tokio::test]
async fn of_a_channel_that_is_not_young_nobody_knows_what_came_before_the_first_message() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    for seq in 1..=2 {
        assert_eq!(die(&history).await, seq);
    }
    record(&history, &["c"]).await;
    table.age_counter("lobby", now_millis() - 10 * MINUTE).await;
    assert_eq!(after(&history, 0).await, Missed { missing: true, ..missed(&[(3, "c")], 3) });
}

#[tokio::test]
async fn a_long_tail_of_expired_messages_is_passed_in_several_replays() {
    let table = ConnectionTable::start().await;
    let history = table.history(2).await;
    let (now, frame) = (now_millis(), "x".repeat(127 * 1024));
    for seq in 1..=40 {
        history.next_seq(&lobby()).await.unwrap();
        table.put_recorded("lobby", seq, now - 2 * DAY, &frame).await;
    }
    record(&history, &["new"]).await;
    let first = after(&history, 0).await;
    assert!(
        first.messages.is_empty() && first.more && first.missing && (10..40).contains(&first.seq),
        "{first:?}"
    );
    let mut from = first.seq;
    while from < 40 {
        let Missed { messages, seq, more, missing } = after(&history, from).await;
        assert!(missing && (more && seq > from && messages.is_empty() || seq == 41 && messages.len() == 1));
        from = seq;
    }
    assert_eq!(after(&history, 40).await, missed(&[(41, "new")], 41));
}

#[tokio::test]
async fn a_message_that_was_recorded_late_is_not_missed() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let seen = now_millis();
    for (seq, age) in (1..).zip([MINUTE + 1, 29_000, 0]) {
        history.next_seq(&lobby()).await.unwrap();
        table.put_recorded("lobby", seq, seen - age, &seq.to_string()).await;
    }
    assert_eq!(since(&history, seen).await, missed(&[(2, "2"), (3, "3")], 3));
}

#[tokio::test]
async fn what_no_clock_has_shown_yet_is_now() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let now = now_millis();
    for (seq, age) in (1..).zip([2 * MINUTE, 0]) {
        history.next_seq(&lobby()).await.unwrap();
        table.put_recorded("lobby", seq, now - age, &seq.to_string()).await;
    }
    for from in [now + DAY, 10_000_000_000_000, u64::MAX] {
        assert_eq!(since(&history, from).await, missed(&[(2, "2")], 2), "{from}");
    }
    table.put_recorded("quiet", 1, now - 2 * MINUTE, "old").await;
    assert_eq!(history.since(&channel("quiet"), now).await.unwrap(), missed(&[], 1), "nothing since then");
}

/// When the requests that claim are over.
const UNTIL: u64 = 10_000_000_000_000;

fn key(id: &str) -> IdempotencyKey {
    IdempotencyKey::of_backend(&lobby(), id)
}

#[tokio::test]
async fn a_claim_is_the_first_requests_and_keeps_its_first_outcome() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    let claim = async || history.claim_to(&key("1")).await.unwrap();
    assert_eq!(claim().await, None);
    for _ in 0..2 {
        assert_eq!(
            history.claim(&key("1"), 5, None, UNTIL).await.unwrap(),
            None,
            "its own, though it heard of no answer"
        );
    }
    let first = claim().await.unwrap();
    assert_eq!((first.seq, &first.outcome), (5, &None));
    assert!(now_millis() - first.claimed_at < MINUTE && first.work_until == UNTIL);
    assert_eq!(
        history.claim(&key("1"), 6, None, UNTIL).await.unwrap(),
        Some(first.clone()),
        "another request's"
    );
    assert_eq!(history.claim(&key("2"), 6, None, UNTIL).await.unwrap(), None, "another key");
    assert_eq!(history.claim(&key("1"), 7, Some(5), UNTIL).await.unwrap(), None, "in the place of the first");
    assert_eq!(history.claim(&key("1"), 8, Some(5), UNTIL).await.unwrap().unwrap().seq, 7, "which is gone");
    for outcome in ["first", "second"] {
        history.complete(&key("1"), 7, outcome.to_owned()).await.unwrap();
        let Claim { seq, outcome, .. } = claim().await.unwrap();
        assert_eq!((seq, outcome.as_deref()), (7, Some("first")));
    }
}

#[tokio::test]
async fn a_claim_outlives_the_last_delivery_of_a_queue_however_short_messages_are_kept() {
    for (seconds, hours) in [("300", 8), ("86400", 24)] {
        let table = ConnectionTable::start().await;
        table.history_for(seconds, 10).await.claim(&key("1"), 5, None, UNTIL).await.unwrap();
        let rows = table.history_rows().await;
        let expires_at: u64 = rows[0]["expiresAt"].as_n().unwrap().parse().unwrap();
        assert_eq!((expires_at - now_millis() / 1_000 + 60) / 3_600, hours, "{seconds}");
    }
}

#[tokio::test]
async fn a_claim_that_has_expired_is_none() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    history.claim(&key("1"), 5, None, UNTIL).await.unwrap();
    table.expire_claims().await;
    assert_eq!(history.claim_to(&key("1")).await.unwrap(), None);
    assert_eq!(history.claim(&key("1"), 6, None, UNTIL).await.unwrap(), None);
    assert_eq!(history.claim_to(&key("1")).await.unwrap().unwrap().seq, 6);
}

#[tokio::test]
async fn a_table_that_is_away_is_an_error() {
    let table = ConnectionTable::start().await;
    let history = table.history(10).await;
    table.drop_history().await;
    let error = async |result: Result<(), _>| {
        Result::<(), lambda_websocket::store::error::StoreError>::unwrap_err(result).to_string()
    };
    assert_eq!(
        error(history.record(&lobby(), 1, "a", "").await.map(drop)).await,
        "PutItem on the table history"
    );
    assert_eq!(error(history.next_seq(&lobby()).await.map(drop)).await, "UpdateItem on the table history");
    assert_eq!(error(history.last_seq(&lobby()).await.map(drop)).await, "GetItem on the table history");
    assert_eq!(error(history.claim_to(&key("1")).await.map(drop)).await, "GetItem on the table history");
    assert_eq!(error(history.since(&lobby(), 0).await.map(drop)).await, "Query on the table history");
    assert_eq!(error(history.after(&lobby(), 0).await.map(drop)).await, "Query on the table history");
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

    /// Whoever asks on from page to page has each message once, in order, and none that is recorded below what it has.
    #[test]
    fn pages_by_number_are_whole(
        steps in prop::collection::vec(0..4_u8, 0..30), most in 1..8_u16, between in 0..30_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let history = ConnectionTable::start().await.history(most).await;
            let (mut sent, mut slow, mut heard, mut from) = (BTreeSet::new(), vec![], vec![], 0);
            for (number, step) in steps.iter().enumerate() {
                match step {
                    0 => slow.push(die(&history).await),
                    1 => {
                        let Some(seq) = slow.pop() else { continue };
                        if history.record(&lobby(), seq, "slow", "slow").await.unwrap().is_some() {
                            sent.insert(seq);
                            prop_assert!(seq > from, "{} is recorded below {}", seq, from);
                        }
                    }
                    _ => sent.extend(record(&history, &["frame"]).await),
                }
                if number == between {
                    let found = after(&history, from).await;
                    heard.extend(found.messages.iter().map(|message| message.seq));
                    from = found.seq;
                }
            }
            loop {
                let Missed { messages, seq, more, missing } = after(&history, from).await;
                prop_assert!(!missing && messages.len() <= most.into());
                heard.extend(messages.iter().map(|message| message.seq));
                from = seq;
                if !more {
                    break;
                }
            }
            prop_assert_eq!(heard, sent.into_iter().collect::<Vec<_>>());
            Ok(())
        })?;
    }
}
