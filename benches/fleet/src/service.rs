//! The modelled service: two hosts with a capacity, a latency and outages.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autharmor::{
    Clock as _, HttpRequest, HttpResponse, Limits, Transport, TransportError, TransportErrorKind,
};

use crate::time::VirtualClock;

const TOKEN_PATH: &str = "/connect/token";
/// A host that is as busy as this refuses further requests.
const LONGEST_QUEUE: Duration = Duration::from_secs(1);

/// The way in which a host fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 503 at once.
    Unavailable,
    /// 503 with the time that is left in `Retry-After`.
    RetryAfter,
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

    /// Returns when it responds, the status and `Retry-After`.
    fn arrive(&mut self, now: Duration) -> (Duration, u16, Option<u64>) {
        count(&mut self.seconds, now);
        let quickly = now + Duration::from_millis(5);
        if self.model.outage.contains(&now) {
            let left = self.model.outage.end.saturating_sub(now).as_secs() + 1;
            let retry_after = (self.model.failure == Failure::RetryAfter).then_some(left);
            return (quickly, 503, retry_after);
        }
        let begin = self.free_at.max(now);
        if begin.saturating_sub(now) > LONGEST_QUEUE {
            return (quickly, 429, Some(1));
        }
        self.free_at = begin + Duration::from_secs(1) / self.model.capacity;
        (self.free_at + self.model.latency, 200, None)
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
    /// The time that the first token request takes.
    stall: Duration,
    hosts: Mutex<Hosts>,
}

struct Hosts {
    login: Host,
    api: Host,
    /// The requests of each second that are due to reads.
    for_reads: Vec<u32>,
    /// When each token was issued.
    issued: Vec<Duration>,
}

impl Service {
    pub fn new(
        clock: Arc<VirtualClock>,
        token_life: Duration,
        stall: Duration,
        login: HostModel,
        api: HostModel,
    ) -> Self {
        let hosts = Hosts {
            login: Host::new(login),
            api: Host::new(api),
            for_reads: Vec::new(),
            issued: Vec::new(),
        };
        Self {
            clock,
            token_life,
            stall,
            hosts: Mutex::new(hosts),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the requests of each second to the login host and to the API, and
    /// those to both that are due to reads.
    pub fn seconds(&self) -> [Vec<u32>; 3] {
        let hosts = self.lock();
        let all = [&hosts.login.seconds, &hosts.api.seconds, &hosts.for_reads];
        all.map(Clone::clone)
    }

    fn body(&self, path: &str) -> String {
        if path == TOKEN_PATH {
            let mut hosts = self.lock();
            hosts.issued.push(self.clock.elapsed());
            let (number, life) = (hosts.issued.len(), self.token_life.as_secs());
            format!(r#"{{"access_token":"t{number}","expires_in":{life}}}"#)
        } else if path.contains("/auth/") {
            // Of four polls three find a person who has not responded yet.
            let status = if self.clock.random() < 0.75 { 3 } else { 4 };
            format!(r#"{{"auth_request_status_id":{status}}}"#)
        } else {
            r#"{"user_id":"00000000-0000-0000-0000-000000000007","username":"ada"}"#.to_owned()
        }
    }
}

/// The way of one client to the service.
pub struct Way {
    pub service: Arc<Service>,
    /// Whether the client reads; others wait for people.
    pub is_reader: bool,
    /// When it last had a token, in nanoseconds.
    pub last_token: Arc<AtomicU64>,
}

impl Transport for Way {
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        if request.uri().path() != TOKEN_PATH {
            let now = self.service.clock.elapsed().as_nanos();
            let now = u64::try_from(now).unwrap_or(u64::MAX);
            self.last_token.store(now, Ordering::Relaxed);
        }
        self.service.send(&request, limits, self.is_reader)
    }
}

impl Service {
    fn send(
        &self,
        request: &HttpRequest,
        limits: Limits,
        is_reader: bool,
    ) -> Result<HttpResponse, TransportError> {
        let path = request.uri().path().to_owned();
        let arrival = self.clock.elapsed();
        let (end, status, retry_after, is_stalled) = {
            let mut hosts = self.lock();
            if is_reader {
                count(&mut hosts.for_reads, arrival);
            }
            if path == TOKEN_PATH {
                let is_first = hosts.login.seconds.is_empty();
                let (end, status, retry_after) = hosts.login.arrive(arrival);
                let stall = if is_first { self.stall } else { Duration::ZERO };
                (end + stall, status, retry_after, !stall.is_zero())
            } else {
                let (end, status, retry_after) = hosts.api.arrive(arrival);
                let is_refused = status == 200 && !self.is_valid(request, &hosts.issued, arrival);
                let status = if is_refused { 401 } else { status };
                (end, status, retry_after, false)
            }
        };
        let left = limits.deadline.saturating_duration_since(self.clock.now());
        // A process that stands still finds the response when it goes on.
        if end >= arrival + left && !is_stalled {
            self.clock.sleep(left);
            return Err(TransportError::new(TransportErrorKind::Timeout, true));
        }
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

    /// Whether a request bears a token that has not ended.
    fn is_valid(&self, request: &HttpRequest, issued: &[Duration], now: Duration) -> bool {
        let header = request.headers().get(http::header::AUTHORIZATION);
        let text = header.and_then(|value| value.to_str().ok());
        let number = text.and_then(|text| text.strip_prefix("Bearer t")?.parse::<usize>().ok());
        let issued = number.and_then(|number| issued.get(number.checked_sub(1)?));
        issued.is_some_and(|issued| now < *issued + self.token_life)
    }
}
