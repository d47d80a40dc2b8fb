//! Fake SQS queues, which keep their messages until the test takes them out.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use lambda_websocket::delivery::task_queue::TaskQueue;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::sqs;
pub use crate::sqs::Sent;

/// A fake of SQS on loopback, with a queue of every name.
#[derive(Clone, Debug)]
pub struct FakeQueue {
    /// The URL of the queue `publish`, as functions know it.
    pub url: String,
    endpoint: String,
    state: Arc<Mutex<Fake>>,
}

#[derive(Debug, Default)]
struct Fake {
    messages: Vec<Sent>,
    refuses: bool,
    /// A batch entry whose body contains this text fails alone.
    fails: Option<String>,
}

impl FakeQueue {
    /// Starts an empty queue.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::default();
        let router = Router::new().route("/", post(send)).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { url: format!("{endpoint}/123456789012/publish"), endpoint, state }
    }

    /// The queue `publish`, built as the functions build theirs.
    pub fn queue(&self) -> TaskQueue {
        TaskQueue::new(lambda_websocket::aws::sqs(&crate::sdk_config(&self.endpoint)), &self.url)
    }

    /// Refuses every message from now on.
    pub fn refuse(&self) {
        self.state.lock().unwrap().refuses = true;
    }

    /// From now on, a batch entry whose body contains this text fails, and the others are accepted.
    pub fn fail_entries_with(&self, text: &str) {
        self.state.lock().unwrap().fails = Some(text.to_owned());
    }

    /// Takes out all messages, in the order in which they came.
    pub fn take(&self) -> Vec<Sent> {
        mem::take(&mut self.state.lock().unwrap().messages)
    }
}

async fn send(State(state): State<Arc<Mutex<Fake>>>, headers: HeaderMap, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).expect("JSON");
    let header = |name: &str| headers.get(name).map(|value| value.to_str().expect("a header's text"));
    let mut fake = state.lock().unwrap();
    if fake.refuses {
        let error = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let Fake { messages, fails, .. } = &mut *fake;
    let target = header("x-amz-target").expect("a target");
    let fails = |body: &str| fails.as_ref().is_some_and(|text| body.contains(text));
    let (status, answer) = sqs::serve(target, &call, header("x-amzn-trace-id"), messages, fails);
    (StatusCode::from_u16(status).expect("a status"), Json(answer)).into_response()
}
