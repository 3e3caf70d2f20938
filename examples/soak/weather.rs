//! What goes wrong at the emulator, and how often.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use autharmor::emulator::{Emulator, Fault};

use crate::dice::Dice;

/// Faults at random. After each exchange one may be made ready, and strikes the
/// next one.
pub(crate) struct Weather {
    is_bad: AtomicBool,
    percent: f64,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    struck: BTreeMap<&'static str, u64>,
}

struct Kind {
    name: &'static str,
    /// Out of the sum of all.
    weight: u64,
    /// Takes or spoils tokens.
    about_tokens: bool,
    make: Make,
}

enum Make {
    Fault(fn(&mut Dice) -> Fault),
    RevokeAllTokens,
}

const fn fault(name: &'static str, weight: u64, make: fn(&mut Dice) -> Fault) -> Kind {
    Kind {
        name,
        weight,
        about_tokens: false,
        make: Make::Fault(make),
    }
}

const fn token_fault(name: &'static str, weight: u64, make: fn(&mut Dice) -> Fault) -> Kind {
    Kind {
        about_tokens: true,
        ..fault(name, weight, make)
    }
}

/// For any exchange.
const ANYWHERE: &[Kind] = &[
    fault("status 400", 2, |_| Fault::status(400)),
    fault("status 403", 2, |_| Fault::status(403)),
    fault("status 404", 2, |_| Fault::status(404)),
    fault("status 408", 3, |_| Fault::status(408)),
    fault("status 409", 2, |_| Fault::status(409)),
    fault("status 302, elsewhere", 2, |_| Fault::status(302)),
    fault("status 429", 8, |_| Fault::status(429)),
    fault("status 429, Retry-After 0", 8, |_| {
        Fault::status(429).retry_after("0")
    }),
    fault("status 429, Retry-After 1", 2, |_| {
        Fault::status(429).retry_after("1")
    }),
    fault("status 429, Retry-After a day", 1, |_| {
        Fault::status(429).retry_after("86400")
    }),
    fault("status 429, Retry-After a past date", 3, |_| {
        Fault::status(429).retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
    }),
    fault("status 429, Retry-After nonsense", 3, |_| {
        Fault::status(429).retry_after("soon")
    }),
    fault("status 500", 8, |_| Fault::status(500)),
    fault("status 502, a page", 5, |_| {
        Fault::status(502).body("text/html", "<h1>Bad Gateway</h1>")
    }),
    fault("status 503", 8, |_| Fault::status(503)),
    fault("status 503, Retry-After 0", 4, |_| {
        Fault::status(503).retry_after("0")
    }),
    fault("status 504", 5, |_| Fault::status(504)),
    fault("status 200, a page", 3, |_| {
        Fault::status(200).body("text/html", "<h1>Welcome</h1>")
    }),
    fault("status 200, half of JSON", 3, |_| {
        Fault::status(200).body("application/json", "{\"user_id\":\"")
    }),
    fault("status 200, {}", 3, |_| {
        Fault::status(200).body("application/json", "{}")
    }),
    fault("latency of 5 to 50 ms", 14, |dice| {
        Fault::latency(Duration::from_millis(5 + dice.below(46)))
    }),
    fault("dropped, nothing done", 8, |_| {
        Fault::drop_before_response()
    }),
    fault("dropped, all done", 6, |_| {
        Fault::drop_before_response().processed(true)
    }),
    fault("dropped in the answer's head", 6, |_| {
        Fault::drop_in_response()
    }),
    fault("garbage instead of HTTP", 5, |_| Fault::garbage()),
    fault("truncated body", 6, |_| Fault::truncated_body()),
    fault("broken chunks", 6, |_| Fault::broken_chunks()),
    token_fault("status 401", 8, |_| Fault::status(401)),
    token_fault("expired token", 8, |_| Fault::expired_token()),
    Kind {
        name: "all tokens revoked",
        weight: 1,
        about_tokens: true,
        make: Make::RevokeAllTokens,
    },
];

/// For the token endpoint alone, which is asked so rarely that little of the
/// rest strikes it.
const TOKENS: &[Kind] = &[
    fault("token: status 400", 1, |_| {
        Fault::status(400).body("application/json", "{\"error\":\"invalid_client\"}")
    }),
    fault("token: status 429, Retry-After 0", 6, |_| {
        Fault::status(429).retry_after("0")
    }),
    fault("token: status 500", 8, |_| Fault::status(500)),
    fault("token: status 503", 8, |_| Fault::status(503)),
    fault("token: latency of 5 to 50 ms", 8, |dice| {
        Fault::latency(Duration::from_millis(5 + dice.below(46)))
    }),
    fault("token: dropped", 6, |_| Fault::drop_before_response()),
    fault("token: garbage", 4, |_| Fault::garbage()),
    fault("token: truncated body", 6, |_| Fault::truncated_body()),
    fault("token: not JSON", 4, |_| {
        Fault::status(200).body("application/json", "token")
    }),
    fault("token: one that the API does not take", 4, |_| {
        Fault::status(200).body(
            "application/json",
            "{\"access_token\":\"made-up\",\"token_type\":\"Bearer\",\"expires_in\":600}",
        )
    }),
];

/// As many percent of the token requests as of the others would be too few to
/// see every kind.
const TOKEN_FACTOR: f64 = 4.0;

impl Weather {
    pub(crate) fn new(percent: f64, seed: u64) -> Self {
        Self {
            is_bad: AtomicBool::new(false),
            percent,
            began: Instant::now(),
            state: Mutex::new(State {
                dice: Dice::new(seed),
                struck: BTreeMap::new(),
            }),
        }
    }

    pub(crate) fn set(&self, is_bad: bool) {
        self.is_bad.store(is_bad, Relaxed);
    }

    /// What was made ready. It has struck as soon as more exchanges followed.
    pub(crate) fn struck(&self) -> BTreeMap<&'static str, u64> {
        self.lock().struck.clone()
    }

    /// To be called after each exchange.
    pub(crate) fn after(&self, endpoint: Option<&str>, emulator: &Emulator) {
        if !self.is_bad.load(Relaxed) {
            return;
        }
        let mut state = self.lock();
        if state.dice.percent(self.percent) {
            if let Some(fault) = self.draw(&mut state, ANYWHERE, emulator) {
                emulator.fault(fault.times(1));
            }
        }
        if endpoint == Some("token") && state.dice.percent(TOKEN_FACTOR * self.percent) {
            if let Some(fault) = self.draw(&mut state, TOKENS, emulator) {
                emulator.fault(fault.on("token").times(1));
            }
        }
    }

    fn draw(&self, state: &mut State, kinds: &[Kind], emulator: &Emulator) -> Option<Fault> {
        let tokens_too = self.is_hard_on_tokens();
        let possible = || kinds.iter().filter(|kind| tokens_too || !kind.about_tokens);
        let mut roll = state.dice.below(possible().map(|kind| kind.weight).sum());
        let kind = possible().find(|kind| {
            let is_it = roll < kind.weight;
            roll = roll.saturating_sub(kind.weight);
            is_it
        })?;
        *state.struck.entry(kind.name).or_default() += 1;
        match kind.make {
            Make::Fault(make) => Some(make(&mut state.dice)),
            Make::RevokeAllTokens => {
                emulator.expire_tokens();
                None
            }
        }
    }

    /// The client doubts no token that is younger than 30 seconds. So there are
    /// times in which tokens suffer and times of 35 and of 60 seconds in which
    /// they grow old: the first lets the client meet a 401 with an old token,
    /// the second lets a token come to its own end.
    fn is_hard_on_tokens(&self) -> bool {
        matches!(self.began.elapsed().as_secs() % 115, 0..10 | 45..55)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
