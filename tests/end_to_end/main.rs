//! The whole path, end to end: Terraform applies a stack to the local cloud with IAM enforced, and
//! WebSocket clients use it.

mod authorizer;
mod browser;
mod chat;
mod cloud;
mod deploy;
mod dev;
mod examples;
mod least_privilege;
mod readme;
mod soak;
mod upgrade;

use std::process::ExitCode;

use end_to_end::harness;

fn main() -> ExitCode {
    harness::run(
        || vec![chat::trials(), browser::trials()],
        || {
            let groups = [
                upgrade::trials(), // The longest comes first.
                deploy::trials(),
                examples::trials(),
                least_privilege::trials(),
                authorizer::trials(),
                dev::trials(),
                soak::trials(),
            ];
            groups.into_iter().flatten().collect()
        },
    )
}
