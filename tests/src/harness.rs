//! Tests of the local cloud, in one runtime.

use std::{process::ExitCode, sync::Arc, thread, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{runtime::Handle, sync::Mutex, time::timeout};

/// After so long a test hangs: Terraform tries again and again what fails.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// The most tests side by side: each may take a gigabyte of memory, for Terraform and its provider.
const MOST_SIDE_BY_SIDE: usize = 8;

/// A test with a stack of its own.
pub fn trial<F>(name: impl Into<String>, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    Sequence::default().trial(name, test)
}

/// Tests that share a stack: one at a time, in the order in which they are given, since who broadcasts is heard by all.
#[derive(Debug, Default)]
pub struct Sequence {
    turn: Arc<Mutex<()>>,
}

impl Sequence {
    /// The next test.
    pub fn trial<F>(&self, name: impl Into<String>, test: impl FnOnce() -> F + Send + 'static) -> Trial
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let (handle, turn) = (Handle::current(), Arc::clone(&self.turn));
        Trial::test(name, move || {
            let result = handle.block_on(async {
                let _turn = turn.lock().await;
                timeout(LONGEST, test()).await
            });
            let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("not done after {LONGEST:?}")));
            result.map_err(|error| Failed::from(format!("{error:#}")))
        })
    }
}

/// Runs the tests that the command line selects: the sequences, and beside them those that have a stack of their own,
/// two for each processor, since most of their time they wait.
pub fn run(
    sequences: impl FnOnce() -> Vec<Vec<Trial>>,
    side_by_side: impl FnOnce() -> Vec<Trial>,
) -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _guard = runtime.enter();
    let processors = thread::available_parallelism().map_or(1, Into::into);
    // In a sequence the second thread waits for its turn. With one alone, half lines would be printed.
    let sequences = sequences().into_iter().map(|trials| (trials, 2));
    let groups: Vec<_> =
        sequences.chain([(side_by_side(), (2 * processors).min(MOST_SIDE_BY_SIDE))]).collect();
    let failed = thread::scope(|scope| {
        let running: Vec<_> = groups
            .into_iter()
            .filter(|(trials, _)| !trials.is_empty())
            .map(|(trials, threads)| {
                let arguments = Arguments { test_threads: Some(threads), ..arguments.clone() };
                scope.spawn(move || libtest_mimic::run(&arguments, trials).has_failed())
            })
            .collect();
        // The scope waits for those that this does not.
        running.into_iter().any(|group| group.join().unwrap_or(true))
    });
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
