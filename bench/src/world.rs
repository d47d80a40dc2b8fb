//! What the measured functions find around them: the connection table and `@connections`.
//!
//! Both run on a thread each of this process, so that what they need counts for nobody, and do no more than they must:
//! a server that is slower than its client would be measured in its place.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::TcpListener as StdListener,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use dynoxide::{AttributeValue, Database, ImportOptions};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use lambda_websocket::Channel;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The table's name.
pub const TABLE: &str = "connections";

/// What surrounds the functions.
#[derive(Debug)]
pub struct World {
    /// Where DynamoDB listens.
    pub dynamodb: String,
    /// Where `@connections` listens.
    pub connections: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    latency_micros: AtomicU64,
    queries: AtomicUsize,
    /// In halves, which an eventually consistent read takes.
    read_units_doubled: AtomicU64,
    /// By the number of the connection, how often it was posted to.
    posts: Mutex<Vec<u32>>,
}

/// What the functions asked of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// How many queries.
    pub queries: usize,
    /// How many read units they took, as DynamoDB meters them.
    pub read_units: f64,
}

/// The channel with so many connections over so many shards.
pub fn channel(recipients: usize, shards: u8) -> String {
    format!("bench:{recipients}:{shards}")
}

/// How many connections are in the channel.
///
/// # Errors
/// When it is none of the benchmark's.
pub fn recipients(channel: &str) -> Result<usize> {
    let mut parts = channel.split(':');
    let number = parts.nth(1).with_context(|| format!("{channel:?} is no channel of the benchmark"))?;
    Ok(number.parse()?)
}

/// The id of a connection, as long as a real one and with what has to be escaped in a path.
pub fn connection_id(number: usize) -> String {
    format!("{number:015}=")
}

impl World {
    /// Builds it, with these channels in the table: so many recipients over so many shards each.
    ///
    /// # Errors
    /// When a port cannot be had, or the table not be filled.
    pub fn start(channels: impl IntoIterator<Item = (usize, u8)>) -> Result<Self> {
        let (database, state) = (Database::memory()?, Arc::new(State::default()));
        create_table(&database)?;
        for (recipients, shards) in channels {
            fill(&database, recipients, shards)?;
        }
        let shared = Arc::clone(&state);
        let dynamodb =
            serve("dynamodb", move |request| dynamodb(request, database.clone(), Arc::clone(&shared)))?;
        let shared = Arc::clone(&state);
        let connections = serve("connections", move |request| post(request, Arc::clone(&shared)))?;
        Ok(Self { dynamodb, connections, state })
    }

    /// Begins to count anew. From now on a post is answered after this time.
    pub fn reset(&self, latency: Duration) {
        self.state.latency_micros.store(latency.as_micros() as u64, Ordering::Relaxed);
        self.state.queries.store(0, Ordering::Relaxed);
        self.state.read_units_doubled.store(0, Ordering::Relaxed);
        self.state.posts().clear();
    }

    /// What was asked of the table since the last reset.
    pub fn asked(&self) -> Asked {
        Asked {
            queries: self.state.queries.load(Ordering::Relaxed),
            read_units: self.state.read_units_doubled.load(Ordering::Relaxed) as f64 / 2.0,
        }
    }

    /// Checks that since the last reset each recipient was posted to once, and nobody else.
    ///
    /// # Errors
    /// When it was otherwise: what was measured is not the work that it should be.
    pub fn check_posts(&self, recipients: usize) -> Result<()> {
        let posts = self.state.posts();
        let once = posts.iter().filter(|posts| **posts == 1).count();
        ensure!(
            posts.len() == recipients && once == recipients,
            "of {recipients} recipients {once} were posted to once, and {} posts were made in all",
            posts.iter().sum::<u32>()
        );
        Ok(())
    }
}

impl State {
    fn posts(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys of the module's table. Its index is left out: nothing that is measured uses it.
fn create_table(database: &Database) -> Result<()> {
    let request = json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            { "AttributeName": "channel", "AttributeType": "S" },
            { "AttributeName": "connectionId", "AttributeType": "S" },
        ],
        "KeySchema": [
            { "AttributeName": "channel", "KeyType": "HASH" },
            { "AttributeName": "connectionId", "KeyType": "RANGE" },
        ],
    });
    database.create_table(serde_json::from_value(request)?)?;
    Ok(())
}

/// Puts connections into the channel, as `$connect` writes them.
fn fill(database: &Database, recipients: usize, shards: u8) -> Result<()> {
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let number = |value: u64| AttributeValue::N(value.to_string());
    let event = testkit::fixtures::connect_json();
    let identity = &event["requestContext"]["identity"];
    let (source_ip, user_agent) = (&identity["sourceIp"], &identity["userAgent"]);
    let channel = Channel::parse(channel(recipients, shards))?;
    let now = testkit::fixtures::now_millis();
    let rows = (0..recipients).map(|connection| {
        HashMap::from([
            ("channel".to_owned(), text(&format!("{channel}#{}", connection % usize::from(shards)))),
            ("connectionId".to_owned(), text(&connection_id(connection))),
            ("connectedAt".to_owned(), number(now)),
            ("expiresAt".to_owned(), number(now / 1_000 + 24 * 60 * 60)),
            ("sourceIp".to_owned(), text(source_ip.as_str().unwrap_or_default())),
            ("userAgent".to_owned(), text(user_agent.as_str().unwrap_or_default())),
        ])
    });
    database.import_items(TABLE, rows.collect(), ImportOptions::default())?;
    Ok(())
}

/// Serves on a thread of its own, and gives the address.
fn serve<S, F>(name: &str, answer: S) -> Result<String>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Full<Bytes>>>> + 'static,
{
    let listener = StdListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let response = answer(request);
                async {
                    Ok::<_, Infallible>(response.await.unwrap_or_else(|error| {
                        eprintln!("error: {error:#}");
                        status(StatusCode::INTERNAL_SERVER_ERROR)
                    }))
                }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::task::spawn_local(async {
                // A function that ends leaves its connections open.
                let _ = connection.await;
            });
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let served: std::io::Result<()> = tokio::task::LocalSet::new().block_on(&runtime, serve);
        if let Err(error) = served {
            eprintln!("error: the server ended: {error}");
        }
    })?;
    Ok(format!("http://{address}"))
}

async fn dynamodb(
    request: Request<Incoming>,
    database: Database,
    state: Arc<State>,
) -> Result<Response<Full<Bytes>>> {
    let target = request.headers().get("x-amz-target").context("no X-Amz-Target")?.to_str()?.to_owned();
    let mut body: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
    let answer = match target.rsplit('.').next() {
        Some("Query") => {
            body["ReturnConsumedCapacity"] = json!("TOTAL");
            let mut page =
                database.query(serde_json::from_value(body)?).map_err(|error| anyhow!(error.to_json()))?;
            let units = page.consumed_capacity.take().context("no consumed capacity")?.capacity_units;
            state.queries.fetch_add(1, Ordering::Relaxed);
            state.read_units_doubled.fetch_add((units * 2.0) as u64, Ordering::Relaxed);
            serde_json::to_vec(&page)?
        }
        Some("PutItem") => {
            let put =
                database.put_item(serde_json::from_value(body)?).map_err(|error| anyhow!(error.to_json()))?;
            serde_json::to_vec(&put)?
        }
        _ => bail!("{target} is not asked for by what is measured"),
    };
    Ok(Response::builder().header("content-type", "application/x-amz-json-1.0").body(Full::from(answer))?)
}

async fn post(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path().to_owned();
    let id = path.strip_prefix("/@connections/").with_context(|| format!("a post to {path}"))?;
    let number: usize = id.trim_end_matches("%3D").parse().with_context(|| format!("a post to {path}"))?;
    let body = request.into_body().collect().await?.to_bytes();
    if number == 0 {
        let frame: Value = serde_json::from_slice(&body)?; // All get the same: one is looked at.
        ensure!(frame["type"] == "message" && frame["message"].is_string(), "a post of {frame}");
    }
    {
        let mut posts = state.posts();
        if posts.len() <= number {
            posts.resize(number + 1, 0);
        }
        posts[number] += 1;
    }
    let latency = state.latency_micros.load(Ordering::Relaxed);
    if latency > 0 {
        tokio::time::sleep(Duration::from_micros(latency)).await;
    }
    Ok(status(StatusCode::OK))
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
