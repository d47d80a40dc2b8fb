//! A simulated `@connections`, with the account's rate limit.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;

/// The maximum size of a post, in bytes.
const MAX_BYTES: usize = 128 * 1024;

/// A frame that a connection got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The time of the delivery.
    pub at: Instant,
    /// The connection's id.
    pub connection: String,
    /// The frame.
    pub frame: String,
}

/// The connections of API Gateway, and the frames delivered to them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// The open connections, each with the status that it answers.
    pub(super) open: HashMap<String, u16>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) rate: Option<Rate>,
}

/// The account's rate limit: a token bucket.
#[derive(Debug)]
pub(super) struct Rate {
    /// Tokens added per second.
    per_second: f64,
    /// The maximum number of tokens.
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Rate {
    pub(super) fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, tokens: burst, at: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + self.per_second * (now - self.at).as_secs_f64()).min(self.burst);
        self.at = now;
        let has_one = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(has_one));
        has_one
    }
}

impl Connections {
    /// Takes a request of the account's rate.
    pub(super) fn lets_pass(&mut self) -> bool {
        self.rate.as_mut().is_none_or(Rate::take)
    }

    /// Answers a request of this method about a connection.
    pub(super) fn serve(&mut self, method: &str, connection: String, frame: String) -> (u16, Value) {
        if !self.lets_pass() {
            return refused(429);
        }
        let Some(&status) = self.open.get(&connection) else { return refused(410) };
        match method {
            "POST" if status != 200 => refused(status),
            "POST" if frame.len() > MAX_BYTES => refused(413),
            "POST" => {
                self.deliveries.push(Delivery { at: Instant::now(), connection, frame });
                (200, json!({}))
            }
            "GET" => {
                let now = "2027-01-15T08:00:00Z";
                let identity = json!({"sourceIp": "192.0.2.1", "userAgent": "simulated"});
                (200, json!({"connectedAt": now, "lastActiveAt": now, "identity": identity}))
            }
            "DELETE" => {
                self.open.remove(&connection);
                (204, Value::Null)
            }
            other => panic!("@connections knows no {other}"),
        }
    }
}

fn refused(status: u16) -> (u16, Value) {
    let name = match status {
        400 => "BadRequestException",
        403 => "ForbiddenException",
        410 => "GoneException",
        413 => "PayloadTooLargeException",
        429 => "LimitExceededException",
        _ => "InternalServerErrorException",
    };
    (status, json!({"__type": name, "message": name}))
}
