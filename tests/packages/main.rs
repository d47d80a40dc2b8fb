//! The packages of `make build`: small, for arm64, and they boot. Each is run against a Lambda runtime
//! API, natively on an arm64 machine and under qemu's user-mode emulation elsewhere, and answers a real event.

use std::{
    env,
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use end_to_end::harness::{self, trial};
use lambda_websocket::Channel;
use serde_json::{Value, json};
use testkit::{
    connections::Connections,
    dynamodb::ConnectionTable,
    fixtures,
    runtime_api::RuntimeApi,
    tokens::{Signer, jwks},
};
use tokio::process::Command;
use zip::ZipArchive;

/// The most that a package may weigh, in bytes.
const MAX_BYTES: u64 = 3_500_000;

/// Emulated, a program takes seconds to start.
const PATIENCE: Duration = Duration::from_secs(60);

const PROGRAMS: [&str; 7] = ["authorize", "connect", "disconnect", "default", "publish", "send", "subscribe"];

fn main() -> ExitCode {
    let trials = || {
        let trials = PROGRAMS.map(|name| {
            [
                trial(format!("{name}::is_small_and_for_arm64"), async move || is_small_and_for_arm64(name)),
                trial(format!("{name}::boots_and_answers"), move || boots_and_answers(name)),
            ]
        });
        trials.into_iter().flatten().collect()
    };
    harness::run(Vec::new, trials)
}

fn package(name: &str) -> PathBuf {
    local_cloud::repository().join("target/lambda").join(name).join("bootstrap.zip")
}

fn bootstrap(name: &str) -> Result<(Vec<u8>, u32)> {
    let path = package(name);
    let file = File::open(&path).with_context(|| format!("no {}: run `make build` first", path.display()))?;
    let mut archive = ZipArchive::new(file)?;
    let mut entry = archive.by_name("bootstrap")?;
    let mut program = Vec::new();
    entry.read_to_end(&mut program)?;
    Ok((program, entry.unix_mode().unwrap_or_default()))
}

fn is_small_and_for_arm64(name: &str) -> Result<()> {
    let bytes = fs::metadata(package(name))
        .with_context(|| format!("no package {name}: run `make build` first"))?
        .len();
    ensure!(bytes <= MAX_BYTES, "{bytes} bytes are more than {MAX_BYTES}");
    let (program, mode) = bootstrap(name)?;
    ensure!(mode & 0o111 == 0o111, "not executable: {mode:o}");
    // ELF, 64 bit, little-endian; machine 183 is AArch64.
    ensure!(program.starts_with(b"\x7fELF\x02\x01") && program[18..20] == [183, 0], "not an aarch64 program");
    Ok(())
}

async fn boots_and_answers(name: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("bootstrap");
    fs::write(&program, bootstrap(name)?.0)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;

    let (table, connections) = (ConnectionTable::start().await, Connections::start().await);
    let mut api = RuntimeApi::start().await;
    let signer = Signer::es256("1");
    let mut function = command(&program, &api, &table, &connections)
        .env("JWKS", jwks([&signer]).to_string())
        .spawn()
        .context("cannot run an aarch64 program here: install qemu-user-static and arm64's C library, or name the emulator in QEMU")?;
    let reply = match name {
        "connect" => {
            let reply = invoke(&mut api, fixtures::connect_json()).await?;
            ensure!(reply["headers"]["Sec-WebSocket-Protocol"] == "chat.v2", "{reply}");
            ensure!(table.connection_ids().await == [fixtures::CONNECTION_ID]);
            reply
        }
        "disconnect" => {
            table
                .registry()
                .add(&Channel::everyone(), &fixtures::connect(fixtures::CONNECTION_ID).connection)
                .await?;
            let reply = invoke(&mut api, fixtures::disconnect_json()).await?;
            ensure!(table.rows().await.is_empty());
            reply
        }
        "send" => {
            table.registry().add(&Channel::everyone(), &fixtures::connect("other=").connection).await?;
            let reply = invoke(&mut api, fixtures::message_json()).await?;
            ensure!(connections.delivered_to("other=").len() == 1);
            ensure!(frame(&reply)?["delivered"] == 1, "{reply}");
            reply
        }
        "publish" => {
            table.registry().add(&Channel::everyone(), &fixtures::connect("other=").connection).await?;
            let record = |id: &str, body: &str| json!({"messageId": id, "body": body});
            let good = record("good", r#"{"channel":"*","message":"hello"}"#);
            let answer = invoke(&mut api, json!({"Records": [good, record("bad", "hello")]})).await?;
            ensure!(connections.delivered_to("other=").len() == 1);
            ensure!(answer == json!({"batchItemFailures": [{"itemIdentifier": "bad"}]}), "{answer}");
            return Ok(function.kill().await?);
        }
        "authorize" => {
            let claims = json!({"sub": "ada", "iss": "me", "aud": "you", "exp": 4_102_444_800_u64});
            let mut event = fixtures::authorize_json();
            event["queryStringParameters"]["token"] = json!(signer.token(&claims));
            let answer = invoke(&mut api, event).await?;
            ensure!(answer["policyDocument"]["Statement"][0]["Effect"] == "Allow", "{answer}");
            return Ok(function.kill().await?);
        }
        "subscribe" => {
            let mut event = fixtures::message_json();
            event["body"] = json!(r#"{"action":"subscribe","channel":"lobby"}"#);
            let reply = invoke(&mut api, event).await?;
            ensure!(frame(&reply)?["type"] == "subscribed", "{reply}");
            ensure!(table.connection_ids().await == [fixtures::CONNECTION_ID]);
            reply
        }
        _ => {
            let mut event = fixtures::message_json();
            event["body"] = json!("hello");
            let reply = invoke(&mut api, event).await?;
            ensure!(frame(&reply)?["code"] == "invalid_json", "{reply}");
            reply
        }
    };
    ensure!(reply["statusCode"] == 200, "{reply}");
    function.kill().await?;
    Ok(())
}

/// The program's command, in the environment that Lambda and the module give it.
fn command(program: &Path, api: &RuntimeApi, table: &ConnectionTable, connections: &Connections) -> Command {
    let mut command = if cfg!(target_arch = "aarch64") {
        Command::new(program)
    } else {
        let mut command = Command::new(env::var_os("QEMU").unwrap_or_else(|| "qemu-aarch64-static".into()));
        command.arg(program);
        command
    };
    command
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", &api.address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "function")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL_DYNAMODB", &table.endpoint)
        .env("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", &connections.endpoint)
        .env("CONNECTION_TABLE", ConnectionTable::NAME)
        .env("DELIVERY_QUEUE_URL", "http://127.0.0.1:9/queue") // Nothing is left over for it.
        .env("DELIVERY_QUEUE_ARN", "arn:aws:sqs:eu-central-1:123456789012:queue")
        .env("BROADCAST_QUEUE_URL", "http://127.0.0.1:9/queue")
        .env("BROADCAST_QUEUE_ARN", "arn:aws:sqs:eu-central-1:123456789012:broadcasts")
        .env("BROADCAST_CONCURRENCY", "4")
        .env("BROADCAST_RATE_LIMIT", "5000")
        .env("SUBPROTOCOLS", "chat.v2")
        .env("ACTIONS", "send")
        .env("ISSUER", "me")
        .env("AUDIENCE", "you")
        .stdout(Stdio::null()) // its logs
        .kill_on_drop(true);
    command
}

async fn invoke(api: &mut RuntimeApi, event: Value) -> Result<Value> {
    api.invoke(&event, PATIENCE).await.map_err(|error| anyhow::anyhow!("the function failed: {error}"))
}

fn frame(reply: &Value) -> Result<Value> {
    Ok(serde_json::from_str(reply["body"].as_str().context("a body")?)?)
}
