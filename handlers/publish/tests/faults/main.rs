//! The promise, kept while everything goes wrong.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod chaos;
mod journal;
mod world;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// How many cases are played.
const CASES: u64 = 3_000;

#[test]
fn every_live_subscriber_gets_every_message_and_nobody_else_whatever_goes_wrong() {
    if let Ok(seed) = env::var("SEED") {
        let summary = world::play(seed.parse().unwrap()).unwrap_or_else(|broken| panic!("{broken}"));
        println!("{summary:?}");
        return;
    }
    let cases = env::var("CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, Into::into);
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(|| {
            let mut done = vec![];
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= cases {
                    return done;
                }
                done.push((seed, world::play(seed)));
            }
        })).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut total = world::Summary::default();
    let mut broken = vec![];
    for (seed, result) in results {
        match result {
            Ok(summary) => {
                total.promised += summary.promised;
                total.unpromised += summary.unpromised;
                total.deliveries += summary.deliveries;
                total.calls += summary.calls;
                total.crashes += summary.crashes;
                total.receives += summary.receives;
            }
            Err(error) => broken.push((seed, error)),
        }
    }
    println!("{cases} cases: {total:?}");
    broken.sort();
    for (seed, broken) in broken.iter().take(10) {
        println!("SEED={seed}: {broken}");
    }
    assert!(broken.is_empty(), "{} of {cases} cases broke the promise; to repeat one: SEED=… cargo test -p publish --test faults", broken.len());
}
