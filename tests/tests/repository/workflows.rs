//! The workflows keep the rules that keep them safe, and run what anybody can run: the Makefile's targets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use local_cloud::repository;

#[test]
fn actions_are_pinned_by_their_hash() {
    let mut pinned = 0;
    for (place, action) in values("uses") {
        if action.starts_with("./") {
            continue;
        }
        let (action, version) = action.split_once(" # ").unwrap_or((&action, ""));
        let hash = action.split_once('@').map(|(_, hash)| hash).unwrap_or_default();
        assert!(
            hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{place}: {action} is not pinned by a hash"
        );
        assert!(version.starts_with('v'), "{place}: beside the hash of {action} stands no version");
        pinned += 1;
    }
    assert!(pinned > 10, "{pinned}");
}

#[test]
fn an_action_has_one_version_in_all_workflows() {
    let mut actions: Vec<_> = values("uses").into_iter().map(|(_, action)| action).collect();
    actions.sort();
    actions.dedup();
    for pair in actions.windows(2) {
        let name = |action: &str| action.split('@').next().map(str::to_owned);
        assert!(name(&pair[0]) != name(&pair[1]), "{pair:?}");
    }
}

#[test]
fn every_step_is_a_target_of_the_makefile() {
    let makefile = fs::read_to_string(repository().join("Makefile")).unwrap();
    let mut steps = 0;
    for (place, command) in values("run") {
        let command = command.split(" # ").next().unwrap().trim();
        let target = command.strip_prefix("make ").unwrap_or_default();
        assert!(
            command == ".ci/run" || makefile.contains(&format!("\n{target}: ")),
            "{place}: {command:?} is neither .ci/run nor a target"
        );
        steps += 1;
    }
    assert!(steps > 8, "{steps}");
}

#[test]
fn each_job_asks_for_what_it_needs() {
    for (name, text) in workflows() {
        assert!(
            text.contains("\npermissions: {}\n"),
            "{name}: nothing is permitted unless a job asks for it"
        );
        let (_, jobs) = text.split_once("\njobs:\n").unwrap();
        let starts = jobs
            .match_indices("\n  ")
            .filter(|(at, _)| jobs[at + 3..].starts_with(|sign: char| sign.is_ascii_lowercase()));
        let count = starts.count() + 1; // The first follows "jobs:" at once.
        assert_eq!(
            jobs.matches("\n    permissions:\n").count(),
            count,
            "{name}: a job has no permissions of its own"
        );
    }
}

/// The names and texts of the workflows.
fn workflows() -> Vec<(String, String)> {
    let files = fs::read_dir(repository().join(".github/workflows")).unwrap();
    let paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    assert!(paths.len() >= 3);
    paths.iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

/// What stands behind this key, each with its place.
fn values(key: &str) -> Vec<(String, String)> {
    let key = format!("{key}: ");
    let mut values = Vec::new();
    for (name, text) in workflows() {
        for (number, line) in text.lines().enumerate() {
            if let Some(value) = line.trim_start().trim_start_matches("- ").strip_prefix(&key) {
                values.push((format!("{name}:{}", number + 1), value.to_owned()));
            }
        }
    }
    values
}
