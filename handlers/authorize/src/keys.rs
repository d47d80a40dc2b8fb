//! The current keys. They are read once, and again when they are old or lack a key that a token names.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use lambda_websocket::log::chain;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Rejection,
    config::KeySource,
    denial::Denial,
    error::Error,
    key::{Key, KeySet},
    source::Source,
    token::Header,
};

/// When keys are read, and the time limit of a read.
#[derive(Clone, Copy, Debug)]
struct Policy {
    /// The maximum age of keys. A withdrawn key, or a rotated secret, is noticed after it.
    max_age: Duration,
    /// The minimum time between reads, if a token names an unknown key or a refresh failed. Made-up key ids must not
    /// make us ask the issuer each time.
    min_age: Duration,
    /// The maximum age of keys while they cannot be refreshed.
    max_stale: Duration,
    /// The time limit of a read, for both documents of an issuer together. A function has 10 seconds unless configured
    /// otherwise, and so has its initialization.
    timeout: Duration,
    /// The pause between the first two attempts while there are no keys. It doubles with each failure.
    first_pause: Duration,
    /// The maximum pause.
    max_pause: Duration,
    /// A wall clock: a monotonic clock may stand still while Lambda has the function frozen.
    clock: fn() -> SystemTime,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(10 * 60),
            min_age: Duration::from_secs(60),
            max_stale: Duration::from_secs(60 * 60),
            timeout: Duration::from_secs(5),
            first_pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(60),
            clock: SystemTime::now,
        }
    }
}

/// The keys and their source.
#[derive(Debug)]
pub(crate) struct Keys {
    source: Source,
    cache: Cache,
}

impl Keys {
    pub(crate) fn new(source: KeySource, sdk: &SdkConfig) -> Self {
        Self { source: Source::new(source, sdk), cache: Cache::new(Policy::default()) }
    }

    /// Reads the keys.
    pub(crate) async fn warm(&self) -> Result<(), Error> {
        let mut state = self.cache.state.lock().await;
        self.cache.read(&mut state, &async || self.source.read().await).await
    }

    /// The candidate keys for a token with this header.
    pub(crate) async fn find(&self, header: &Header) -> Result<Vec<Key>, Rejection> {
        self.cache.find(header, async || self.source.read().await).await
    }
}

/// The keys that were read last. One caller reads, and the others wait for it.
#[derive(Debug)]
struct Cache {
    policy: Policy,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    /// The time of the last attempt, failed ones included.
    asked_at: Option<SystemTime>,
    /// The number of failures since the keys were read.
    failures: u32,
    last_failure: Option<Arc<Error>>,
}

#[derive(Debug)]
struct Known {
    keys: KeySet,
    read_at: SystemTime,
}

impl Cache {
    fn new(policy: Policy) -> Self {
        Self { policy, state: Mutex::default() }
    }

    async fn find(
        &self,
        header: &Header,
        read: impl AsyncFn() -> Result<KeySet, Error>,
    ) -> Result<Vec<Key>, Rejection> {
        let mut state = self.state.lock().await;
        let is_due = !self.has_keys(&state, self.policy.max_age) && self.may_ask(&state);
        let failure = if is_due { self.read(&mut state, &read).await.err() } else { None };
        let keys = match self.keys(&state) {
            Ok(keys) => keys,
            Err(paused) => return Err(failure.unwrap_or(paused).into()),
        };
        if let Some(error) = &failure {
            tracing::warn!(error = chain(error), "keys not refreshed, old keys kept");
        }
        match (keys.find(header), failure) {
            // The key may be one of those that could not be read.
            (Err(Denial::UnknownKey), Some(error)) => Err(error.into()),
            (Err(Denial::UnknownKey), None) if self.may_ask(&state) => {
                self.read(&mut state, &read).await?;
                Ok(self.keys(&state)?.find(header)?)
            }
            (found, _) => Ok(found?),
        }
    }

    /// Reads the keys. They replace the known keys, even if the source has none.
    async fn read(
        &self,
        state: &mut State,
        read: &impl AsyncFn() -> Result<KeySet, Error>,
    ) -> Result<(), Error> {
        // An attempt counts even if its caller is gone in the middle of it.
        state.asked_at = Some((self.policy.clock)());
        let read = timeout(self.policy.timeout, read()).await.unwrap_or(Err(Error::TimedOut));
        let now = (self.policy.clock)();
        state.asked_at = Some(now);
        match read {
            Ok(keys) => {
                *state = State {
                    known: Some(Known { keys, read_at: now }),
                    asked_at: Some(now),
                    ..State::default()
                };
                Ok(())
            }
            Err(error) => {
                if error.is_final() {
                    state.known = None;
                }
                let error = Arc::new(error);
                state.failures = state.failures.saturating_add(1);
                state.last_failure = Some(Arc::clone(&error));
                Err(Error::Unread(error))
            }
        }
    }

    /// The known keys, unless they are too old.
    fn keys<'a>(&self, state: &'a State) -> Result<&'a KeySet, Error> {
        match &state.known {
            Some(known) if self.was_within(known.read_at, self.policy.max_stale) => Ok(&known.keys),
            _ => Err(state.last_failure.clone().map_or(Error::TimedOut, Error::Paused)),
        }
    }

    fn has_keys(&self, state: &State, age: Duration) -> bool {
        state.known.as_ref().is_some_and(|known| self.was_within(known.read_at, age))
    }

    /// Whether the last attempt was long enough ago.
    fn may_ask(&self, state: &State) -> bool {
        let pause = if self.has_keys(state, self.policy.max_stale) {
            self.policy.min_age
        } else {
            let doubled = 2_u32.saturating_pow(state.failures.saturating_sub(1));
            self.policy.first_pause.saturating_mul(doubled).min(self.policy.max_pause)
        };
        state.asked_at.is_none_or(|asked_at| !self.was_within(asked_at, pause))
    }

    /// Whether the time was less than this ago. If the clock was set back, it was not.
    fn was_within(&self, time: SystemTime, age: Duration) -> bool {
        (self.policy.clock)().duration_since(time).is_ok_and(|elapsed| elapsed < age)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, LazyCell},
        time::UNIX_EPOCH,
    };

    use serde_json::{Value, json};
    use testkit::{
        issuer::{Answer, Issuer},
        sdk_config,
        tokens::{Signer, jwks},
    };
    use tokio::{
        join,
        time::{Instant, sleep},
    };

    use super::*;
    use crate::key::{Algorithm, InvalidKeys};

    const NEVER: Duration = Duration::from_secs(3600);

    /// Keys that stay as they are, unless a test changes the policy.
    fn keys(source: KeySource) -> Keys {
        let mut keys = Keys::new(source, &sdk_config("http://127.0.0.1:9"));
        keys.cache.policy =
            Policy { max_age: NEVER, min_age: NEVER, max_stale: NEVER * 9, ..Policy::default() };
        keys
    }

    fn of(issuer: &Issuer) -> Keys {
        keys(KeySource::Issuer(issuer.url.parse().unwrap()))
    }

    fn public(id: &str) -> Value {
        jwks([&Signer::eddsa(id)])
    }

    /// The code of the denial if there is no such key, or the error's sentence if there are no keys.
    async fn find(keys: &Keys, id: &str) -> Result<(), String> {
        outcome(keys.find(&header(id)).await)
    }

    fn header(id: &str) -> Header {
        Header { algorithm: Algorithm::Ed25519, kid: Some(id.to_owned()) }
    }

    fn outcome(found: Result<Vec<Key>, Rejection>) -> Result<(), String> {
        match found {
            Ok(_) => Ok(()),
            Err(Rejection::Denied(denial)) => Err(denial.code().to_owned()),
            Err(Rejection::Failed(error)) => Err(chain(&error)),
        }
    }

    #[tokio::test]
    async fn an_issuer_is_asked_once_where_its_keys_are_and_for_them() {
        let issuer = Issuer::start(public("1")).await;
        let keys = of(&issuer);
        keys.warm().await.unwrap();
        for _ in 0..3 {
            assert_eq!(find(&keys, "1").await, Ok(()));
        }
        assert_eq!(issuer.requests(), 2);
    }

    #[tokio::test]
    async fn keys_are_fetched_from_a_url() {
        let issuer = Issuer::start(public("1")).await;
        let keys = keys(KeySource::Url(issuer.keys_url().parse().unwrap()));
        assert_eq!(find(&keys, "1").await, Ok(()));
        assert_eq!(issuer.requests(), 1);
    }

    #[tokio::test]
    async fn a_new_key_is_found_when_a_token_names_it_but_the_issuer_is_not_asked_each_time() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        assert_eq!(find(&keys, "1").await, Ok(()));
        issuer.set(Answer::Keys(public("2"))).await;

        assert_eq!(find(&keys, "2").await, Err("unknown_key".to_owned()), "asked a moment ago");
        assert_eq!(issuer.requests(), 2);
        keys.cache.policy.min_age = Duration::ZERO;
        assert_eq!(find(&keys, "2").await, Ok(()));
        keys.cache.policy.min_age = NEVER;
        assert_eq!(find(&keys, "1").await, Err("unknown_key".to_owned()), "taken back");
        assert_eq!(issuer.requests(), 4);
    }

    #[tokio::test]
    async fn a_key_that_was_taken_back_is_forgotten_in_time() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        assert_eq!(find(&keys, "1").await, Ok(()));
        issuer.set(Answer::Keys(public("2"))).await;
        assert_eq!(find(&keys, "1").await, Ok(()), "for as long as the keys are young");
        (keys.cache.policy.max_age, keys.cache.policy.min_age) = (Duration::ZERO, Duration::ZERO);
        assert_eq!(find(&keys, "1").await, Err("unknown_key".to_owned()));
    }

    #[tokio::test]
    async fn keys_that_were_withdrawn_are_forgotten_also_where_none_are_left() {
        for left in [json!({"keys": []}), json!({"keys": [{"kty": "oct"}]})] {
            let issuer = Issuer::start(public("1")).await;
            let mut keys = of(&issuer);
            assert_eq!(find(&keys, "1").await, Ok(()));
            issuer.set(Answer::Keys(left)).await;
            (keys.cache.policy.max_age, keys.cache.policy.min_age) = (Duration::ZERO, Duration::ZERO);
            assert_eq!(find(&keys, "1").await, Err("unknown_key".to_owned()));
        }
    }

    #[tokio::test]
    async fn while_the_issuer_is_away_its_keys_stay_and_it_is_not_asked_each_time() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        assert_eq!(find(&keys, "1").await, Ok(()));
        issuer.set(Answer::Status(503)).await;
        keys.cache.state.get_mut().known.as_mut().unwrap().read_at -= NEVER;
        *keys.cache.state.get_mut().asked_at.as_mut().unwrap() -= NEVER;
        keys.cache.policy.min_age = Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(find(&keys, "1").await, Ok(()));
        }
        assert_eq!(find(&keys, "2").await, Err("unknown_key".to_owned()));
        assert_eq!(issuer.requests(), 3);

        *keys.cache.state.get_mut().asked_at.as_mut().unwrap() -= NEVER;
        let error = find(&keys, "2").await.unwrap_err();
        assert!(
            error.ends_with("cannot be read: the answer was 503"),
            "whose key it is cannot be told: {error}"
        );
        assert_eq!(find(&keys, "3").await, Err("unknown_key".to_owned()), "asked a moment ago");
        assert_eq!(issuer.requests(), 4);
    }

    #[tokio::test]
    async fn without_keys_it_is_an_error_and_the_next_try_may_succeed() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        keys.cache.policy.first_pause = Duration::ZERO;
        for (answer, sentence) in [
            (Answer::Status(500), "cannot be read: the answer was 500"),
            (Answer::Status(302), "cannot be read: the answer was 302"),
            (Answer::Text("<html>".to_owned()), "is no configuration of an issuer: expected value"),
            (Answer::Text("{}".to_owned()), "is no configuration of an issuer: missing field `issuer`"),
            (
                Answer::Text(json!({"issuer": "https://example.com", "jwks_uri": ""}).to_string()),
                r#"is the configuration of "https://example.com", which is not ISSUER"#,
            ),
            (
                Answer::Text(json!({"issuer": issuer.url, "jwks_uri": "http://example.com"}).to_string()),
                r#"names a jwks_uri that is not safe: "http://example.com" is no https URL"#,
            ),
            (Answer::Keys(json!([])), "/keys holds no key: it is no JSON Web Key Set"),
            (Answer::Text(" ".repeat(300_000)), "cannot be read: the answer has more than 262144 bytes"),
        ] {
            issuer.set(answer).await;
            let error = find(&keys, "1").await.unwrap_err();
            assert!(error.starts_with(&issuer.url) && error.contains(sentence), "{error}");
        }
        issuer.set(Answer::Keys(public("1"))).await;
        assert_eq!(find(&keys, "1").await, Ok(()));
    }

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_is_given_up_on() {
        let issuer = Issuer::start(public("1")).await;
        issuer.set(Answer::Nothing).await;
        let mut keys = of(&issuer);
        keys.cache.policy.timeout = Duration::from_millis(100);
        assert_eq!(find(&keys, "1").await.unwrap_err(), "the keys did not come in time");

        let nobody = keys_of_nobody();
        let error = find(&nobody, "1").await.unwrap_err();
        assert!(error.contains("cannot be read: there was no answer"), "{error}");
    }

    fn keys_of_nobody() -> Keys {
        keys(KeySource::Url("http://127.0.0.1:9/keys".parse().unwrap()))
    }

    #[test]
    fn the_time_that_reading_may_take_is_within_that_of_a_function() {
        assert!(Policy::default().timeout < Duration::from_secs(10));
    }

    /// A wall clock that follows tokio's clock, which the tests below pause.
    fn clock() -> SystemTime {
        thread_local! {
            static START: LazyCell<Instant> = const { LazyCell::new(Instant::now) };
        }
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + START.with(|start| start.elapsed())
    }

    fn cache() -> Cache {
        Cache::new(Policy { clock, ..Policy::default() })
    }

    fn set(id: &str) -> KeySet {
        KeySet::parse(&public(id).to_string()).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    /// Looks up a key once a second, for so many seconds, while the source fails. Returns the seconds at which the
    /// source was read, and the results.
    async fn asked(cache: &Cache, id: &str, seconds: u64) -> (Vec<u64>, Vec<Result<(), String>>) {
        let (start, mut at, mut outcomes) = (Instant::now(), Vec::new(), Vec::new());
        for _ in 0..seconds {
            let asked = Cell::new(false);
            let found = cache
                .find(&header(id), async || {
                    asked.set(true);
                    Err(Error::TimedOut)
                })
                .await;
            if asked.get() {
                at.push(start.elapsed().as_secs());
            }
            outcomes.push(outcome(found));
            sleep(SECOND).await;
        }
        (at, outcomes)
    }

    #[tokio::test(start_paused = true)]
    async fn without_keys_the_pauses_double_and_who_comes_meanwhile_hears_at_once() {
        let cache = cache();
        let (at, outcomes) = asked(&cache, "1", 300).await;
        assert_eq!(at, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
        assert_eq!(outcomes[0], Err("the keys did not come in time".to_owned()));
        let paused = "the keys could not be read a moment ago: the keys did not come in time";
        assert_eq!(outcomes[2], Err(paused.to_owned()));

        sleep(MINUTE).await;
        assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()));
        assert_eq!(cache.state.lock().await.failures, 0, "the next outage begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_and_the_others_hear_what_it_heard() {
        let (cache, asked) = (cache(), Cell::new(0));
        let slow = async |answer: Option<KeySet>| {
            asked.set(asked.get() + 1);
            sleep(SECOND * 60).await;
            answer.ok_or(Error::TimedOut)
        };
        let (one, other) = (header("1"), header("2"));
        let start = Instant::now();
        let (first, second, third) = join!(
            cache.find(&one, async || slow(None).await),
            cache.find(&other, async || slow(None).await),
            cache.find(&one, async || slow(None).await),
        );
        assert!([first, second, third].into_iter().all(|found| matches!(found, Err(Rejection::Failed(_)))));
        assert_eq!((asked.get(), start.elapsed()), (1, SECOND * 5), "nobody waits for a second attempt");
    }

    #[tokio::test(start_paused = true)]
    async fn old_keys_stay_for_an_hour_while_they_cannot_be_read_anew_and_no_longer() {
        let cache = cache();
        assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()));
        let (at, outcomes) = asked(&cache, "1", 2 * 3600).await;
        let good = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
        assert_eq!(good, 3600);
        assert!(outcomes[good..].iter().all(Result::is_err));
        assert_eq!(at[..3], [600, 660, 720], "each minute, once they are old");
        assert!(at.len() <= 111, "{}", at.len());

        // The hour begins at the last success, not at the last attempt.
        assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_the_place_of_the_keys_and_so_does_the_end_of_the_secret() {
        let gone = || Error::NoSecret { arn: "arn".to_owned(), source: "deleted".into() };
        let short = || Error::Keys { place: "arn".to_owned(), source: InvalidKeys::ShortSecret { found: 1 } };
        let nothing = || KeySet::parse(r#"{"keys": []}"#).unwrap();
        let not_a_set = || Error::Keys {
            place: "url".to_owned(),
            source: serde_json::from_str::<Value>("<").unwrap_err().into(),
        };
        type Answer<'a> = &'a dyn Fn() -> Result<KeySet, Error>;
        let answers: [(Answer<'_>, Result<(), &str>); 5] = [
            (&|| Ok(nothing()), Err("unknown_key")),
            (&|| Ok(set("2")), Err("unknown_key")),
            (&|| Err(gone()), Err("the secret arn is not there: deleted")),
            (&|| Err(short()), Err("arn holds no key: a secret for HS256 has 32 bytes or more, not 1")),
            (&|| Err(not_a_set()), Ok(())),
        ];
        for (answer, expected) in answers {
            let cache = cache();
            assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()));
            sleep(MINUTE * 10).await;
            let found = outcome(cache.find(&header("1"), async || answer()).await);
            assert_eq!(found, expected.map_err(str::to_owned));
            sleep(MINUTE * 10).await;
            assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()), "it is back");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_are_made_up_ask_once_a_minute() {
        let cache = cache();
        assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()));
        let (at, _) = asked(&cache, "made up", 300).await;
        assert_eq!(at, [60, 120, 180, 240]);
        assert_eq!(outcome(cache.find(&header("1"), async || Ok(set("1"))).await), Ok(()), "the others stay");
    }
}
