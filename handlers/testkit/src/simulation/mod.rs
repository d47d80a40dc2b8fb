//! AWS as the handlers see it, in memory and on the test's clock: the connection table, the history, `@connections`,
//! and queues.
//!
//! The SDK's clients reach it without a socket. So a test with a paused clock runs through hours of waiting at once,
//! and its result does not depend on the machine's speed. For each [`Call`], the test decides what goes wrong, and
//! when.
//!
//! It supports only what the functions use: an unknown call or expression fails the test. Unlike in the engine of
//! [`dynamodb`], a table's index and its eventually consistent reads lag behind, as those of AWS do. The test sets the
//! length of pages.

mod connections;
mod expression;
mod table;
mod update;

use std::{
    fmt,
    future::pending,
    mem,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_config::{Region, SdkConfig, stalled_stream_protection::StalledStreamProtectionConfig};
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use lambda_websocket::{
    History, Registry, aws,
    delivery::{
        connections::ConnectionsClient,
        poster::{Policy, Poster},
        task_queue::TaskQueue,
    },
    store::registry::CONNECTION_INDEX,
    time,
};
use serde_json::{Value, json};
use tokio::time::sleep;

pub use self::connections::Delivery;
use self::{
    connections::{Connections, Rate},
    expression::Row,
    table::{Keys, Table},
};
pub use crate::sqs::MAX_QUEUED_BYTES;
use crate::{
    dynamodb::{self, ConnectionTable},
    sqs::{self, Sent},
};

/// The start of a simulation: 15 January 2027, in milliseconds since the Unix epoch.
pub const BEGIN: u64 = 1_800_000_000_000;

/// A simulated AWS.
#[derive(Debug)]
pub struct Simulation {
    aws: Aws,
    connections: ConnectionsClient,
    tables: aws_sdk_dynamodb::Client,
    queues: aws_sdk_sqs::Client,
}

/// The services that the clients reach.
#[derive(Clone, Debug)]
struct Aws(Arc<Mutex<State>>);

/// A call to the simulated AWS, in as much detail as a test needs to decide its fate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A post to this connection.
    Post(String),
    /// A check whether this connection is open.
    Get(String),
    /// A request to close this connection.
    Close(String),
    /// This operation on the connection table, about the row or the rows of this key.
    Table(&'static str, String),
    /// The same on the history.
    History(&'static str, String),
    /// Puts one message or several into a queue.
    Enqueue,
    /// One message of several, with this body. If anything goes wrong with it alone, it is not accepted, and the answer
    /// says so.
    Entry(String),
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is served in the middle of this time, and answered at its end.
    Served(Duration),
    /// It is served after this time, and never answered.
    Unheard(Duration),
    /// It is not served, and answered with this status after this time.
    Refused(u16, Duration),
    /// The connection breaks after this time, before it is served.
    Broken(Duration),
    /// It is neither served nor answered.
    Ignored,
}

type Fates = Box<dyn FnMut(&Call) -> Fate + Send>;

struct State {
    fates: Fates,
    table: Table,
    history: Table,
    lag: Duration,
    rows_in_a_page: usize,
    connections: Connections,
    queued: Vec<Sent>,
    calls: u64,
    rows_read: u64,
}

impl Simulation {
    /// Starts an AWS where every call succeeds and no connection is open. From now on the time of the test's thread
    /// follows tokio's clock, from the [beginning](BEGIN) on.
    pub fn start() -> Self {
        time::simulate(BEGIN);
        let keys = Keys { hash: "channel", range: "connectionId" };
        let aws = Aws(Arc::new(Mutex::new(State {
            fates: Box::new(|_| Fate::Served(Duration::from_millis(10))),
            table: Table::new(keys, Some(CONNECTION_INDEX)),
            history: Table::new(Keys { range: "seq", ..keys }, None),
            lag: Duration::ZERO,
            rows_in_a_page: 5_000,
            connections: Connections::default(),
            queued: vec![],
            calls: 0,
            rows_read: 0,
        })));
        Self::over(aws)
    }

    /// The same AWS for another environment of Lambda, which has clients of its own.
    #[must_use]
    pub fn environment(&self) -> Self {
        Self::over(self.aws.clone())
    }

    fn over(aws: Aws) -> Self {
        let sdk = aws.sdk_config();
        Self {
            connections: ConnectionsClient::new(&sdk),
            tables: aws::dynamodb(&sdk),
            queues: aws::sqs(&sdk),
            aws,
        }
    }

    /// Sets the function that decides the outcome of each call from now on.
    pub fn decide(&self, fates: impl FnMut(&Call) -> Fate + Send + 'static) {
        self.state().fates = Box::new(fates);
    }

    /// Sets how far the table's index and eventually consistent reads lag behind the tables from now on.
    pub fn set_lag(&self, lag: Duration) {
        self.state().lag = lag;
    }

    /// Sets the rows in a page of the connection table from now on, including those that the filter leaves out.
    pub fn set_rows_in_a_page(&self, rows: usize) {
        self.state().rows_in_a_page = rows;
    }

    /// Sets the account's rate limit for `@connections` from now on: the requests in a second, and the requests at once
    /// after a rest. The others are answered 429.
    pub fn set_rate(&self, per_second: f64, burst: f64) {
        self.state().connections.rate = Some(Rate::new(per_second, burst));
    }

    /// Takes another request of the account, such as a connect. Returns whether the rate limit lets it pass.
    pub fn lets_pass(&self) -> bool {
        self.state().connections.lets_pass()
    }

    /// Opens the connection: it can be posted to from now on.
    pub fn open(&self, connection_id: &str) {
        self.open_to(connection_id, 200);
    }

    /// Opens the connection. From now on it answers every post with this status.
    pub fn open_to(&self, connection_id: &str, status: u16) {
        self.state().connections.open.insert(connection_id.to_owned(), status);
    }

    /// Closes the connection. One that was never opened is closed, too.
    pub fn close(&self, connection_id: &str) {
        self.state().connections.open.remove(connection_id);
    }

    /// Whether the connection can be posted to.
    pub fn is_open(&self, connection_id: &str) -> bool {
        self.state().connections.open.contains_key(connection_id)
    }

    /// Writes a row of the connection table as it is.
    pub fn put(&self, row: Value) {
        self.state().table.put(attributes(row));
    }

    /// Writes a row of the history as it is.
    pub fn put_history(&self, row: Value) {
        self.state().history.put(attributes(row));
    }

    /// Deletes the rows that have expired, as DynamoDB does sooner or later.
    pub fn expire(&self) {
        let now = time::unix_millis() / 1_000;
        let mut state = self.state();
        state.table.expire(now);
        state.history.expire(now);
    }

    /// The hash key and the range key of each row of the connection table, in order.
    pub fn rows(&self) -> Vec<(String, String)> {
        self.state().table.rows().map(|(key, _)| key.clone()).collect()
    }

    /// Every row of the history, ordered by channel and number.
    pub fn history_rows(&self) -> Vec<Row> {
        self.state().history.rows().map(|(_, row)| row.clone()).collect()
    }

    /// All delivered frames, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().connections.deliveries.clone()
    }

    /// The number of delivered frames so far.
    pub fn delivered(&self) -> usize {
        self.state().connections.deliveries.len()
    }

    /// Takes all messages out of the queues, in order.
    pub fn take_queued(&self) -> Vec<Sent> {
        mem::take(&mut self.state().queued)
    }

    /// The number of calls so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The number of rows that queries have read, including those that a filter left out.
    pub fn rows_read(&self) -> u64 {
        self.state().rows_read
    }

    /// A client of its tables.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.tables.clone()
    }

    /// A client of its queues.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        self.queues.clone()
    }

    /// A client of its `@connections`.
    pub fn connections(&self) -> ConnectionsClient {
        self.connections.clone()
    }

    /// The registry in the table, with so many shards per channel.
    pub fn registry(&self, shards: u8) -> Registry {
        let shards = shards.to_string().parse().expect("a number of shards");
        Registry::new(self.tables.clone(), ConnectionTable::NAME, shards)
    }

    /// The history, which replays so many messages at most.
    pub fn history(&self, max: u16) -> History {
        dynamodb::history(self.tables.clone(), dynamodb::A_DAY, max)
    }

    /// The poster, built as the functions build it.
    pub fn poster(&self) -> Poster {
        Poster::new(self.connections.clone(), Policy::default())
    }

    /// The queue of that name, built as the functions build it.
    pub fn queue_of(&self, name: &str) -> TaskQueue {
        TaskQueue::new(self.queues.clone(), format!("https://simulated/{name}"))
    }

    /// A queue.
    pub fn queue(&self) -> TaskQueue {
        self.queue_of("queue")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.aws.state()
    }
}

fn attributes(row: Value) -> Row {
    let Value::Object(row) = row else { panic!("a row is an object, not {row}") };
    row
}

impl Aws {
    fn sdk_config(&self) -> SdkConfig {
        // The SDK's clients of one process and Region share a retry budget: each simulation has a Region of its own.
        static REGIONS: AtomicU64 = AtomicU64::new(0);
        let region = Region::new(format!("simulated-{}", REGIONS.fetch_add(1, Ordering::Relaxed)));
        let config = crate::sdk_config_over(SharedHttpClient::new(self.clone()), "https://simulated");
        config
            .into_builder()
            .region(region)
            // It uses the wall clock, which a paused test clock does not control.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Serves a request when its fate says, or not at all, and answers it.
    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = Request::read(&request);
        let (call, fate) = {
            let mut state = self.state();
            state.calls += 1;
            let call = state.call(&request);
            let fate = (state.fates)(&call);
            (call, fate)
        };
        match fate {
            Fate::Served(time) => {
                sleep(time / 2).await;
                let (status, body) = self.state().serve(request);
                sleep(time / 2).await;
                Ok(response(status, &body))
            }
            Fate::Unheard(time) => {
                sleep(time).await;
                self.state().serve(request);
                pending().await
            }
            Fate::Refused(status, time) => {
                sleep(time).await;
                let name = match (call, status) {
                    (Call::Table(..) | Call::History(..), 400) => "ProvisionedThroughputExceededException",
                    (_, 429) => "LimitExceededException",
                    _ => "InternalServerError",
                };
                Ok(response(status, &json!({"__type": name, "message": name})))
            }
            Fate::Broken(time) => {
                sleep(time).await;
                Err(ConnectorError::io("the connection broke".into()))
            }
            Fate::Ignored => pending().await,
        }
    }
}

fn response(status: u16, body: &Value) -> HttpResponse {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body))
}

impl HttpClient for Aws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Aws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().answer(request))
    }
}

/// A request of the handlers to AWS.
enum Request {
    /// A method of `@connections`, the connection's id, and the posted frame.
    Connection(String, String, String),
    /// A target of SQS, and the body of the call.
    Queue(String, Value),
    /// An operation on a table, and the body of the call.
    Table(&'static str, Value),
}

impl Request {
    fn read(request: &HttpRequest) -> Self {
        let body = request.body().bytes().expect("a body in memory");
        if let Some((_, id)) = request.uri().split_once("/@connections/") {
            let frame = String::from_utf8(body.to_vec()).expect("UTF-8");
            return Self::Connection(request.method().to_owned(), id.replace("%3D", "="), frame);
        }
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let target = request.headers().get("x-amz-target").expect("a target");
        if target.starts_with("AmazonSQS.") {
            return Self::Queue(target.to_owned(), body);
        }
        let operation = match target {
            "DynamoDB_20120810.PutItem" => "PutItem",
            "DynamoDB_20120810.UpdateItem" => "UpdateItem",
            "DynamoDB_20120810.DeleteItem" => "DeleteItem",
            "DynamoDB_20120810.GetItem" => "GetItem",
            "DynamoDB_20120810.Query" => "Query",
            other => panic!("the simulation knows no {other}"),
        };
        Self::Table(operation, body)
    }
}

impl State {
    fn call(&mut self, request: &Request) -> Call {
        match request {
            Request::Connection(method, id, _) => match method.as_str() {
                "GET" => Call::Get(id.clone()),
                "DELETE" => Call::Close(id.clone()),
                _ => Call::Post(id.clone()),
            },
            Request::Queue(..) => Call::Enqueue,
            Request::Table(operation, call) => {
                let about = self.table(call).about(call);
                if call["TableName"] == ConnectionTable::NAME {
                    Call::Table(operation, about)
                } else {
                    Call::History(operation, about)
                }
            }
        }
    }

    fn table(&mut self, call: &Value) -> &mut Table {
        match call["TableName"].as_str() {
            Some(ConnectionTable::NAME) => &mut self.table,
            Some(dynamodb::HISTORY) => &mut self.history,
            other => panic!("there is no table {other:?}"),
        }
    }

    fn serve(&mut self, request: Request) -> (u16, Value) {
        let (lag, rows_in_a_page) = (self.lag, self.rows_in_a_page);
        match request {
            Request::Connection(method, id, frame) => self.connections.serve(&method, id, frame),
            Request::Queue(target, call) => {
                let Self { queued, fates, .. } = self;
                let fails = |body: &str| !matches!(fates(&Call::Entry(body.to_owned())), Fate::Served(_));
                sqs::serve(&target, &call, None, queued, fails)
            }
            Request::Table(operation, call) => {
                let is_history = call["TableName"] == dynamodb::HISTORY;
                let rows_in_a_page = if is_history { usize::MAX } else { rows_in_a_page };
                let (status, answer) = self.table(&call).serve(operation, call, lag, rows_in_a_page);
                self.rows_read += answer["ScannedCount"].as_u64().unwrap_or_default();
                (status, answer)
            }
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.table.rows().count())
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}
