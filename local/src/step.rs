//! A line that shows the progress of a long step.

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    time::Instant,
};

/// A step's name, its progress and its last duration, and at the end its duration.
pub(crate) struct Step {
    name: &'static str,
    start: Instant,
    /// The file with the seconds that each step took.
    durations: PathBuf,
}

impl Step {
    pub(crate) fn start(name: &'static str, durations: &Path) -> Self {
        let step = Self { name, start: Instant::now(), durations: durations.to_owned() };
        if std::io::stdout().is_terminal() {
            step.progress("");
        } else {
            println!("{}", step.under_way());
        }
        step
    }

    /// Shows the progress in place on a terminal, and not at all in a file.
    pub(crate) fn progress(&self, how_far: &str) {
        if std::io::stdout().is_terminal() {
            print!("\r\x1b[K{} {how_far}", self.under_way());
            drop(std::io::stdout().flush());
        }
    }

    pub(crate) fn done(&self, result: &str) {
        let seconds = self.start.elapsed().as_secs_f32();
        let start = if std::io::stdout().is_terminal() { "\r\x1b[K" } else { "" };
        println!("{start}{}: done in {seconds:.1} s{result}", self.name);
        let mut last = last(&self.durations);
        last.insert(self.name.to_owned(), seconds);
        drop(fs::write(&self.durations, serde_json::to_string(&last).unwrap_or_default()));
    }

    fn under_way(&self) -> String {
        match last(&self.durations).get(self.name) {
            Some(seconds) => format!("{} (last time {seconds:.0} s) …", self.name),
            None => format!("{} …", self.name),
        }
    }
}

/// The last durations. Empty if nothing was measured yet.
fn last(durations: &Path) -> BTreeMap<String, f32> {
    serde_json::from_str(&fs::read_to_string(durations).unwrap_or_default()).unwrap_or_default()
}
