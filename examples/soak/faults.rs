//! What breaks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use autharmor::emulator::{Emulator, Fault};

use crate::world::Random;

type Kind = (&'static str, fn() -> Fault);

/// Every kind of fault that the emulator knows, but for an expired token.
const KINDS: &[Kind] = &[
    ("status 400", || Fault::status(400)),
    ("status 401, empty", || Fault::status(401)),
    ("status 401, error body", || {
        Fault::status(401).body("application/json", r#"{"error_code":401}"#)
    }),
    ("status 403", || Fault::status(403)),
    ("status 404", || Fault::status(404)),
    ("status 408", || Fault::status(408)),
    ("status 429", || Fault::status(429)),
    ("status 429, retry at once", || {
        Fault::status(429).retry_after("0")
    }),
    ("status 429, retry after 1 s", || {
        Fault::status(429).retry_after("1")
    }),
    ("status 302", || Fault::status(302)),
    ("status 500", || Fault::status(500)),
    ("status 502, a page", || {
        Fault::status(502).body("text/html", "<html>Bad Gateway</html>")
    }),
    ("status 503, retry at once", || {
        Fault::status(503).retry_after("0")
    }),
    ("status 504", || Fault::status(504)),
    ("status 200, a page", || {
        Fault::status(200).body("text/html", "<html>Welcome</html>")
    }),
    ("status 200, an empty object", || {
        Fault::status(200).body("application/json", "{}")
    }),
    ("latency", || Fault::latency(Duration::from_millis(40))),
    ("dropped, lost", Fault::drop_before_answer),
    ("dropped, done", || {
        Fault::drop_before_answer().processed(true)
    }),
    ("dropped within the head", Fault::drop_in_answer),
    ("garbage", Fault::garbage),
    ("truncated body", Fault::truncated_body),
    ("broken chunks", Fault::broken_chunks),
];

/// A token that is younger than 30 s when it is refused is not exchanged: that
/// is how the client keeps from storming the token endpoint. So tokens expire
/// no oftener, or hardly a call would come through.
const LIFE_OF_A_TOKEN: Duration = Duration::from_secs(31);

/// So often a kind was let loose.
pub(crate) struct Faults {
    kinds: Vec<AtomicUsize>,
    expired: AtomicUsize,
    at_the_token: AtomicUsize,
    token_expired: Mutex<Instant>,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self {
            kinds: KINDS.iter().map(|_| AtomicUsize::new(0)).collect(),
            expired: AtomicUsize::new(0),
            at_the_token: AtomicUsize::new(0),
            token_expired: Mutex::new(Instant::now()),
        }
    }

    /// One fault for whichever call comes next, and when the time has come,
    /// another: a token expires, and the token endpoint may fail as well.
    pub(crate) fn let_loose(&self, emulator: &Emulator, random: &mut Random) {
        let kind = random.below(KINDS.len());
        self.kinds[kind].fetch_add(1, Relaxed);
        emulator.fault((KINDS[kind].1)().times(1));

        let Ok(mut expired) = self.token_expired.try_lock() else {
            return;
        };
        if expired.elapsed() > LIFE_OF_A_TOKEN {
            *expired = Instant::now();
            self.expired.fetch_add(1, Relaxed);
            emulator.fault(Fault::expired_token().times(1));
            if random.below(2) == 0 {
                self.at_the_token.fetch_add(1, Relaxed);
                emulator.fault((KINDS[kind].1)().on("token").times(1));
            }
        }
    }

    pub(crate) fn print(&self) {
        let each: Vec<String> = KINDS
            .iter()
            .zip(&self.kinds)
            .map(|((name, _), count)| format!("{name} {}", count.load(Relaxed)))
            .collect();
        let total: usize = self.kinds.iter().map(|count| count.load(Relaxed)).sum();
        println!(
            "{total} faults: {}; beside them {} expired tokens and {} faults at the token endpoint\n",
            each.join(", "),
            self.expired.load(Relaxed),
            self.at_the_token.load(Relaxed)
        );
    }
}
