//! Fakes and fixtures for tests of the handlers, all in the test's own process.
//!
//! - [`fixtures`]: events as API Gateway sends them.
//! - [`dynamodb`]: the connection table and the history, in a DynamoDB engine in memory.
//! - [`connections`]: a fake of `@connections`, which answers for each connection as the test says.
//! - [`queue`]: fake SQS queues.
//! - [`sqs`]: the rules of SQS.
//! - [`simulation`]: AWS in memory and on the test's clock, where anything can go wrong at any moment.
//! - [`hostile`]: texts that an attacker might send.
//! - [`tokens`]: JSON Web Tokens, signed with keys of the tests' own.
//! - [`issuer`]: a fake issuer, which serves the keys of tokens or fails to.
//! - [`runtime_api`]: the Lambda runtime API, to run a built function against.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's set-up fails by panicking")]

pub mod connections;
pub mod dynamodb;
pub mod fixtures;
pub mod hostile;
pub mod issuer;
pub mod queue;
pub mod runtime_api;
pub mod simulation;
pub mod sqs;
pub mod tokens;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};

/// The SDK's configuration for a test's own server.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    sdk_config_over(lambda_websocket::aws::http_client(), endpoint)
}

fn sdk_config_over(http_client: SharedHttpClient, endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .http_client(http_client)
        .endpoint_url(endpoint)
        .build()
}
