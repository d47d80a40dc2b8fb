//! `make smoke` tells what is wrong from what is not: scripts/smoke.py against a server that this test plays.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Output;

use futures_util::{SinkExt, StreamExt};
use local_cloud::repository;
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command, runtime::Runtime};
use tokio_tungstenite::{accept_async, tungstenite::Message};

#[test]
fn a_push_without_a_type_is_no_error_and_is_passed_over() {
    let output = smoke(json!({"message": "Your order is on its way."}));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("100 messages back"), "{output:?}");
}

#[test]
fn an_error_of_api_gateway_is_told() {
    let output = smoke(json!({"message": "Internal server error", "connectionId": "c", "requestId": "r"}));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("Internal server error"), "{output:?}");
}

/// Runs it against a server that says this before the first answer.
fn smoke(first: Value) -> Output {
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(Message::text(first.to_string())).await.unwrap();
            while let Some(Ok(Message::Text(text))) = socket.next().await {
                let request: Value = serde_json::from_str(&text).unwrap();
                if socket.send(Message::text(answer(&request).to_string())).await.is_err() {
                    return;
                }
            }
        });
        let script = repository().join("scripts/smoke.py");
        let python = repository().join(".local/venv/bin/python");
        let output = Command::new(python).arg(script).arg(url).output().await.unwrap();
        server.abort();
        output
    })
}

fn answer(request: &Value) -> Value {
    let (channel, message) = (&request["channel"], &request["message"]);
    match request["action"].as_str() {
        Some("ping") => json!({"type": "pong"}),
        Some("subscribe") => json!({"type": "subscribed", "channel": channel}),
        Some("send") => json!({"type": "message", "id": message, "channel": channel, "message": message}),
        _ => json!({"type": "unsubscribed", "channel": channel}),
    }
}
