//! A fake of `@connections`, which answers for each connection as the test says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use lambda_websocket::delivery::connections::ConnectionsClient;
use serde_json::json;
use tokio::net::TcpListener;

/// The answer of a connection to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the message is delivered.
    Deliver,
    /// This status, with the error that AWS sends with it.
    Refuse(u16),
    /// This status for the first posts, as many as given, then 200.
    RefuseFirst(u16, usize),
    /// 200, but only after a while.
    DeliverAfter(Duration),
    /// No answer at all.
    Never,
}

/// A fake of `@connections` on loopback. Every connection is live unless the test says otherwise.
#[derive(Clone, Debug)]
pub struct Connections {
    /// Its endpoint: to a function, the management endpoint of API Gateway.
    pub endpoint: String,
    state: Arc<Mutex<Fake>>,
}

#[derive(Debug, Default)]
struct Fake {
    answers: HashMap<String, Answer>,
    posts: HashMap<String, usize>,
    delivered: HashMap<String, Vec<String>>,
    under_way: usize,
    most_under_way: usize,
    /// The maximum number of posts at once. The others are answered 429.
    room: Option<usize>,
}

impl Connections {
    /// Starts a fake on which every connection is live.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::default();
        let router = Router::new()
            .route("/@connections/{id}", post(answer).delete(close))
            .with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { endpoint, state }
    }

    /// A client of it, built as the functions build theirs.
    pub fn client(&self) -> ConnectionsClient {
        ConnectionsClient::new(&crate::sdk_config(&self.endpoint))
    }

    /// Sets the answer of this connection from now on.
    pub fn set(&self, connection_id: &str, answer: Answer) {
        self.state.lock().unwrap().answers.insert(connection_id.to_owned(), answer);
    }

    /// From now on, posts beyond so many at once are answered 429, for any connection: the account's rate is exceeded.
    pub fn take_no_more_at_once_than(&self, posts: usize) {
        self.state.lock().unwrap().room = Some(posts);
    }

    /// The frames delivered to this connection, in order.
    pub fn delivered_to(&self, connection_id: &str) -> Vec<String> {
        self.state.lock().unwrap().delivered.get(connection_id).cloned().unwrap_or_default()
    }

    /// The number of posts to this connection, delivered or not.
    pub fn posts_to(&self, connection_id: &str) -> usize {
        self.state.lock().unwrap().posts.get(connection_id).copied().unwrap_or_default()
    }

    /// The maximum number of posts that were under way at once.
    pub fn most_under_way(&self) -> usize {
        self.state.lock().unwrap().most_under_way
    }
}

async fn answer(State(state): State<Arc<Mutex<Fake>>>, Path(id): Path<String>, body: Bytes) -> Response {
    let (answer, posts_before) = {
        let mut fake = state.lock().unwrap();
        fake.under_way += 1;
        fake.most_under_way = fake.most_under_way.max(fake.under_way);
        let posts = fake.posts.entry(id.clone()).or_default();
        *posts += 1;
        let posts_before = *posts - 1;
        let answer = fake.answers.get(&id).copied().unwrap_or(Answer::Deliver);
        let is_too_much = fake.room.is_some_and(|room| fake.under_way > room);
        (if is_too_much { Answer::Refuse(429) } else { answer }, posts_before)
    };
    let status = match answer {
        Answer::Deliver => 200,
        Answer::Refuse(status) => status,
        Answer::RefuseFirst(status, count) => {
            if posts_before < count {
                status
            } else {
                200
            }
        }
        Answer::DeliverAfter(delay) => {
            tokio::time::sleep(delay).await;
            200
        }
        Answer::Never => std::future::pending().await,
    };
    let mut fake = state.lock().unwrap();
    fake.under_way -= 1;
    if status == 200 {
        let text = String::from_utf8(body.to_vec()).expect("UTF-8");
        fake.delivered.entry(id).or_default().push(text);
        return StatusCode::OK.into_response();
    }
    refusal(status)
}

/// Closes the connection.
async fn close(State(state): State<Arc<Mutex<Fake>>>, Path(id): Path<String>) -> StatusCode {
    state.lock().unwrap().answers.insert(id, Answer::Refuse(410));
    StatusCode::NO_CONTENT
}

/// The error as AWS sends it: its name in a header, its sentence in the body.
fn refusal(status: u16) -> Response {
    let name = match status {
        400 => "BadRequestException",
        403 => "ForbiddenException",
        410 => "GoneException",
        413 => "PayloadTooLargeException",
        429 => "LimitExceededException",
        _ => "InternalServerErrorException",
    };
    let headers =
        HeaderMap::from_iter([("x-amzn-errortype".parse().unwrap(), HeaderValue::from_static(name))]);
    (StatusCode::from_u16(status).expect("a status"), headers, Json(json!({ "message": name })))
        .into_response()
}
