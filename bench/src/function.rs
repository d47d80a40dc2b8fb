//! A function's process: started, invoked, its CPU time and memory read.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use nix::{time::clock_getcpuclockid, unistd::Pid};
use serde_json::Value;
use testkit::runtime_api::RuntimeApi;
use tokio::process::{Child, Command};

use crate::{
    subject::Program,
    world::{TABLE, World},
};

/// After this long a function is taken to hang.
const PATIENCE: Duration = Duration::from_secs(300);

/// As long as the token that Lambda gives a function, which is sent with every request.
const SESSION_TOKEN_LENGTH: usize = 700;

/// Where root certificates are, on Debian and on Amazon Linux.
const ROOT_CERTIFICATES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A running function.
#[derive(Debug)]
pub struct Function {
    // First: it is killed when it is dropped, before its runtime API goes.
    child: Child,
    api: RuntimeApi,
    name: String,
    started: Instant,
}

impl Function {
    /// Starts the program in an environment like Lambda's, and says over how many shards channels are spread.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub async fn start(program: &Program, world: &World, shards: u8) -> Result<Self> {
        let api = RuntimeApi::start().await;
        let name = format!("{} {}", program.path.display(), program.arguments.join(" "));
        let mut command = Command::new(&program.path);
        // In one file, as Amazon Linux has them: Debian has each in a file of its own besides, and all are read.
        let certificates = ROOT_CERTIFICATES.into_iter().find(|file| Path::new(file).exists());
        command
            .args(&program.arguments)
            .current_dir(&program.folder)
            .env_clear()
            .envs(certificates.map(|file| ("SSL_CERT_FILE", file)))
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_DEFAULT_REGION", "eu-central-1") // where boto3 looks
            .env("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
            .env("AWS_SESSION_TOKEN", "t".repeat(SESSION_TOKEN_LENGTH))
            .env("AWS_ENDPOINT_URL_DYNAMODB", &world.dynamodb)
            .env("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", &world.connections)
            .env("CONNECTION_TABLE", TABLE)
            .env("CONNECTION_SHARDS", shards.to_string())
            .env("LANG", "en_US.UTF-8")
            .env("LAMBDA_TASK_ROOT", &program.folder)
            .stdout(Stdio::null()) // its logs
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        Ok(Self { child, api, name, started })
    }

    /// How long it took from its start until it asked for an event for the first time.
    ///
    /// # Errors
    /// When it ended instead.
    pub async fn asked(&mut self) -> Result<Duration> {
        tokio::select! {
            () = self.api.asked() => Ok(self.started.elapsed()),
            status = self.child.wait() => bail!("{} ended: {}", self.name, status?),
        }
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Its answer to an event, which has the status 200.
    ///
    /// # Errors
    /// When it failed, or ended.
    pub async fn invoke(&mut self, event: &Value) -> Result<Value> {
        let answer = tokio::select! {
            answer = self.api.invoke(event, PATIENCE) => answer,
            status = self.child.wait() => bail!("{} ended: {}", self.name, status?),
        };
        let reply = answer.map_err(|error| anyhow!("{} failed: {error}", self.name))?;
        if reply["statusCode"] != 200 {
            bail!("{} answered {reply}", self.name);
        }
        Ok(reply)
    }

    /// The CPU time of all its threads so far, those that have ended included.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?);
        Ok(clock_getcpuclockid(pid)?.now()?.into())
    }

    /// The most memory that it has held at once so far, in bytes: what Linux calls its high-water mark.
    ///
    /// # Errors
    /// When it has ended.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it has ended by itself.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended: {status}", self.name);
        }
        Ok(self.child.kill().await?)
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} ended", self.name))
    }
}
