//! Metrics, in CloudWatch's [embedded format]: an invocation that counted something ends with a line in the log, which
//! CloudWatch reads. No call is made for them. They are off until [`METRICS_NAMESPACE`] is set: CloudWatch takes a
//! price for each.
//!
//! | metric | unit | of |
//! |---|---|---|
//! | [`CONNECTIONS_OPENED`], [`CONNECTIONS_CLOSED`] | connections | `$connect`, `$disconnect` |
//! | [`MESSAGES`] | messages that were passed on | a broadcast |
//! | [`DELIVERED`], [`GONE`], [`SLOW`], [`FAILED`] | connections, by what became of the post | a broadcast |
//! | [`RATE_LIMITED`] | posts refused because the account's rate was exceeded | a broadcast |
//! | [`DELIVERY_TIME`] | milliseconds, from the first read to the last post | a broadcast |
//!
//! [embedded format]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::{
    io::{self, Write},
    time::Duration,
};

use metrics::Unit;
use metrics_cloudwatch_embedded::{Builder, Collector};

use crate::config;

/// The environment variable with the CloudWatch namespace of the metrics; unset: there are none.
pub const METRICS_NAMESPACE: &str = "METRICS_NAMESPACE";

/// Connections that were let in.
pub const CONNECTIONS_OPENED: &str = "ConnectionsOpened";
/// Connections that were closed, as far as API Gateway told.
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
/// How long a message took to reach all that it reached.
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
}

/// What was counted since the last invocation.
pub(crate) struct Metrics(Option<&'static Collector>);

impl Metrics {
    /// Begins to count, where the environment asks for it.
    pub(crate) fn from_env() -> Result<Self, lambda_runtime::Error> {
        config::optional(METRICS_NAMESPACE).map_or(Ok(Self(None)), Self::in_namespace)
    }

    fn in_namespace(namespace: String) -> Result<Self, lambda_runtime::Error> {
        let collector = Builder::new().cloudwatch_namespace(namespace).init()?;
        for metric in COUNTS {
            metrics::describe_counter!(metric, Unit::Count, "");
        }
        metrics::describe_histogram!(DELIVERY_TIME, Unit::Milliseconds, "");
        Ok(Self(Some(collector)))
    }

    /// Ends an invocation: what it counted goes to the log.
    pub(crate) fn log(&self) {
        // Whole, so that no other line comes between its parts.
        if let Err(error) = self.line().and_then(|line| io::stdout().write_all(&line)) {
            tracing::warn!(%error, "the metrics are lost");
        }
    }

    /// What was counted since the last one; empty where that is nothing.
    fn line(&self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.0.map_or(Ok(()), |collector| collector.flush(&mut line))?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    // One test: there is one recorder in a process.
    #[test]
    fn an_invocation_logs_what_it_counted_and_no_more() {
        assert!(Metrics(None).line().unwrap().is_empty());
        let metrics = Metrics::in_namespace("WebSocket/chat".to_owned()).unwrap();
        assert!(metrics.line().unwrap().is_empty());

        count(DELIVERED, 40);
        count(DELIVERED, 2);
        count(GONE, 0);
        time(DELIVERY_TIME, Duration::from_micros(1_500));
        let line: Value = serde_json::from_slice(&metrics.line().unwrap()).unwrap();
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
        assert!(metrics.line().unwrap().is_empty());
    }
}
