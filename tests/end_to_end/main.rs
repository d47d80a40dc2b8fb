//! The whole path, end to end: Terraform applies a stack to the local cloud with IAM enforced, and
//! WebSocket clients use it.

mod chat;
mod cloud;
mod dev;
mod examples;
mod least_privilege;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test that runs in the runtime of them all. They run one after the other: who broadcasts is heard by all.
fn trial<F>(name: &'static str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    Trial::test(name, move || {
        let handle = tokio::runtime::Handle::current();
        handle.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn main() -> ExitCode {
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
    let groups = [chat::trials(), least_privilege::trials(), examples::trials(), dev::trials()];
    libtest_mimic::run(&arguments, groups.into_iter().flatten().collect()).exit_code()
}
