//! [`FakeService`]: the service as two functions, for faults that no socket
//! can produce, and for those of HTTP and JSON whose bytes do not matter.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autharmor::{
    Client, ClientBuilder, Clock as _, HttpRequest, HttpResponse, Limits, ManualClock, RetryPolicy,
    Transport, TransportError,
};

use super::attempts;
use super::calls::{Call, ID, LONG, token_body};
use super::harness::{Counts, Now, Scenario, Service};
use super::secrets::SECRET;

pub(crate) type TransportResult = Result<HttpResponse, TransportError>;
type Respond = dyn Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync;

/// A transport that responds by two functions of the request and of the number
/// of earlier requests to the same host.
pub(crate) struct FakeService {
    token: Box<Respond>,
    api: Box<Respond>,
    now: Arc<Now>,
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// Those that never arrived included.
    api_requests: usize,
    fetching: usize,
    is_recovered: bool,
}

impl FakeService {
    pub(crate) fn new(
        token: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
        api: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
    ) -> Self {
        Self {
            token: Box::new(token),
            api: Box::new(api),
            now: Arc::new(Instant::now),
            timeout: LONG,
            state: Mutex::default(),
        }
    }

    /// Sets the timeout of the client.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A client with short pauses before retries.
    pub(crate) fn scenario(self) -> Scenario {
        self.with_settings(|builder| builder)
    }

    pub(crate) fn with_settings(
        self,
        set: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Scenario {
        let policy = RetryPolicy::default().first_pause(Duration::from_millis(1));
        self.with_builder(set(Client::builder(ID, SECRET).retry(policy)))
    }

    pub(crate) fn with_builder(self, builder: ClientBuilder) -> Scenario {
        let service = Arc::new(self);
        let builder = builder
            .timeout(service.timeout)
            .transport(service.clone())
            .on_attempt(attempts::observe);
        Scenario::new(builder.build().unwrap(), service)
    }

    /// A client with the clock of this builder, which `now` reads.
    pub(crate) fn with_clock_of(mut self, now: Arc<Now>, builder: ClientBuilder) -> Scenario {
        let clock = Some((now.clone(), self.timeout));
        self.now = now;
        Scenario {
            clock,
            ..self.with_builder(builder)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Some faults are panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn respond_with_token(&self, request: &HttpRequest, limits: Limits) -> TransportResult {
        let (number, is_recovered) = {
            let mut state = self.lock();
            state.fetching += 1;
            let fetching = state.fetching;
            let counts = &mut state.counts;
            counts.tokens += 1;
            counts.tokens_at_once = counts.tokens_at_once.max(fetching);
            (counts.tokens - 1, state.is_recovered)
        };
        let _guard = FetchGuard(self);
        if is_recovered {
            respond(200, token_body(number, "600"))
        } else {
            (self.token)(number, request, limits)
        }
    }

    fn respond_as_api(&self, request: &HttpRequest, limits: Limits) -> TransportResult {
        let (number, is_recovered) = {
            let mut state = self.lock();
            state.api_requests += 1;
            (state.api_requests - 1, state.is_recovered)
        };
        let result = if is_recovered {
            healthy(request)
        } else {
            (self.api)(number, request, limits)
        };
        let (arrived, acted_on) = match &result {
            Ok(response) => (true, !matches!(response.status().as_u16(), 401 | 429)),
            Err(error) => (error.may_have_been_sent(), error.may_have_been_sent()),
        };
        let mut state = self.lock();
        state.counts.api += usize::from(arrived);
        state.counts.acted_on += usize::from(acted_on);
        result
    }
}

/// Ends a token fetch even if the function panics.
struct FetchGuard<'a>(&'a FakeService);

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().fetching -= 1;
    }
}

impl Transport for FakeService {
    fn send(&self, request: HttpRequest, limits: Limits) -> TransportResult {
        attempts::note_request();
        let latest = (self.now)().checked_add(self.timeout);
        if latest.is_some_and(|latest| limits.deadline > latest) {
            self.lock().counts.overtime = true;
        }
        if request.uri().path() == "/connect/token" {
            self.respond_with_token(&request, limits)
        } else {
            self.respond_as_api(&request, limits)
        }
    }
}

impl Service for Arc<FakeService> {
    fn counts(&self) -> Counts {
        self.lock().counts
    }

    fn settle(&self, _: usize, _: usize) {}

    fn recover(&self) {
        self.lock().is_recovered = true;
    }
}

/// A client of this service, with a clock that moves only when told to.
pub(crate) fn with_clock(service: FakeService) -> (Scenario, Arc<ManualClock>) {
    with_clock_and(service, |builder| builder)
}

/// The same with other settings.
pub(crate) fn with_clock_and(
    service: FakeService,
    set: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> (Scenario, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let now = {
        let clock = clock.clone();
        move || clock.now()
    };
    let builder = set(Client::builder(ID, SECRET).clock(clock.clone()));
    (service.with_clock_of(Arc::new(now), builder), clock)
}

/// A token endpoint without a fault.
pub(crate) fn tokens(number: usize, _: &HttpRequest, _: Limits) -> TransportResult {
    respond(200, token_body(number, "600"))
}

/// The response that serves the call.
pub(crate) fn healthy(request: &HttpRequest) -> TransportResult {
    respond(200, Call::of(request.uri().path()).body())
}

/// An API without a fault.
pub(crate) fn serving(_: usize, request: &HttpRequest, _: Limits) -> TransportResult {
    healthy(request)
}

/// A response with a status and a body.
pub(crate) fn respond(status: u16, body: impl Into<String>) -> TransportResult {
    respond_with(status, &[], body)
}

#[expect(clippy::unnecessary_wraps, reason = "a transport returns this")]
pub(crate) fn respond_with(
    status: u16,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> TransportResult {
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(body.into().into_bytes()).unwrap().into())
}
