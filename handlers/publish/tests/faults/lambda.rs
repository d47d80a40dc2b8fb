//! Functions as Lambda runs them: an environment serves one event at a time, lives on behind it, and may die in the middle.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    num::NonZeroU32,
    time::Duration,
};

use connect::Admission;
use disconnect::Disconnector;
use fastrand::Rng;
use futures::future::{Either, select};
use lambda_websocket::{
    Broadcaster, ChannelPermissions, PresenceNotifier,
    delivery::{continuations::Continuations, ranges::Ranges},
};
use publish::Publisher;
use subscribe::{Replayer, Subscriptions};
use testkit::{fixtures, simulation::Simulation};
use tokio::time::{Instant, sleep_until};

use crate::{chaos::up_to, presence::ANNOUNCED};

/// What a function has built when it is warm. Each function uses a part of it.
pub(crate) struct Environment {
    pub(crate) admission: Admission,
    pub(crate) broadcaster: Broadcaster,
    pub(crate) publisher: Publisher,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) disconnector: Disconnector,
}

impl Environment {
    /// One of a system of this size.
    fn new(simulation: &Simulation, size: Size) -> Self {
        let Size { shards, after, concurrency, rate_limit } = size;
        let simulation = simulation.environment();
        let registry = simulation.registry(shards);
        let notifier = Some(PresenceNotifier {
            registry: registry.clone(),
            queue: simulation.queue(),
            channels: ChannelPermissions::parse(ANNOUNCED).unwrap(),
            is_numbered: true,
        });
        let (history, poster) = (simulation.history(500), simulation.poster());
        let broadcaster = Broadcaster {
            registry: registry.clone(),
            poster: poster.clone(),
            continuations: Some(Continuations { queue: simulation.queue(), after, ranges: None }),
            notifier: notifier.clone(),
            history: Some(history.clone()),
        };
        let mut publisher = broadcaster.clone();
        if let Some(continuations) = &mut publisher.continuations {
            continuations.ranges = Some(Ranges { queue: simulation.queue(), concurrency, rate_limit });
        }
        Self {
            admission: Admission::new(registry.clone(), vec![]),
            publisher: Publisher { broadcaster: publisher, task_queues: fixtures::task_queues() },
            broadcaster,
            subscriptions: Subscriptions {
                registry: registry.clone(),
                max: "50".parse().unwrap(),
                notifier: notifier.clone(),
                replayer: Some(Replayer { history, poster }),
            },
            disconnector: Disconnector { registry, notifier },
        }
    }
}

/// How large the system is made.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) shards: u8,
    /// The number of recipients after which a message is handed over.
    pub(crate) after: usize,
    /// How many invocations post to a channel at once, and how fast.
    pub(crate) concurrency: NonZeroU32,
    pub(crate) rate_limit: NonZeroU32,
}

/// The environments that wait for an event, by their functions.
pub(crate) struct Lambda {
    size: Size,
    idle: RefCell<BTreeMap<&'static str, Vec<Environment>>>,
    pub(crate) crashes: Cell<u64>,
    /// Whether nothing goes wrong any more.
    pub(crate) calm: Cell<bool>,
}

impl Lambda {
    pub(crate) fn new(size: Size) -> Self {
        Self { size, idle: RefCell::default(), crashes: Cell::new(0), calm: Cell::new(false) }
    }

    /// Invokes a function. Nothing comes back where its environment dies.
    pub(crate) async fn invoke<T>(
        &self,
        function: &'static str,
        simulation: &Simulation,
        deadline: Instant,
        rng: &mut Rng,
        event: impl AsyncFnOnce(&Environment) -> T,
    ) -> Option<T> {
        let idle = self.idle.borrow_mut().entry(function).or_default().pop();
        let environment = idle.unwrap_or_else(|| Environment::new(simulation, self.size));
        let crash = self.crash(rng, deadline);
        let result = match select(Box::pin(event(&environment)), Box::pin(sleep_until(crash))).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => return None,
        };
        self.idle.borrow_mut().entry(function).or_default().push(environment);
        Some(result)
    }

    /// When the environment dies: now and then in the middle.
    fn crash(&self, rng: &mut Rng, deadline: Instant) -> Instant {
        if self.calm.get() || rng.u8(0..5) > 0 {
            return deadline;
        }
        self.crashes.set(self.crashes.get() + 1);
        let longest = [Duration::from_millis(100), Duration::from_secs(2), Duration::from_secs(15)];
        Instant::now() + up_to(*rng.choice(&longest).unwrap(), rng)
    }
}
