//! AWS as the handlers see it, in memory and on the test's clock: the connection table, `@connections`, and the queue
//! of the function `publish`.
//!
//! The SDK's clients reach it without a socket. So a test whose clock is paused runs through hours of waiting at
//! once, and what happens does not depend on how fast the machine is. What goes wrong, and when, the test says for
//! each [`Call`].
//!
//! The table is as narrow as what the registry asks of it, and asks for nothing else: an expression that it does not
//! know fails the test. Other than the engine of [`dynamodb`](crate::dynamodb) its index lags behind, as that of AWS
//! does, and its pages are as short as the test likes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fmt,
    future::pending,
    mem,
    ops::Bound,
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
    aws,
    fanout::{Fanout, Policy},
    queue::Queue,
    registry::{CONNECTION_INDEX, Registry},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::{dynamodb::ConnectionTable, queue::Sent};

/// The most bytes of a message of the queue, as the module `publisher` makes it.
pub const MAX_QUEUED_BYTES: usize = 256 * 1024;

/// A simulated AWS.
#[derive(Debug)]
pub struct Simulation {
    aws: Aws,
    connections: aws_sdk_apigatewaymanagement::Client,
    table: aws_sdk_dynamodb::Client,
    queue: aws_sdk_sqs::Client,
}

/// What the clients reach.
#[derive(Clone, Debug)]
struct Aws(Arc<Mutex<State>>);

/// A call to it, as the test tells apart what it lets go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// A post to this connection.
    Post(String),
    /// This operation on the table, about the row or the rows of this key.
    Table(&'static str, String),
    /// A message into the queue.
    Enqueue,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is served in the middle of this time, and answered at its end.
    Served(Duration),
    /// It is served after this time, and nobody hears of it.
    Unheard(Duration),
    /// It is not served, and answered so after this time.
    Refused(u16, Duration),
    /// The connection breaks after this time, before it is served.
    Broken(Duration),
    /// It is neither served nor answered.
    Ignored,
}

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

type Fates = Box<dyn FnMut(&Call) -> Fate + Send>;

struct State {
    fates: Fates,
    /// By hash key and range key.
    rows: BTreeMap<(String, String), Row>,
    /// By range key and hash key.
    index: BTreeSet<(String, String)>,
    /// What the index has not heard of yet: since when, of which row, and whether it is there.
    unheard: VecDeque<(Instant, (String, String), bool)>,
    lag: Duration,
    rows_in_a_page: usize,
    /// The connections that are open, and how they answer where that is not 200.
    open: HashMap<String, u16>,
    deliveries: Vec<Delivery>,
    queued: Vec<Sent>,
    calls: u64,
}

type Row = Map<String, Value>;

impl Simulation {
    /// An AWS where all goes well and nobody is connected.
    pub fn start() -> Self {
        let aws = Aws(Arc::new(Mutex::new(State {
            fates: Box::new(|_| Fate::Served(Duration::from_millis(10))),
            rows: BTreeMap::new(),
            index: BTreeSet::new(),
            unheard: VecDeque::new(),
            lag: Duration::ZERO,
            rows_in_a_page: 5_000,
            open: HashMap::new(),
            deliveries: vec![],
            queued: vec![],
            calls: 0,
        })));
        let sdk = aws.sdk_config();
        Self { connections: aws::connections(&sdk), table: aws::dynamodb(&sdk), queue: aws::sqs(&sdk), aws }
    }

    /// From now on this decides what becomes of a call.
    pub fn decide(&self, fates: impl FnMut(&Call) -> Fate + Send + 'static) {
        self.state().fates = Box::new(fates);
    }

    /// From now on the table's index is behind the table by so much.
    pub fn set_lag(&self, lag: Duration) {
        self.state().lag = lag;
    }

    /// From now on a page of a query is so many rows, those included that the filter leaves out.
    pub fn set_rows_in_a_page(&self, rows: usize) {
        self.state().rows_in_a_page = rows;
    }

    /// From now on the connection is open: it can be posted to.
    pub fn open(&self, connection_id: &str) {
        self.open_to(connection_id, 200);
    }

    /// From now on the connection is open, and answers every post with this status.
    pub fn open_to(&self, connection_id: &str, status: u16) {
        self.state().open.insert(connection_id.to_owned(), status);
    }

    /// From now on the connection is closed. So is one that never was opened.
    pub fn close(&self, connection_id: &str) {
        self.state().open.remove(connection_id);
    }

    /// Whether the connection can be posted to.
    pub fn is_open(&self, connection_id: &str) -> bool {
        self.state().open.contains_key(connection_id)
    }

    /// Writes a row as it is.
    pub fn put(&self, row: Value) {
        let Value::Object(row) = row else { panic!("a row is an object, not {row}") };
        self.state().put(row);
    }

    /// Deletes the rows that have expired, as DynamoDB does sooner or later.
    pub fn expire(&self, now: u64) {
        let mut state = self.state();
        let live: Vec<_> = state.rows.keys().filter(|key| !state.is_live(key, now)).cloned().collect();
        live.into_iter().for_each(|key| drop(state.delete(key)));
    }

    /// Every connection was established so much earlier.
    pub fn grow_older(&self, by: Duration) {
        for row in self.state().rows.values_mut() {
            let at: u128 =
                row["connectedAt"]["N"].as_str().and_then(|at| at.parse().ok()).expect("milliseconds");
            row["connectedAt"]["N"] = json!((at - by.as_millis()).to_string());
        }
    }

    /// The hash key and the range key of each row, in order.
    pub fn rows(&self) -> Vec<(String, String)> {
        self.state().rows.keys().cloned().collect()
    }

    /// All frames that were delivered, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// Takes out of the queue all that was put into it, in order.
    pub fn take_queued(&self) -> Vec<Sent> {
        mem::take(&mut self.state().queued)
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The registry in the table, with so many shards per channel.
    pub fn registry(&self, shards: u8) -> Registry {
        let shards = shards.to_string().parse().expect("a number of shards");
        Registry::new(self.table.clone(), ConnectionTable::NAME, shards)
    }

    /// The way to connections, built as the functions build it.
    pub fn fanout(&self) -> Fanout {
        Fanout::new(self.connections.clone(), Policy::default())
    }

    /// The way into the queue, built as the functions build it.
    pub fn queue(&self) -> Queue {
        Queue::new(self.queue.clone(), "https://simulated/queue")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.aws.state()
    }
}

impl Aws {
    fn sdk_config(&self) -> SdkConfig {
        // The SDK's clients share what retries they have left, all those of a process and a Region.
        static REGIONS: AtomicU64 = AtomicU64::new(0);
        let region = Region::new(format!("simulated-{}", REGIONS.fetch_add(1, Ordering::Relaxed)));
        let config = crate::sdk_config_over(SharedHttpClient::new(self.clone()), "https://simulated");
        config
            .into_builder()
            .region(region)
            // It goes by the clock on the wall, of which a test whose clock is paused knows nothing.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What becomes of a request, which is served in its own time or not at all.
    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = Request::read(&request);
        let call = request.call();
        let fate = {
            let mut state = self.state();
            state.calls += 1;
            (state.fates)(&call)
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
                    (Call::Table(..), 400) => "ProvisionedThroughputExceededException",
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
    HttpResponse::new(StatusCode::try_from(status).expect("a status"), SdkBody::from(body.to_string()))
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

/// What the handlers ask AWS for.
enum Request {
    Post { connection: String, frame: String },
    Enqueue(Value),
    Put(Value),
    Delete(Value),
    Query(Value),
}

impl Request {
    fn read(request: &HttpRequest) -> Self {
        let body = request.body().bytes().expect("a body in memory");
        if let Some((_, id)) = request.uri().split_once("/@connections/") {
            let frame = String::from_utf8(body.to_vec()).expect("UTF-8");
            return Self::Post { connection: id.replace("%3D", "="), frame };
        }
        let body: Value = serde_json::from_slice(body).expect("JSON");
        match request.headers().get("x-amz-target") {
            Some("AmazonSQS.SendMessage") => Self::Enqueue(body),
            Some("DynamoDB_20120810.PutItem") => Self::Put(body),
            Some("DynamoDB_20120810.DeleteItem") => Self::Delete(body),
            Some("DynamoDB_20120810.Query") => Self::Query(body),
            other => panic!("the simulation knows no {other:?}"),
        }
    }

    fn call(&self) -> Call {
        match self {
            Self::Post { connection, .. } => Call::Post(connection.clone()),
            Self::Enqueue(_) => Call::Enqueue,
            Self::Put(call) => Call::Table("PutItem", format!("{:?}", key(&call["Item"]))),
            Self::Delete(call) => Call::Table("DeleteItem", format!("{:?}", key(&call["Key"]))),
            Self::Query(call) => {
                let about = [&call["ExpressionAttributeValues"][":channel"], &call["ExclusiveStartKey"]];
                Call::Table("Query", format!("{} {about:?}", call["ExpressionAttributeValues"][":id"]))
            }
        }
    }
}

fn text(value: &Value) -> String {
    value["S"].as_str().expect("a text").to_owned()
}

/// The answer to who asks for the row that was there.
fn old(row: Option<Row>) -> Value {
    row.map_or(json!({}), |row| json!({ "Attributes": row }))
}

/// The hash key and the range key of a row of the table.
fn key(row: &Value) -> (String, String) {
    (text(&row["channel"]), text(&row["connectionId"]))
}

impl State {
    fn serve(&mut self, request: Request) -> (u16, Value) {
        match request {
            Request::Post { connection, frame } => {
                let status = self.open.get(&connection).copied().unwrap_or(410);
                if status == 200 {
                    self.deliveries.push(Delivery { at: Instant::now(), connection, frame });
                }
                (status, json!({}))
            }
            Request::Enqueue(call) => {
                let body = call["MessageBody"].as_str().expect("a body").to_owned();
                if body.len() > MAX_QUEUED_BYTES {
                    let error = "com.amazonaws.sqs#InvalidParameterValue";
                    return (400, json!({"__type": error, "message": "the message is too long"}));
                }
                let delay = call["DelaySeconds"].as_u64().unwrap_or_default();
                self.queued.push(Sent { body, delay, trace: None });
                (200, json!({"MessageId": self.queued.len().to_string(), "MD5OfMessageBody": ""}))
            }
            Request::Put(mut call) => {
                let Value::Object(row) = call["Item"].take() else { panic!("an item") };
                (200, old(self.put(row)))
            }
            Request::Delete(call) => {
                let key = key(&call["Key"]);
                if let Some(condition) = call["ConditionExpression"].as_str() {
                    assert_eq!(condition, "attribute_not_exists(connectedAt) OR connectedAt < :time");
                    let number = |value: &Value| {
                        value["N"].as_str().map(|text| text.parse::<u64>().expect("a number"))
                    };
                    let connected_at = self.rows.get(&key).and_then(|row| number(row.get("connectedAt")?));
                    if connected_at
                        .is_some_and(|at| Some(at) >= number(&call["ExpressionAttributeValues"][":time"]))
                    {
                        let name = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                        return (400, json!({"__type": name, "message": "the condition does not hold"}));
                    }
                }
                (200, old(self.delete(key)))
            }
            Request::Query(call) => (200, self.query(&call)),
        }
    }

    /// Gives back the row that was there.
    fn put(&mut self, row: Row) -> Option<Row> {
        let key = (text(&row["channel"]), text(&row["connectionId"]));
        self.unheard.push_back((Instant::now(), key.clone(), true));
        self.rows.insert(key, row)
    }

    /// Gives back the row that was there.
    fn delete(&mut self, key: (String, String)) -> Option<Row> {
        self.unheard.push_back((Instant::now(), key.clone(), false));
        self.rows.remove(&key)
    }

    fn is_live(&self, key: &(String, String), now: u64) -> bool {
        self.rows[key]["expiresAt"]["N"].as_str().expect("a number").parse::<u64>().expect("seconds") > now
    }

    /// A page of the table or of its index: rows by the range key, from behind the start on.
    fn query(&mut self, call: &Value) -> Value {
        let value = |name: &str| text(&call["ExpressionAttributeValues"][name]);
        let limit =
            call["Limit"].as_u64().map_or(usize::MAX, |limit| usize::try_from(limit).expect("a limit"));
        let limit = limit.min(self.rows_in_a_page);
        let start = &call["ExclusiveStartKey"];
        let start = start.is_object().then(|| key(start));
        let (keys, mut rows): (Vec<_>, Vec<Value>) = match call["KeyConditionExpression"].as_str() {
            Some("connectionId = :id") => {
                assert_eq!(call["IndexName"], CONNECTION_INDEX);
                self.hear();
                let id = value(":id");
                let from = (id.clone(), start.map_or(String::new(), |(channel, _)| channel));
                let found = self.index.range((Bound::Excluded(from), Bound::Unbounded));
                let found = found.take_while(|(of, _)| *of == id).take(limit);
                found
                    .map(|(id, channel)| (channel.clone(), id.clone()))
                    .map(|key| (key.clone(), row(&key)))
                    .unzip()
            }
            Some("channel = :channel") => {
                assert_eq!(call["FilterExpression"], "expiresAt > :now");
                assert_eq!(call["ConsistentRead"], true);
                let now = &call["ExpressionAttributeValues"][":now"]["N"];
                let now = now.as_str().and_then(|now| now.parse().ok()).expect("seconds");
                let channel = value(":channel");
                let from = (channel.clone(), start.map_or(String::new(), |(_, id)| id));
                let found = self.rows.range((Bound::Excluded(from), Bound::Unbounded));
                let found = found.take_while(|((of, _), _)| *of == channel).take(limit);
                found
                    .map(|(key, row)| {
                        (key.clone(), if self.is_live(key, now) { json!(row) } else { Value::Null })
                    })
                    .unzip()
            }
            other => panic!("the simulation knows no condition {other:?}"),
        };
        // A page that is full does not know whether another follows.
        let last = if keys.len() == limit { keys.last().map(row) } else { None };
        rows.retain(Value::is_object);
        let mut page = json!({"Count": rows.len(), "ScannedCount": keys.len(), "Items": rows});
        if let Some(last) = last {
            page["LastEvaluatedKey"] = last;
        }
        page
    }

    /// The index hears of what is older than its lag.
    fn hear(&mut self) {
        while let Some((since, ..)) = self.unheard.front() {
            if since.elapsed() < self.lag {
                break;
            }
            let Some((_, (channel, id), is_there)) = self.unheard.pop_front() else { break };
            if is_there {
                self.index.insert((id, channel));
            } else {
                self.index.remove(&(id, channel));
            }
        }
    }
}

/// A row of nothing but its key.
fn row((channel, id): &(String, String)) -> Value {
    json!({"channel": {"S": channel}, "connectionId": {"S": id}})
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.rows.len())
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}
