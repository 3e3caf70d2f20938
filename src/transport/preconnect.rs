//! [`Preconnect`]: opens one connection before the first request needs it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;

use super::dialer::Dialer;
use super::proxy::Proxy;
use super::stream::Stream;
use super::target::Target;
use super::threads::spawn;
use super::{TransportError, TransportErrorKind};
use crate::clock::SystemClock;
use crate::single_flight::SingleFlight;

/// The longest time that an open connection waits for its request.
const LIFE: Duration = Duration::from_secs(10);

/// Connects to one host while the first request goes to another: to the API
/// while the token request is under way. A program that makes one call and
/// ends is a third faster for it.
pub(super) struct Preconnect {
    dialer: Arc<Dialer>,
    /// The host to connect to ahead of its first request.
    target: Option<Target>,
    is_begun: AtomicBool,
    /// The dial that no request has taken yet.
    pending: Mutex<Option<Pending>>,
}

struct Pending {
    deadline: Instant,
    flight: Arc<SingleFlight<Outcome>>,
}

/// The result of a dial and its time, for the one caller who takes it. `None` if
/// the dial was never made.
type Outcome = Arc<Mutex<Option<(Result<Stream, TransportError>, Instant)>>>;

impl Preconnect {
    pub(super) fn new(dialer: Arc<Dialer>, uri: Option<&Uri>) -> Self {
        Self {
            dialer,
            target: uri.and_then(|uri| Target::of(uri).ok()),
            is_begun: AtomicBool::new(false),
            pending: Mutex::new(None),
        }
    }

    /// Starts the thread that opens the connection, if `uri` is the first to
    /// be requested and is on another host.
    pub(super) fn before_request(&self, uri: &Uri, deadline: Instant) {
        if let Some(dial) = self.begin(uri, deadline) {
            // Without a thread, the request makes its own connection.
            let _ = spawn("autharmor-ahead", move || dial.run());
        }
    }

    /// Returns the dial to make, once.
    pub(super) fn begin(&self, uri: &Uri, deadline: Instant) -> Option<PendingDial> {
        // The plain load is for all requests but the first.
        if self.is_begun.load(Ordering::Relaxed) || self.is_begun.swap(true, Ordering::Relaxed) {
            return None;
        }
        let target = self.target.clone()?;
        if Target::of(uri).is_ok_and(|first| first == target) {
            return None;
        }
        // A wrong password should reach the proxy once, not twice: accounts get
        // locked.
        if self
            .dialer
            .proxy_for(&target)
            .is_some_and(Proxy::has_credentials)
        {
            return None;
        }
        let flight = Arc::new(SingleFlight::new());
        *lock(&self.pending) = Some(Pending {
            deadline,
            flight: flight.clone(),
        });
        Some(PendingDial {
            dialer: self.dialer.clone(),
            target,
            deadline,
            flight,
        })
    }

    /// Returns a connection to the host of `uri`: the one that was opened
    /// ahead, or a new one.
    pub(super) fn connect(&self, uri: &Uri, deadline: Instant) -> Result<Stream, TransportError> {
        let target = Target::of(uri)?;
        let opened = match &self.target {
            Some(ahead) if *ahead == target => self.take(deadline),
            _ => None,
        };
        opened.unwrap_or_else(|| self.dialer.dial(&target, deadline))
    }

    /// Takes what came of the dial, and waits for it if it is under way.
    /// `None`: make a new connection.
    fn take(&self, deadline: Instant) -> Option<Result<Stream, TransportError>> {
        let pending = lock(&self.pending).take()?;
        let had_ended = pending.flight.peek().is_some();
        let outcome = pending.flight.wait(&SystemClock, deadline)?;
        let (result, ended) = lock(&outcome).take()?;
        match result {
            Ok(mut stream) => (ended.elapsed() < LIFE && stream.is_open()).then_some(Ok(stream)),
            Err(error) => {
                let more_time = deadline.saturating_duration_since(pending.deadline);
                (!is_worth_another(error.kind, had_ended, more_time)).then_some(Err(error))
            }
        }
    }
}

/// Whether to dial again after a failure. If the request waited for the dial,
/// another would mostly fail in the same way and take as long.
fn is_worth_another(kind: TransportErrorKind, had_ended: bool, more_time: Duration) -> bool {
    had_ended || kind == TransportErrorKind::Timeout && !more_time.is_zero()
}

/// A connection that is about to be opened. Nobody waits for it after it is
/// dropped, whether it was made or not.
pub(super) struct PendingDial {
    dialer: Arc<Dialer>,
    target: Target,
    deadline: Instant,
    flight: Arc<SingleFlight<Outcome>>,
}

impl PendingDial {
    pub(super) fn run(self) {
        let result = self.dialer.dial(&self.target, self.deadline);
        let outcome = Some((result, Instant::now()));
        self.flight.finish(Arc::new(Mutex::new(outcome)));
    }
}

impl Drop for PendingDial {
    fn drop(&mut self) {
        self.flight.finish(Arc::default());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows the proxy, without user and password.
impl fmt::Debug for Preconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preconnect")
            .field("proxy", &self.dialer.proxy)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_a_request_waited_for_is_its_own_unless_it_has_more_time() {
        use TransportErrorKind::{Connect, Timeout};
        let (none, some) = (Duration::ZERO, Duration::from_nanos(1));
        for (kind, had_ended, more_time, is_worth_it) in [
            (Connect, true, none, true),
            (Timeout, true, none, true),
            (Timeout, false, some, true),
            (Timeout, false, none, false),
            (Connect, false, some, false),
            (Connect, false, none, false),
        ] {
            assert_eq!(
                is_worth_another(kind, had_ended, more_time),
                is_worth_it,
                "{kind:?} {had_ended} {more_time:?}"
            );
        }
    }
}
