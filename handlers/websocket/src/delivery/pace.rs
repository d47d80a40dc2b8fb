//! Lets the items of a stream pass at a rate.

use std::{num::NonZeroU32, time::Duration};

use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, sleep_until};

/// How much time is caught up on: timers have milliseconds, and another message may hold the processor.
const CATCH_UP: Duration = Duration::from_millis(50);

/// The stream, with so many items a second at most, or as fast as it is. An item is taken when it may pass, not before.
pub(super) fn paced<T>(items: impl Stream<Item = T>, rate: Option<NonZeroU32>) -> impl Stream<Item = T> {
    let interval = rate.map(|rate| Duration::from_secs(1) / rate.get());
    let start = (Box::pin(items), Instant::now());
    stream::unfold(start, move |(mut items, mut next)| async move {
        if let Some(interval) = interval {
            next = next.max(Instant::now().checked_sub(CATCH_UP).unwrap_or(next));
            if next > Instant::now() {
                sleep_until(next).await;
            }
            next += interval;
        }
        Some((items.next().await?, (items, next)))
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// How long so many items take that each take a while themselves.
    async fn takes(count: usize, rate: u32, each: Duration) -> Duration {
        let items = stream::iter(0..count).then(async |_| sleep(each).await);
        let start = Instant::now();
        assert_eq!(paced(items, NonZeroU32::new(rate)).count().await, count);
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn items_pass_at_the_rate_and_no_slower() {
        for (count, rate) in [(2_500, 625), (10_000, 5_000), (10, 1)] {
            let expected = Duration::from_secs(1) * count as u32 / rate;
            let taken = takes(count, rate, Duration::ZERO).await;
            assert!(taken.abs_diff(expected) <= CATCH_UP, "{count} at {rate}: {taken:?}, not {expected:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_slower_than_the_rate_is_not_held_up_and_not_caught_up_on() {
        let slow = Duration::from_millis(10);
        assert_eq!(takes(100, 1_000, slow).await, 100 * slow);
        let items = stream::iter(0..1_000).then(async |n| sleep(slow * u32::from(n == 0) * 100).await);
        let start = Instant::now();
        assert_eq!(paced(items, NonZeroU32::new(1_000)).count().await, 1_000);
        let expected = Duration::from_millis(2_000) - CATCH_UP;
        assert!(start.elapsed().abs_diff(expected) < Duration::from_millis(5), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_all_pass_at_once() {
        assert_eq!(paced(stream::iter(0..10_000), None).count().await, 10_000);
    }
}
