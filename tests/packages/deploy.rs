//! `make deploy` and `make destroy`, to the emulator: the commands of a real deployment, but for the account.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Result, ensure};
use local_cloud::{
    emulator::{Emulator, Options},
    mirror::Mirror,
    repository,
    stack::point_at_emulator,
};
use tokio::process::Command;

pub(crate) async fn deploys_and_destroys() -> Result<()> {
    let folder = checkout()?;
    let options = Options {
        repository: repository(),
        folder: folder.join(".local"),
        port: None,
        enforce_iam: true,
        keep_state: false,
    };
    let emulator = Emulator::start(&options, |_| ()).await?;
    for stage in ["dev", "prod"] {
        let said = make(&folder, &emulator, &["deploy", &format!("STAGE={stage}")]).await?;
        ensure!(said.contains("52 added, 0 changed, 0 destroyed"), "{said}");
        ensure!(said.contains(&format!("/{stage}\"")), "the outputs name the stage: {said}");
    }
    fs::remove_file(folder.join("target"))?;
    for stage in ["dev", "prod"] {
        let said = make(&folder, &emulator, &["destroy", &format!("STAGE={stage}")]).await?;
        ensure!(said.contains("52 destroyed"), "each stage has its own state: {said}");
    }
    let output = run(&folder, &emulator, &["deploy", "STAGE=nowhere"]).await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains("there is no terraform/nowhere.tfvars"), "{said}");
    emulator.stop().await;
    Ok(())
}

/// What `make deploy` reads of the checkout, in a folder of its own: whoever runs the tests may have a state
/// in theirs.
fn checkout() -> Result<PathBuf> {
    let folder = repository().join(".local/tests/deploy");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for name in ["Makefile", "modules", "scripts", "target"] {
        symlink(repository().join(name), folder.join(name))?;
    }
    Mirror::new(&repository(), &folder).copy(Path::new("terraform"))?;
    Ok(folder)
}

async fn make(folder: &Path, emulator: &Emulator, arguments: &[&str]) -> Result<String> {
    let output = run(folder, emulator, arguments).await?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

async fn run(folder: &Path, emulator: &Emulator, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new("make");
    point_at_emulator(&mut command, &emulator.endpoint);
    // The packages are there already: that is what this program tests.
    command.args(["--old-file=build", "AUTO_APPROVE=1"]).args(arguments).current_dir(folder);
    command.env("TF_CLI_ARGS", "-no-color").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    Ok(command.output().await?)
}
