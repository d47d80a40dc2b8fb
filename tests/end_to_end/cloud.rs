//! A stack on an emulator of its own, and what a test looks at behind it.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::{
    Client as DynamoDb,
    config::{Credentials, SharedCredentialsProvider},
    types::AttributeValue,
};
use end_to_end::Client;
use futures::{StreamExt, TryStreamExt, stream};
use local_cloud::{
    emulator::{Emulator, Options},
    mirror::Mirror,
    packages, repository,
    stack::{REGION, Stack, point_at_emulator},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::{
    process::Command,
    sync::{Mutex as AsyncMutex, OnceCell},
};

/// How many clients connect or part at once: to the emulator each is a process, while its function runs.
pub(crate) const AT_ONCE: usize = 8;

/// A row of the connection table.
pub(crate) type Row = HashMap<String, AttributeValue>;

/// A stack on an emulator of its own that enforces IAM.
pub(crate) struct Cloud {
    pub(crate) stack: Stack,
    /// The mirror's folder.
    pub(crate) folder: PathBuf,
    /// None while it is down.
    emulator: AsyncMutex<Option<Emulator>>,
    options: Options,
    endpoint: String,
    outputs: OnceCell<Map<String, Value>>,
    logs: Arc<Mutex<Logs>>,
}

/// What functions logged.
#[derive(Default)]
struct Logs {
    text: String,
    /// What was found once is before this byte.
    read: usize,
}

impl Cloud {
    /// Starts an emulator; the stack is there to be applied.
    pub(crate) async fn start(name: &str, stack: &str) -> Result<Self> {
        let folder = repository().join(".local/tests").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        static PROGRAMS: OnceCell<BTreeMap<String, PathBuf>> = OnceCell::const_new();
        let programs = PROGRAMS
            .get_or_try_init(|| async { packages::build(&repository(), &packages::ALL).await })
            .await?;
        let mirror = Mirror::new(&repository(), &folder);
        mirror.copy_modules()?;
        mirror.package(programs)?;
        let options = Options {
            repository: repository(),
            folder: folder.clone(),
            port: None,
            enforce_iam: true,
            keep_state: true,
        };
        let logs = Arc::default();
        let emulator = Emulator::start(&options, write_to(&logs)).await?;
        let options = Options { port: Some(emulator.port), ..options };
        let endpoint = emulator.endpoint.clone();
        let stack = Stack::new(mirror.copy(Path::new(stack))?, &endpoint);
        stack.init().await?;
        let emulator = AsyncMutex::new(Some(emulator));
        Ok(Self { stack, folder, emulator, options, endpoint, outputs: OnceCell::new(), logs })
    }

    /// Another stack in the same account.
    pub(crate) async fn another(self, stack: &str) -> Result<Self> {
        let folder = Mirror::new(&repository(), &self.folder).copy(Path::new(stack))?;
        let stack = Stack::new(folder, &self.endpoint);
        stack.init().await?;
        Ok(Self { stack, outputs: OnceCell::new(), ..self })
    }

    /// Cuts all connections and answers nobody, until it comes up.
    pub(crate) async fn go_down(&self) {
        if let Some(emulator) = self.emulator.lock().await.take() {
            emulator.stop().await;
        }
    }

    /// Is there again, with all that it held but the connections.
    pub(crate) async fn come_up(&self) -> Result<()> {
        *self.emulator.lock().await = Some(Emulator::start(&self.options, write_to(&self.logs)).await?);
        Ok(())
    }

    /// Sets a variable of the stack.
    pub(crate) fn with(self, variable: &str, value: &str) -> Self {
        Self { stack: self.stack.with(variable, value), ..self }
    }

    /// An output of the stack, as it was when the first one was asked for.
    pub(crate) async fn output(&self, name: &str) -> Result<String> {
        self.value(name).await?.as_str().map(str::to_owned).with_context(|| format!("{name} is no text"))
    }

    /// An output of the stack that is a list of texts.
    pub(crate) async fn list(&self, name: &str) -> Result<Vec<String>> {
        Ok(serde_json::from_value(self.value(name).await?.clone())?)
    }

    async fn value(&self, name: &str) -> Result<&Value> {
        let outputs = self.outputs.get_or_try_init(|| self.stack.outputs()).await?;
        outputs.get(name).with_context(|| format!("no output {name}"))
    }

    /// Kills every process of a function, as Lambda may at any time. The next invocation starts another.
    pub(crate) async fn kill_functions(&self) -> Result<()> {
        let emulator = self.emulator.lock().await;
        let group = emulator.as_ref().and_then(Emulator::id).context("the emulator is down")?.to_string();
        let listed = Command::new("ps").args(["-A", "-o", "pid=,pgid="]).output().await?;
        let listed = String::from_utf8(listed.stdout)?;
        let functions = listed.lines().filter_map(|line| {
            let mut columns = line.split_whitespace();
            let (pid, of) = (columns.next()?, columns.next()?);
            (of == group && pid != group).then_some(pid)
        });
        let functions: Vec<_> = functions.collect();
        ensure!(!functions.is_empty(), "no function runs");
        // One that ended by itself meanwhile makes it fail.
        Command::new("kill").arg("-9").args(functions).stderr(Stdio::null()).status().await?;
        Ok(())
    }

    /// What there is in the account, by service and name.
    pub(crate) async fn inventory(&self) -> Result<Vec<String>> {
        self.script("inventory.py", &[]).await
    }

    /// Calls AWS, as botocore names it: a service, its operation, and the parameters.
    pub(crate) async fn aws(&self, service: &str, operation: &str, parameters: &Value) -> Result<Value> {
        self.script("aws.py", &[service, operation, &parameters.to_string()]).await
    }

    /// Points a program at the emulator.
    pub(crate) fn point_at(&self, command: &mut Command) {
        point_at_emulator(command, &self.endpoint);
    }

    /// What a script beside this file prints.
    async fn script<T: DeserializeOwned>(&self, name: &str, arguments: &[&str]) -> Result<T> {
        let mut command = Command::new(repository().join(".local/venv/bin/python"));
        self.point_at(&mut command);
        command
            .arg(repository().join("tests/end_to_end").join(name))
            .args(arguments)
            .stderr(Stdio::inherit());
        let output = command.output().await?;
        ensure!(output.status.success(), "{name} failed: {arguments:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A client of the emulator's DynamoDB.
    pub(crate) fn dynamodb(&self) -> DynamoDb {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static(REGION))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "test",
            )))
            .http_client(lambda_websocket::aws::http_client())
            .endpoint_url(&self.endpoint)
            .build();
        DynamoDb::new(&config)
    }

    /// Every row of the connection table.
    pub(crate) async fn rows(&self) -> Result<Vec<Row>> {
        let table = self.output("table_name").await?;
        Ok(self.dynamodb().scan().table_name(table).into_paginator().items().send().try_collect().await?)
    }

    /// Waits until the table has so many rows: what a closed connection leaves goes a moment later.
    pub(crate) async fn rows_become(&self, count: usize) -> Result<()> {
        for _ in 0..300 {
            if self.rows().await?.len() == count {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the table has {} rows, not {count}", self.rows().await?.len())
    }

    /// So many clients, connected a few at a time.
    pub(crate) async fn clients(&self, count: usize) -> Result<Vec<Client>> {
        let url = self.output("websocket_url").await?;
        stream::iter(0..count).map(|_| Client::connect(&url)).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Waits until a function has logged a line that holds all of these words; earlier lines do not count again.
    pub(crate) async fn logs(&self, words: &[&str]) -> Result<()> {
        for _ in 0..300 {
            if self.found_in_logs(words) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("nobody logged {words:?} but:\n{}", self.all_logs())
    }

    fn found_in_logs(&self, words: &[&str]) -> bool {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let found = logs.text[logs.read..].lines().any(|line| words.iter().all(|word| line.contains(word)));
        if found {
            logs.read = logs.text.len();
        }
        found
    }

    /// All that functions logged since the emulator started.
    pub(crate) fn all_logs(&self) -> String {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Ends the emulator.
    pub(crate) async fn stop(self) {
        self.go_down().await;
    }
}

fn write_to(logs: &Arc<Mutex<Logs>>) -> impl FnMut(String) + Send + 'static {
    let logs = Arc::clone(logs);
    move |line| logs.lock().unwrap_or_else(PoisonError::into_inner).text.push_str(&(line + "\n"))
}
