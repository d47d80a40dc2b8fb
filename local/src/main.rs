//! `make dev`: the chat backend on this machine, until Ctrl-C.

mod step;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use local_cloud::{
    emulator::{Emulator, Options, is_free},
    mirror::Mirror,
    packages, page, repository,
    stack::{Stack, aws_cli},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use step::Step;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the chat backend on this machine: the emulator, the stack in terraform/, and the chat page.
///
/// While it runs, a second run brings the running one up to date and ends.
#[derive(Debug, Parser)]
struct Arguments {
    /// The emulator's port on 127.0.0.1; a free one is taken when it is left out.
    #[arg(long, allow_hyphen_values = true)]
    port: Option<String>,

    /// The folder for all that a run leaves behind, `.local` of the checkout when left out. Two runs side
    /// by side need two.
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// The files that a run leaves in `.local`, or in the folder that it was given.
struct Files {
    /// The ports of the last run. The next run takes them again, so that an open page finds its backend.
    ports: PathBuf,
    /// Exists while a start applies. If the next start finds it, the states are not to be trusted.
    applying: PathBuf,
    /// The fingerprint of what was applied last.
    applied: PathBuf,
    /// How long each step took last time.
    durations: PathBuf,
    /// The emulator's endpoint.
    endpoint: PathBuf,
    /// The stack's outputs, for scripts.
    outputs: PathBuf,
    /// The folder of the mirror and of the emulator's files.
    folder: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match start(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: &Arguments) -> Result<()> {
    let port = arguments.port.as_deref().map(port).transpose()?;
    let repository = repository();
    let local = arguments.folder.clone().unwrap_or_else(|| repository.join(".local"));
    let files = Files {
        ports: local.join("dev/ports.json"),
        applying: local.join("dev/applying"),
        applied: local.join("dev/applied"),
        durations: local.join("dev/durations.json"),
        endpoint: local.join("dev/endpoint"),
        outputs: local.join("outputs.json"),
        folder: local.join("dev"),
    };
    fs::create_dir_all(&files.folder).with_context(|| format!("cannot make {}", files.folder.display()))?;
    let lock = File::create(local.join("dev.lock"))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return update(&repository, &files).await,
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock .local/dev.lock"),
    }
    files.forget_run(); // a run that was killed could not
    let mut emulator = None;
    let result = tokio::select! {
        result = run(port, &repository, &files, &mut emulator) => result,
        result = interrupted() => result,
    };
    if let Some(emulator) = emulator {
        emulator.stop().await;
    }
    files.forget_run();
    result
}

/// Parses a port. The error is for a user of `make dev PORT=…`, who does not know `--port`.
fn port(text: &str) -> Result<u16> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => bail!("A port is a number from 1 to 65535, not {text:?}."),
    }
}

impl Files {
    /// Removes the files that say that the backend is running.
    fn forget_run(&self) {
        drop(fs::remove_file(&self.outputs));
        drop(fs::remove_file(&self.endpoint));
    }
}

/// Starts everything and shows the functions' logs for as long as the emulator lives.
async fn run(
    port: Option<u16>,
    repository: &Path,
    files: &Files,
    emulator: &mut Option<Emulator>,
) -> Result<()> {
    let mirror = Mirror::new(repository, &files.folder);
    mirror.copy_modules()?;
    let folder = mirror.copy(Path::new("terraform"))?;
    let last = Ports::of_last_run(&files.ports);
    let port = match (port, last.emulator) {
        (None, Some(port)) if is_free(port).await => Some(port),
        (port, _) => port,
    };
    let options = Options {
        repository: repository.to_owned(),
        folder: files.folder.clone(),
        port,
        enforce_iam: true,
        keep_state: true,
    };
    // Endpoints contain the port. The emulator's state and Terraform's are valid only together.
    if files.applying.exists() {
        println!("The last start was cut off while it applied. This one begins anew, with other URLs.");
    }
    let is_new =
        port.is_none() || port != last.emulator || !options.state().exists() || files.applying.exists();
    if is_new {
        drop(fs::remove_dir_all(options.state()));
        drop(fs::remove_file(folder.join("terraform.tfstate")));
        drop(fs::remove_file(&files.applied));
    }

    // Meanwhile the emulator starts, and the slow resources that need no functions are applied.
    let step = Step::start("Building the functions", &files.durations);
    let build = packages::build(repository, &packages::DEPLOYED);
    let prepare = async {
        let emulator = emulator.insert(Emulator::start(&options, |line| show(&line)).await?);
        let stack = stack(folder, &emulator.endpoint);
        if !files.applied.exists() {
            emulator.make_bucket(repository, BUCKET).await?;
        }
        stack.init().await?;
        if is_new {
            fs::write(&files.applying, "")?;
            stack.apply_only(&slow_resources(&mirror)?).await?;
        }
        Ok((emulator, stack))
    };
    let (programs, (emulator, stack)) = tokio::try_join!(build, prepare)?;
    mirror.package(&programs)?;
    step.done(&format!(", the emulator is on {}", emulator.endpoint));

    fs::write(&files.applying, "")?;
    let outputs = apply(&mirror, &stack, files).await?;
    fs::remove_file(&files.applying)?;
    let websocket_url =
        outputs["websocket_url"].as_str().context("the stack has no websocket_url")?.to_owned();
    let page = page::serve(repository, last.page.unwrap_or(0)).await?;
    let page_url = format!("http://127.0.0.1:{page}/?url={websocket_url}");
    Ports { emulator: Some(emulator.port), page: Some(page) }.write(&files.ports)?;
    let commands = commands(&outputs, &emulator.endpoint)?;
    write_outputs(outputs, &page_url, &files.outputs)?;
    fs::write(&files.endpoint, &emulator.endpoint)?;

    println!(
        "
  WebSocket   {websocket_url}
  Chat page   {page_url}
  By hand     npx wscat -c {websocket_url}
              > {{\"action\":\"send\",\"message\":\"hello\"}}

{commands}
The functions' logs follow. Run `make dev` again, elsewhere, after a change. Ctrl-C stops it all.
"
    );
    emulator.ended().await;
    bail!("The emulator ended. Its log is {}.", files.folder.join("emulator.log").display())
}

/// Commands to try what is running: with the emulator's address and key, none reaches for an account.
fn commands(outputs: &serde_json::Map<String, Value>, endpoint: &str) -> Result<String> {
    let text = |name: &str| outputs[name].as_str().with_context(|| format!("the stack has no {name}"));
    let aws = aws_cli(endpoint);
    Ok(format!(
        "  Publish as a backend:
{aws} sqs send-message --queue-url {} --message-body '{{\"channel\":\"*\",\"message\":\"from a backend\"}}'

  See who is connected:
{aws} dynamodb scan --table-name {}
",
        text("queue_url")?,
        text("table_name")?
    ))
}

/// Set once the shutdown has begun. What functions log while their emulator stops is not shown.
static STOPPING: AtomicBool = AtomicBool::new(false);

fn show(line: &str) {
    if !STOPPING.load(Ordering::Relaxed) {
        println!("{line}");
    }
}

/// The ports of a run.
#[derive(Default, Deserialize, Serialize)]
struct Ports {
    emulator: Option<u16>,
    page: Option<u16>,
}

impl Ports {
    /// The ports of the last run, or none if there was no run.
    fn of_last_run(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Brings a run in another process up to date.
async fn update(repository: &Path, files: &Files) -> Result<()> {
    let endpoint = fs::read_to_string(&files.endpoint)
        .context("Another `make dev` is starting. Wait until it shows its URLs, then run this again.")?;
    let mirror = Mirror::new(repository, &files.folder);
    let step = Step::start("Building the functions", &files.durations);
    mirror.copy_modules()?;
    let stack = stack(mirror.copy(Path::new("terraform"))?, &endpoint);
    let (programs, ()) = tokio::try_join!(packages::build(repository, &packages::DEPLOYED), stack.init())?;
    mirror.package(&programs)?;
    step.done("");
    let outputs = apply(&mirror, &stack, files).await?;
    let websocket_url = outputs["websocket_url"].as_str().unwrap_or_default().to_owned();
    let page_url = fs::read_to_string(&files.outputs)
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok()?["page_url"].as_str().map(str::to_owned))
        .context(".local/outputs.json has no page_url: stop `make dev` and start it again.")?;
    write_outputs(outputs, &page_url, &files.outputs)?;
    println!("The running backend is up to date: {websocket_url}, and the page {page_url}");
    Ok(())
}

/// The bucket for the functions' packages.
const BUCKET: &str = "packages";

/// The addresses of the resources that Terraform waits for longest: it watches each attribute of a queue for half a
/// minute before it trusts the result.
fn slow_resources(mirror: &Mirror) -> Result<Vec<String>> {
    let queues = mirror.folder.join("modules/publisher/queue.tf");
    let code = fs::read_to_string(&queues).with_context(|| format!("cannot read {}", queues.display()))?;
    let resources = code.lines().filter_map(|line| {
        let (kind, name) = line.strip_prefix("resource \"")?.strip_suffix("\" {")?.split_once("\" \"")?;
        kind.starts_with("aws_sqs_queue_").then(|| format!("module.publisher.{kind}.{name}"))
    });
    Ok(resources.collect())
}

fn stack(folder: PathBuf, endpoint: &str) -> Stack {
    Stack::new(folder, endpoint).with("packages_bucket", BUCKET)
}

/// Applies the stack, which is initialised, unless nothing has changed since the last time.
async fn apply(mirror: &Mirror, stack: &Stack, files: &Files) -> Result<serde_json::Map<String, Value>> {
    let fingerprint = stack.fingerprint(&mirror.folder)?;
    if fs::read_to_string(&files.applied).is_ok_and(|applied| applied == fingerprint) {
        println!("Applying terraform/: nothing has changed since the last time");
        return stack.outputs().await;
    }
    let step = Step::start("Applying terraform/", &files.durations);
    drop(fs::remove_file(&files.applied));
    let changes = stack.apply(|done, of| step.progress(&format!("{done} of {of} resources"))).await?;
    fs::write(&files.applied, fingerprint)?;
    step.done(&format!(": {} added, {} changed, {} removed", changes.add, changes.change, changes.remove));
    stack.outputs().await
}

fn write_outputs(mut outputs: serde_json::Map<String, Value>, page_url: &str, path: &Path) -> Result<()> {
    outputs.insert("page_url".to_owned(), page_url.into());
    // At once: a script that waits for the file must not read half of it.
    let unfinished = path.with_extension("json.unfinished");
    fs::write(&unfinished, serde_json::to_string_pretty(&outputs)? + "\n")?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns at Ctrl-C, or when the system or a closing terminal asks the program to end.
async fn interrupted() -> Result<()> {
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    STOPPING.store(true, Ordering::Relaxed);
    println!("\nStopping.");
    Ok(())
}
