//! Two floors for a broadcast: the same posts, by nothing but an HTTP client. No table is read, nothing is signed and
//! no answer is looked at beyond its status. With the argument `signed`, each post is signed by the SDK's own crate: the
//! least that AWS accepts.
//!
//! It has what a hand-written loop would have: so many connections, and on each a post after the other.

use std::{
    env,
    sync::atomic::{AtomicUsize, Ordering},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::identity::Identity;
use bench::world;
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::Mutex};

/// As many as the function `send` has under way.
const CONCURRENCY: usize = 128;

type Connection = Mutex<Option<SendRequest<Full<Bytes>>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let endpoint = env::var("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI")?;
    let host = endpoint.trim_start_matches("http://");
    let token = env::var("AWS_SESSION_TOKEN")?;
    let signer =
        if env::args().any(|argument| argument == "signed") { Some(&Signer::from_env()?) } else { None };
    let connections: Vec<Connection> = (0..CONCURRENCY).map(|_| Mutex::new(None)).collect();
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let request: Value = serde_json::from_str(event.payload["body"].as_str().unwrap_or_default())?;
        let recipients = world::recipients(request["channel"].as_str().unwrap_or_default())?;
        let context = &event.payload["requestContext"];
        let frame = json!({
            "type": "message",
            "id": context["messageId"],
            "channel": request["channel"],
            "from": context["connectionId"],
            "message": request["message"],
            "sentAt": context["requestTimeEpoch"],
        });
        let (body, next) = (Bytes::from(frame.to_string()), &AtomicUsize::new(0));
        let workers = connections.iter().map(async |connection| {
            let mut connection = connection.lock().await;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= recipients {
                    return Ok::<_, Error>(());
                }
                let client = match connection.as_mut() {
                    Some(client) => client,
                    None => connection.insert(connect(host).await?),
                };
                let id = world::connection_id(number).replace('=', "%3D");
                let path = format!("/@connections/{id}");
                let request = match signer {
                    Some(signer) => signer.post(host, &path, &body)?,
                    None => unsigned_post(host, &path, &token, &body)?,
                };
                answered(client, request).await?;
            }
        });
        try_join_all(workers).await?;
        let ack = json!({ "delivered": recipients });
        Ok::<_, Error>(json!({ "statusCode": 200, "body": ack.to_string() }))
    }))
    .await
}

async fn connect(host: &str) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(host).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A post with the headers of a signed one, the signature always the same.
fn unsigned_post(host: &str, path: &str, token: &str, body: &Bytes) -> Result<Request<Full<Bytes>>, Error> {
    const SIGNATURE: &str = "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20241122/eu-central-1/execute-api/aws4_request, \
        SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
        Signature=6f1c4f0e8a0f5a1e3f7f0d4f9a6a2b7f8c1d3e5f7a9b0c2d4e6f8a0b1c3d5e7f";
    let request = Request::post(path)
        .header("host", host)
        .header("content-type", "application/octet-stream")
        .header("x-amz-date", "20241122T163648Z")
        .header("x-amz-security-token", token)
        .header("authorization", SIGNATURE)
        .header("user-agent", "floor");
    Ok(request.body(Full::new(body.clone()))?)
}

struct Signer {
    identity: Identity,
    region: String,
}

impl Signer {
    fn from_env() -> Result<Self, env::VarError> {
        let [key, secret, token] =
            ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(env::var);
        let identity = Credentials::new(key?, secret?, Some(token?), None, "floor").into();
        Ok(Self { identity, region: env::var("AWS_REGION")? })
    }

    fn post(&self, host: &str, path: &str, body: &Bytes) -> Result<Request<Full<Bytes>>, Error> {
        let parameters = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("host", host), ("content-type", "application/octet-stream")];
        let uri = format!("http://{host}{path}");
        let to_sign = SignableRequest::new("POST", uri, headers.into_iter(), SignableBody::Bytes(body))?;
        let (signature, _) = sign(to_sign, &parameters)?.into_parts();
        let mut request = Request::post(path).header("user-agent", "floor");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::new(body.clone()))?;
        signature.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

async fn answered(client: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<(), Error> {
    client.ready().await?;
    let response = client.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    if status.is_success() { Ok(()) } else { Err(format!("a post was answered {status}").into()) }
}
