//! Large broadcasts on a simulated AWS: the functions' own code, on a clock that nobody waits for.
//!
//! An account's requests (10,000 a second, bursts of 5,000) are shared by the publisher's functions, by the connects of new
//! clients, and by posts of others. A post takes 5 to 50 ms. Of the members, one in a hundred does not keep up, and two are
//! gone. What is not simulated: the CPU of the functions, their cold starts, and the time that SQS takes to invoke them.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    num::NonZeroU32,
    pin::Pin,
    time::Duration,
};

use anyhow::{Result, ensure};
use fastrand::Rng;
use futures::{
    FutureExt, StreamExt,
    future::{join_all, select},
    stream,
};
use lambda_websocket::{
    Broadcaster,
    delivery::{continuations::Continuations, ranges::Ranges},
    lambda::queue_batch::Record,
};
use publish::{HAND_OVER_AFTER, Publisher, publish};
use serde_json::json;
use testkit::{
    fixtures,
    simulation::{Call, Fate, Simulation},
};
use tokio::time::{Instant, interval, sleep};

/// The requests that an account may make in a second, in a Region, and at once after a rest.
pub const ACCOUNT: (f64, f64) = (10_000.0, 5_000.0);

/// The connects of new clients in a second: as many as API Gateway lets in by default.
pub const CONNECTS: u32 = 500;

/// The posts of others in a second.
pub const OTHERS: u32 = 1_000;

/// The messages to one user in a second, from a backend.
pub const URGENT: u32 = 10;

/// The shards of everyone's channel.
const SHARDS: u8 = 4;

/// The time that the function `publish` has.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a channel is watched at most.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A broadcast to a channel.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The members of the channel.
    pub members: usize,
    /// The posts a second of all functions together.
    pub rate_limit: u32,
    /// How many functions post at once.
    pub concurrency: u32,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// After how many seconds each member who can be reached had the message, in order.
    pub reached: Vec<f64>,
    /// How many of them had it more than once.
    pub doubled: usize,
    /// The part of the connects that the account's rate refused, from the first post to the last.
    pub connects_refused: f64,
    /// How many seconds each message to one user took meanwhile, in order.
    pub urgent: Vec<f64>,
}

impl Outcome {
    /// The seconds until a part of those who can be reached had the message.
    pub fn until(&self, part: f64) -> f64 {
        let index = ((self.reached.len() as f64 * part).ceil() as usize).max(1);
        self.reached.get(index - 1).copied().unwrap_or(f64::INFINITY)
    }

    /// The posts a second of the broadcast, as a part of what it may do: over all of it.
    pub fn of_the_budget(&self, case: &Case) -> f64 {
        case.members as f64 / self.until(1.0) / f64::from(case.rate_limit)
    }

    /// The 99th percentile of the seconds that a message to one user took.
    pub fn urgent_p99(&self) -> f64 {
        let index = (self.urgent.len() * 99).div_ceil(100).max(1);
        self.urgent.get(index - 1).copied().unwrap_or(f64::INFINITY)
    }
}

/// Posts a message to everyone in a channel, and watches.
///
/// # Errors
/// When a member who can be reached is not.
pub fn run(case: &Case) -> Result<Outcome> {
    fastrand::seed(1); // The waits between attempts are drawn from it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(broadcast(case))
}

async fn broadcast(case: &Case) -> Result<Outcome> {
    let simulation = Simulation::start();
    let reachable = fill(&simulation, case.members);
    simulation.set_rate(ACCOUNT.0, ACCOUNT.1);
    let mut rng = Rng::with_seed(1);
    simulation.decide(move |call| match call {
        Call::Post(_) => Fate::Served(Duration::from_micros(rng.u64(5_000..50_000))),
        Call::Table("Query", _) => Fate::Served(Duration::from_millis(rng.u64(5..40))),
        _ => Fate::Served(Duration::from_millis(10)),
    });

    let start = Instant::now();
    let everyone = json!({"channel": "*", "message": "hello", "id": "everyone"}).to_string();
    let waiting = RefCell::new(vec![(start, fixtures::publication(everyone))]);
    let workers = join_all((0..case.concurrency).map(|_| work(&simulation, case, &waiting)));

    let connects = Cell::new((0_u32, 0_u32));
    let connect = every(CONNECTS, async || {
        let (refused, all) = connects.get();
        connects.set((refused + u32::from(!simulation.lets_pass()), all + 1));
    });
    let post = every(OTHERS, async || {
        simulation.lets_pass();
    });
    let (urgent, publisher) = (RefCell::new(vec![]), publisher(&simulation, case));
    let speak = every(URGENT, async || {
        let body = json!({"user": "ada", "message": "urgent"}).to_string();
        let (start, deadline) = (Instant::now(), Instant::now() + TIMEOUT);
        let published = publish(&publisher, Record { deadline, ..fixtures::publication(body) }).await;
        let seconds = if published.is_ok() { start.elapsed().as_secs_f64() } else { f64::INFINITY };
        urgent.borrow_mut().push(seconds);
    });
    let end = async {
        while simulation.delivered() < reachable + urgent.borrow().len() && start.elapsed() < PATIENCE {
            sleep(Duration::from_millis(100)).await;
        }
    };
    // Retries to those who do not keep up go on behind the end.
    let others = join_all([boxed(workers.map(drop)), boxed(connect), boxed(post), boxed(speak)]);
    select(Box::pin(end), Box::pin(others)).await;

    let (refused, all) = connects.get();
    let mut reached = BTreeMap::new();
    for delivery in simulation.deliveries().into_iter().filter(|delivery| delivery.frame.contains("everyone"))
    {
        let (first, times) = reached.entry(delivery.connection).or_insert((delivery.at, 0_u32));
        (*first, *times) = ((*first).min(delivery.at), *times + 1);
    }
    let doubled = reached.values().filter(|(_, times)| *times > 1).count();
    let sorted = |seconds: &mut Vec<f64>| seconds.sort_by(f64::total_cmp);
    let mut reached: Vec<_> = reached.into_values().map(|(at, _)| (at - start).as_secs_f64()).collect();
    let mut urgent = urgent.into_inner();
    sorted(&mut reached);
    sorted(&mut urgent);
    ensure!(reached.len() == reachable, "{} of {reachable} were reached", reached.len());
    let connects_refused = f64::from(refused) / f64::from(all.max(1));
    Ok(Outcome { reached, doubled, connects_refused, urgent })
}

/// Connects the members, over everyone's shards, and a user who is alone in a channel. Returns how many can be reached.
fn fill(simulation: &Simulation, members: usize) -> usize {
    let connected_at = fixtures::now_millis() - 600_000;
    let row = |channel: &str, id: &str| {
        simulation.put(json!({
            "channel": {"S": channel}, "connectionId": {"S": id},
            "connectedAt": {"N": connected_at.to_string()},
            "expiresAt": {"N": (connected_at / 1_000 + 7_800).to_string()},
        }));
    };
    row("user:ada#0", "ada=");
    simulation.open("ada=");
    let mut reachable = 0;
    for number in 0..members {
        let id = format!("c{number:07}=");
        row(&format!("*#{}", number % usize::from(SHARDS)), &id);
        match number % 100 {
            0 => simulation.open_to(&id, 429),
            1 | 2 => {}
            _ => {
                simulation.open(&id);
                reachable += 1;
            }
        }
    }
    reachable
}

fn publisher(simulation: &Simulation, case: &Case) -> Publisher {
    let simulation = simulation.environment();
    let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    let ranges = Ranges {
        queue: simulation.queue_of("broadcasts"),
        concurrency: number(case.concurrency),
        rate_limit: number(case.rate_limit),
    };
    let broadcaster = Broadcaster {
        registry: simulation.registry(SHARDS),
        poster: simulation.poster(),
        continuations: Some(Continuations {
            queue: simulation.queue_of("deliveries"),
            after: HAND_OVER_AFTER,
            ranges: Some(ranges),
        }),
        notifier: None,
        history: None,
    };
    Publisher { broadcaster, task_queues: fixtures::task_queues() }
}

/// An environment of `publish`: it takes what is in the queues, one after the other.
async fn work(simulation: &Simulation, case: &Case, waiting: &RefCell<Vec<(Instant, Record)>>) {
    let publisher = publisher(simulation, case);
    loop {
        let tasks = simulation.take_queued().into_iter();
        // Rows are not deleted here: another function's work, which posts nothing.
        waiting.borrow_mut().extend(
            tasks.filter(|task| !task.body.contains("\"prune\"")).map(|task| {
                (Instant::now() + Duration::from_secs(task.delay), fixtures::delivery(task.body))
            }),
        );
        let next = waiting.borrow().iter().position(|(visible, _)| *visible <= Instant::now());
        let Some(next) = next else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (_, record) = waiting.borrow_mut().remove(next);
        let deadline = Instant::now() + TIMEOUT;
        if publish(&publisher, Record { deadline, ..record.clone() }).await.is_err() {
            waiting.borrow_mut().push((Instant::now() + 6 * TIMEOUT, record));
        }
    }
}

/// Does something so many times a second, for ever, without waiting for it.
async fn every(times: u32, act: impl AsyncFn()) {
    let ticks = stream::unfold(interval(Duration::from_secs(1) / times), async |mut ticks| {
        ticks.tick().await;
        Some(((), ticks))
    });
    ticks.for_each_concurrent(None, |()| act()).await;
}

fn boxed<'a>(future: impl Future<Output = ()> + 'a) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(future)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_takes_its_budget_and_leaves_the_rest_to_others() {
        let case = Case { members: 10_000, rate_limit: 5_000, concurrency: 4 };
        let outcome = run(&case).unwrap();
        assert!(outcome.of_the_budget(&case) > 0.8, "{:?} s", outcome.until(1.0));
        assert!(outcome.connects_refused < 0.001, "{}", outcome.connects_refused);
        assert!(outcome.urgent_p99() < 1.0, "{} s", outcome.urgent_p99());
        assert_eq!(outcome.doubled, 0);
    }
}
