//! The other side as a function: for faults that no socket can produce, and
//! for those of HTTP and JSON, where the bytes do not matter.
#![allow(dead_code, reason = "the two test programs use different parts of it")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::api::{
    Client, ClientBuilder, HttpRequest, HttpResponse, Limits, RetryPolicy, Transport,
    TransportError,
};
use super::harness::{Call, ID, Now, PATIENT, SECRET, Side, Tally, World, token_body};

pub(crate) type Answer = Result<HttpResponse, TransportError>;
type Function = dyn Fn(usize, &HttpRequest, Limits) -> Answer + Send + Sync;

/// A transport that is a function of the request and of the number of earlier
/// ones to the same host.
pub(crate) struct Fake {
    token: Box<Function>,
    api: Box<Function>,
    now: Arc<Now>,
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    token_requests: usize,
    api_requests: usize,
    fetching: usize,
    healed: bool,
}

impl Fake {
    pub(crate) fn new(
        token: impl Fn(usize, &HttpRequest, Limits) -> Answer + Send + Sync + 'static,
        api: impl Fn(usize, &HttpRequest, Limits) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self {
            token: Box::new(token),
            api: Box::new(api),
            now: Arc::new(Instant::now),
            timeout: PATIENT,
            state: Mutex::default(),
        }
    }

    /// Lets the calls have this much time.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A world with this fake in it, where pauses hardly take time.
    pub(crate) fn world(self) -> World {
        self.tuned(|builder| builder)
    }

    pub(crate) fn tuned(self, tune: impl FnOnce(ClientBuilder) -> ClientBuilder) -> World {
        let hasty = RetryPolicy::default().first_pause(Duration::from_millis(1));
        self.under(tune(Client::builder(ID, SECRET).retry(hasty)))
    }

    /// A world with this builder's client.
    pub(crate) fn under(self, builder: ClientBuilder) -> World {
        let fake = Arc::new(self);
        let builder = builder.timeout(fake.timeout).transport(fake.clone());
        World {
            client: builder.build().unwrap(),
            side: Box::new(fake),
            clock: None,
        }
    }

    /// The same under a manual clock, which the builder has as well.
    pub(crate) fn timed(mut self, now: Arc<Now>, builder: ClientBuilder) -> World {
        let clock = Some((now.clone(), self.timeout));
        self.now = now;
        World {
            clock,
            ..self.under(builder)
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic in an answer is a fault like others.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn token(&self, request: &HttpRequest, limits: Limits) -> Answer {
        let (number, healed) = {
            let mut state = self.state();
            state.token_requests += 1;
            state.fetching += 1;
            state.tally.tokens += 1;
            state.tally.tokens_at_once = state.tally.tokens_at_once.max(state.fetching);
            (state.token_requests - 1, state.healed)
        };
        let _landing = Landing(self);
        if healed {
            answer(200, token_body(number, "600"))
        } else {
            (self.token)(number, request, limits)
        }
    }

    fn api(&self, request: &HttpRequest, limits: Limits) -> Answer {
        let (number, healed) = {
            let mut state = self.state();
            state.api_requests += 1;
            (state.api_requests - 1, state.healed)
        };
        let answer = if healed {
            healthy(request)
        } else {
            (self.api)(number, request, limits)
        };
        let (arrived, felt) = match &answer {
            Ok(response) => (true, !matches!(response.status().as_u16(), 401 | 429)),
            Err(error) => (error.may_have_been_sent(), error.may_have_been_sent()),
        };
        let mut state = self.state();
        state.tally.api += usize::from(arrived);
        state.tally.felt += usize::from(felt);
        answer
    }
}

/// Counts down even if the answer panics.
struct Landing<'a>(&'a Fake);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.state().fetching -= 1;
    }
}

impl Transport for Fake {
    fn send(&self, request: HttpRequest, limits: Limits) -> Answer {
        let latest = (self.now)().checked_add(self.timeout);
        if latest.is_some_and(|latest| limits.deadline > latest) {
            self.state().tally.overtime = true;
        }
        if request.uri().path() == "/connect/token" {
            self.token(&request, limits)
        } else {
            self.api(&request, limits)
        }
    }
}

impl Side for Arc<Fake> {
    fn tally(&self) -> Tally {
        self.state().tally
    }

    fn settle(&self, _: usize, _: usize) {}

    fn heal(&self) {
        self.state().healed = true;
    }
}

/// A token endpoint with nothing wrong.
pub(crate) fn tokens(number: usize, _: &HttpRequest, _: Limits) -> Answer {
    answer(200, token_body(number, "600"))
}

/// The answer that serves the call.
pub(crate) fn healthy(request: &HttpRequest) -> Answer {
    answer(200, Call::of(request.uri().path()).body())
}

/// An answer with a status and a body.
pub(crate) fn answer(status: u16, body: impl Into<String>) -> Answer {
    answer_with(status, &[], body)
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a transport returns")]
pub(crate) fn answer_with(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Answer {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(body.into().into_bytes()).unwrap().into())
}
