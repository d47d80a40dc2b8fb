//! Tests of the local cloud, in one runtime.

use std::{process::ExitCode, thread, time::Duration};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{runtime::Handle, time::timeout};

/// After so long a test hangs: Terraform tries again and again what fails.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// A test.
pub fn trial<F>(name: impl Into<String>, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let handle = Handle::current();
    Trial::test(name, move || {
        let result = handle.block_on(async { timeout(LONGEST, test()).await });
        let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("not done after {LONGEST:?}")));
        result.map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Runs the tests that the command line selects: those that share a stack one after the other, in the order in which
/// they are given, since who broadcasts is heard by all; then those that have one of their own side by side, since most
/// of their time they wait.
pub fn run(in_order: impl FnOnce() -> Vec<Trial>, side_by_side: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _guard = runtime.enter();
    let side_by_side_threads = thread::available_parallelism().map_or(1, Into::into) + 1;
    let mut failed = false;
    for (trials, threads) in [(in_order(), 1), (side_by_side(), side_by_side_threads)] {
        if !trials.is_empty() {
            arguments.test_threads = Some(threads);
            failed |= libtest_mimic::run(&arguments, trials).has_failed();
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
