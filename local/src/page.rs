//! The chat page's server.

use std::path::Path;

use anyhow::{Context, Result};
use axum::{
    Router,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
    },
};
use tokio::net::TcpListener;
use tower_http::{services::ServeDir, set_header::SetResponseHeaderLayer};

/// The headers of each response. They add to the policy in the page itself, where `frame-ancestors` has no effect.
const HEADERS: [(HeaderName, &str); 4] = [
    (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // A reload shows a file that was changed.
    (CACHE_CONTROL, "no-cache"),
];

/// The path where the page expects the web client.
const CLIENT: &str = "/client";

/// Serves the chat page of a checkout, with the web client beside it, on the loopback interface until the program ends.
/// Returns the port: this one, or another if it is taken.
///
/// # Errors
/// When no port is available.
pub async fn serve(repository: &Path, port: u16) -> Result<u16> {
    let listener = match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("cannot open a port for the page")?,
    };
    let port = listener.local_addr()?.port();
    let mut router = Router::new()
        .nest_service(CLIENT, ServeDir::new(repository.join("clients/js/src")))
        .fallback_service(ServeDir::new(repository.join("examples/chat")));
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        router = router.layer(SetResponseHeaderLayer::overriding(name, value));
    }
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}
