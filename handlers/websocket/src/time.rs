//! The current time.

use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use tokio::time::Instant;

thread_local! {
    /// When this thread's time began to follow tokio's clock, and the time at that moment.
    static SIMULATED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Milliseconds since the Unix epoch, as in frames.
pub fn unix_millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since the Unix epoch, as in DynamoDB's TTL.
pub(crate) fn unix_seconds() -> u64 {
    since_epoch().as_secs()
}

/// A time in seconds since the Unix epoch as in the header `x-amz-date`, such as `20261126T142500Z`.
pub(crate) fn amz_date(seconds: u64) -> String {
    let time = DateTime::from_secs(i64::try_from(seconds).unwrap_or_default());
    let text = time.fmt(DateTimeFormat::DateTime).unwrap_or_default();
    text.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// For tests with a paused clock: from now on this thread's time follows tokio's clock. It starts at `now`, in
/// milliseconds since the Unix epoch.
#[doc(hidden)]
pub fn simulate(now: u64) {
    SIMULATED.set(Some((Instant::now(), Duration::from_millis(now))));
}

fn since_epoch() -> Duration {
    match SIMULATED.get() {
        Some((start, then)) => then + start.elapsed(),
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    }
}
