//! Shared by the unit tests: a client over a fake transport, and a gate.
//!
//! `autharmor-test-support` cannot hold what names a type of this crate: it
//! links another instance of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

pub(crate) use autharmor_test_support::Gate;

use crate::clock::{Clock, ManualClock};
use crate::{Client, ClientBuilder, HttpRequest, HttpResponse, Limits, Transport, TransportError};

pub(crate) type TransportResult = Result<HttpResponse, TransportError>;

/// The requests so far: `token`, or method and path with query.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// A transport that is a function of the request and of the number of earlier
/// requests to the same host.
pub(crate) struct Fake<T, A> {
    token: T,
    api: A,
    seen: Seen,
}

impl<T, A> Transport for Fake<T, A>
where
    T: Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync,
    A: Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync,
{
    fn send(&self, request: HttpRequest, limits: Limits) -> TransportResult {
        let is_token = request.uri().path() == "/connect/token";
        let line = if is_token {
            "token".to_owned()
        } else {
            format!(
                "{} {}",
                request.method(),
                request.uri().path_and_query().unwrap()
            )
        };
        let earlier = {
            let mut seen = self.seen.lock().unwrap();
            let earlier = seen
                .iter()
                .filter(|line| (*line == "token") == is_token)
                .count();
            seen.push(line);
            earlier
        };
        if is_token {
            (self.token)(earlier, &request, limits)
        } else {
            (self.api)(earlier, &request, limits)
        }
    }
}

/// A client over a fake transport, its clock, and its requests.
pub(crate) struct TestClient {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    seen: Seen,
}

impl TestClient {
    pub(crate) fn new(
        token: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
        api: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
    ) -> Self {
        Self::with(token, api, |builder| builder)
    }

    pub(crate) fn with(
        token: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
        api: impl Fn(usize, &HttpRequest, Limits) -> TransportResult + Send + Sync + 'static,
        set: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::new());
        let seen = Seen::default();
        let fake = Fake {
            token,
            api,
            seen: Arc::clone(&seen),
        };
        let builder = Client::builder("id", SECRET)
            .transport(fake)
            .clock(clock.clone());
        Self {
            client: set(builder).build().unwrap(),
            clock,
            seen,
        }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn token_requests(&self) -> usize {
        self.seen().iter().filter(|line| *line == "token").count()
    }

    pub(crate) fn api_requests(&self) -> usize {
        self.seen().len() - self.token_requests()
    }
}

/// A clock whose jitter is the least.
#[derive(Debug)]
pub(crate) struct ShortClock(pub(crate) Arc<ManualClock>);

impl Clock for ShortClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }

    fn sleep(&self, pause: Duration) {
        self.0.sleep(pause);
    }

    fn jitter(&self, _: Duration) -> Duration {
        Duration::ZERO
    }
}

pub(crate) const SECRET: &str = "cl13nt-s3cr3t";

/// Returns a response with a status and a body.
#[expect(clippy::unnecessary_wraps, reason = "it is what a transport returns")]
pub(crate) fn respond(status: u16, body: impl Into<String>) -> TransportResult {
    let response = http::Response::builder()
        .status(status)
        .body(body.into().into_bytes());
    Ok(response.unwrap().into())
}

/// Returns a token response; the token is `t` and a number.
pub(crate) fn token(number: usize, life: i64) -> TransportResult {
    respond(
        200,
        format!(r#"{{"access_token":"t{number}","expires_in":{life}}}"#),
    )
}

/// Returns the number of the token in a request.
pub(crate) fn bearer(request: &HttpRequest) -> String {
    request.headers()["authorization"]
        .to_str()
        .unwrap()
        .replace("Bearer t", "")
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
