//! The promise, kept while everything goes wrong.
//!
//! A case is a small world: clients that connect, subscribe, speak and go, backends that publish, and Lambda between
//! them, on a simulated AWS and a clock that nobody waits for. All that happens follows from a number, the seed. For a
//! minute or more of that clock anything may go wrong at any moment:
//!
//! | where | what |
//! |---|---|
//! | `@connections` | 410, 429 and 5xx, one by one and in storms; no answer, a late one, a broken connection; a message that is delivered though nobody hears that it was; a client that does not keep up, and one that is refused for good |
//! | the table | calls that are throttled, fail, hang, or are done though nobody hears of it; an index that lags behind; pages of a row or a few |
//! | the history | calls as above |
//! | the queues | records in any order, doubled, late; calls as above, and messages of a batch that fail alone |
//! | Lambda | an environment that dies in the middle, so that its records come again |
//! | the account | in a third of the cases, a rate of posts that is soon exceeded |
//! | API Gateway | a `$disconnect` that is late, doubled or missing; a socket that is there only a moment after `$connect` was answered |
//!
//! What fails comes again as the module `publisher` has it: after six minutes, and after five times it is a dead letter. An
//! environment of Lambda serves one event at a time and lives on. Messages are kept, and the lobby is told who comes and goes.
//!
//! Then nothing goes wrong any more, and when the queues are empty, this was promised:
//!
//! - A message whose sender was told that it is on its way (an ack, or the queue took it) reaches, at least once, every
//!   connection that was in its channel from before it was sent until nobody was at work on it any more, unless it was
//!   left out.
//! - Nobody else gets it: who was not in the channel at any time between its sending and its delivery, who was left
//!   out, whose row has expired. And nobody gets anything but frames that were sent, whole and unchanged.
//! - Nobody hears a message more often than can be explained: by a post of whose delivery nobody heard, by an environment
//!   that died, by a record that came twice, by a replay.
//! - Such a message is in the history, once, under a number of its own, as everybody heard it. What was sent after
//!   another message was done has a higher number.
//! - A client that comes back hears all that was sent since it went, once it is told that it has all. If it asked by
//!   number, it has by then every message up to the number that it was told, whatever is still under way.
//! - A client that was told a number when it subscribed hears what is sent afterwards under higher ones.
//! - Joins and leaves are announced, within [limits](presence).
//! - Each invocation ends before its deadline.
//! - No record becomes a dead letter, but for one case: see below.
//! - After one more message to each channel, the table holds the rows of those who are connected, and no other.
//!
//! What is not promised: a client that answers 429 while others are served does not keep up, and is given up after some
//! attempts. Where too few others are posted to at the time, nobody can tell it from an exceeded rate: it is posted to again
//! for a minute, and given up then. What is refused for good, as with 403, is not tried again.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod backends;
mod chaos;
mod client;
mod clients;
mod journal;
mod lambda;
mod memory;
mod presence;
mod queue;
mod world;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use world::Summary;

/// How many cases are played, unless the environment variable `CASES` says otherwise.
const CASES: u64 = 1_000;

/// How to play one case again.
const REPEAT: &str = "SEED=… cargo test -p publish --test faults -- --nocapture";

#[test]
fn every_live_subscriber_gets_every_message_and_nobody_else_whatever_goes_wrong() {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CASES").unwrap_or(CASES),
    };
    let cases = seeds.end - seeds.start;
    let next = AtomicU64::new(seeds.start);
    let play = || {
        let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)))
            .take_while(|seed| *seed < seeds.end);
        seeds.map(|seed| (seed, world::play(seed))).collect::<Vec<_>>()
    };
    let played = thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, Into::into);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });

    let (mut total, mut broken) = (Summary::default(), vec![]);
    for (seed, result) in played {
        match result {
            Ok(summary) => total += summary,
            Err(error) => broken.push((seed, error)),
        }
    }
    println!("{cases} cases: {total:?}");
    broken.sort();
    for (seed, error) in broken.iter().take(10) {
        println!("SEED={seed}: {error}");
    }
    assert!(
        broken.is_empty(),
        "{} of {cases} cases broke the promise. To repeat one: {REPEAT}",
        broken.len()
    );
    assert!(
        cases < 100 || total.dead_letters < total.messages as u64 / 10,
        "dead letters are rare: {total:?}"
    );
}

#[test]
fn a_seed_is_the_same_case_each_time() {
    for seed in 0..5 {
        assert_eq!(world::play(seed), world::play(seed), "{REPEAT}");
    }
}
