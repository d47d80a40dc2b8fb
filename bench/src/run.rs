//! The measurements, interleaved and repeated: each round measures everything once, so that what slows the machine
//! down for a while slows all alike.

use std::{collections::HashMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    function::Function,
    subject::{Programs, Role, Subject},
    world::{Asked, World, channel},
};

/// What is measured, and how often.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many rounds.
    pub rounds: usize,
    /// How many cold starts of each subject in a round.
    pub starts: usize,
    /// To how many recipients all subjects post.
    pub recipients: Vec<usize>,
    /// After how long a post is answered.
    pub latencies: Vec<Duration>,
    /// To how many recipients ours posts besides, to see what grows.
    pub growth: Vec<usize>,
    /// Over how many shards the most recipients of all subjects are spread, to see what grows.
    pub shards: Vec<u8>,
    /// To how many recipients a function posts before it is measured: connections are open and code is compiled then.
    pub warm_up: usize,
}

impl Settings {
    /// What `make bench` measures.
    pub fn full(rounds: usize) -> Self {
        Self {
            rounds,
            starts: 5,
            recipients: vec![1_000, 10_000],
            latencies: vec![Duration::ZERO, Duration::from_millis(10)],
            growth: vec![100, 1_000, 10_000, 100_000],
            shards: vec![1, 2, 4, 8, 16],
            warm_up: 1_000,
        }
    }

    /// The most recipients that all subjects post to.
    pub fn most(&self) -> usize {
        self.recipients.iter().copied().max().unwrap_or_default()
    }

    /// What is measured in each round.
    fn cases(&self, subjects: &[Subject]) -> Vec<Case> {
        let mut cases = Vec::new();
        for &latency in &self.latencies {
            for &recipients in &self.recipients {
                for &subject in subjects {
                    // One by one, each costs the same, and the many would take minutes.
                    if !subject.is_sequential() || Some(&recipients) == self.recipients.first() {
                        cases.push(Case { subject, recipients, shards: 1, latency });
                    }
                }
            }
        }
        let ours =
            |recipients, shards| Case { subject: Subject::Ours, recipients, shards, latency: Duration::ZERO };
        let growth = self.growth.iter().map(|&recipients| ours(recipients, 1));
        let shards = self.shards.iter().map(|&shards| ours(self.most(), shards));
        for case in growth.chain(shards) {
            if !cases.contains(&case) {
                cases.push(case);
            }
        }
        cases
    }

    /// The channels that the table holds for it.
    fn channels(&self) -> Vec<(usize, u8)> {
        let mut channels: Vec<_> =
            self.recipients.iter().chain(&self.growth).map(|&recipients| (recipients, 1)).collect();
        channels.extend(self.shards.iter().map(|&shards| (self.most(), shards)));
        channels.push((self.warm_up, 1));
        channels.sort_unstable();
        channels.dedup();
        channels
    }
}

/// A broadcast that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// Who posts.
    pub subject: Subject,
    /// To how many.
    pub recipients: usize,
    /// Over how many shards they are spread.
    pub shards: u8,
    /// After how long a post is answered.
    pub latency: Duration,
}

/// What a broadcast took.
#[derive(Clone, Copy, Debug)]
pub struct Broadcast {
    /// From the event to the answer, in seconds.
    pub seconds: f64,
    /// CPU time, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that the function held until then, in bytes.
    pub peak_memory: u64,
    /// What was asked of the table.
    pub asked: Asked,
}

/// A cold start, in milliseconds since the process was started.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// When it asked for an event.
    pub asked: f64,
    /// When it had answered the first `$connect`.
    pub answered: f64,
}

/// Everything that was measured, in the order of the rounds.
#[derive(Debug, Default)]
pub struct Measurements {
    /// The cold starts.
    pub starts: HashMap<Subject, Vec<Start>>,
    /// The broadcasts.
    pub broadcasts: HashMap<Case, Vec<Broadcast>>,
}

impl Measurements {
    /// One value of each cold start of a subject.
    pub fn of_starts(&self, subject: Subject, value: impl Fn(&Start) -> f64) -> Vec<f64> {
        self.starts.get(&subject).into_iter().flatten().map(value).collect()
    }

    /// One value of each broadcast of a case.
    pub fn of_broadcasts(&self, case: &Case, value: impl Fn(&Broadcast) -> f64) -> Vec<f64> {
        self.broadcasts.get(case).into_iter().flatten().map(value).collect()
    }

    /// How many posts a second of CPU time is enough for, in each broadcast of a case.
    pub fn posts_per_cpu_second(&self, case: &Case) -> Vec<f64> {
        self.of_broadcasts(case, |broadcast| case.recipients as f64 / broadcast.cpu_seconds)
    }
}

/// Measures everything, and says how far it is.
///
/// # Errors
/// When a subject fails, or does not do the work that is measured.
pub async fn run(programs: &Programs, settings: &Settings) -> Result<Measurements> {
    eprintln!("Filling the table");
    let world = World::start(settings.channels())?;
    let subjects: Vec<_> = programs.subjects().collect();
    let cases = settings.cases(&subjects);
    let mut measurements = Measurements::default();
    for round in 1..=settings.rounds {
        eprintln!("Round {round} of {}: cold starts", settings.rounds);
        for _ in 0..settings.starts {
            for &subject in &subjects {
                if let Some(start) = start(programs, &world, subject).await? {
                    measurements.starts.entry(subject).or_default().push(start);
                }
            }
        }
        for case in &cases {
            let Case { subject, recipients, shards, latency } = case;
            let broadcast = broadcast(programs, &world, settings.warm_up, case)
                .await
                .with_context(|| format!("{}, {recipients} recipients", subject.name()))?;
            eprintln!(
                "Round {round} of {}: {}, {recipients} recipients in {shards} shards, {} ms: {:.2} s, {:.2} s of CPU",
                settings.rounds,
                subject.name(),
                latency.as_millis(),
                broadcast.seconds,
                broadcast.cpu_seconds,
            );
            measurements.broadcasts.entry(*case).or_default().push(broadcast);
        }
    }
    Ok(measurements)
}

async fn start(programs: &Programs, world: &World, subject: Subject) -> Result<Option<Start>> {
    let Some(program) = programs.get(subject, Role::Connect) else { return Ok(None) };
    let mut function = Function::start(&program, world, 1).await?;
    let asked = function.asked().await?;
    function.invoke(&testkit::fixtures::connect_json()).await?;
    let answered = function.age();
    function.stop().await?;
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    Ok(Some(Start { asked: millis(asked), answered: millis(answered) }))
}

async fn broadcast(programs: &Programs, world: &World, warm_up: usize, case: &Case) -> Result<Broadcast> {
    let program = programs.get(case.subject, Role::Send).context("no such function")?;
    let mut function = Function::start(&program, world, case.shards).await?;
    world.reset(Duration::ZERO);
    send(&mut function, world, warm_up, 1).await?;
    world.reset(case.latency);
    let (cpu_time, start) = (function.cpu_time()?, function.age());
    send(&mut function, world, case.recipients, case.shards).await?;
    let (seconds, cpu_time) = (function.age() - start, function.cpu_time()? - cpu_time);
    let peak_memory = function.peak_memory()?;
    function.stop().await?;
    Ok(Broadcast {
        seconds: seconds.as_secs_f64(),
        cpu_seconds: cpu_time.as_secs_f64(),
        peak_memory,
        asked: world.asked(),
    })
}

/// Has a message sent to a channel, and checks that each recipient got it once.
async fn send(function: &mut Function, world: &World, recipients: usize, shards: u8) -> Result<()> {
    let request = json!({
        "action": "send",
        "channel": channel(recipients, shards),
        "message": "The quick brown fox jumps over the lazy dog, and the dog does not mind.",
    });
    let mut event = testkit::fixtures::message_json();
    event["body"] = json!(request.to_string());
    let reply = function.invoke(&event).await?;
    let ack: Value = serde_json::from_str(reply["body"].as_str().unwrap_or_default())?;
    ensure!(ack["delivered"] == recipients, "of {recipients} recipients: {ack}");
    world.check_posts(recipients)
}
