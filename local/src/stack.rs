//! A Terraform stack, managed with Terraform itself.

use std::{
    collections::BTreeMap,
    env, fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

/// A stack in a folder, for an emulator.
#[derive(Clone, Debug)]
pub struct Stack {
    folder: PathBuf,
    endpoint: String,
    variables: Vec<String>,
}

/// The numbers of resources that an apply or a destroy changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Created.
    pub add: u64,
    /// Changed in place.
    pub change: u64,
    /// Destroyed.
    pub remove: u64,
}

/// The region that the emulator simulates.
pub const REGION: &str = "us-east-1";

/// The key that the emulator takes for its administrator's, and its secret.
const KEY: &str = "test";

/// The AWS CLI as it speaks to the emulator, for a command of a shell.
pub fn aws_cli(endpoint: &str) -> String {
    format!(
        "AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={KEY} aws --endpoint-url {endpoint} --region {REGION}"
    )
}

/// Points a program at the emulator. The program sees none of the user's AWS configuration: nothing that is meant for
/// the emulator can reach an account.
pub fn point_at_emulator(command: &mut Command, endpoint: &str) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command.envs([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", KEY),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
}

impl Stack {
    /// The stack in this folder, for the emulator at this endpoint.
    pub fn new(folder: PathBuf, endpoint: &str) -> Self {
        Self { folder, endpoint: endpoint.to_owned(), variables: Vec::new() }
    }

    /// Sets a variable of the stack: a string as it is, anything else as HCL writes it.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push(format!("-var={name}={value}"));
        self
    }

    /// Fetches the providers.
    ///
    /// # Errors
    /// When Terraform is missing or fails.
    pub async fn init(&self) -> Result<()> {
        let mut arguments = vec!["-input=false".to_owned()];
        if let Ok(folder) = env::var("TF_PLUGIN_DIR") {
            arguments.push(format!("-plugin-dir={folder}"));
        }
        self.run("init", &arguments, |_| ()).await
    }

    /// Applies the stack. After each resource, `on_progress` gets the number of finished resources and the total.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn apply(&self, on_progress: impl FnMut(u64, u64)) -> Result<Changes> {
        self.change("apply", on_progress).await
    }

    /// Applies only these resources, and those that they need.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn apply_only(&self, addresses: &[String]) -> Result<()> {
        let targets = addresses.iter().map(|address| format!("-target={address}"));
        let stack =
            Self { variables: self.variables.iter().cloned().chain(targets).collect(), ..self.clone() };
        stack.change("apply", |_, _| ()).await.map(drop)
    }

    /// A hash of everything that an apply depends on: the code and packages in the stack's mirror, the emulator, the
    /// variables, and the environment variables of Terraform.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn fingerprint(&self, mirror: &Path) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        (&self.folder, &self.endpoint, &self.variables, program()).hash(&mut hasher);
        let environment: BTreeMap<_, _> =
            env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TF_")).collect();
        environment.hash(&mut hasher);
        let modules = mirror.join("modules");
        let packages = mirror.join("target/lambda");
        let mut folders = vec![self.folder.clone()];
        for parent in [&modules, &packages] {
            for folder in fs::read_dir(parent).with_context(|| format!("cannot read {}", parent.display()))? {
                folders.push(folder?.path());
            }
        }
        let mut files = Vec::new();
        for folder in &folders {
            for file in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let path = file?.path();
                if path.is_file() && !is_of_terraform(&path) {
                    files.push(path);
                }
            }
        }
        files.sort();
        for path in &files {
            path.hash(&mut hasher);
            fs::read(path).with_context(|| format!("cannot read {}", path.display()))?.hash(&mut hasher);
        }
        Ok(format!("{:016x}", hasher.finish()))
    }

    /// Destroys all that the stack holds.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn destroy(&self) -> Result<Changes> {
        self.change("destroy", |_, _| ()).await
    }

    /// The changes that an apply would make now.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn plan(&self) -> Result<Changes> {
        self.change("plan", |_, _| ()).await
    }

    /// The actions of an apply now (`create`, `update`, `replace` or `delete`), by the address of the resource.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn actions(&self) -> Result<BTreeMap<String, String>> {
        self.planned("plan").await
    }

    /// Applies the stack, and returns its planned actions, as [`actions`](Self::actions) does.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn apply_and_tell(&self) -> Result<BTreeMap<String, String>> {
        self.planned("apply").await
    }

    async fn planned(&self, command: &str) -> Result<BTreeMap<String, String>> {
        let mut actions = BTreeMap::new();
        self.run(command, &self.arguments(command), |message| {
            if message["type"] == "planned_change" {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let change = &message["change"];
                actions.insert(text(&change["resource"]["addr"]), text(&change["action"]));
            }
        })
        .await?;
        Ok(actions)
    }

    fn arguments(&self, command: &str) -> Vec<String> {
        let approve = (command != "plan").then_some("-auto-approve");
        let own = ["-input=false"].into_iter().chain(approve).map(str::to_owned);
        own.chain(self.variables.iter().cloned()).collect()
    }

    async fn change(&self, command: &str, mut on_progress: impl FnMut(u64, u64)) -> Result<Changes> {
        let (mut done, mut changes) = (0, Changes::default());
        self.run(command, &self.arguments(command), |message| match message["type"].as_str() {
            Some("apply_complete") => {
                done += 1;
                on_progress(done, changes.add + changes.change + changes.remove);
            }
            // Once after the plan, and once at the end.
            Some("change_summary") => {
                let count = |name: &str| message["changes"][name].as_u64().unwrap_or_default();
                changes = Changes { add: count("add"), change: count("change"), remove: count("remove") };
            }
            _ => {}
        })
        .await?;
        Ok(changes)
    }

    /// The stack's outputs, by name.
    ///
    /// # Errors
    /// When Terraform fails.
    pub async fn outputs(&self) -> Result<serde_json::Map<String, Value>> {
        let output =
            self.terraform().args(["output", "-json"]).output().await.context("cannot run Terraform")?;
        let outputs: serde_json::Map<String, Value> =
            serde_json::from_slice(&output.stdout).context("Terraform has no outputs")?;
        Ok(outputs.into_iter().map(|(name, mut output)| (name, output["value"].take())).collect())
    }

    /// Runs a command of Terraform with machine-readable output.
    async fn run(
        &self,
        command: &str,
        arguments: &[String],
        mut on_message: impl FnMut(&Value),
    ) -> Result<()> {
        let mut child = self
            .terraform()
            .arg(command)
            .arg("-json")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}: is Terraform installed?", program().display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("Terraform has no output")?).lines();
        let mut stderr = child.stderr.take().context("Terraform has no error output")?;
        let complaints = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.map(|_| text)
        });
        let mut errors = Vec::new();
        while let Some(line) = lines.next_line().await? {
            let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
            on_message(&message);
            if message["@level"] == "error" {
                errors.push(explain(&message));
            }
        }
        if !child.wait().await?.success() {
            if errors.is_empty() {
                errors.push(complaints.await??);
            }
            bail!("terraform {command} failed in {}:\n{}", self.folder.display(), errors.join("\n"));
        }
        Ok(())
    }

    fn terraform(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(&self.folder).env("TF_IN_AUTOMATION", "true").kill_on_drop(true);
        point_at_emulator(&mut command, &self.endpoint);
        command
    }
}

/// Whether Terraform wrote the file itself: a state, its backup, or a lock.
fn is_of_terraform(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains(".tfstate") || name.starts_with(".terraform")
}

/// Terraform's program: `TERRAFORM` in the environment, such as `tofu`, or `terraform`.
fn program() -> PathBuf {
    env::var_os("TERRAFORM").map_or_else(|| Path::new("terraform").to_owned(), PathBuf::from)
}

/// The problem that Terraform reports, and its place.
fn explain(message: &Value) -> String {
    let diagnostic = &message["diagnostic"];
    let text = |name: &str| diagnostic[name].as_str().unwrap_or_default();
    if text("summary").is_empty() {
        return message["@message"].as_str().unwrap_or_default().to_owned();
    }
    let place = diagnostic["address"].as_str().map(|address| format!(" ({address})")).unwrap_or_default();
    format!("- {}{place}: {}", text("summary"), text("detail"))
}
