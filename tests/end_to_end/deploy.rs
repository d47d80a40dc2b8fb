//! The targets that the workflows run, to the emulator: the commands of a real deployment, but for the account.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, ensure};
use end_to_end::harness::trial;
use libtest_mimic::Trial;
use local_cloud::{mirror::Mirror, repository};
use serde_json::json;
use testkit::tokens::unsigned;
use tokio::process::Command;

use crate::cloud::Cloud;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("deploy::each_stage_has_a_state_of_its_own", each_stage_has_a_state_of_its_own),
        trial("deploy::as_the_roles_of_github_actions", as_the_roles_of_github_actions),
        trial("deploy::a_local_state_moves_into_the_bucket", a_local_state_moves_into_the_bucket),
        trial("deploy::what_is_missing_is_said", what_is_missing_is_said),
        trial("deploy::a_release_has_notes_and_sums", a_release_has_notes_and_sums),
    ]
}

/// What the targets read of the checkout, in a folder of its own: whoever runs the tests may have a state in theirs.
pub(crate) struct Checkout {
    pub(crate) cloud: Cloud,
    environment: BTreeMap<String, String>,
}

const BUCKET: &str = "STATE_BUCKET=the-state";

impl Checkout {
    pub(crate) async fn start(name: &str) -> Result<Self> {
        let cloud = Cloud::start(name, "terraform").await?;
        for name in ["Makefile", "scripts", "requirements", "CHANGELOG.md"] {
            symlink(repository().join(name), cloud.folder.join(name))?;
        }
        fs::create_dir_all(cloud.folder.join(".local"))?;
        symlink(repository().join(".local/venv"), cloud.folder.join(".local/venv"))?;
        Mirror::new(&repository(), &cloud.folder).copy(Path::new("bootstrap"))?;
        Ok(Self { cloud, environment: BTreeMap::new() })
    }

    /// Sets a variable of the environment.
    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.environment.insert(name.to_owned(), value.into());
    }

    /// Takes the role on, as a job of the repository that GitHub names so.
    async fn become_role(&mut self, role: &str, job: &str) -> Result<()> {
        let claims = json!({
            "iss": "https://token.actions.githubusercontent.com",
            "aud": "sts.amazonaws.com",
            "sub": format!("repo:owner@12/name@345:{job}"),
        });
        let token = format!("{}.signature", unsigned(&json!({"alg": "RS256", "typ": "JWT"}), &claims));
        let asked = json!({
            "RoleArn": format!("arn:aws:iam::000000000000:role/{role}"),
            "RoleSessionName": "job",
            "WebIdentityToken": token,
        });
        let answer = self.cloud.aws("sts", "assume_role_with_web_identity", &asked).await?;
        for (variable, key) in [
            ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
            ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
            ("AWS_SESSION_TOKEN", "SessionToken"),
        ] {
            self.set(variable, answer["Credentials"][key].as_str().context("credentials")?);
        }
        Ok(())
    }

    /// Puts a program in the place of another: it runs these lines of `sh`.
    fn stand_in(&mut self, program: &str, lines: &str) -> Result<()> {
        let folder = self.cloud.folder.join("stand-ins");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(program), format!("#!/bin/sh\n{lines}\n"))?;
        fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755))?;
        self.set("PATH", format!("{}:{}", folder.display(), std::env::var("PATH")?));
        Ok(())
    }

    /// Calls AWS as the role that was taken on.
    async fn aws(&self, service: &str, operation: &str, parameters: &serde_json::Value) -> Result<()> {
        let mut command = Command::new(repository().join(".local/venv/bin/python"));
        self.cloud.point_at(&mut command);
        command.arg(repository().join("tests/end_to_end/aws.py")).args([service, operation]);
        let output = command.arg(parameters.to_string()).envs(&self.environment).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("make");
        self.cloud.point_at(&mut command);
        // Nothing is built for AWS here: the mirror's packages stand in.
        command.args(["--old-file=build", "--old-file=.local/venv/.build"]).args(arguments);
        command.current_dir(&self.cloud.folder).envs(&self.environment);
        command.env("TF_CLI_ARGS", "-no-color").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
        Ok(command.output().await?)
    }

    /// Runs targets, and gives what they print.
    pub(crate) async fn make(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "make {arguments:?}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// Runs targets that fail, and say so in this sentence.
    async fn fails(&self, arguments: &[&str], sentence: &str) -> Result<()> {
        let output = self.run(arguments).await?;
        // Terraform breaks lines.
        let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(!output.status.success() && said.contains(sentence), "make {arguments:?}: {said}");
        Ok(())
    }

    /// The function packages as `cargo lambda` would build them for a release.
    pub(crate) async fn release(&mut self) -> Result<PathBuf> {
        self.stand_in(
            "cargo",
            r#"while [ $# -gt 0 ]; do
                case $1 in
                --lambda-dir) folder=$2 ;;
                --bin) mkdir -p "$folder/$2" && cp "target/lambda/$2/bootstrap.zip" "$folder/$2/" ;;
                esac
                shift
            done"#,
        )?;
        self.make(&["release-packages"]).await?;
        Ok(self.cloud.folder.join("dist"))
    }
}

async fn each_stage_has_a_state_of_its_own() -> Result<()> {
    let checkout = Checkout::start("deploy").await?;
    let mut made = Vec::new();
    for stage in ["dev", "prod"] {
        let said = checkout.make(&["deploy", &format!("STAGE={stage}"), "AUTO_APPROVE=1"]).await?;
        let (before, _) = said.split_once(" added, 0 changed, 0 destroyed").context("nothing is added")?;
        made.push((stage, before.rsplit(' ').next().unwrap_or_default().to_owned()));
        let url = said.lines().find_map(|line| line.strip_prefix("websocket_url = \""));
        let url = url.and_then(|url| url.strip_suffix('"')).context("no URL")?;
        ensure!(url.ends_with(&format!("/{stage}")), "the outputs name the stage: {said}");
        let said =
            checkout.make(&["load", &format!("URL={url}"), "CLIENTS=3", "RATE=5", "DURATION=2"]).await?;
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in ["messages sent 10", "acknowledged 10", "deliveries 30", "lost 0", "doubled 0"] {
            ensure!(words.contains(line), "no {line:?}: {said}");
        }
        let said = checkout.make(&["logs", &format!("STAGE={stage}"), "ONCE=1"]).await?;
        ensure!(said.lines().any(|line| line.contains(" send: ") && line.contains("delivered=3")), "{said}");
    }
    fs::remove_dir_all(checkout.cloud.folder.join("target"))?; // To destroy, no packages are needed.
    for (stage, number) in made {
        // Each its own, whichever was deployed last; the value alone, and among all.
        let stage = format!("STAGE={stage}");
        let url = checkout.make(&["output", &stage, "OUTPUT=websocket_url"]).await?;
        ensure!(url.ends_with(&stage.replace("STAGE=", "/")) && url.starts_with("ws"), "{url}");
        let said = checkout.make(&["output", &stage]).await?;
        ensure!(said.contains(&format!("\"{url}\"")) && said.contains("queue_url"), "{said}");
        let said = checkout.make(&["destroy", &stage, "AUTO_APPROVE=1"]).await?;
        ensure!(said.contains(&format!(" {number} destroyed")), "each stage has its own state: {said}");
    }
    checkout.fails(&["deploy", "STAGE=nowhere"], "there is no terraform/nowhere.tfvars").await?;
    checkout.cloud.stop().await;
    Ok(())
}

async fn as_the_roles_of_github_actions() -> Result<()> {
    let mut checkout = Checkout::start("deploy-roles").await?;
    let bootstrap = ["bootstrap", BUCKET, "REPOSITORY=owner/name", "AUTO_APPROVE=1"];
    checkout.stand_in("gh", "echo owner@12/name@345")?;
    let said = checkout.make(&bootstrap).await?;
    for command in [
        "gh variable set STATE_BUCKET --repo owner/name --body the-state",
        "gh variable set AWS_ROLE --repo owner/name --body arn:aws:iam::000000000000:role/github-chat-plan",
        "gh api --silent --method POST repos/owner/name/environments/prod/deployment-branch-policies -f name=main",
        "gh variable set AWS_ROLE --repo owner/name --env prod --body arn:aws:iam::000000000000:role/github-chat-prod",
    ] {
        ensure!(said.contains(command), "no {command:?}: {said}");
    }
    fs::remove_dir_all(checkout.cloud.folder.join(".local/terraform"))?;
    let said = checkout.make(&bootstrap).await?;
    ensure!(said.contains("No changes."), "its state is in the bucket, for whoever comes next: {said}");

    // Each role is for its own jobs.
    for (role, job) in [
        ("github-chat-dev", "pull_request"),
        ("github-chat-dev", "environment:prod"),
        ("github-chat-plan", "ref:refs/heads/other"),
    ] {
        ensure!(checkout.become_role(role, job).await.is_err(), "{job} takes {role} on");
    }

    // A pull request: planned, shown, and not applied.
    checkout.become_role("github-chat-plan", "pull_request").await?;
    checkout.make(&["plan", BUCKET]).await?;
    let (summary, outputs) =
        (checkout.cloud.folder.join("summary.md"), checkout.cloud.folder.join("outputs"));
    checkout.set("GITHUB_STEP_SUMMARY", summary.display().to_string());
    checkout.set("GITHUB_OUTPUT", outputs.display().to_string());
    let shown = checkout.make(&["summary", BUCKET]).await?;
    ensure!(shown.starts_with("### dev: Plan: ") && shown.contains("aws_lambda_function.this"), "{shown}");
    ensure!(fs::read_to_string(summary)? == shown);
    let digest = fs::read_to_string(outputs)?.trim().replace("digest=", "DIGEST=");
    ensure!(digest.len() == "DIGEST=".len() + 64, "{digest}");
    for (answer, call) in [
        ("", "--method POST repos/{owner}/{repo}/issues/7/comments"),
        ("99", "--method PATCH repos/{owner}/{repo}/issues/comments/99"),
    ] {
        checkout.stand_in(
            "gh",
            &format!(r#"case $* in *--paginate*) echo "{answer}" ;; *) printf '%s\n' "$*" >called ;; esac"#),
        )?;
        checkout.make(&["comment", "PULL_REQUEST=7", BUCKET]).await?;
        let called = fs::read_to_string(checkout.cloud.folder.join("called"))?;
        ensure!(
            called.contains(call) && called.contains("body=<!-- ### dev -->\n### dev: Plan: "),
            "{called}"
        );
    }
    checkout.fails(&["apply", BUCKET], "is not authorized to perform: s3:PutObject").await?;
    checkout.fails(&["apply", BUCKET, "DIGEST=0"], "the plan is not the one that was shown").await?;

    // What was merged: planned anew, and applied since it is what was shown.
    checkout.become_role("github-chat-dev", "environment:dev").await?;
    checkout.fails(&["plan", BUCKET, "STAGE=prod"], "Unable to access object \"prod.tfstate\"").await?;
    checkout.make(&["plan", BUCKET]).await?;
    checkout.make(&["apply", BUCKET, &digest]).await?;
    let said = checkout.make(&["smoke", BUCKET]).await?;
    ensure!(said.contains("100 messages back: p50 "), "{said}");
    // From a checkout that did not deploy it, too.
    fs::remove_dir_all(checkout.cloud.folder.join(".local/terraform"))?;
    let said = checkout.make(&["output", BUCKET, "OUTPUT=queue_url"]).await?;
    ensure!(said.starts_with("http") && said.lines().count() == 1, "the URL alone: {said}");

    // Changed, found as it is, and destroyed, by the same role.
    fs::write(
        checkout.cloud.folder.join("terraform/dev.tfvars"),
        "stage = \"dev\"\nlog_retention_days = 14\nthrottling = { rate_limit = 50 }\nalarms = {}\ndashboard = true\nsubprotocols = [\"a\"]\ntags = { a = \"b\" }\n",
    )?;
    checkout.make(&["deploy", BUCKET, "AUTO_APPROVE=1"]).await?;
    let said = checkout.make(&["plan", BUCKET]).await?;
    ensure!(said.contains("No changes."), "{said}");
    fs::copy(repository().join("terraform/dev.tfvars"), checkout.cloud.folder.join("terraform/dev.tfvars"))?;
    checkout.make(&["deploy", BUCKET, "AUTO_APPROVE=1"]).await?;

    // Another stage's API is another stack's by its tag, which cannot be taken away.
    let api = checkout.make(&["output", BUCKET, "OUTPUT=api_id"]).await?;
    let tags = format!("arn:aws:apigateway:us-east-1::/apis/{}", api.trim());
    for (role, job, allowed) in [
        ("github-chat-prod", "environment:prod", false),
        ("github-chat-plan", "pull_request", false),
        ("github-chat-dev", "environment:dev", true),
    ] {
        checkout.become_role(role, job).await?;
        let renamed = checkout
            .aws("apigatewayv2", "update_api", &json!({"ApiId": api.trim(), "Description": "mine"}))
            .await;
        ensure!(
            if allowed { renamed.is_ok() } else { refused(renamed) },
            "who changes the API of dev is {role}"
        );
        let untagged = json!({"ResourceArn": tags, "TagKeys": ["stack"]});
        ensure!(refused(checkout.aws("apigatewayv2", "untag_resource", &untagged).await), "{role} untags it");
    }
    checkout.make(&["deploy", BUCKET, "AUTO_APPROVE=1"]).await?;
    checkout.make(&["destroy", BUCKET, "AUTO_APPROVE=1"]).await?;
    let left = checkout.cloud.inventory().await?;
    ensure!(left.iter().all(|name| name.starts_with("iam github-chat-")), "{left:?}");
    checkout.cloud.stop().await;
    Ok(())
}

/// Whether it was for want of a right that a call failed.
fn refused(answer: Result<()>) -> bool {
    answer.is_err_and(|error| error.to_string().contains("is not authorized to perform"))
}

async fn a_local_state_moves_into_the_bucket() -> Result<()> {
    let mut checkout = Checkout::start("deploy-move").await?;
    checkout.cloud.aws("s3", "create_bucket", &json!({"Bucket": "the-state"})).await?;
    checkout.make(&["deploy", "AUTO_APPROVE=1"]).await?;
    checkout.fails(&["plan", BUCKET], "error: terraform/dev.tfstate holds a state.").await?;
    checkout.set("MOVE_STATE", "1");
    checkout.make(&["plan", BUCKET]).await?;
    let said = checkout.make(&["summary", BUCKET]).await?;
    ensure!(said.starts_with("### dev: No changes."), "{said}");
    checkout.set("MOVE_STATE", "");
    let said = checkout.make(&["plan", BUCKET]).await?;
    ensure!(said.contains("No changes."), "it has moved, and is not asked for again: {said}");
    checkout.cloud.stop().await;
    Ok(())
}

async fn what_is_missing_is_said() -> Result<()> {
    let checkout = Checkout::start("deploy-missing").await?;
    for (arguments, sentence) in [
        (&["bootstrap"][..], "error: STATE_BUCKET is missing"),
        (&["bootstrap", BUCKET], "error: REPOSITORY is missing"),
        (&["apply"], "error: there is no plan of dev"),
        (&["plan", BUCKET], "bucket"),
        (&["output", "OUTPUT=queue_url"], "error: nothing is deployed as stage dev"),
        (&["smoke"], "error: nothing is deployed as stage dev"),
        (&["smoke", "URL=https://127.0.0.1:9"], "error: https://127.0.0.1:9 is no URL of a WebSocket"),
        (&["smoke", "URL=ws://127.0.0.1:9"], "error: cannot connect to ws://127.0.0.1:9"),
        (&["smoke", "URL=ws://127.0.0.1:9", "PATIENCE=4"], "error: cannot connect to ws://127.0.0.1:9"),
        (&["load"], "error: nothing is running here. Start it elsewhere: make dev"),
        (&["load", "URL=wss://example.com/dev"], "error: wss://example.com/dev is not on this machine"),
        (
            &["load", "URL=ws://127.0.0.1:9", "CLIENTS=none"],
            "error: CLIENTS is a number greater than 0, not 'none'",
        ),
        (&["load", "URL=ws://127.0.0.1:9"], "error: cannot connect to ws://127.0.0.1:9"),
        (&["logs"], "error: there is no log group /aws/lambda/chat-dev-*"),
        (&["release-notes", "VERSION=next"], "error: \"next\" is not a version"),
        (&["release-notes", "VERSION=999.0.0"], "error: CHANGELOG.md has no heading \"## 999.0.0\""),
    ] {
        checkout.fails(arguments, sentence).await?;
    }
    checkout.cloud.stop().await;
    Ok(())
}

async fn a_release_has_notes_and_sums() -> Result<()> {
    let mut checkout = Checkout::start("release").await?;
    let changelog = checkout.cloud.folder.join("CHANGELOG.md");
    fs::remove_file(&changelog)?;
    fs::write(
        changelog,
        "# Changelog\n\n## Unreleased\n\n- Later.\n\n## 1.2.3\n\n- New.\n\n## 1.2.2\n\n- Old.\n",
    )?;
    ensure!(checkout.make(&["release-notes", "VERSION=v1.2.3"]).await? == "- New.\n");

    let dist = checkout.release().await?;
    let sums = fs::read_to_string(dist.join("SHA256SUMS"))?;
    ensure!(
        sums.lines().count() == 14
            && sums.contains("  send-arm64.zip\n")
            && sums.contains("  send-x86_64.zip\n"),
        "{sums}"
    );
    checkout.stand_in("gh", r#"printf '%s\n' "$*" >called"#)?;
    checkout.make(&["release", "VERSION=v1.2.3"]).await?;
    let called = fs::read_to_string(checkout.cloud.folder.join("called"))?;
    ensure!(
        called.starts_with(
            "release create v1.2.3 --verify-tag --title v1.2.3 --notes - New. dist/authorize-arm64.zip "
        ) && called.trim_end().ends_with(" dist/SHA256SUMS"),
        "{called}"
    );
    fs::write(dist.join("send-arm64.zip"), "another")?;
    checkout.fails(&["release", "VERSION=v1.2.3"], "did NOT match").await?;
    checkout.cloud.stop().await;
    Ok(())
}
