//! The [Lambda runtime API][api], to run a built function against.
//!
//! [api]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Mutex, Notify, mpsc},
};

/// A runtime API with one function behind it.
#[derive(Debug)]
pub struct RuntimeApi {
    /// The function's `AWS_LAMBDA_RUNTIME_API`: host and port.
    pub address: String,
    events: mpsc::Sender<String>,
    results: mpsc::Receiver<Result<Value, Value>>,
    asked: Arc<Notify>,
}

#[derive(Debug)]
struct Shared {
    events: Mutex<mpsc::Receiver<String>>,
    results: mpsc::Sender<Result<Value, Value>>,
    asked: Arc<Notify>,
}

impl RuntimeApi {
    /// Starts a runtime API that waits for its function.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, waiting) = mpsc::channel(1);
        let (answered, results) = mpsc::channel(1);
        let asked = Arc::new(Notify::new());
        let shared = Shared { events: Mutex::new(waiting), results: answered, asked: Arc::clone(&asked) };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .with_state(Arc::new(shared));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { address, events, results, asked }
    }

    /// Waits until the function asks for an event: it has started.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// The function's answer to an event: `Ok` its reply, `Err` the error that it reported.
    ///
    /// # Panics
    /// When the function does not answer in time.
    pub async fn invoke(&mut self, event: &Value, timeout: Duration) -> Result<Value, Value> {
        self.events.send(event.to_string()).await.expect("the server runs");
        let answer = tokio::time::timeout(timeout, self.results.recv()).await;
        answer.expect("the function did not answer in time").expect("the server runs")
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.asked.notify_one();
    let Some(event) = shared.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(60);
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-central-1:123456789012:function:f".to_owned(),
        ),
    ];
    (headers, event).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(_id): Path<String>, body: Bytes) -> StatusCode {
    answered(&shared, Ok, &body).await
}

async fn error(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    answered(&shared, Err, &body).await
}

async fn answered(shared: &Shared, kind: fn(Value) -> Result<Value, Value>, body: &[u8]) -> StatusCode {
    let json = serde_json::from_slice(body).expect("a function answers JSON");
    shared.results.send(kind(json)).await.expect("somebody waits");
    StatusCode::ACCEPTED
}
