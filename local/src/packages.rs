//! The functions, built for this machine and zipped as Lambda takes them.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufReader, Cursor},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::process::Command;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Where the functions' programs are: those that are shipped, and those of the examples.
const FUNCTIONS: [&str; 2] = ["handlers", "examples"];

/// Builds every function of the checkout, by name.
///
/// # Errors
/// When the build fails; the compiler has said why on standard error.
pub async fn build(repository: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let output = cargo()
        // All programs of the workspace, not only the functions: a smaller selection would have other
        // features, and compile the dependencies once more.
        .args(["build", "--quiet", "--bins", "--message-format", "json-render-diagnostics"])
        .current_dir(repository)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("The functions do not compile: see above.");
    }
    let folders = FUNCTIONS.map(|folder| repository.join(folder));
    let messages = String::from_utf8(output.stdout).context("cargo's messages are text")?;
    let programs = messages.lines().filter_map(|line| program(&serde_json::from_str(line).ok()?, &folders));
    Ok(programs.collect())
}

/// Cargo, as from a shell: what `cargo run` and `cargo test` tell the programs that they run would make
/// build scripts run again that watch it.
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

/// The name and path of a program, when the message tells of one in these folders.
fn program(message: &Value, folders: &[PathBuf]) -> Option<(String, PathBuf)> {
    let executable = message["executable"].as_str()?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let name = message["target"]["name"].as_str()?;
    folders.iter().any(|folder| manifest.starts_with(folder)).then(|| (name.to_owned(), executable.into()))
}

/// Zips a program to `FOLDER/NAME/bootstrap.zip`, the layout of `cargo lambda build`.
///
/// # Errors
/// When the program cannot be read or the zip not written.
pub fn package(name: &str, program: &Path, folder: &Path) -> Result<()> {
    let path = folder.join(name).join("bootstrap.zip");
    if modified(&path)? > modified(program)? {
        return Ok(());
    }
    fs::create_dir_all(folder.join(name))?;
    zip("bootstrap", program, &path)
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
    fs::write(path, zip.finish()?.into_inner()).with_context(|| format!("cannot write {}", path.display()))
}

fn modified(path: &Path) -> Result<Option<std::time::SystemTime>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.modified()?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
