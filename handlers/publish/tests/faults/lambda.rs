//! Functions as Lambda runs them: an environment serves one event at a time, lives on behind it, and may die in the middle.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use connect::Admission;
use disconnect::Disconnector;
use fastrand::Rng;
use futures::future::{Either, select};
use lambda_websocket::{
    Broadcaster, ChannelPermissions, PresenceNotifier, delivery::continuations::Continuations,
};
use publish::Publisher;
use subscribe::{Replayer, Subscriptions};
use testkit::{fixtures::DELIVERY_QUEUE, simulation::Simulation};
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
    /// One over so many shards, that hands over after so many recipients.
    fn new(simulation: &Simulation, shards: u8, after: usize) -> Self {
        let simulation = simulation.environment();
        let registry = simulation.registry(shards);
        let notifier = Some(PresenceNotifier {
            registry: registry.clone(),
            queue: simulation.queue(),
            channels: ChannelPermissions::parse(ANNOUNCED).unwrap(),
        });
        let (history, poster) = (simulation.history(500), simulation.poster());
        let broadcaster = Broadcaster {
            registry: registry.clone(),
            poster: poster.clone(),
            continuations: Some(Continuations { queue: simulation.queue(), after }),
            notifier: notifier.clone(),
            history: Some(history.clone()),
        };
        Self {
            admission: Admission::new(registry.clone(), vec![]),
            publisher: Publisher {
                broadcaster: broadcaster.clone(),
                delivery_queue: DELIVERY_QUEUE.to_owned(),
            },
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

/// The environments that wait for an event, by their functions.
pub(crate) struct Lambda {
    shards: u8,
    after: usize,
    idle: RefCell<BTreeMap<&'static str, Vec<Environment>>>,
    pub(crate) crashes: Cell<u64>,
    /// Whether nothing goes wrong any more.
    pub(crate) calm: Cell<bool>,
}

impl Lambda {
    pub(crate) fn new(shards: u8, after: usize) -> Self {
        Self { shards, after, idle: RefCell::default(), crashes: Cell::new(0), calm: Cell::new(false) }
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
        let environment = idle.unwrap_or_else(|| Environment::new(simulation, self.shards, self.after));
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
