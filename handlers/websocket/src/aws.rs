//! The SDK clients: built once, at start, on one HTTP stack.

use std::time::Duration;

use aws_config::{
    BehaviorVersion, SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime::client::{
    auth::no_auth::{NO_AUTH_SCHEME_ID, NoAuthScheme},
    identity::{IdentityCache, no_auth::NoAuthIdentityResolver},
    orchestrator::endpoints::StaticUriEndpointResolver,
    retries::strategy::NeverRetryStrategy,
};
use aws_smithy_runtime_api::client::{
    auth::static_resolver::StaticAuthSchemeOptionResolver,
    http::{HttpClient, HttpConnectorSettings, SharedHttpConnector},
    runtime_components::RuntimeComponents,
};
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

/// The connector that the clients above send through, for requests without the SDK's orchestration.
///
/// An HTTP client makes one for settings and components, and keeps it. All clients have the same settings, and of the
/// components it looks at the time alone: the rest only makes the set complete.
pub(crate) fn connector(config: &SdkConfig) -> Option<SharedHttpConnector> {
    let components = RuntimeComponents::builder("posts")
        .with_sleep_impl(config.sleep_impl())
        .with_time_source(config.time_source())
        .with_auth_scheme(NoAuthScheme::default())
        .with_auth_scheme_option_resolver(Some(StaticAuthSchemeOptionResolver::new(vec![NO_AUTH_SCHEME_ID])))
        .with_endpoint_resolver(Some(StaticUriEndpointResolver::http_localhost(80)))
        .with_identity_cache(Some(IdentityCache::no_cache()))
        .with_identity_resolver(NO_AUTH_SCHEME_ID, NoAuthIdentityResolver::new())
        .with_retry_strategy(Some(NeverRetryStrategy::new()))
        .build()
        .ok()?;
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    Some(config.http_client()?.http_connector(&settings, &components))
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
