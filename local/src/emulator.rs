//! The emulator's process.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::stack::point_at_emulator;

/// The options of an emulator.
#[derive(Clone, Debug)]
pub struct Options {
    /// The checkout, with the emulator's virtual environment in `.local/venv`.
    pub repository: PathBuf,
    /// A folder of the emulator's own, for its log and its files.
    pub folder: PathBuf,
    /// The port on the loopback interface. `None`: a free one.
    pub port: Option<u16>,
    /// Whether signatures are checked and each function's policy is enforced.
    pub enforce_iam: bool,
    /// Whether its state is written to [`Options::state`] when it is stopped, and read at the next start.
    pub keep_state: bool,
}

impl Options {
    /// The folder of the state. It exists between a stop and the next start, and not after a crash.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }
}

/// An emulator that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Emulator {
    /// Its URL, the AWS endpoint for every service.
    pub endpoint: String,
    /// Its port.
    pub port: u16,
    child: Child,
}

const READY_WITHIN: Duration = Duration::from_secs(60);

impl Emulator {
    /// Starts an emulator and waits until it answers. Each line that a function logs goes to `on_log`.
    ///
    /// # Errors
    /// When the port is taken, when the emulator is not installed, or when it does not come up.
    pub async fn start(options: &Options, mut on_log: impl FnMut(String) + Send + 'static) -> Result<Self> {
        let port = free_port(options.port).await?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let python = options.repository.join(".local/venv/bin/python");
        if !python.exists() {
            bail!(
                "The emulator is not installed. Run it through `make dev`, or install it alone with `make venv`."
            );
        }
        let files = options.folder.join("files");
        std::fs::create_dir_all(&files).with_context(|| format!("cannot make {}", files.display()))?;
        let log = options.folder.join("emulator.log");
        let mut command = Command::new(python);
        // The emulator gives its own endpoint to the functions.
        point_at_emulator(&mut command, &endpoint);
        let mut child = command
            .arg(options.repository.join("local/emulator.py"))
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AUTH", options.enforce_iam.to_string())
            .env("SFTP_ENABLED", "0")
            .env("TMPDIR", &files)
            .env("PERSIST_STATE", if options.keep_state { "1" } else { "0" })
            .env("STATE_DIR", options.state())
            // Objects are kept apart from the state, which is deleted once it is read.
            .env("S3_PERSIST", if options.keep_state { "1" } else { "0" })
            .env("S3_DATA_DIR", options.folder.join("objects"))
            .stdin(Stdio::piped()) // The emulator ends when this closes: with us, however we end.
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
            .process_group(0) // Ctrl-C reaches only us; we stop the emulator.
            .spawn()
            .context("cannot start the emulator")?;
        let stdout = child.stdout.take().context("the emulator has no output")?;
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                on_log(line);
            }
        });
        let mut emulator = Self { endpoint, port, child };
        emulator.ready(port, &log).await?;
        if options.keep_state && options.state().exists() {
            std::fs::remove_dir_all(options.state())?;
        }
        Ok(emulator)
    }

    async fn ready(&mut self, port: u16, log: &Path) -> Result<()> {
        let start = Instant::now();
        while !healthy(port).await {
            if let Some(status) = self.child.try_wait()? {
                bail!("The emulator stopped at its start ({status}). Its log is {}.", log.display());
            }
            if start.elapsed() > READY_WITHIN {
                bail!("The emulator did not answer within {READY_WITHIN:?}. Its log is {}.", log.display());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Makes an S3 bucket.
    ///
    /// # Errors
    /// When the emulator refuses.
    pub async fn make_bucket(&self, repository: &Path, name: &str) -> Result<()> {
        let mut command = Command::new(repository.join(".local/venv/bin/python"));
        point_at_emulator(&mut command, &self.endpoint);
        let made =
            command.arg(repository.join("local/bucket.py")).arg(name).kill_on_drop(true).status().await;
        if !made.context("cannot run Python")?.success() {
            bail!("The emulator made no bucket {name}.");
        }
        Ok(())
    }

    /// Returns when the emulator has ended by itself.
    pub async fn ended(&mut self) {
        // Waiting must not close its input, as `Child::wait` does.
        while !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// The id of its process, and of the process group that also holds the functions. `None` once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops the emulator and every function that it runs, and waits for their end.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait().await);
    }
}

/// Whether a port of the loopback interface can be listened on.
pub async fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).await.is_ok()
}

/// The requested port, if it is free. If none is requested, a free one.
async fn free_port(wanted: Option<u16>) -> Result<u16> {
    if let Some(port) = wanted {
        return match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(_) => Ok(port),
            Err(error) => bail!(
                "Port {port} of 127.0.0.1 cannot be used ({error}). Stop what listens there, or leave the port out and a free one is taken.",
            ),
        };
    }
    // Not from the system's range for outgoing connections: one of these could take the port before the emulator does.
    for _ in 0..100 {
        let port = fastrand::u16(10_000..32_000);
        if is_free(port).await {
            return Ok(port);
        }
    }
    bail!("No port of 127.0.0.1 is free.")
}

async fn healthy(port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /_ministack/health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").await?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(answer.ends_with(b"200"))
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(true)))
}
