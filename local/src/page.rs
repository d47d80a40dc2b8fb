//! The chat page's server.

use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use tokio::net::TcpListener;
use tower_http::services::{ServeDir, ServeFile};

/// Where the page expects the web client.
const CLIENT: &str = "/websocket-client.js";

/// Serves the chat page of a checkout, with the web client beside it, on the loopback interface until the program ends,
/// and gives the port: this one, or another where it is taken.
///
/// # Errors
/// When no port can be had.
pub async fn serve(repository: &Path, port: u16) -> Result<u16> {
    let listener = match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await.context("cannot open a port for the page")?,
    };
    let port = listener.local_addr()?.port();
    let router = Router::new()
        .route_service(CLIENT, ServeFile::new(repository.join("clients/js/websocket-client.js")))
        .fallback_service(ServeDir::new(repository.join("examples/chat")));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}
