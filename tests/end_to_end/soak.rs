//! Clients come and go, speak, vanish or never read, while the functions' processes are killed.
//!
//! The truth is computed from what the backend said. A message counts as sent once its sender heard an ack. Each client
//! that was subscribed before such a message was sent, and stayed to the end, must hear it; and the history must have it.
//! A client that connects after an ack that leaves nothing queued must not hear it.
//!
//! `make soak` runs it alone, longer and with more clients than the other tests do.

mod clients;
mod journal;

use std::{env, str::FromStr, time::Duration};

use anyhow::{Context, Result, ensure};
use end_to_end::harness::trial;
use futures::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use libtest_mimic::Trial;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use self::clients::Soak;
use crate::cloud::{AT_ONCE, Cloud};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("soak::what_is_acked_is_heard_by_all_who_stay", what_is_acked_is_heard_by_all_who_stay)]
}

/// The longest wait for the queues to become empty: a record that was taken when its function died comes back after a
/// minute, and who is missed is posted to again for another.
const LONGEST_SETTLING: Duration = Duration::from_secs(300);

/// How large a run is.
struct Size {
    /// Clients that stay to the end. Each sends, one message after the other.
    steady: usize,
    /// Clients that stay for some seconds, then close or vanish, and come again.
    churning: usize,
    /// Clients that never read.
    silent: usize,
    /// For how long clients send.
    lasts: Duration,
    /// Messages a second, of all clients together.
    rate: f64,
    /// How often all processes of functions are killed.
    kills: u32,
}

impl Size {
    fn from_env() -> Result<Self> {
        let clients: usize = number("CLIENTS", 24)?;
        Ok(Self {
            steady: clients / 2,
            churning: clients - clients / 2,
            silent: 1,
            lasts: Duration::from_secs(number("DURATION", 40)?),
            rate: number("RATE", 4.0)?,
            kills: number("KILLS", 2)?,
        })
    }
}

fn number<T: FromStr>(name: &str, default: T) -> Result<T> {
    match env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} is no number: {text:?}")),
        Err(_) => Ok(default),
    }
}

async fn what_is_acked_is_heard_by_all_who_stay() -> Result<()> {
    let size = Size::from_env()?;
    let cloud = Cloud::start("soak", "tests/stacks/soak").await?;
    cloud.stack.apply(|_, _| ()).await?;
    let soak = Soak::new(cloud.output("websocket_url").await?);
    // The functions are warm, and those who stay are there, before anything is counted.
    let sockets: Vec<_> = stream::iter(0..size.steady)
        .map(|number| soak.join(format!("steady {number}")))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let sockets = sockets.into_iter().collect::<Result<Vec<_>>>()?;
    for number in 0..size.silent {
        let (_, socket) = soak.join(format!("silent {number}")).await?;
        // It is held open, and nobody reads from it.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(socket);
        });
    }

    let end = Instant::now() + size.lasts;
    let (stop, stopped) = watch::channel(false);
    let pause = Duration::from_secs_f64(size.steady as f64 / size.rate);
    let steady: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(number, (client, socket))| {
            let soak = soak.clone();
            let first = Instant::now() + pause.mul_f64(number as f64 / size.steady as f64);
            tokio::spawn(soak.stay(client, socket, first, pause, end, stopped.clone()))
        })
        .collect();
    let churn = (0..size.churning).map(|number| soak.churn(number, end));
    let kill = async {
        for number in 1..=size.kills {
            sleep_until(end - size.lasts.mul_f64(1.0 - f64::from(number) / f64::from(size.kills + 1))).await;
            cloud.kill_functions().await?;
            soak.journal().kills.push(Instant::now());
        }
        anyhow::Ok(())
    };
    let (killed, _) = join(kill, join_all(churn)).await;
    killed?;
    sleep_until(end + Duration::from_secs(5)).await;
    let settled = settle(&cloud).await;
    sleep(Duration::from_secs(2)).await; // What was posted last is on its way through the socket.
    stop.send_replace(true);
    for task in steady {
        task.await??;
    }
    let replayed = soak.replay().await?;
    let verdict = soak.journal().verdict(&replayed);
    if settled.is_err() || verdict.is_err() {
        let log = cloud.folder.join("functions.log");
        std::fs::write(&log, cloud.all_logs())?;
        eprintln!("what the functions logged is in {}", log.display());
    }
    cloud.stop().await;
    settled?;
    verdict
}

/// Waits until the queues are empty: nothing is under way any more.
async fn settle(cloud: &Cloud) -> Result<()> {
    let start = Instant::now();
    let names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ];
    loop {
        let mut waiting = 0;
        for url in cloud.list("queue_urls").await? {
            let answer = cloud
                .aws("sqs", "get_queue_attributes", &json!({"QueueUrl": url, "AttributeNames": names}))
                .await?;
            let count =
                |name: &str| answer["Attributes"][name].as_str().and_then(|count| count.parse::<u64>().ok());
            waiting += names.iter().filter_map(|name| count(name)).sum::<u64>();
        }
        if waiting == 0 {
            return Ok(());
        }
        ensure!(
            start.elapsed() < LONGEST_SETTLING,
            "after {LONGEST_SETTLING:?}, {waiting} records wait in the queues"
        );
        sleep(Duration::from_secs(1)).await;
    }
}
