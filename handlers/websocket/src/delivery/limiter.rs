//! Limits how many posts are under way at once, adapted to what API Gateway accepts.
//!
//! `@connections` answers 429 for two reasons, without telling them apart: the account's rate is exceeded, or one
//! client reads too slowly and its buffer is full. The other posts show which: while nearly all of them pass, it is
//! the client. If many are refused, it is the rate, and fewer posts are under way at once. In a small channel, there
//! may be too few other posts to tell.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::protocol::connection::ConnectionId;

/// Above this share of refused posts, the rate is exceeded.
const SHARE_OF_SLOW_CLIENTS: f64 = 0.1;

/// The weight of the latest post in the share of refused posts.
const WEIGHT: f64 = 1.0 / 32.0;

/// How many posts must pass after a client's first refusal before that client counts as slow.
const OTHERS: u64 = 10;

/// The maximum number of clients remembered as given up.
const MOST_GIVEN_UP: usize = 1_000;

/// A client that took nothing for this long is slow, however few other posts there are to compare with.
const SLOW_AFTER: Duration = Duration::from_secs(60);

/// How long an observation of the rate stays valid.
const LEARNT_FOR: Duration = Duration::from_secs(60);

/// How long a client's refusal is remembered: longer than the queue waits between two retries.
const REMEMBERED: Duration = Duration::from_secs(120);

/// The limit on the posts under way: additive increase, multiplicative decrease, as in TCP.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimiter {
    state: Mutex<State>,
    freed: Notify,
    max: f64,
}

#[derive(Debug)]
struct State {
    limit: f64,
    under_way: usize,
    /// The recent share of first refusals among the posts.
    refused: f64,
    /// The time of the latest first refusal of a client.
    learnt: Instant,
    /// How many posts passed.
    passed: u64,
    /// Clients that have taken nothing since a message to them was given up. Another refusal of theirs tells nothing
    /// of the rate.
    given_up: HashMap<ConnectionId, GivenUp>,
    /// Clients that were refused and have taken nothing since. Further posts to them are refused for the same reason.
    refused_clients: HashSet<ConnectionId>,
    /// How often the limit was lowered.
    lowered: u64,
}

/// A client that has taken nothing since a message to it was given up.
#[derive(Clone, Copy, Debug)]
struct GivenUp {
    since: Instant,
    /// When a message to it was last given up, and why.
    last: Instant,
    why: Throttle,
}

/// The right to one post, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    limiter: &'a ConcurrencyLimiter,
    to: &'a ConnectionId,
    /// How often the limit was lowered before this post.
    lowered: u64,
}

/// Why a post was answered 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Throttle {
    /// The account's rate is exceeded.
    Rate,
    /// The client does not keep up.
    SlowClient,
    /// Either of the two: there are too few other posts to tell.
    Unclear,
}

/// How many posts had passed when a message to a client was first refused.
pub(crate) type FirstRefusal = Option<u64>;

impl ConcurrencyLimiter {
    /// A limiter that starts at the maximum number of posts at once.
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1) as f64;
        let state = State {
            limit: max,
            under_way: 0,
            refused: 0.0,
            learnt: Instant::now(),
            passed: 0,
            given_up: HashMap::new(),
            refused_clients: HashSet::new(),
            lowered: 0,
        };
        Self { state: Mutex::new(state), freed: Notify::new(), max }
    }

    /// Waits for a permit to post to this client.
    pub(crate) async fn acquire<'a>(&'a self, to: &'a ConnectionId) -> Permit<'a> {
        loop {
            let freed = self.freed.notified();
            if let Some(permit) = self.try_acquire(to) {
                return permit;
            }
            freed.await;
        }
    }

    /// What is known of a client that has taken nothing since a message to it was given up: it is
    /// [slow](Throttle::SlowClient), or [perhaps](Throttle::Unclear) slow. `None` if the reason was the rate.
    pub(crate) fn known(&self, id: &ConnectionId) -> Option<Throttle> {
        let state = self.state();
        let GivenUp { since, last, why } =
            state.given_up.get(id).filter(|given_up| given_up.last.elapsed() < REMEMBERED)?;
        match why {
            Throttle::Rate => None,
            Throttle::Unclear if *last - *since < SLOW_AFTER => Some(Throttle::Unclear),
            Throttle::Unclear | Throttle::SlowClient => Some(Throttle::SlowClient),
        }
    }

    fn try_acquire<'a>(&'a self, to: &'a ConnectionId) -> Option<Permit<'a>> {
        let mut state = self.state();
        if state.learnt.elapsed() >= LEARNT_FOR {
            state.learnt = Instant::now();
            state.refused = 0.0;
            state.refused_clients.clear();
            state.limit = self.max;
            self.freed.notify_waiters(); // Otherwise the waiting posts would go on one by one.
        }
        (state.under_way < state.limit as usize).then(|| {
            state.under_way += 1;
            Permit { limiter: self, to, lowered: state.lowered }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held, so no state is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The post was accepted, or failed with something other than 429.
    pub(crate) fn passed(&self) {
        let mut state = self.limiter.state();
        state.refused -= state.refused * WEIGHT;
        state.passed += 1;
        if !state.given_up.is_empty() {
            state.given_up.remove(self.to);
        }
        if !state.refused_clients.is_empty() {
            state.refused_clients.remove(self.to);
        }
        let before = state.limit as usize;
        // The limit grows by one for each round of posts.
        state.limit = (state.limit + 1.0 / state.limit).min(self.limiter.max);
        if state.limit as usize > before {
            self.limiter.freed.notify_one();
        }
    }

    /// The post was answered 429.
    pub(crate) fn refused(&self, first: &mut FirstRefusal) -> Throttle {
        let mut state = self.limiter.state();
        // Another refusal of the same client tells nothing of the others.
        if first.is_none() && !state.given_up.contains_key(self.to) {
            if state.refused_clients.len() >= MOST_GIVEN_UP {
                state.refused_clients.clear();
            }
            if state.refused_clients.insert(self.to.clone()) {
                state.refused += (1.0 - state.refused) * WEIGHT;
                state.learnt = Instant::now();
            }
        }
        let passed_before = *first.get_or_insert(state.passed);
        if state.refused < SHARE_OF_SLOW_CLIENTS {
            let others = state.passed - passed_before;
            return if others >= OTHERS { Throttle::SlowClient } else { Throttle::Unclear };
        }
        // The limit is lowered once for all posts that were under way together: they say the same thing.
        if self.lowered == state.lowered {
            state.limit = (state.limit / 2.0).max(1.0);
            state.lowered += 1;
        }
        Throttle::Rate
    }

    /// The last attempt was refused: the message is given up.
    pub(crate) fn give_up(&self, why: Throttle) {
        let mut state = self.limiter.state();
        if state.given_up.len() >= MOST_GIVEN_UP {
            state.given_up.clear();
        }
        let now = Instant::now();
        let before = state.given_up.get(self.to).filter(|before| before.last.elapsed() < REMEMBERED);
        let since = before.map_or(now, |before| before.since);
        let why = if before.is_some_and(|before| before.why == Throttle::SlowClient) {
            Throttle::SlowClient
        } else {
            why
        };
        state.given_up.insert(self.to.clone(), GivenUp { since, last: now, why });
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limiter.state().under_way -= 1;
        self.limiter.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join;
    use tokio::{task::yield_now, time::timeout};

    use super::*;

    fn limit(limiter: &ConcurrencyLimiter) -> usize {
        limiter.state().limit as usize
    }

    fn client(number: usize) -> ConnectionId {
        ConnectionId::parse(format!("c{number}=")).unwrap()
    }

    /// Posts once to a client that was not posted to before, and returns the reason found for a refusal.
    fn post(limiter: &ConcurrencyLimiter, number: usize, passes: bool) -> Option<Throttle> {
        let to = client(number);
        let permit = limiter.try_acquire(&to).unwrap();
        if passes {
            permit.passed();
        } else {
            return Some(permit.refused(&mut None));
        }
        None
    }

    #[test]
    fn no_more_are_under_way_than_the_limit() {
        let (limiter, to) = (ConcurrencyLimiter::new(2), client(0));
        let (first, _second) = (limiter.try_acquire(&to), limiter.try_acquire(&to));
        assert!(first.is_some() && limiter.try_acquire(&to).is_none());
        drop(first);
        assert!(limiter.try_acquire(&to).is_some());
    }

    #[test]
    fn who_is_refused_while_others_pass_is_slow_and_slows_nobody_down() {
        let limiter = ConcurrencyLimiter::new(128);
        for message in 0..50 {
            let (slow, mut first) = (client(1_000), None);
            let refused = |first: &mut _| limiter.try_acquire(&slow).unwrap().refused(first);
            assert_eq!(refused(&mut first), Throttle::Unclear, "{message}: nobody was posted to yet");
            (0..20).for_each(|number| assert_eq!(post(&limiter, number, true), None));
            assert_eq!(refused(&mut first), Throttle::SlowClient, "{message}");
        }
        assert_eq!(limit(&limiter), 128);
    }

    #[test]
    fn one_in_fifty_who_does_not_keep_up_slows_a_large_broadcast_down_hardly_ever() {
        let mut rng = fastrand::Rng::with_seed(1);
        let limiter = ConcurrencyLimiter::new(128);
        for number in 0..100_000 {
            post(&limiter, number, rng.u8(0..50) > 0);
        }
        let lowered = limiter.state().lowered;
        assert!(lowered <= 100, "lowered {lowered} times in 100,000 posts");
    }

    #[test]
    fn who_does_not_read_in_a_channel_of_few_slows_nobody_down() {
        for members in 1..=10 {
            let (limiter, slow) = (ConcurrencyLimiter::new(128), client(1_000));
            for message in 0..50 {
                let mut first = None;
                for attempt in 0..12 {
                    let permit = limiter.try_acquire(&slow).unwrap();
                    let context = format!("{members} members, message {message}, attempt {attempt}");
                    assert_eq!(permit.refused(&mut first), Throttle::Unclear, "{context}");
                    if attempt == 0 {
                        (1..members).for_each(|number| assert_eq!(post(&limiter, number, true), None));
                    }
                }
                limiter.try_acquire(&slow).unwrap().give_up(Throttle::Unclear);
            }
            assert_eq!(limit(&limiter), 128, "{members} members");
        }
    }

    #[test]
    fn many_messages_at_once_to_one_client_that_takes_none_are_not_the_rate() {
        let (limiter, stuck) = (ConcurrencyLimiter::new(64), client(1_000));
        for message in 0..50 {
            assert_eq!(
                limiter.try_acquire(&stuck).unwrap().refused(&mut None),
                Throttle::Unclear,
                "{message}"
            );
        }
        assert_eq!(limit(&limiter), 64);
    }

    #[test]
    fn who_takes_messages_again_counts_again() {
        let limiter = ConcurrencyLimiter::new(64);
        for number in 0..10 {
            limiter.try_acquire(&client(number)).unwrap().give_up(Throttle::Unclear);
            assert_eq!(post(&limiter, number, false), Some(Throttle::Unclear), "{number}");
        }
        (0..10).for_each(|number| assert_eq!(post(&limiter, number, true), None));
        let rate = (0..10).filter(|number| post(&limiter, *number, false) == Some(Throttle::Rate)).count();
        assert_eq!(rate, 7, "the first refusals alone do not tell");
    }

    #[tokio::test(start_paused = true)]
    async fn who_took_nothing_for_a_minute_is_slow_until_it_takes_something_or_is_forgotten() {
        let (limiter, to) = (ConcurrencyLimiter::new(8), client(0));
        let give_up = |why| limiter.try_acquire(&to).unwrap().give_up(why);
        assert_eq!(limiter.known(&to), None);
        give_up(Throttle::Rate);
        assert_eq!(limiter.known(&to), None, "that was not the client");
        give_up(Throttle::Unclear);
        assert_eq!(limiter.known(&to), Some(Throttle::Unclear));
        tokio::time::advance(SLOW_AFTER).await;
        assert_eq!(limiter.known(&to), Some(Throttle::Unclear), "perhaps it takes messages again");
        give_up(Throttle::Unclear);
        assert_eq!(limiter.known(&to), Some(Throttle::SlowClient));
        limiter.try_acquire(&to).unwrap().passed();
        assert_eq!(limiter.known(&to), None);
        give_up(Throttle::SlowClient);
        give_up(Throttle::Unclear);
        assert_eq!(limiter.known(&to), Some(Throttle::SlowClient));
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(limiter.known(&to), None);
        give_up(Throttle::Unclear);
        assert_eq!(limiter.known(&to), Some(Throttle::Unclear));
    }

    #[test]
    fn when_all_are_refused_it_is_the_rate_and_the_limit_halves_round_by_round() {
        let limiter = ConcurrencyLimiter::new(64);
        let clients: Vec<_> = (0..64).map(client).collect();
        let mut limits = vec![];
        for _ in 0..8 {
            let round: Vec<_> = clients.iter().map_while(|to| limiter.try_acquire(to)).collect();
            for permit in &round {
                permit.refused(&mut None);
            }
            assert_eq!(round[0].refused(&mut None), Throttle::Rate);
            limits.push(limit(&limiter));
        }
        assert_eq!(limits, [32, 16, 8, 4, 2, 1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_that_was_exceeded_a_minute_ago_says_nothing_of_who_is_refused_now() {
        let (limiter, stuck) = (ConcurrencyLimiter::new(64), client(1_000));
        let refused = || limiter.try_acquire(&stuck).unwrap().refused(&mut None);
        (0..40).for_each(|number| assert!(post(&limiter, number, false).is_some()));
        assert_eq!((refused(), limit(&limiter)), (Throttle::Rate, 1));
        tokio::time::advance(LEARNT_FOR - Duration::from_millis(1)).await;
        assert_eq!(refused(), Throttle::Rate);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((refused(), limit(&limiter)), (Throttle::Unclear, 64));
        let rate = (0..40).filter(|number| post(&limiter, *number, false) == Some(Throttle::Rate)).count();
        assert_eq!(rate, 38, "where they are refused still, that is learnt anew");
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_rate_is_forgotten_all_who_wait_go() {
        let (limiter, clients) = (ConcurrencyLimiter::new(64), [0, 1, 2, 3].map(client));
        (0..40).for_each(|number| assert!(post(&limiter, number, false).is_some()));
        let _first = limiter.try_acquire(&clients[0]).unwrap();
        let both = join(limiter.acquire(&clients[1]), limiter.acquire(&clients[2]));
        let another = async {
            yield_now().await; // They wait.
            tokio::time::advance(LEARNT_FOR).await;
            limiter.try_acquire(&clients[3])
        };
        let (waited, another) = join(timeout(2 * LEARNT_FOR, both), another).await;
        assert!(waited.is_ok() && another.is_some());
    }

    #[test]
    fn the_limit_grows_by_one_a_round_up_to_the_most() {
        let limiter = ConcurrencyLimiter::new(64);
        (0..40).for_each(|number| assert!(post(&limiter, number, false).is_some()));
        assert_eq!(limit(&limiter), 1);
        for expected in 2..=10 {
            (1..expected).for_each(|number| assert_eq!(post(&limiter, number, true), None));
            assert!((expected - 1..=expected).contains(&limit(&limiter)), "{expected}: {}", limit(&limiter));
        }
        (0..10_000).for_each(|number| assert_eq!(post(&limiter, number, true), None));
        assert_eq!(limit(&limiter), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_limit_grows_one_more_who_waits_goes() {
        let (limiter, clients) = (ConcurrencyLimiter::new(64), [client(0), client(1), client(2)]);
        (0..40).for_each(|number| assert!(post(&limiter, number, false).is_some()));
        assert_eq!(limit(&limiter), 1);
        let first = limiter.try_acquire(&clients[0]).unwrap();
        let both = join(limiter.acquire(&clients[1]), limiter.acquire(&clients[2]));
        let passes = async {
            yield_now().await; // They wait.
            first.passed();
            drop(first);
        };
        let (waited, ()) = join(timeout(Duration::from_secs(1), both), passes).await;
        assert!(waited.is_ok(), "both go on: one in the place of the first, and one more");
        assert_eq!(limit(&limiter), 2);
    }
}
