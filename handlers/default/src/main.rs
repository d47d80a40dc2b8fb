//! The program of `$default`.

use default::{ACTION_FIELD, ACTIONS, Expected, FIELD, refuse};
use lambda_websocket::{config, runtime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    runtime::init_logs();
    let expected = Expected {
        field: config::optional(ACTION_FIELD).unwrap_or_else(|| FIELD.to_owned()),
        actions: config::list(ACTIONS),
    };
    runtime::run(async |event| Ok(refuse(&expected, &event))).await
}
