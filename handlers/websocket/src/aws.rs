//! The SDK clients: built once, at start, on one HTTP stack.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder, Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use aws_types::service_config::ServiceConfigKey;

/// The timeout for making a connection. All clients have the same, so that they share their connections and one list
/// of root certificates. Reading that list is a good part of a cold start.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a call of `@connections` may take.
pub(crate) const CONNECTIONS_TIMEOUT: Duration = Duration::from_secs(5);

/// The environment variable with the endpoint of `@connections`.
pub(crate) const ENDPOINT: &str = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI";

/// The configuration that all clients share: region, credentials and endpoints from the function's environment.
pub async fn sdk_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client()).load().await
}

/// The HTTP stack under every client.
pub fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// A client of the connection table, with the SDK's standard retries.
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(6))
        .build();
    let config = aws_sdk_dynamodb::config::Builder::from(config).timeout_config(timeouts).build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// A client of `@connections`.
///
/// It never retries: the SDK's retries share one budget, which closing many connections would drain.
pub fn connections(config: &SdkConfig) -> aws_sdk_apigatewaymanagement::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(CONNECTIONS_TIMEOUT)
        .build();
    let config = aws_sdk_apigatewaymanagement::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        // An answer is small and has its timeout: watching how fast its bytes flow costs more than it tells.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts)
        .build();
    aws_sdk_apigatewaymanagement::Client::from_conf(config)
}

/// The endpoint of `@connections`, found as the SDK's client finds it.
pub(crate) fn connections_endpoint(config: &SdkConfig) -> Option<String> {
    let of_all = || config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return of_all();
    }
    let key = ServiceConfigKey::builder()
        .service_id("ApiGatewayManagementApi")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    config.service_config().and_then(|service| service.load_config(key)).or_else(of_all)
}

/// The HTTP stack under posts to `@connections`: the SDK's, with the timeouts of its client.
pub(crate) fn post_connector() -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build();
    SharedHttpConnector::new(connector)
}

/// A client of SQS, with the SDK's standard retries.
pub fn sqs(config: &SdkConfig) -> aws_sdk_sqs::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(Duration::from_millis(2_500))
        .build();
    let config = aws_sdk_sqs::config::Builder::from(config).timeout_config(timeouts).build();
    aws_sdk_sqs::Client::from_conf(config)
}
