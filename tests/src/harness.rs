//! Tests that run one after the other, in the order in which they are given, in one runtime.
//!
//! Who broadcasts is heard by all: tests that share a stack cannot run side by side.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Handle;

/// A test.
pub fn trial<F>(name: impl Into<String>, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let handle = Handle::current();
    Trial::test(name, move || handle.block_on(test()).map_err(|error| Failed::from(format!("{error:#}"))))
}

/// Runs the tests that the command line selects.
pub fn run(trials: impl FnOnce() -> Vec<Trial>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _guard = runtime.enter();
    libtest_mimic::run(&arguments, trials()).exit_code()
}
