//! Metrics, in CloudWatch's [embedded format]. An invocation that recorded something ends with a line in the log,
//! which CloudWatch reads. With many time measurements, there are several lines. No call is made for metrics. They
//! are off until [`METRICS_NAMESPACE`] is set: CloudWatch charges for each.
//!
//! | metric | unit | of |
//! |---|---|---|
//! | [`CONNECTIONS_OPENED`], [`CONNECTIONS_CLOSED`] | connections | `$connect`, `$disconnect` |
//! | [`MESSAGES`] | messages that were passed on | a broadcast |
//! | [`DELIVERED`], [`GONE`], [`SLOW`], [`FAILED`] | connections, by the outcome of the post | a broadcast |
//! | [`RATE_LIMITED`] | posts refused because the account's rate was exceeded | a broadcast |
//! | [`DELIVERY_TIME`] | milliseconds, from the first read to the last post | a broadcast |
//!
//! [embedded format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::{
    io::{self, Write},
    mem,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use metrics::Unit;
use metrics_cloudwatch_embedded::{Builder, Collector};

use crate::config;

/// The environment variable with the CloudWatch namespace of the metrics; unset: no metrics.
pub const METRICS_NAMESPACE: &str = "METRICS_NAMESPACE";

/// Connections that were let in.
pub const CONNECTIONS_OPENED: &str = "ConnectionsOpened";
/// Connections that were closed, as far as API Gateway reported.
pub const CONNECTIONS_CLOSED: &str = "ConnectionsClosed";
/// Messages that were passed on.
pub const MESSAGES: &str = "Messages";
/// Connections that a message was posted to.
pub const DELIVERED: &str = "Delivered";
/// Connections that were found closed.
pub const GONE: &str = "Gone";
/// Connections that were given up because their client does not keep up.
pub const SLOW: &str = "Slow";
/// Connections that could not be reached for another reason.
pub const FAILED: &str = "Failed";
/// Posts that were refused because the account's rate was exceeded, and tried again.
pub const RATE_LIMITED: &str = "RateLimited";
/// How long a message took to reach the recipients that it reached.
pub const DELIVERY_TIME: &str = "DeliveryTime";

const COUNTS: [&str; 8] =
    [CONNECTIONS_OPENED, CONNECTIONS_CLOSED, MESSAGES, DELIVERED, GONE, SLOW, FAILED, RATE_LIMITED];

/// Adds to a count.
pub fn count(metric: &'static str, number: u64) {
    metrics::counter!(metric).increment(number);
}

/// Records how long something took.
pub fn time(metric: &'static str, duration: Duration) {
    metrics::histogram!(metric).record(duration.as_secs_f64() * 1_000.0);
    let Some(collector) = COLLECTOR.get() else { return };
    let mut full = full();
    full.times += 1;
    if full.times == MAX_TIMES {
        full.times = 0;
        if let Err(error) = collector.flush(&mut full.lines) {
            tracing::warn!(%error, "metrics dropped");
        }
    }
}

/// The maximum number of time measurements in a line: CloudWatch takes [100 values of a metric][values], and the
/// collector drops any more.
///
/// [values]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
const MAX_TIMES: usize = 100;

/// The collector of the whole process, once metrics are turned on.
static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();

/// What an invocation has recorded so far.
static FULL: Mutex<Full> = Mutex::new(Full { times: 0, lines: Vec::new() });

struct Full {
    /// How many time measurements are in no line yet.
    times: usize,
    /// The lines that were full before the invocation ended.
    lines: Vec<u8>,
}

fn full() -> MutexGuard<'static, Full> {
    // No code panics while the lock is held, so the value is never half changed.
    FULL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was counted since the last invocation.
pub(crate) struct Metrics(Option<&'static Collector>);

impl Metrics {
    /// Turns metrics on, if the environment asks for it.
    pub(crate) fn from_env() -> Result<Self, lambda_runtime::Error> {
        config::optional(METRICS_NAMESPACE).map_or(Ok(Self(None)), Self::in_namespace)
    }

    fn in_namespace(namespace: String) -> Result<Self, lambda_runtime::Error> {
        let collector = Builder::new().cloudwatch_namespace(namespace).init()?;
        let collector = *COLLECTOR.get_or_init(|| collector);
        for metric in COUNTS {
            metrics::describe_counter!(metric, Unit::Count, "");
        }
        metrics::describe_histogram!(DELIVERY_TIME, Unit::Milliseconds, "");
        Ok(Self(Some(collector)))
    }

    /// Ends an invocation: writes its metrics to the log.
    pub(crate) fn log(&self) {
        // Written whole, so that no other line comes between its parts.
        if let Err(error) = self.lines().and_then(|lines| io::stdout().write_all(&lines)) {
            tracing::warn!(%error, "metrics dropped");
        }
    }

    /// The lines of what was counted since the last call; empty if nothing was.
    fn lines(&self) -> io::Result<Vec<u8>> {
        let mut full = full();
        full.times = 0;
        let mut lines = mem::take(&mut full.lines);
        self.0.map_or(Ok(()), |collector| collector.flush(&mut lines))?;
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    // One test only: a process has one recorder.
    #[test]
    fn an_invocation_logs_what_it_counted_and_no_more() {
        assert!(Metrics(None).lines().unwrap().is_empty());
        let metrics = Metrics::in_namespace("WebSocket/chat".to_owned()).unwrap();
        assert!(metrics.lines().unwrap().is_empty());

        count(DELIVERED, 40);
        count(DELIVERED, 2);
        count(GONE, 0);
        time(DELIVERY_TIME, Duration::from_micros(1_500));
        let line: Value = serde_json::from_slice(&metrics.lines().unwrap()).unwrap();
        assert_eq!(
            (&line["Delivered"], &line["DeliveryTime"], line.get("Gone")),
            (&json!(42), &json!([1.5]), None)
        );
        let about = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&about["Namespace"], &about["Dimensions"]), (&json!("WebSocket/chat"), &json!([[]])));
        let mut units = about["Metrics"].as_array().unwrap().clone();
        units.sort_by_key(|metric| metric["Name"].to_string());
        assert_eq!(
            units,
            [
                json!({"Name": "Delivered", "Unit": "Count"}),
                json!({"Name": "DeliveryTime", "Unit": "Milliseconds"})
            ]
        );
        assert!(metrics.lines().unwrap().is_empty());

        // A batch of publications may have thousands of measurements.
        for number in 0..250 {
            time(DELIVERY_TIME, Duration::from_millis(number));
            count(MESSAGES, 1);
        }
        let lines = String::from_utf8(metrics.lines().unwrap()).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let times = lines.iter().map(|line| line["DeliveryTime"].as_array().unwrap().len());
        assert_eq!(times.collect::<Vec<_>>(), [100, 100, 50]);
        assert_eq!(lines.iter().map(|line| line["Messages"].as_u64().unwrap()).sum::<u64>(), 250);
        assert!(metrics.lines().unwrap().is_empty());
    }
}
