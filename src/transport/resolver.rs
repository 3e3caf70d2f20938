//! [`Resolver`]: finds the addresses of a host name, within a deadline.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::happy_eyeballs::order;
use super::target::without_brackets;
use super::threads::spawn;
use super::{TransportError, TransportErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::single_flight::SingleFlight;

/// The time for which addresses are used once they are known.
const CACHE_LIFE: Duration = Duration::from_secs(60);

/// Finds the addresses of a host name, for a port.
pub(crate) type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Finds the addresses of hosts and caches them.
///
/// The operating system's look-up cannot be stopped. So it runs in a thread of
/// its own, which is left behind at the deadline. All who need the same host
/// meanwhile wait for the same look-up. If no thread can be started, the look-up
/// runs in the calling thread, and the deadline is checked after it.
pub(super) struct Resolver {
    resolve: Arc<Resolve>,
    /// Tells how old a cached look-up is.
    clock: Arc<dyn Clock>,
    cache: Mutex<HashMap<Key, Arc<Lookup>>>,
    /// The addresses of the last connections.
    preferred: Mutex<HashMap<Key, SocketAddr>>,
}

type Key = (String, u16);

/// One look-up, from the moment it starts.
struct Lookup {
    started: Instant,
    flight: SingleFlight<Result<Arc<[SocketAddr]>, Arc<io::Error>>>,
}

impl Resolver {
    /// Uses the operating system's resolver unless there is another.
    pub(super) fn new(resolve: Option<Arc<Resolve>>, clock: Arc<dyn Clock>) -> Self {
        let system =
            |host: &str, port: u16| Ok((host, port).to_socket_addrs()?.collect::<Vec<_>>());
        Self {
            resolve: resolve.unwrap_or_else(|| Arc::new(system)),
            clock,
            cache: Mutex::default(),
            preferred: Mutex::default(),
        }
    }

    /// Returns the addresses of `host` in the order in which to try them, at
    /// least one.
    pub(super) fn addresses(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, TransportError> {
        if let Ok(address) = without_brackets(host).parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let key = (host.to_owned(), port);
        let lookup = self.lookup(&key);
        match lookup.flight.wait(&SystemClock, deadline) {
            Some(Ok(found)) if !found.is_empty() => {
                let preferred = lock(&self.preferred).get(&key).copied();
                Ok(order(&found, preferred))
            }
            Some(Ok(_)) => Err(failure().with_detail("it has no address")),
            Some(Err(error)) => Err(failure().with_source(error)),
            None => Err(TransportError::new(TransportErrorKind::Timeout, false)
                .with_detail("while resolving the host name")),
        }
    }

    /// Makes an address the first to try, now that it has worked.
    pub(super) fn prefer(&self, host: &str, port: u16, address: SocketAddr) {
        lock(&self.preferred).insert((host.to_owned(), port), address);
    }

    /// Removes a host from the cache: no connection could be made to it.
    pub(super) fn forget(&self, host: &str, port: u16) {
        lock(&self.cache).remove(&(host.to_owned(), port));
    }

    /// Returns the look-up that is cached or under way, or starts one.
    fn lookup(&self, key: &Key) -> Arc<Lookup> {
        let now = self.clock.now();
        let mut cache = lock(&self.cache);
        if let Some(lookup) = cache.get(key).filter(|lookup| lookup.is_fresh(now)) {
            return lookup.clone();
        }
        let lookup = Arc::new(Lookup {
            started: now,
            flight: SingleFlight::new(),
        });
        cache.insert(key.clone(), lookup.clone());
        drop(cache);
        self.spawn_lookup(key.clone(), lookup.clone());
        lookup
    }

    fn spawn_lookup(&self, (host, port): Key, lookup: Arc<Lookup>) {
        let resolve = self.resolve.clone();
        let run = move || {
            let unfinished = Unfinished(&lookup);
            let found = resolve(&host, port);
            let found = found.map(Arc::from).map_err(Arc::new);
            unfinished.0.flight.finish(found);
        };
        if spawn("autharmor-dns", run.clone()).is_err() {
            run();
        }
    }
}

/// Ends a look-up whose resolver panics, so that nobody waits for it.
struct Unfinished<'a>(&'a Lookup);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let error = io::Error::other("the resolver panicked");
        self.0.flight.finish(Err(Arc::new(error)));
    }
}

impl Lookup {
    /// Whether it is under way, or has found addresses that may still be used.
    fn is_fresh(&self, now: Instant) -> bool {
        match self.flight.peek() {
            None => true,
            Some(Ok(_)) => now.saturating_duration_since(self.started) < CACHE_LIFE,
            Some(Err(_)) => false,
        }
    }
}

fn failure() -> TransportError {
    TransportError::new(TransportErrorKind::Dns, false)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
