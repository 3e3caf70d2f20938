//! The faults that occur at the emulator, and how often.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autharmor::emulator::{Emulator, Fault};
use autharmor_test_support::Rng;

/// Injects faults at random: after each exchange it may prepare one for the
/// next exchange.
pub struct FaultSchedule {
    is_enabled: AtomicBool,
    percent: f64,
    began: Instant,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    counts: BTreeMap<&'static str, u64>,
}

struct Kind {
    name: &'static str,
    /// A kind is chosen with the probability weight / sum of all weights.
    weight: usize,
    /// Whether it invalidates tokens.
    affects_tokens: bool,
    action: Action,
}

enum Action {
    Fault(fn(&mut Rng) -> Fault),
    RevokeAllTokens,
}

const fn fault(name: &'static str, weight: usize, make: fn(&mut Rng) -> Fault) -> Kind {
    Kind {
        name,
        weight,
        affects_tokens: false,
        action: Action::Fault(make),
    }
}

const fn token_fault(name: &'static str, weight: usize, make: fn(&mut Rng) -> Fault) -> Kind {
    Kind {
        affects_tokens: true,
        ..fault(name, weight, make)
    }
}

/// Faults for every endpoint.
const ALL_ENDPOINTS: &[Kind] = &[
    fault("status 400", 2, |_| Fault::status(400)),
    fault("status 403", 2, |_| Fault::status(403)),
    fault("status 404", 2, |_| Fault::status(404)),
    fault("status 408", 3, |_| Fault::status(408)),
    fault("status 409", 2, |_| Fault::status(409)),
    fault("status 302", 2, |_| Fault::status(302)),
    fault("status 429", 8, |_| Fault::status(429)),
    fault("status 429, Retry-After 0", 8, |_| {
        Fault::status(429).retry_after("0")
    }),
    fault("status 429, Retry-After 1", 2, |_| {
        Fault::status(429).retry_after("1")
    }),
    fault("status 429, Retry-After 86400", 1, |_| {
        Fault::status(429).retry_after("86400")
    }),
    fault("status 429, Retry-After in the past", 3, |_| {
        Fault::status(429).retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
    }),
    fault("status 429, Retry-After not a date", 3, |_| {
        Fault::status(429).retry_after("soon")
    }),
    fault("status 500", 8, |_| Fault::status(500)),
    fault("status 502, HTML", 5, |_| {
        Fault::status(502).body("text/html", "<h1>Bad Gateway</h1>")
    }),
    fault("status 503", 8, |_| Fault::status(503)),
    fault("status 503, Retry-After 0", 4, |_| {
        Fault::status(503).retry_after("0")
    }),
    fault("status 504", 5, |_| Fault::status(504)),
    fault("status 200, HTML", 3, |_| {
        Fault::status(200).body("text/html", "<h1>Welcome</h1>")
    }),
    fault("status 200, truncated JSON", 3, |_| {
        Fault::status(200).body("application/json", "{\"user_id\":\"")
    }),
    fault("status 200, empty object", 3, |_| {
        Fault::status(200).body("application/json", "{}")
    }),
    fault("latency of 5 to 50 ms", 14, |rng| {
        Fault::latency(Duration::from_millis(5 + rng.next_u64() % 46))
    }),
    fault("dropped, not processed", 8, |_| {
        Fault::drop_before_response()
    }),
    fault("dropped, processed", 6, |_| {
        Fault::drop_before_response().processed(true)
    }),
    fault("dropped in the response head", 6, |_| {
        Fault::drop_in_response()
    }),
    fault("not HTTP", 5, |_| Fault::garbage()),
    fault("truncated body", 6, |_| Fault::truncated_body()),
    fault("invalid chunks", 6, |_| Fault::broken_chunks()),
    token_fault("status 401", 8, |_| Fault::status(401)),
    token_fault("expired token", 8, |_| Fault::expired_token()),
    Kind {
        name: "all tokens revoked",
        weight: 1,
        affects_tokens: true,
        action: Action::RevokeAllTokens,
    },
];

/// Faults for the token endpoint only. It gets few requests, so few of the
/// other faults reach it.
const TOKEN_ENDPOINT: &[Kind] = &[
    fault("token: status 400", 1, |_| {
        Fault::status(400).body("application/json", "{\"error\":\"invalid_client\"}")
    }),
    fault("token: status 429, Retry-After 0", 6, |_| {
        Fault::status(429).retry_after("0")
    }),
    fault("token: status 500", 8, |_| Fault::status(500)),
    fault("token: status 503", 8, |_| Fault::status(503)),
    fault("token: latency of 5 to 50 ms", 8, |rng| {
        Fault::latency(Duration::from_millis(5 + rng.next_u64() % 46))
    }),
    fault("token: dropped", 6, |_| Fault::drop_before_response()),
    fault("token: not HTTP", 4, |_| Fault::garbage()),
    fault("token: truncated body", 6, |_| Fault::truncated_body()),
    fault("token: not JSON", 4, |_| {
        Fault::status(200).body("application/json", "token")
    }),
    fault("token: rejected by the API", 4, |_| {
        Fault::status(200).body(
            "application/json",
            "{\"access_token\":\"made-up\",\"token_type\":\"Bearer\",\"expires_in\":600}",
        )
    }),
];

/// Token requests fail more often than others by this factor. They are rare, and
/// every kind of fault should occur.
const TOKEN_FACTOR: f64 = 4.0;

impl FaultSchedule {
    /// A schedule that is off. `percent` is the share of exchanges with a fault.
    pub fn new(percent: f64, seed: u64) -> Self {
        Self {
            is_enabled: AtomicBool::new(false),
            percent,
            began: Instant::now(),
            state: Mutex::new(State {
                rng: Rng::new(seed),
                counts: BTreeMap::new(),
            }),
        }
    }

    pub fn enable(&self, is_enabled: bool) {
        self.is_enabled.store(is_enabled, Relaxed);
    }

    /// Returns how many faults of each kind were prepared. The last ones may
    /// not have occurred yet.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    /// To be called after each exchange.
    pub fn after_exchange(&self, endpoint: Option<&str>, emulator: &Emulator) {
        if !self.is_enabled.load(Relaxed) {
            return;
        }
        let mut state = self.lock();
        if state.rng.percent(self.percent)
            && let Some(fault) = self.choose(&mut state, ALL_ENDPOINTS, emulator)
        {
            emulator.fault(fault.times(1));
        }
        if endpoint == Some("token")
            && state.rng.percent(TOKEN_FACTOR * self.percent)
            && let Some(fault) = self.choose(&mut state, TOKEN_ENDPOINT, emulator)
        {
            emulator.fault(fault.on("token").times(1));
        }
    }

    fn choose(&self, state: &mut State, kinds: &[Kind], emulator: &Emulator) -> Option<Fault> {
        let with_tokens = self.tokens_may_fail();
        let possible = || {
            let kinds = kinds.iter();
            kinds.filter(|kind| with_tokens || !kind.affects_tokens)
        };
        let mut number = state.rng.below(possible().map(|kind| kind.weight).sum());
        let kind = possible().find(|kind| {
            let is_chosen = number < kind.weight;
            number = number.saturating_sub(kind.weight);
            is_chosen
        })?;
        *state.counts.entry(kind.name).or_default() += 1;
        match kind.action {
            Action::Fault(make) => Some(make(&mut state.rng)),
            Action::RevokeAllTokens => {
                emulator.expire_tokens();
                None
            }
        }
    }

    /// A 401 costs the client at most one token request in 30 s, and a token
    /// lives 45 s. So periods with token faults alternate with periods of 35 s
    /// and 60 s without: the client can get a 401 that it may act on, and a
    /// token can reach its own end.
    fn tokens_may_fail(&self) -> bool {
        matches!(self.began.elapsed().as_secs() % 115, 0..10 | 45..55)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
