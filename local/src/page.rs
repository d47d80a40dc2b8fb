//! The chat page's server.

use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

/// Serves the files of a folder on a free port of the loopback interface until the program ends, and
/// gives the URL.
///
/// # Errors
/// When no port can be had.
pub async fn serve(folder: &Path) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot open a port for the page")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback_service(ServeDir::new(folder));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
