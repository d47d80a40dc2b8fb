//! `make dev`'s program, as a user meets it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::{Client, harness::trial};
use libtest_mimic::Trial;
use local_cloud::{
    packages, repository,
    stack::{Changes, Stack, aws_cli},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{sleep, timeout},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("dev::it_starts_updates_and_stops_all", it_starts_updates_and_stops_all),
        trial("dev::a_taken_port_is_said", a_taken_port_is_said),
        trial("dev::what_is_no_port_is_said", what_is_no_port_is_said),
        trial("dev::a_missing_terraform_is_said", a_missing_terraform_is_said),
        trial("dev::a_failed_apply_is_said", a_failed_apply_is_said),
    ]
}

fn program(folder: &Path) -> Command {
    let mut command = packages::cargo();
    command
        .args(["run", "--quiet", "--bin", "local-cloud", "--", "--folder"])
        .arg(folder)
        .current_dir(repository())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn empty_folder(name: &str) -> Result<PathBuf> {
    let folder = repository().join(".local/tests").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

async fn it_starts_updates_and_stops_all() -> Result<()> {
    let folder = empty_folder("dev")?;
    let running = program(&folder).spawn()?;
    let outputs = outputs(&folder).await?;
    let text =
        |name: &str| outputs[name].as_str().map(str::to_owned).with_context(|| format!("no output {name}"));
    for name in ["websocket_url", "management_endpoint", "table_name", "page_url"] {
        text(name)?;
    }
    let page = get(&text("page_url")?).await?;
    ensure!(page.starts_with("HTTP/1.1 200") && page.contains("<html"), "{page}");
    let mut client = Client::connect(&text("websocket_url")?).await?;
    client.say(r#"{"action":"send","message":"hello"}"#).await?;
    ensure!(client.hear("message").await?["message"] == "hello");

    let second = program(&folder).output().await?;
    let said = String::from_utf8_lossy(&second.stdout);
    ensure!(second.status.success() && said.contains(UNCHANGED), "{said}");
    nothing_is_to_be_done(&folder).await?;
    client.say(r#"{"action":"ping"}"#).await?;
    client.hear("pong").await.context("the update kept the connection")?;

    let endpoint = fs::read_to_string(folder.join("dev/endpoint"))?;
    let command = format!(
        r#"{} sqs send-message --queue-url {} --message-body '{{"channel":"*","message":"from a backend"}}'"#,
        aws_cli(&endpoint),
        text("queue_url")?
    );
    let path = format!("{}:{}", repository().join(".local/awscli/bin").display(), std::env::var("PATH")?);
    let published = Command::new("sh").args(["-c", &command]).env("PATH", path).output().await?;
    ensure!(published.status.success(), "{published:?}");
    ensure!(client.hear("message").await?["message"] == "from a backend");

    let address = text("websocket_url")?;
    let address = address.split('/').nth(2).context("host and port")?.to_owned();
    let stopped = interrupt(running, &folder).await?;
    let said = String::from_utf8_lossy(&stopped.stdout);
    ensure!(said.contains(&command), "it is shown: {said}");
    ensure!(stopped.status.success() && said.trim_end().ends_with("Stopping."), "{said}");
    ensure!(
        said.contains("chat-dev-send: ") && said.contains("sent"),
        "the functions' logs are shown: {said}"
    );
    ensure!(TcpStream::connect(&address).await.is_err(), "the emulator still listens");
    ensure!(!folder.join("outputs.json").exists());
    let left = processes_of(&folder).await?;
    ensure!(left.is_empty(), "still running: {left}");

    let again = program(&folder).spawn()?;
    let same = self::outputs(&folder).await?;
    ensure!(same == outputs, "the next run is where the last one was: {same}");
    let mut client = Client::connect(&text("websocket_url")?).await?;
    client.say(r#"{"action":"send","message":"back again"}"#).await?;
    ensure!(client.hear("message").await?["message"] == "back again");
    nothing_is_to_be_done(&folder).await.context("it has nothing to make anew")?;
    let changed = program(&folder).env("TF_VAR_log_retention_days", "14").output().await?;
    let said = String::from_utf8_lossy(&changed.stdout);
    ensure!(changed.status.success() && said.contains("0 added, 6 changed, 0 removed"), "{said}");
    ensure!(said.contains("Applying terraform/ (last time "), "{said}");
    let said = interrupt(again, &folder).await?.stdout;
    let said = String::from_utf8_lossy(&said);
    ensure!(said.contains(UNCHANGED), "it is not even asked: {said}");
    Ok(())
}

const UNCHANGED: &str = "nothing has changed since the last time";

/// Terraform finds all as it is wanted, though it was not asked.
async fn nothing_is_to_be_done(folder: &Path) -> Result<()> {
    let endpoint = fs::read_to_string(folder.join("dev/endpoint"))?;
    let stack = Stack::new(folder.join("dev/terraform"), &endpoint).with("packages_bucket", "packages");
    let changes = stack.plan().await?;
    ensure!(changes == Changes::default(), "{changes:?}");
    Ok(())
}

async fn a_taken_port_is_said() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let port = taken.local_addr()?.port().to_string();
    let output = program(&empty_folder("dev-port")?).args(["--port", &port]).output().await?;
    fails_saying(
        &output,
        &[&format!("error: Port {port} of 127.0.0.1 cannot be used"), "Stop what listens there"],
    )
}

async fn what_is_no_port_is_said() -> Result<()> {
    let folder = empty_folder("dev-no-port")?;
    for port in ["abc", "0", "-1", "65536", "4566 4567"] {
        let output = program(&folder).args(["--port", port]).output().await?;
        let sentence = format!("error: A port is a number from 1 to 65535, not {port:?}.");
        fails_saying(&output, &[&sentence])?;
    }
    Ok(())
}

async fn a_missing_terraform_is_said() -> Result<()> {
    let output =
        program(&empty_folder("dev-terraform")?).env("TERRAFORM", "no-such-terraform").output().await?;
    fails_saying(&output, &["error: cannot run no-such-terraform: is Terraform installed?"])
}

async fn a_failed_apply_is_said() -> Result<()> {
    let output = program(&empty_folder("dev-apply")?).env("TF_VAR_name", "not a name").output().await?;
    fails_saying(&output, &["error: terraform apply failed", "name takes 1 to 40 letters"])
}

fn fails_saying(output: &Output, sentences: &[&str]) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success());
    for sentence in sentences {
        ensure!(said.contains(sentence), "not {sentence:?} but: {said}");
    }
    ensure!(!said.contains("backtrace"), "{said}");
    Ok(())
}

async fn outputs(folder: &Path) -> Result<Value> {
    for _ in 0..3_000 {
        if let Ok(text) = std::fs::read_to_string(folder.join("outputs.json")) {
            return serde_json::from_str(&text).with_context(|| format!("half a file: {text}"));
        }
        sleep(Duration::from_millis(100)).await;
    }
    bail!("no outputs.json within five minutes")
}

/// The answer to a GET, with its head.
pub(crate) async fn get(url: &str) -> Result<String> {
    let rest = url.strip_prefix("http://").context("an HTTP URL")?;
    let (host, path) = rest.split_once('/').context("a path")?;
    let mut stream = TcpStream::connect(host).await?;
    stream
        .write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Does what Ctrl-C does, to the program and not to `cargo run` alone.
async fn interrupt(running: Child, folder: &Path) -> Result<Output> {
    let pattern = format!("^[^ ]*local-cloud --folder {}", folder.display());
    let kill = Command::new("pkill").args(["-INT", "-f", &pattern]).status().await?;
    ensure!(kill.success(), "nothing to interrupt");
    timeout(Duration::from_secs(15), running.wait_with_output())
        .await
        .context("it goes on")?
        .map_err(Into::into)
}

/// The processes whose command or files are in this folder.
async fn processes_of(folder: &Path) -> Result<String> {
    let output = Command::new("pgrep").args(["-fa", &folder.display().to_string()]).output().await?;
    Ok(String::from_utf8(output.stdout)?)
}
