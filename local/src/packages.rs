//! The functions, built for this machine and zipped as Lambda takes them.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufReader, Cursor, IsTerminal},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tokio::process::Command;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// The functions that `terraform/` deploys.
pub const DEPLOYED: [&str; 6] = ["connect", "disconnect", "default", "publish", "send", "subscribe"];

/// All functions: those that are deployed, and those of the examples.
pub const ALL: [&str; 8] =
    ["authorize", "connect", "disconnect", "default", "publish", "send", "subscribe", "vote"];

/// Builds these functions, each a package with a program of its name, and returns the programs' paths by name.
///
/// # Errors
/// When the build fails. The compiler has said why on standard error.
pub async fn build(repository: &Path, functions: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let packages = functions.iter().flat_map(|name| ["--package", *name, "--bin", *name]);
    // The first build takes minutes: a user at a terminal sees its progress.
    let quiet = (!std::io::stderr().is_terminal()).then_some("--quiet");
    let output = cargo()
        .args(["build", "--message-format", "json-render-diagnostics"])
        .args(quiet)
        // With the workspace-hack, the dependencies have the same features as everywhere else here.
        .args(["--package", "workspace-hack"])
        .args(packages)
        .current_dir(repository)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("The functions do not compile: see above.");
    }
    let messages = String::from_utf8(output.stdout).context("cargo's messages are text")?;
    Ok(messages.lines().filter_map(|line| program(&serde_json::from_str(line).ok()?)).collect())
}

/// Cargo with the environment of a shell. The variables that `cargo run` and `cargo test` set would rerun the build
/// scripts that watch them.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// The name and path of a program, if the message contains one.
fn program(message: &Value) -> Option<(String, PathBuf)> {
    let executable = message["executable"].as_str()?;
    Some((message["target"]["name"].as_str()?.to_owned(), executable.into()))
}

/// Packages these programs in a folder: `FOLDER/NAME/bootstrap.zip`, the layout of `cargo lambda build`.
///
/// The zips are made once for all folders, beside the programs, and copied.
///
/// # Errors
/// When a program cannot be read or a zip not written.
pub fn package(programs: &BTreeMap<String, PathBuf>, folder: &Path) -> Result<()> {
    static ZIPPING: Mutex<()> = Mutex::new(());
    let _guard = ZIPPING.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let packaging: Vec<_> = programs
            .iter()
            .map(|(name, program)| scope.spawn(move || package_one(name, program, folder)))
            .collect();
        packaging
            .into_iter()
            .try_for_each(|one| one.join().map_err(|_| anyhow!("a function could not be packaged"))?)
    })
}

fn package_one(name: &str, program: &Path, folder: &Path) -> Result<()> {
    let made = program.with_extension("zip");
    if modified(&made)? <= modified(program)? {
        zip("bootstrap", program, &made)?;
    }
    let package = folder.join(name).join("bootstrap.zip");
    fs::create_dir_all(folder.join(name))?;
    fs::copy(&made, &package).with_context(|| format!("cannot write {}", package.display()))?;
    Ok(())
}

/// Zips one file, under this name.
///
/// The same content gives the same bytes, so that Terraform sees no change where there is none.
///
/// # Errors
/// When the file cannot be read or the zip not written.
pub fn zip(name: &str, file: &Path, path: &Path) -> Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .unix_permissions(0o755);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(name, options)?;
    std::io::copy(&mut BufReader::new(fs::File::open(file)?), &mut zip)?;
    let written = fs::write(path, zip.finish()?.into_inner());
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn modified(path: &Path) -> Result<Option<std::time::SystemTime>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.modified()?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
