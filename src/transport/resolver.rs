//! [`Resolver`]: finds the addresses of a host name, within a deadline.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use http::uri::Authority;

use super::{TransportError, TransportErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::single_flight::SingleFlight;

/// How long addresses are used once they are known.
const CACHE_LIFE: Duration = Duration::from_secs(60);

/// Finds the addresses of a host name, for a port.
pub(crate) type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Finds the addresses of hosts and caches them.
///
/// The operating system's look-up cannot be stopped. So it runs in a thread of
/// its own, which is left behind at the deadline. All who need the same host
/// meanwhile wait for the same look-up.
pub(super) struct Resolver {
    resolve: Arc<Resolve>,
    /// Tells how old a cached look-up is.
    clock: Arc<dyn Clock>,
    cache: Arc<Mutex<Cache>>,
}

type Key = (String, u16);
type Cache = HashMap<Key, Arc<Lookup>>;

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
            cache: Arc::default(),
        }
    }

    /// Returns the addresses of `host` in the order in which to try them, at
    /// least one.
    pub(super) fn addresses(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<Arc<[SocketAddr]>, TransportError> {
        if let Ok(address) = without_brackets(host).parse::<IpAddr>() {
            return Ok(Arc::new([SocketAddr::new(address, port)]));
        }
        let lookup = self.lookup(host, port)?;
        match lookup.flight.wait(&SystemClock, deadline) {
            Some(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Some(Ok(_)) => Err(failure().with_detail("it has no address")),
            Some(Err(error)) => Err(failure().with_source(error)),
            None => Err(TransportError::new(TransportErrorKind::Timeout, false)
                .with_detail("while resolving the host name")),
        }
    }

    /// Removes a host from the cache: no connection could be made to it.
    pub(super) fn forget(&self, host: &str, port: u16) {
        lock(&self.cache).remove(&(host.to_owned(), port));
    }

    /// Returns the look-up that is cached or under way, or starts one.
    fn lookup(&self, host: &str, port: u16) -> Result<Arc<Lookup>, TransportError> {
        let now = self.clock.now();
        let key = (host.to_owned(), port);
        let mut cache = lock(&self.cache);
        if let Some(lookup) = cache.get(&key).filter(|lookup| lookup.is_fresh(now)) {
            return Ok(lookup.clone());
        }
        let lookup = Arc::new(Lookup {
            started: now,
            flight: SingleFlight::new(),
        });
        self.spawn_lookup(key.clone(), lookup.clone())
            .map_err(|e| failure().with_source(e))?;
        cache.insert(key, lookup.clone());
        Ok(lookup)
    }

    fn spawn_lookup(&self, key: Key, lookup: Arc<Lookup>) -> io::Result<()> {
        let (resolve, cache) = (self.resolve.clone(), self.cache.clone());
        let run = move || {
            let found = resolve(&key.0, key.1);
            if found.is_err() {
                // Those who wait have the look-up in hand. The next caller
                // starts another.
                let mut cache = lock(&cache);
                if cache.get(&key).is_some_and(|it| Arc::ptr_eq(it, &lookup)) {
                    cache.remove(&key);
                }
            }
            lookup.flight.finish(found.map(Arc::from).map_err(Arc::new));
        };
        let thread = thread::Builder::new().name("autharmor-dns".to_owned());
        thread.spawn(run).map(drop)
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

/// A host without the brackets that `http` leaves around an IPv6 address.
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// Returns the port of an authority, or the default. `http` itself takes a
/// port that is no number for none.
pub(super) fn port_of(authority: &Authority, default: Option<u16>) -> Option<u16> {
    let text = authority.as_str();
    let place = text.rsplit_once('@').map_or(text, |(_, place)| place);
    match place.strip_prefix(authority.host())?.strip_prefix(':') {
        None | Some("") => default,
        Some(port) => port.parse().ok(),
    }
}

fn failure() -> TransportError {
    TransportError::new(TransportErrorKind::Dns, false)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
