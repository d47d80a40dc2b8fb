//! A queue of SQS, which keeps what is put into it until the test takes it out.

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
use lambda_websocket::queue::Queue;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A fake of one queue on loopback.
#[derive(Clone, Debug)]
pub struct FakeQueue {
    /// What functions know as the queue's URL.
    pub url: String,
    endpoint: String,
    state: Arc<Mutex<Fake>>,
}

#[derive(Debug, Default)]
struct Fake {
    messages: Vec<Sent>,
    refuses: bool,
}

/// A message that was put into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message.
    pub body: String,
    /// For how long nobody gets it, in seconds.
    pub delay: u64,
    /// The trace that it belongs to, as SQS hands it on.
    pub trace: Option<String>,
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

    /// The way into it, built as the functions build theirs.
    pub fn queue(&self) -> Queue {
        Queue::new(lambda_websocket::aws::sqs(&crate::sdk_config(&self.endpoint)), &self.url)
    }

    /// From now on nothing is taken.
    pub fn refuse(&self) {
        self.state.lock().unwrap().refuses = true;
    }

    /// Takes out all that is in it, in the order in which it came.
    pub fn take(&self) -> Vec<Sent> {
        mem::take(&mut self.state.lock().unwrap().messages)
    }
}

async fn send(State(state): State<Arc<Mutex<Fake>>>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["x-amz-target"], "AmazonSQS.SendMessage");
    let call: Value = serde_json::from_slice(&body).expect("JSON");
    let mut fake = state.lock().unwrap();
    if fake.refuses {
        let error = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"});
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    fake.messages.push(Sent {
        body: call["MessageBody"].as_str().expect("a body").to_owned(),
        delay: call["DelaySeconds"].as_u64().unwrap_or_default(),
        trace: headers.get("x-amzn-trace-id").map(|id| id.to_str().expect("a header's text").to_owned()),
    });
    Json(json!({"MessageId": fake.messages.len().to_string(), "MD5OfMessageBody": ""})).into_response()
}
