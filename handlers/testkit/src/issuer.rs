//! A fake OpenID Connect issuer on the loopback interface, which serves the keys of tokens and can misbehave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Mutex};

/// The issuer's answer to every request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Its configuration, and these keys.
    Keys(Value),
    /// This text.
    Text(String),
    /// This status, and nothing else.
    Status(u16),
    /// Nothing, for a long time.
    Nothing,
}

/// An issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its URL, which tokens name as their issuer.
    pub url: String,
    state: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    answer: Mutex<Answer>,
    requests: AtomicUsize,
}

impl Issuer {
    /// Starts an issuer with these keys.
    pub async fn start(keys: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Shared {
            url: url.clone(),
            answer: Mutex::new(Answer::Keys(keys)),
            requests: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("a server") });
        Self { url, state }
    }

    /// The URL of its keys.
    pub fn keys_url(&self) -> String {
        format!("{}/keys", self.url)
    }

    /// Sets the answer from now on.
    pub async fn set(&self, answer: Answer) {
        *self.state.answer.lock().await = answer;
    }

    /// The number of requests so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::SeqCst)
    }
}

async fn answer(State(state): State<Arc<Shared>>, uri: Uri) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let answer = state.answer.lock().await.clone();
    match (answer, uri.path()) {
        (Answer::Keys(keys), "/keys") => keys.to_string().into_response(),
        (Answer::Keys(_), "/.well-known/openid-configuration") => {
            json!({"issuer": state.url, "jwks_uri": format!("{}/keys", state.url)})
                .to_string()
                .into_response()
        }
        (Answer::Keys(_), _) => StatusCode::NOT_FOUND.into_response(),
        (Answer::Text(text), _) => text.into_response(),
        (Answer::Status(status), _) => StatusCode::from_u16(status).expect("a status").into_response(),
        (Answer::Nothing, _) => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            StatusCode::OK.into_response()
        }
    }
}
