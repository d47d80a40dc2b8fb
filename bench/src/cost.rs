//! Connections, messages and fan-out as dollars a month of 30 days.
//!
//! The model counts what AWS meters and multiplies it by list prices. It leaves out what depends on more than this:
//! logs, traffic to the internet, a queue before the function that publishes, free tiers.

use std::fmt::Write;

use crate::figure::separate;

/// Prices in dollars of us-east-1, as AWS listed them in November 2026.
pub mod prices {
    /// A message of up to [`MESSAGE_STEP`](super::MESSAGE_STEP), in or out, of the first billion in a month.
    /// [API Gateway pricing](https://aws.amazon.com/api-gateway/pricing/).
    pub const MESSAGE: f64 = 1.00e-6;
    /// A message beyond the first billion in a month.
    pub const MESSAGE_BEYOND_A_BILLION: f64 = 0.80e-6;
    /// A minute of one connection.
    pub const CONNECTION_MINUTE: f64 = 0.25e-6;
    /// An invocation of a function. [Lambda pricing](https://aws.amazon.com/lambda/pricing/).
    pub const INVOCATION: f64 = 0.20e-6;
    /// A GB-second of a function on arm64.
    pub const GB_SECOND: f64 = 0.000_013_333_4;
    /// A write request unit of a table on demand: a row of up to 1 KB, in the table or in an index.
    /// [DynamoDB pricing](https://aws.amazon.com/dynamodb/pricing/on-demand/).
    pub const WRITE_UNIT: f64 = 0.625e-6;
    /// A read request unit of a table on demand: a consistent read of up to 4 KB.
    pub const READ_UNIT: f64 = 0.125e-6;
    /// A request to a standard queue: to send, receive or delete. [SQS pricing](https://aws.amazon.com/sqs/pricing/).
    pub const QUEUE_REQUEST: f64 = 0.40e-6;
}

/// A longer message counts as several, of so many bytes each.
pub const MESSAGE_STEP: u32 = 32 * 1024;

/// A row as `$connect` writes it for a browser: its names and values, in bytes. It is in the table and in its index.
pub const ROW_BYTES: f64 = 180.0;

/// How long `$connect` and `$disconnect` are billed for, in seconds: an answer of DynamoDB, and now and then a cold start.
const CONNECT_SECONDS: f64 = 0.02;

/// The memory of the functions of `$connect` and `$disconnect`, in GB.
const CONNECT_MEMORY: f64 = 0.25;

/// The memory of the function that posts, in GB.
const SEND_MEMORY: f64 = 0.5;

/// A function has a whole CPU from this much memory on, in GB, and less of it with less
/// ([memory](https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html)).
const MEMORY_OF_A_CPU: f64 = 1_769.0 / 1_024.0;

/// To how many connections a second of CPU time posts: what RESULTS.md has, rounded down for TLS and a slower CPU.
const POSTS_PER_CPU_SECOND: f64 = 5_000.0;

/// How long API Gateway takes to answer a post, in seconds.
const POST_SECONDS: f64 = 0.02;

/// How many posts are under way at once.
const CONCURRENCY: f64 = 128.0;

/// A channel with more members is cut into ranges of about as many: `publish::HAND_OVER_AFTER`.
const RANGE: f64 = 5_000.0;

/// How many posts a second a function does in a range: the publisher's `broadcasts.rate_limit`, by its `concurrency`.
const RANGE_POSTS_PER_SECOND: f64 = 1_250.0;

/// A row of the history without the message, in bytes: names, keys, and what is around the message in its frame.
const HISTORY_ROW_BYTES: u32 = 350;

/// How long a connection lives at the most, in hours: who stays longer connects anew.
const CONNECTION_HOURS: f64 = 2.0;

/// How often each client pings, in minutes.
const PING_MINUTES: f64 = 5.0;

const DAYS: f64 = 30.0;

/// Who sends the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// One of the clients: the message comes in, and an ack goes back.
    Client,
    /// The backend, which does so through the function.
    Backend,
}

/// What an API has to do.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// What it is, for the table.
    pub name: &'static str,
    /// How many are connected.
    pub connections: f64,
    /// For how many hours a day.
    pub hours_a_day: f64,
    /// How many messages are sent to all of them, a day.
    pub messages_a_day: f64,
    /// How long a message is, in bytes.
    pub message_bytes: u32,
    /// Who sends it.
    pub sender: Sender,
    /// Whether a history keeps it. The sender, or the queue, gives it an id.
    pub history: bool,
}

/// The three that docs/costs.md quotes.
pub const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "100 people in a chat with a history for 8 hours a day, 1,000 messages a day",
        connections: 100.0,
        hours_a_day: 8.0,
        messages_a_day: 1_000.0,
        message_bytes: 300,
        sender: Sender::Client,
        history: true,
    },
    Workload {
        name: "1,000 dashboards always on, an update every minute from your backend",
        connections: 1_000.0,
        hours_a_day: 24.0,
        messages_a_day: 24.0 * 60.0,
        message_bytes: 2_000,
        sender: Sender::Backend,
        history: false,
    },
    Workload {
        name: "100,000 apps always on, news once an hour from your backend",
        connections: 100_000.0,
        hours_a_day: 24.0,
        messages_a_day: 24.0,
        message_bytes: 2_000,
        sender: Sender::Backend,
        history: false,
    },
];

/// What a workload takes and costs in a month.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Month {
    /// Minutes of connections.
    pub minutes: f64,
    /// Messages as API Gateway counts them: in and out, in steps, and pings and their answers too.
    pub messages: f64,
    /// Dollars for API Gateway.
    pub api_gateway: f64,
    /// Dollars for Lambda, and for the queue of large broadcasts.
    pub lambda: f64,
    /// Dollars for DynamoDB.
    pub dynamodb: f64,
}

impl Month {
    /// Dollars in all.
    pub fn dollars(&self) -> f64 {
        self.api_gateway + self.lambda + self.dynamodb
    }
}

impl Workload {
    /// What it takes and costs in a month.
    pub fn month(&self) -> Month {
        let minutes = self.connections * self.hours_a_day * 60.0 * DAYS;
        let connects = self.connections * (self.hours_a_day / CONNECTION_HOURS) * DAYS;
        let broadcasts = self.messages_a_day * DAYS;
        let steps = f64::from(self.message_bytes.div_ceil(MESSAGE_STEP));
        let pings = minutes / PING_MINUTES;

        let sent = broadcasts
            * match self.sender {
                Sender::Client => steps + 1.0, // the message, and the ack
                Sender::Backend => 0.0,
            };
        let messages = sent + broadcasts * self.connections * steps + pings * 2.0;

        let connect_seconds = connects * 2.0 * CONNECT_SECONDS * CONNECT_MEMORY;
        let send_seconds = broadcasts * broadcast_seconds(self.connections) * SEND_MEMORY;
        let ranges = broadcasts * ranges(self.connections);

        // A row and its copy in the index, written by $connect and deleted by $disconnect.
        let write_units = connects * 2.0 * 2.0 + broadcasts * self.history_writes();
        // $disconnect asks the index, eventually consistent. With a history, the claim of each message is looked for.
        let of_history = f64::from(u8::from(self.history));
        let read_units =
            connects * 0.5 + broadcasts * (read_units(self.connections) + of_history) + connects * of_history;

        Month {
            minutes,
            messages,
            api_gateway: minutes * prices::CONNECTION_MINUTE + messages_price(messages),
            lambda: (connects * 2.0 + broadcasts + ranges) * prices::INVOCATION
                + (connect_seconds + send_seconds) * prices::GB_SECOND
                + ranges * 3.0 * prices::QUEUE_REQUEST,
            dynamodb: write_units * prices::WRITE_UNIT + read_units * prices::READ_UNIT,
        }
    }

    /// How many write units a message takes in the history: its number, itself, its claim, and the claim's outcome.
    fn history_writes(&self) -> f64 {
        if !self.history {
            return 0.0;
        }
        f64::from((self.message_bytes + HISTORY_ROW_BYTES).div_ceil(1_024)) + 3.0
    }
}

/// How many read units it takes to find so many recipients in one shard. A large channel is read once more to cut it, at
/// half the price.
pub fn read_units(recipients: f64) -> f64 {
    let units = (recipients * ROW_BYTES / 4_096.0).ceil().max(1.0);
    if recipients > RANGE { units * 1.5 } else { units }
}

/// Into how many ranges a channel is cut; none, if one function posts to all.
fn ranges(recipients: f64) -> f64 {
    if recipients > RANGE { (recipients / RANGE).ceil() } else { 0.0 }
}

/// How long functions post to so many recipients, all together: they wait for API Gateway, keep to the rate of their ranges,
/// or work as fast as their memory gives them CPU.
fn broadcast_seconds(recipients: f64) -> f64 {
    let cpu = (SEND_MEMORY / MEMORY_OF_A_CPU).min(1.0);
    let paced = if recipients > RANGE { recipients / RANGE_POSTS_PER_SECOND } else { 0.0 };
    (recipients / CONCURRENCY * POST_SECONDS).max(recipients / POSTS_PER_CPU_SECOND / cpu).max(paced)
}

fn messages_price(messages: f64) -> f64 {
    const BILLION: f64 = 1.0e9;
    messages.min(BILLION) * prices::MESSAGE + (messages - BILLION).max(0.0) * prices::MESSAGE_BEYOND_A_BILLION
}

/// The table of the workloads, for docs/costs.md and RESULTS.md.
pub fn table() -> String {
    let mut table =
        "| a month (30 days) of | minutes | messages | API Gateway | Lambda | DynamoDB | in all |\n\
        |---|---|---|---|---|---|---|\n"
            .to_owned();
    for workload in WORKLOADS {
        let month = workload.month();
        let millions = |number: f64| {
            let millions = number / 1.0e6;
            format!("{} million", separate(millions, if millions < 10.0 { 2 } else { 1 }))
        };
        let dollars = |dollars| format!("{} USD", separate(dollars, 2));
        writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} |",
            workload.name,
            millions(month.minutes),
            millions(month.messages),
            dollars(month.api_gateway),
            dollars(month.lambda),
            dollars(month.dynamodb),
            dollars(month.dollars()),
        )
        .unwrap_or_default(); // A string takes all that is written.
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= expected * 1e-6, "{found} is not {expected}");
    }

    #[test]
    fn a_chat_costs_what_one_reckons_by_hand() {
        let month = WORKLOADS[0].month();
        // 100 people, 8 hours, 60 minutes, 30 days.
        close(month.minutes, 1_440_000.0);
        // 30,000 messages: in, an ack, out to 100; and 288,000 pings with their answers.
        close(month.messages, 30_000.0 * 102.0 + 288_000.0 * 2.0);
        // 3.636 USD for messages, 0.36 for minutes.
        close(month.api_gateway, 3.636 + 0.36);
        // 12,000 connects and as many disconnects of 0.005 GB-seconds each, and 30,000 broadcasts, each of 0.069 s in half a GB.
        let broadcast = 100.0 / 5_000.0 / (512.0 / 1_769.0) * 0.5;
        close(month.lambda, 54_000.0 * 0.2e-6 + (24_000.0 * 0.005 + 30_000.0 * broadcast) * 0.000_013_333_4);
        // 4 writes and half a read for each connection, and 5 reads (18,000 bytes) for each broadcast.
        // In the history, 4 writes and a read for each message, and a read for each subscription.
        let writes = 48_000.0 + 30_000.0 * 4.0;
        close(month.dynamodb, writes * 0.625e-6 + (6_000.0 + 12_000.0 + 30_000.0 * 6.0) * 0.125e-6);
    }

    #[test]
    fn what_a_backend_sends_comes_in_by_no_connection_and_has_no_ack() {
        let month = WORKLOADS[1].month();
        close(month.messages, 43_200.0 * 1_000.0 + 8_640_000.0 * 2.0);
        close(month.api_gateway, 60.48 + 43.2 * 0.25);
    }

    #[test]
    fn beyond_a_billion_messages_are_cheaper() {
        close(messages_price(1.0e9), 1_000.0);
        close(messages_price(1.5e9), 1_400.0);
    }

    #[test]
    fn a_long_message_counts_as_several() {
        let month = |message_bytes| Workload { message_bytes, ..WORKLOADS[1] }.month().messages;
        assert_eq!(month(1), month(32 * 1024));
        close(month(32 * 1024 + 1) - month(32 * 1024), 43_200.0 * 1_000.0);
    }

    #[test]
    fn nothing_costs_nothing() {
        let idle = Workload { connections: 0.0, messages_a_day: 0.0, ..WORKLOADS[0] };
        assert_eq!(idle.month().dollars(), 0.0);
    }

    #[test]
    fn ranges_make_a_broadcast_to_100_000_a_hundredth_dearer_at_most() {
        let month =
            |messages_a_day| Workload { connections: 100_000.0, messages_a_day, ..WORKLOADS[2] }.month();
        let (none, some) = (month(0.0), month(1.0));
        // A post costs a dollar for a million. In one function it would have taken 100,000 / 5,000 / 0.29 seconds.
        let posts = 30.0 * 100_000.0 * prices::MESSAGE;
        let in_one = 30.0
            * (prices::INVOCATION
                + 100_000.0 / 5_000.0 * (1_769.0 / 512.0) * 0.5 * prices::GB_SECOND
                + 100_000.0 * ROW_BYTES / 4_096.0 * prices::READ_UNIT);
        let found = some.dollars() - none.dollars();
        assert!(found < (posts + in_one) * 1.01, "{found} and not {}", posts + in_one);
    }

    #[test]
    fn a_broadcast_is_as_slow_as_the_slower_of_waiting_and_working() {
        // With half a GB it has 0.29 of a CPU, and that is what it waits for.
        close(broadcast_seconds(1_000.0), 1_000.0 / 5_000.0 * 1_769.0 / 512.0);
    }
}
