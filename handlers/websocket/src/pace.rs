//! How many posts are under way at once, adapted to what API Gateway takes.
//!
//! `@connections` answers 429 for two reasons that it does not tell apart: more is posted than the account may, or
//! this one client reads too slowly and its buffer is full. What becomes of the other posts tells: while nearly all
//! of them pass it is the client, else it is the rate, and fewer are posted at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// With a larger share of refused posts than this, the rate is exceeded.
const SHARE_OF_SLOW_CLIENTS: f64 = 0.1;

/// How much the latest post weighs in the share of refused posts.
const WEIGHT: f64 = 1.0 / 16.0;

/// The limit on the posts under way: additive increase, multiplicative decrease, as TCP has it.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    freed: Notify,
    most: f64,
}

#[derive(Debug)]
struct State {
    limit: f64,
    under_way: usize,
    /// The share of posts that are refused, lately.
    refused: f64,
    /// How often the limit was lowered.
    lowered: u64,
}

/// The right to one post, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pace: &'a Pace,
    /// How often the limit was lowered before.
    lowered: u64,
}

/// Why a post was answered 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Throttle {
    /// More is posted than the account may.
    Rate,
    /// The client does not keep up.
    SlowClient,
}

impl Pace {
    /// Begins with the most posts at once.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        let state = State { limit: most, under_way: 0, refused: 0.0, lowered: 0 };
        Self { state: Mutex::new(state), freed: Notify::new(), most }
    }

    /// Waits until one more post may be under way.
    pub(crate) async fn turn(&self) -> Turn<'_> {
        loop {
            let freed = self.freed.notified();
            if let Some(turn) = self.turn_now() {
                return turn;
            }
            freed.await;
        }
    }

    fn turn_now(&self) -> Option<Turn<'_>> {
        let mut state = self.state();
        (state.under_way < state.limit as usize).then(|| {
            state.under_way += 1;
            Turn { pace: self, lowered: state.lowered }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, so no state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// The post was taken, or refused for another reason than too much of it.
    pub(crate) fn passed(&self) {
        let mut state = self.pace.state();
        state.refused -= state.refused * WEIGHT;
        let before = state.limit as usize;
        // One more for each round of posts.
        state.limit = (state.limit + 1.0 / state.limit).min(self.pace.most);
        if state.limit as usize > before {
            self.pace.freed.notify_one();
        }
    }

    /// The post was answered 429.
    pub(crate) fn refused(&self) -> Throttle {
        let mut state = self.pace.state();
        state.refused += (1.0 - state.refused) * WEIGHT;
        if state.refused < SHARE_OF_SLOW_CLIENTS {
            return Throttle::SlowClient;
        }
        // Once for all posts that were under way together: they say the same thing.
        if self.lowered == state.lowered {
            state.limit = (state.limit / 2.0).max(1.0);
            state.lowered += 1;
        }
        Throttle::Rate
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.state().under_way -= 1;
        self.pace.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(pace: &Pace) -> usize {
        pace.state().limit as usize
    }

    /// Posts once, and gives what was made of a refusal.
    fn post(pace: &Pace, passes: bool) -> Option<Throttle> {
        let turn = pace.turn_now().unwrap();
        if passes {
            turn.passed()
        } else {
            return Some(turn.refused());
        }
        None
    }

    #[test]
    fn no_more_are_under_way_than_the_limit() {
        let pace = Pace::new(2);
        let (first, _second) = (pace.turn_now(), pace.turn_now());
        assert!(first.is_some() && pace.turn_now().is_none());
        drop(first);
        assert!(pace.turn_now().is_some());
    }

    #[test]
    fn one_client_that_is_refused_among_many_is_slow_and_slows_nobody_down() {
        let pace = Pace::new(128);
        for number in 0..1_000 {
            let refusal = post(&pace, number % 20 != 0);
            assert_ne!(refusal, Some(Throttle::Rate), "{number}");
        }
        assert_eq!(limit(&pace), 128);
    }

    #[test]
    fn when_all_are_refused_it_is_the_rate_and_the_limit_halves_round_by_round() {
        let pace = Pace::new(64);
        let mut limits = vec![];
        for _ in 0..8 {
            let round: Vec<_> = std::iter::from_fn(|| pace.turn_now()).collect();
            for turn in &round {
                turn.refused();
            }
            assert_eq!(round[0].refused(), Throttle::Rate);
            limits.push(limit(&pace));
        }
        assert_eq!(limits, [32, 16, 8, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn the_limit_grows_by_one_a_round_up_to_the_most() {
        let pace = Pace::new(64);
        (0..40).for_each(|_| assert!(post(&pace, false).is_some()));
        assert_eq!(limit(&pace), 1);
        for expected in 2..=10 {
            (1..expected).for_each(|_| assert_eq!(post(&pace, true), None));
            assert!((expected - 1..=expected).contains(&limit(&pace)), "{expected}: {}", limit(&pace));
        }
        (0..10_000).for_each(|_| assert_eq!(post(&pace, true), None));
        assert_eq!(limit(&pace), 64);
    }
}
