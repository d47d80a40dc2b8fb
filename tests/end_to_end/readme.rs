//! The commands of an example's README, as its reader runs them: block after block, in one shell, in the mirror.
//!
//! What the reader has and the tests have not, stands in: `make build` is done already, `terraform apply` needs no
//! answer, and for `npx wscat` there is the tests' own client, which says the lines that follow it, each after the
//! answer to the one before. A block behind `<!-- needs: … -->` is left out.

use std::{collections::VecDeque, fs, path::Path, process::Stdio};

use anyhow::{Context, Result, ensure};
use end_to_end::Client;
use local_cloud::repository;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::cloud::Cloud;

pub(crate) struct Reader {
    shell: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    blocks: VecDeque<String>,
}

/// The shell says so after each script.
const DONE: &str = "-- done --";

const STAND_INS: &str = r#"exec 2>&1
set -euo pipefail
make() { [ "$1" = build ]; }
# The one that pip installs does not know what is left out here, and for SQS not the variable.
aws() {
  local arguments=()
  while [ $# -gt 0 ]; do
    case $1 in --cli-binary-format) shift 2 ;; *) arguments+=("$1") && shift ;; esac
  done
  command aws --endpoint-url "$AWS_ENDPOINT_URL" "${arguments[@]}"
}
"#;

impl Reader {
    /// Who opens the README of the example, with these lines in the shell's profile.
    pub(crate) async fn of(example: &str, cloud: &Cloud, profile: &str) -> Result<Self> {
        let (from, to) =
            (repository().join("examples").join(example), cloud.folder.join("examples").join(example));
        for file in fs::read_dir(&from)? {
            let file = file?;
            // All that is not there yet: Terraform's code is.
            if file.file_type()?.is_file() && !to.join(file.file_name()).exists() {
                fs::copy(file.path(), to.join(file.file_name()))?;
            }
        }
        let tools = repository().join(".local/awscli/bin");
        let mut command = Command::new("bash");
        cloud.point_at(&mut command);
        command
            .arg("-s")
            .current_dir(&cloud.folder)
            .env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH")?))
            .env("TF_CLI_ARGS", "-no-color")
            .env("TF_CLI_ARGS_apply", "-auto-approve")
            .env("TF_IN_AUTOMATION", "true");
        if let Ok(folder) = std::env::var("TF_PLUGIN_DIR") {
            command.env("TF_CLI_ARGS_init", format!("-plugin-dir={folder}"));
        }
        let mut shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let input = shell.stdin.take().context("the shell has no input")?;
        let output = BufReader::new(shell.stdout.take().context("the shell has no output")?).lines();
        let mut reader = Self { shell, input, output, blocks: blocks(&from.join("README.md"))? };
        reader.run(&format!("{STAND_INS}{profile}")).await?;
        Ok(reader)
    }

    /// Runs the next block.
    pub(crate) async fn next_block(&mut self) -> Result<()> {
        let block = self.blocks.pop_front().context("the README has no more commands")?;
        self.follow(&block).await.with_context(|| format!("in the README:\n{block}"))
    }

    /// Runs the other blocks.
    pub(crate) async fn the_rest(mut self) -> Result<()> {
        while !self.blocks.is_empty() {
            self.next_block().await?;
        }
        drop(self.input);
        self.shell.wait().await?;
        Ok(())
    }

    async fn follow(&mut self, block: &str) -> Result<()> {
        let (mut script, mut client) = (String::new(), None);
        for line in block.lines() {
            if let Some(arguments) = line.strip_prefix("npx wscat ") {
                self.run(&std::mem::take(&mut script)).await?;
                client = Some(self.connect(arguments).await?);
            } else if let Some(said) = line.strip_prefix("> ") {
                let client = client.as_mut().context("said to nobody")?;
                client.say(said).await?;
                client.hear_any().await.with_context(|| format!("no answer to {said}"))?;
            } else {
                script += line;
                script += "\n";
            }
        }
        self.run(&script).await.map(drop)
    }

    /// Where `wscat` connects with these arguments.
    async fn connect(&mut self, arguments: &str) -> Result<Client> {
        let arguments = self.run(&format!(r"printf '%s\n' {arguments}")).await?;
        let (mut url, mut headers) = (None, vec![]);
        let mut arguments = arguments.lines();
        while let Some(option) = arguments.next() {
            let value = arguments.next().context("a value")?;
            match option {
                "-c" => url = Some(value),
                "-H" => headers.push(value.split_once(": ").context("a header")?),
                other => anyhow::bail!("nobody here knows wscat's {other}"),
            }
        }
        Client::connect_with(url.context("a URL")?, &headers).await
    }

    /// Runs a script, and gives what it prints.
    async fn run(&mut self, script: &str) -> Result<String> {
        self.input.write_all(format!("{script}\nprintf '%s\\n' '{DONE}'\n").as_bytes()).await?;
        self.input.flush().await?;
        let mut printed = String::new();
        loop {
            let line = self.output.next_line().await?;
            ensure!(line.is_some(), "{script}failed:\n{printed}");
            match line.as_deref() {
                Some(DONE) | None => return Ok(printed),
                Some(line) => printed += &format!("{line}\n"),
            }
        }
    }
}

/// The blocks of commands that need nothing but what the tests have.
fn blocks(readme: &Path) -> Result<VecDeque<String>> {
    let text = fs::read_to_string(readme)?;
    let parts: Vec<_> = text.split("```").collect();
    let blocks = parts.chunks_exact(2).filter(|part| {
        !part[0].trim_end().lines().last().is_some_and(|line| line.starts_with("<!-- needs: "))
    });
    Ok(blocks.filter_map(|part| part[1].strip_prefix("sh\n")).map(str::to_owned).collect())
}
