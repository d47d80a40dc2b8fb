//! A client of `@connections`. Posts, of which a broadcast makes one per recipient, go straight to the SDK's HTTP
//! connector; everything else goes through the SDK's client.

use std::{
    env, fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_config::SdkConfig;
use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, error::CredentialsError,
};
use aws_sdk_apigatewaymanagement::{
    Client,
    config::http::{HttpRequest, HttpResponse},
    primitives::{DateTime, DateTimeFormat},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    result::ConnectorError,
};
use aws_smithy_types::{
    body::SdkBody,
    byte_stream::{AggregatedBytes, ByteStream},
};
use http::{Request, Uri};
use tokio::time::timeout;

use crate::{
    aws,
    hash::sha256,
    protocol::connection::ConnectionId,
    sigv4::{self, SigningKey, escape},
    time::{amz_date, unix_seconds},
};

const CONTENT_TYPE: &str = "application/octet-stream";
const USER_AGENT: &str = concat!("lambda-websocket/", env!("CARGO_PKG_VERSION"));

/// AWS refuses signatures of five minutes ago. Clocks that differ by less than this are not why it refused.
const TOLERATED_SKEW: u64 = 4 * 60;

/// Credentials are replaced this long before they expire.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);

/// A client of `@connections`. Clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct ConnectionsClient {
    sdk: Client,
    posts: Arc<Posts>,
}

/// A message, prepared once for all posts of it.
#[derive(Debug)]
pub struct Payload {
    body: SdkBody,
    sha256: String,
    trace_id: Option<String>,
}

/// Why a post failed.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// There was an answer, and it is an error: the status, the error's name and its sentence.
    #[error("{status} {code}: {message}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// The error's name, such as `GoneException`.
        code: String,
        /// What AWS says about it.
        message: String,
        /// The server's time, in seconds since the Unix epoch.
        date: Option<u64>,
    },
    /// The request was not sent, or not answered.
    #[error("no answer from @connections")]
    Connector(#[from] ConnectorError),
    /// The answer did not come in time.
    #[error("no answer from @connections within {} s", aws::CONNECTIONS_TIMEOUT.as_secs())]
    Timeout,
    /// There were no credentials to sign the request with.
    #[error("no credentials")]
    Credentials(#[from] CredentialsError),
    /// The request could not be built.
    #[error("a post to @connections cannot be built: {0}")]
    Construction(String),
}

#[derive(Debug)]
struct Posts {
    connector: Option<SharedHttpConnector>,
    endpoint: Option<Endpoint>,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    session: Mutex<Option<Arc<Session>>>,
    /// The seconds by which AWS's clock is ahead of this one, if that made it refuse a signature.
    skew: AtomicI64,
}

/// What each request begins with.
#[derive(Debug)]
struct Endpoint {
    /// Scheme and authority.
    origin: String,
    /// The authority as signed: without the scheme's own port.
    host: String,
    /// The path before `/@connections`, without a slash at its end.
    base_path: String,
}

/// Credentials, and the key made from them.
struct Session {
    key: SigningKey,
    day: String,
    expires_at: Option<SystemTime>,
}

impl ConnectionsClient {
    /// A client for this configuration, with its credentials, its Region, its endpoint and its HTTP client.
    pub fn new(config: &SdkConfig) -> Self {
        let posts = Posts {
            connector: aws::connector(config),
            endpoint: aws::connections_endpoint(config).as_deref().and_then(Endpoint::parse),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            credentials: config.credentials_provider(),
            session: Mutex::default(),
            skew: AtomicI64::new(0),
        };
        Self { sdk: aws::connections(config), posts: Arc::new(posts) }
    }

    /// The SDK's client, for everything but posts.
    pub fn sdk(&self) -> &Client {
        &self.sdk
    }

    /// Posts a message to a connection, without any retry but one: if AWS refuses the signature because this machine's
    /// clock is wrong, the post is signed again with AWS's time.
    ///
    /// # Errors
    /// When the answer is an error, or there is none within five seconds.
    pub async fn post(&self, id: &ConnectionId, payload: &Payload) -> Result<(), PostError> {
        let signed_at = self.posts.now();
        match self.posts.post(id, payload, signed_at).await {
            Err(PostError::Answered { status: 403, date: Some(date), .. })
                if date.abs_diff(signed_at) > TOLERATED_SKEW =>
            {
                self.posts.set_clock(date);
                self.posts.post(id, payload, date).await
            }
            outcome => outcome,
        }
    }
}

impl Payload {
    /// Prepares a message for its posts.
    pub fn new(message: &str) -> Self {
        // As the SDK does: X-Ray's trace goes on, and AWS sees functions that call themselves.
        let trace_id = env::var("AWS_LAMBDA_FUNCTION_NAME").and_then(|_| env::var("_X_AMZN_TRACE_ID")).ok();
        Self {
            body: SdkBody::from(message),
            sha256: sha256(message.as_bytes()),
            trace_id: trace_id.filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic())),
        }
    }
}

impl PostError {
    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the same post may succeed later: a server's fault, or no answer at all.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Answered { status, .. } => *status >= 500,
            Self::Connector(_) | Self::Timeout | Self::Credentials(_) => true,
            Self::Construction(_) => false,
        }
    }
}

impl Posts {
    /// Posts once, signed at this time.
    async fn post(&self, id: &ConnectionId, payload: &Payload, now: u64) -> Result<(), PostError> {
        let answer = timeout(aws::CONNECTIONS_TIMEOUT, async {
            let connector =
                self.connector.as_ref().ok_or_else(|| construction(&"there is no HTTP client"))?;
            let mut response = connector.call(self.request(id, payload, now).await?).await?;
            // Read to its end: then the next post uses the connection.
            let body = ByteStream::new(response.take_body()).collect().await;
            if response.status().is_success() {
                return Ok(());
            }
            let body = body.map(AggregatedBytes::into_bytes).unwrap_or_default();
            Err(answered(&response, &body))
        });
        answer.await.unwrap_or(Err(PostError::Timeout))
    }

    async fn request(
        &self,
        id: &ConnectionId,
        payload: &Payload,
        now: u64,
    ) -> Result<HttpRequest, PostError> {
        let endpoint =
            self.endpoint.as_ref().ok_or_else(|| construction(&format!("{} is no URL", aws::ENDPOINT)))?;
        let date = amz_date(now);
        let session = self.session(&date[..8]).await?;
        let path = format!("{}/@connections/{}", endpoint.base_path, escape(id.as_str()));
        let authorization = session.key.authorization(&sigv4::Post {
            path: &path,
            host: &endpoint.host,
            content_type: CONTENT_TYPE,
            date: &date,
            body_sha256: &payload.sha256,
        });
        let mut request = Request::post(endpoint.origin.clone() + &path)
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-date", date)
            .header("authorization", authorization)
            .header("user-agent", USER_AGENT);
        if let Some(token) = &session.key.session_token {
            request = request.header("x-amz-security-token", token);
        }
        if let Some(trace_id) = &payload.trace_id {
            request = request.header("x-amzn-trace-id", trace_id);
        }
        let body = payload.body.try_clone().unwrap_or_else(SdkBody::taken);
        let request = request.body(body).map_err(|error| construction(&error))?;
        HttpRequest::try_from(request).map_err(|error| construction(&error))
    }

    /// The key of this day, from credentials that are valid for another while.
    async fn session(&self, day: &str) -> Result<Arc<Session>, PostError> {
        let lock = || self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = lock().clone().filter(|session| session.day == day && !session.expires_soon());
        if let Some(session) = valid {
            return Ok(session);
        }
        let Some(provider) = &self.credentials else {
            return Err(CredentialsError::not_loaded("none are configured").into());
        };
        let credentials = provider.provide_credentials().await?;
        let session = Arc::new(Session {
            key: SigningKey::derive(&credentials, &self.region, day),
            day: day.to_owned(),
            expires_at: credentials.expiry(),
        });
        *lock() = Some(Arc::clone(&session));
        Ok(session)
    }

    /// The time, in seconds since the Unix epoch, as far as it is known what AWS's clock says.
    fn now(&self) -> u64 {
        unix_seconds().saturating_add_signed(self.skew.load(Ordering::Relaxed))
    }

    /// From now on, the time goes on from this one.
    fn set_clock(&self, now: u64) {
        let skew = now.checked_signed_diff(unix_seconds()).unwrap_or_default();
        self.skew.store(skew, Ordering::Relaxed);
    }
}

impl Endpoint {
    fn parse(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
        let default_port = if scheme == "https" { 443 } else { 80 };
        let host = match uri.port_u16() {
            Some(port) if port != default_port => authority.as_str(),
            _ => authority.host(),
        };
        Some(Self {
            origin: format!("{scheme}://{authority}"),
            host: host.to_owned(),
            base_path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Session {
    fn expires_soon(&self) -> bool {
        let now = UNIX_EPOCH + Duration::from_secs(unix_seconds());
        self.expires_at.is_some_and(|at| at < now + BEFORE_EXPIRY)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("day", &self.day).finish_non_exhaustive()
    }
}

fn construction(error: &dyn fmt::Display) -> PostError {
    PostError::Construction(error.to_string())
}

/// Reads the error of an answer: its name is in a header, its sentence in the body.
fn answered(response: &HttpResponse, body: &[u8]) -> PostError {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let code = response.headers().get("x-amzn-errortype").or_else(|| body["__type"].as_str());
    let code = code.and_then(|code| code.split(':').next()).unwrap_or("unknown error");
    let message = body["message"].as_str().or_else(|| body["Message"].as_str()).unwrap_or("no message");
    let date = response.headers().get("date");
    let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
    PostError::Answered {
        status: response.status().as_u16(),
        code: code.to_owned(),
        message: message.to_owned(),
        date: date.and_then(|date| u64::try_from(date.secs()).ok()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::{Credentials, provider::future::ProvideCredentials as Provided};
    use aws_smithy_runtime_api::{
        client::{
            http::{HttpClient, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient},
            runtime_components::RuntimeComponents,
        },
        http::StatusCode,
    };

    use super::*;
    use crate::time::{simulate, unix_millis};

    /// Answers each request as this function says.
    #[derive(Clone)]
    struct Server(Arc<dyn Fn(&HttpRequest) -> HttpResponse + Send + Sync>);

    impl fmt::Debug for Server {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Server")
        }
    }

    impl HttpConnector for Server {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let answer = (self.0)(&request);
            HttpConnectorFuture::new(async {
                tokio::time::sleep(Duration::from_millis(1)).await; // Meanwhile others post.
                Ok(answer)
            })
        }
    }

    impl HttpClient for Server {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    /// Credentials that are valid for ten minutes; counts how often they are asked for.
    #[derive(Clone, Debug, Default)]
    struct ShortLived(Arc<AtomicU32>);

    impl ProvideCredentials for ShortLived {
        fn provide_credentials<'a>(&'a self) -> Provided<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let expiry = UNIX_EPOCH + Duration::from_millis(unix_millis()) + Duration::from_secs(600);
            let token = Some(format!("token-{number}"));
            Provided::ready(Ok(Credentials::new("AKIDEXAMPLE", "secret", token, Some(expiry), "test")))
        }
    }

    fn client(
        credentials: ShortLived,
        answer: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> ConnectionsClient {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(SharedHttpClient::new(Server(Arc::new(answer))))
            .endpoint_url("https://api.example.com:443/stage/")
            .build();
        ConnectionsClient::new(&config)
    }

    fn answer(status: u16, date: Option<&'static str>, body: &'static str) -> HttpResponse {
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
        if let Some(date) = date {
            response.headers_mut().insert("date", date);
        }
        response
    }

    fn id() -> ConnectionId {
        ConnectionId::parse("L0SM9cOFvHcCIhw=").unwrap()
    }

    /// 15 January 2027, 08:00:00.
    const NOW: u64 = 1_800_000_000_000;

    #[tokio::test(start_paused = true)]
    async fn a_post_has_the_path_and_the_headers_that_aws_asks_for() {
        simulate(NOW);
        let client = client(ShortLived::default(), |request| {
            assert_eq!(request.method(), "POST");
            let uri = "https://api.example.com:443/stage/@connections/L0SM9cOFvHcCIhw%3D";
            assert_eq!(request.uri(), uri);
            let header = |name| request.headers().get(name).unwrap();
            assert_eq!(header("x-amz-date"), "20270115T080000Z");
            assert_eq!(header("x-amz-security-token"), "token-0");
            assert_eq!(header("content-type"), "application/octet-stream");
            let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20270115/eu-central-1/execute-api/aws4_request, \
                SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
            assert!(header("authorization").starts_with(begin));
            assert_eq!(request.body().bytes(), Some(&b"hello"[..]));
            answer(200, None, "")
        });
        client.post(&id(), &Payload::new("hello")).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_clock_is_corrected_once() {
        simulate(NOW);
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let client = client(ShortLived::default(), move |request| {
            count.fetch_add(1, Ordering::Relaxed);
            if request.headers().get("x-amz-date") == Some("20270115T090000Z") {
                return answer(200, None, "");
            }
            answer(403, Some("Fri, 15 Jan 2027 09:00:00 GMT"), r#"{"message":"Signature expired"}"#)
        });
        for posts in [2, 3] {
            client.post(&id(), &Payload::new("hello")).await.unwrap();
            assert_eq!(asked.load(Ordering::Relaxed), posts);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_clock_fails_none_of_the_posts_under_way() {
        simulate(NOW);
        let client = client(ShortLived::default(), |request| {
            if request.headers().get("x-amz-date") == Some("20270115T090000Z") {
                return answer(200, None, "");
            }
            answer(403, Some("Fri, 15 Jan 2027 09:00:00 GMT"), r#"{"message":"Signature expired"}"#)
        });
        let (id, payload) = (id(), Payload::new("hello"));
        let outcomes = futures::future::join_all((0..3).map(|_| client.post(&id, &payload))).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_at_the_right_time_is_told_and_not_repeated() {
        simulate(NOW);
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let client = client(ShortLived::default(), move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let mut response =
                answer(403, Some("Fri, 15 Jan 2027 08:00:03 GMT"), r#"{"Message":"no right to post"}"#);
            response.headers_mut().insert("x-amzn-errortype", "ForbiddenException:http://example.com/");
            response
        });
        let error = client.post(&id(), &Payload::new("hello")).await.unwrap_err();
        assert_eq!(error.to_string(), "403 ForbiddenException: no right to post");
        assert!(!error.is_transient());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_asked_for_once_and_again_before_they_expire() {
        simulate(NOW);
        let credentials = ShortLived::default();
        let client = client(credentials.clone(), |_| answer(200, None, ""));
        for (later, asked) in [(0, 1), (60, 1), (500, 2), (60, 2), (24 * 60 * 60, 3)] {
            tokio::time::advance(Duration::from_secs(later)).await;
            client.post(&id(), &Payload::new("hello")).await.unwrap();
            assert_eq!(credentials.0.load(Ordering::Relaxed), asked, "{later} s later");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_is_no_url_is_named() {
        simulate(NOW);
        let server = Server(Arc::new(|_| answer(200, None, "")));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(SharedHttpClient::new(server))
            .build();
        let client = ConnectionsClient::new(&config);
        let error = client.post(&id(), &Payload::new("hello")).await.unwrap_err();
        assert!(error.to_string().contains("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"), "{error}");
        assert!(!error.is_transient());
    }

    /// Notes the settings of each connector that it is asked for.
    #[derive(Clone, Debug, Default)]
    struct Noting(Arc<Mutex<Vec<HttpConnectorSettings>>>);

    impl HttpClient for Noting {
        fn http_connector(
            &self,
            settings: &HttpConnectorSettings,
            _: &RuntimeComponents,
        ) -> SharedHttpConnector {
            self.0.lock().unwrap().push(settings.clone());
            SharedHttpConnector::new(Server(Arc::new(|_| answer(204, None, ""))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn posts_share_the_connector_of_the_sdk() {
        let noting = Noting::default();
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(ShortLived::default()))
            .http_client(SharedHttpClient::new(noting.clone()))
            .endpoint_url("https://api.example.com")
            .build();
        let client = ConnectionsClient::new(&config);
        client.sdk().delete_connection().connection_id("a=").send().await.unwrap();
        let asked = noting.0.lock().unwrap();
        let settings: Vec<_> = asked.iter().map(|one| (one.connect_timeout(), one.read_timeout())).collect();
        assert!(settings.len() > 1, "once for posts, and by the SDK: {settings:?}");
        assert!(settings.iter().all(|one| *one == settings[0]), "{settings:?}");
    }
}
