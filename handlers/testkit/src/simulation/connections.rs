//! `@connections`, within the account's rate.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;

/// The most bytes of a post.
const MAX_BYTES: usize = 128 * 1024;

/// A frame that a connection got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// Which connection.
    pub connection: String,
    /// The frame.
    pub frame: String,
}

/// What API Gateway knows of connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// Those that are open, and how they answer where that is not 200.
    pub(super) open: HashMap<String, u16>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) rate: Option<Rate>,
}

/// How many requests an account may make: a token bucket.
#[derive(Debug)]
pub(super) struct Rate {
    /// Tokens that come in a second.
    per_second: f64,
    /// The most tokens.
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
    /// Answers a request of this method about a connection.
    pub(super) fn serve(&mut self, method: &str, connection: String, frame: String) -> (u16, Value) {
        if self.rate.as_mut().is_some_and(|rate| !rate.take()) {
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
