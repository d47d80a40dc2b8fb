//! Each stack in examples/ does what it says.

use anyhow::{Result, ensure};
use end_to_end::harness::trial;
use libtest_mimic::Trial;
use local_cloud::stack::Changes;

use crate::cloud::Cloud;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("examples::minimal", minimal)]
}

async fn minimal() -> Result<()> {
    let cloud = Cloud::start("example-minimal", "examples/minimal").await?;
    cloud.stack.apply(|_, _| ()).await?;
    ensure!(cloud.stack.plan().await? == Changes::default());
    let mut clients = cloud.clients(2).await?;
    clients[0].say(r#"{"action":"send","message":"hello"}"#).await?;
    for client in &mut clients {
        ensure!(client.hear("message").await?["message"] == "hello");
    }
    cloud.stack.destroy().await?;
    ensure!(cloud.inventory().await?.is_empty());
    cloud.stop().await;
    Ok(())
}
