//! The modelled service: two hosts with a capacity, a latency and outages.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autharmor::{
    Clock as _, HttpRequest, HttpResponse, Limits, Transport, TransportError, TransportErrorKind,
};

use crate::time::VirtualClock;

/// A host that is as busy as this refuses further requests.
const LONGEST_QUEUE: Duration = Duration::from_secs(1);

/// The way in which a host fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 503 at once.
    Unavailable,
    /// 503 with the time that is left in `Retry-After`.
    RetryAfter,
    /// No response at all.
    Silence,
}

/// What is known of a host before a run.
#[derive(Clone, Debug)]
pub struct HostModel {
    /// Requests that it serves in a second.
    pub capacity: u32,
    pub latency: Duration,
    pub outage: Range<Duration>,
    pub failure: Failure,
}

/// A host during a run.
struct Host {
    model: HostModel,
    /// When it has served all that has arrived.
    free_at: Duration,
    /// The requests of each second.
    seconds: Vec<u32>,
}

impl Host {
    fn new(model: HostModel) -> Self {
        Self {
            model,
            free_at: Duration::ZERO,
            seconds: Vec::new(),
        }
    }

    /// Returns when it responds and with which status; `None` for never.
    fn arrive(&mut self, now: Duration) -> Option<(Duration, u16, Option<u64>)> {
        count(&mut self.seconds, now);
        let quickly = now + Duration::from_millis(5);
        if self.model.outage.contains(&now) {
            let left = (self.model.outage.end - now).as_secs() + 1;
            return match self.model.failure {
                Failure::Unavailable => Some((quickly, 503, None)),
                Failure::RetryAfter => Some((quickly, 503, Some(left))),
                Failure::Silence => None,
            };
        }
        let begin = self.free_at.max(now);
        if begin - now > LONGEST_QUEUE {
            return Some((quickly, 429, Some(1)));
        }
        self.free_at = begin + Duration::from_secs(1) / self.model.capacity;
        Some((self.free_at + self.model.latency, 200, None))
    }
}

/// Counts an event in its second.
pub fn count(seconds: &mut Vec<u32>, now: Duration) {
    let second = usize::try_from(now.as_secs()).unwrap_or(usize::MAX);
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

pub struct Service {
    clock: Arc<VirtualClock>,
    token_life: Duration,
    hosts: Mutex<Hosts>,
}

struct Hosts {
    login: Host,
    api: Host,
    tokens: u32,
}

impl Service {
    pub fn new(
        clock: Arc<VirtualClock>,
        token_life: Duration,
        login: HostModel,
        api: HostModel,
    ) -> Self {
        let hosts = Hosts {
            login: Host::new(login),
            api: Host::new(api),
            tokens: 0,
        };
        Self {
            clock,
            token_life,
            hosts: Mutex::new(hosts),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the requests of each second to the login host and to the API.
    pub fn seconds(&self) -> (Vec<u32>, Vec<u32>) {
        let hosts = self.lock();
        (hosts.login.seconds.clone(), hosts.api.seconds.clone())
    }

    fn body(&self, path: &str) -> String {
        if path == "/connect/token" {
            let mut hosts = self.lock();
            hosts.tokens += 1;
            let (number, life) = (hosts.tokens, self.token_life.as_secs());
            format!(r#"{{"access_token":"t{number}","expires_in":{life}}}"#)
        } else if path.contains("/auth/") {
            r#"{"auth_request_status_id":2}"#.to_owned()
        } else {
            r#"{"user_id":"00000000-0000-0000-0000-000000000007","username":"ada"}"#.to_owned()
        }
    }
}

impl Transport for Service {
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        let path = request.uri().path().to_owned();
        let arrival = self.clock.elapsed();
        let response = {
            let mut hosts = self.lock();
            if path == "/connect/token" {
                hosts.login.arrive(arrival)
            } else {
                hosts.api.arrive(arrival)
            }
        };
        let left = limits.deadline.saturating_duration_since(self.clock.now());
        let Some((end, status, retry_after)) = response.filter(|(end, ..)| *end < arrival + left)
        else {
            self.clock.sleep(left);
            return Err(TransportError::new(TransportErrorKind::Timeout, true));
        };
        self.clock.pause_until(end);
        let mut response = http::Response::builder().status(status);
        if let Some(seconds) = retry_after {
            response = response.header("retry-after", seconds);
        }
        let body = if status == 200 {
            self.body(&path)
        } else {
            String::new()
        };
        Ok(response
            .body(body.into_bytes())
            .expect("a valid response")
            .into())
    }
}
