//! What time it is.

use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

thread_local! {
    /// When the time of this thread began to go by tokio's clock, and what time it was.
    static SIMULATED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Milliseconds since the Unix epoch, as frames tell times.
pub fn unix_millis() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since the Unix epoch, as DynamoDB's TTL has them.
pub(crate) fn unix_seconds() -> u64 {
    since_epoch().as_secs()
}

/// For tests whose clock is paused: from now on the time of this thread goes by tokio's clock, and it is this time now, in
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
