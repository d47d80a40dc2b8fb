//! What goes wrong, and when: all of it follows from the seed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use testkit::simulation::{Call, Fate};
use tokio::time::Instant;

/// A time during which much of what a service is asked for fails.
#[derive(Clone, Debug)]
struct Storm {
    times: Range<Instant>,
    /// The share of calls that it meets.
    share: f64,
    /// How posts are answered meanwhile; nothing: anyhow.
    status: Option<u16>,
}

/// What decides on the calls of a case.
#[derive(Debug)]
pub(crate) struct Chaos {
    seed: u64,
    /// The share of calls that fail at any time.
    share: f64,
    on_posts: Vec<Storm>,
    on_table: Vec<Storm>,
    on_queue: Vec<Storm>,
    /// How often each call was made.
    calls: HashMap<Call, u64>,
    unsure: Arc<Mutex<Unsure>>,
}

/// What was done though nobody heard that it was, or too late.
#[derive(Debug, Default)]
pub(crate) struct Unsure {
    /// How many posts to each connection.
    pub(crate) posts: BTreeMap<String, usize>,
    /// The connections a row of which was written or deleted so.
    pub(crate) rows: BTreeSet<String>,
}

/// A number generator of its own for each thing: what is drawn for one does not depend on the others.
pub(crate) fn generator(seed: u64, thing: impl Hash) -> Rng {
    let mut hasher = DefaultHasher::new();
    (seed, thing).hash(&mut hasher);
    Rng::with_seed(hasher.finish())
}

/// A time up to the longest, short ones more often.
pub(crate) fn up_to(longest: Duration, rng: &mut Rng) -> Duration {
    longest.mul_f64(rng.f64().powi(2))
}

impl Chaos {
    /// What goes wrong from now on for so long.
    pub(crate) fn new(seed: u64, lasts: Duration, unsure: Arc<Mutex<Unsure>>) -> Self {
        let mut rng = generator(seed, "chaos");
        let mut storms = |statuses: &[Option<u16>]| -> Vec<Storm> {
            let count = rng.usize(0..3);
            let mut storm = || {
                let start = Instant::now() + lasts.mul_f64(rng.f64());
                let times = start..start + up_to(Duration::from_secs(40), &mut rng);
                Storm { times, share: rng.f64(), status: *rng.choice(statuses).unwrap() }
            };
            (0..count).map(|_| storm()).collect()
        };
        let (on_posts, on_table, on_queue) =
            (storms(&[None, Some(429), Some(429), Some(500)]), storms(&[None]), storms(&[None]));
        let share = *rng.choice(&[0.0, 0.02, 0.2]).unwrap();
        Self { seed, share, on_posts, on_table, on_queue, calls: HashMap::new(), unsure }
    }

    pub(crate) fn decide(&mut self, call: &Call) -> Fate {
        let fate = self.fate(call);
        // A caller waits for a second or a few.
        if matches!(fate, Fate::Unheard(_))
            || matches!(fate, Fate::Served(time) if time >= Duration::from_secs(1))
        {
            let mut unsure = self.unsure.lock().unwrap();
            match call {
                Call::Post(id) => *unsure.posts.entry(id.clone()).or_default() += 1,
                Call::Table("PutItem" | "DeleteItem", about) => {
                    let id = about.rsplit('"').nth(1).expect("the key of a row");
                    unsure.rows.insert(id.to_owned());
                }
                _ => {}
            }
        }
        fate
    }

    fn fate(&mut self, call: &Call) -> Fate {
        let times = self.calls.entry(call.clone()).or_default();
        *times += 1;
        let mut rng = generator(self.seed, (call, *times));
        let soon = up_to(Duration::from_millis(80), &mut rng);
        let (storms, statuses) = match call {
            Call::Post(_) | Call::Get(_) | Call::Close(_) => (&self.on_posts, [429_u16, 500, 503].as_slice()),
            Call::Table(..) | Call::History(..) => (&self.on_table, [400, 500].as_slice()),
            Call::Enqueue | Call::Entry(_) => (&self.on_queue, [500, 503].as_slice()),
        };
        let now = Instant::now();
        let storm = storms.iter().find(|storm| storm.times.contains(&now) && rng.f64() < storm.share);
        if let Some(Storm { status: Some(status), .. }) = storm {
            return Fate::Refused(*status, soon);
        }
        if storm.is_none() && rng.f64() >= self.share {
            return Fate::Served(soon);
        }
        match rng.u8(0..6) {
            0 => Fate::Ignored,
            1 => Fate::Broken(soon),
            2 => Fate::Unheard(soon),
            3 => Fate::Served(up_to(Duration::from_secs(6), &mut rng)),
            _ => Fate::Refused(*rng.choice(statuses).unwrap(), soon),
        }
    }
}
