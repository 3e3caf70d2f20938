//! [`Dialer`]: makes connections; whatever fails here was not sent.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::ClientConfig;

use super::addresses::{Addresses, port_of};
use super::proxy::Proxy;
use super::stream::{Socket, Stream};
use super::tls::handshake;
use super::{TransportError, TransportErrorKind};

/// How long a connection that was opened ahead waits for its request.
const SPARE_LIFE: Duration = Duration::from_secs(10);

/// Makes connections, directly or through a proxy.
pub(super) struct Dialer {
    pub(super) addresses: Addresses,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) proxy: Option<Proxy>,
    /// For a proxy that speaks TLS itself.
    pub(super) proxy_tls: Arc<ClientConfig>,
    /// Bounds TCP, proxy and TLS together.
    pub(super) connect_timeout: Duration,
    pub(super) spares: Spares,
}

impl Dialer {
    /// A connection to the host of `uri`: one that was opened ahead, or a new
    /// one.
    pub(super) fn connect(&self, uri: &Uri, deadline: Instant) -> Result<Stream, TransportError> {
        let target = Target::of(uri)?;
        // What came of opening it ahead, be it a failure, is what would come of
        // this very dial.
        let opened = self.spares.take(&target, deadline);
        opened.unwrap_or_else(|| self.dial(&target, deadline))
    }

    /// Announces a connection for a request that is to come. It is a favour:
    /// what goes wrong will go wrong again with the request, and be told then.
    pub(super) fn open_ahead(this: &Arc<Self>, uri: &Uri, deadline: Instant) -> Option<Opening> {
        let target = Target::of(uri).ok()?;
        this.spares.open(&target, deadline).then(|| Opening {
            dialer: Arc::clone(this),
            target,
            deadline,
        })
    }

    fn dial(&self, target: &Target, deadline: Instant) -> Result<Stream, TransportError> {
        let (host, port) = (target.authority.host(), target.port);
        let stream = match self.proxy.as_ref().filter(|proxy| proxy.serves(host, port)) {
            None => self.dial_tcp(host, port, deadline)?,
            Some(proxy) => self
                .dial_through(proxy, target, deadline)
                .map_err(at_proxy)?,
        };
        if target.is_tls() {
            handshake(&self.tls, host, stream)
        } else {
            Ok(stream)
        }
    }

    fn dial_through(
        &self,
        proxy: &Proxy,
        target: &Target,
        deadline: Instant,
    ) -> Result<Stream, TransportError> {
        let mut stream = self.dial_tcp(&proxy.host, proxy.port, deadline)?;
        if proxy.tls {
            stream = handshake(&self.proxy_tls, &proxy.host, stream)?;
        }
        proxy.open_tunnel(&mut stream, target.authority.host(), target.port)?;
        Ok(stream)
    }

    /// Tries one address after the other. Each may take half of the time that
    /// is left, the last one all of it, so that a dead one leaves time for the
    /// next.
    fn dial_tcp(&self, host: &str, port: u16, deadline: Instant) -> Result<Stream, TransportError> {
        let addresses = self.addresses.of(host, port, deadline)?;
        let deadline = Instant::now()
            .checked_add(self.connect_timeout)
            .map_or(deadline, |connected| connected.min(deadline));
        let mut failure = io::Error::from(io::ErrorKind::TimedOut);
        for (others, address) in (0..addresses.len()).rev().zip(addresses.iter()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let patience = if others == 0 { left } else { left / 2 };
            let connected = TcpStream::connect_timeout(address, patience)
                .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
            match connected {
                Ok(tcp) => return Ok(Stream::Plain(Socket::new(tcp, deadline))),
                Err(error) => failure = error,
            }
            self.addresses.forget(host, port);
        }
        Err(if failure.kind() == io::ErrorKind::TimedOut {
            TransportError::new(TransportErrorKind::Timeout, false).with_detail("while connecting")
        } else {
            TransportError::new(TransportErrorKind::Connect, false).with_source(failure)
        })
    }
}

/// Whatever kept us from the proxy is the proxy's failure, but for time.
fn at_proxy(mut error: TransportError) -> TransportError {
    if !matches!(
        error.kind,
        TransportErrorKind::Proxy | TransportErrorKind::Timeout
    ) {
        error.kind = TransportErrorKind::Proxy;
        error.detail = "it cannot be reached";
    }
    error
}

/// Where to.
#[derive(PartialEq, Clone)]
struct Target {
    scheme: Scheme,
    authority: Authority,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Result<Self, TransportError> {
        let target = (|| {
            let scheme = uri.scheme()?.clone();
            let authority = uri.authority()?.clone();
            let default_port = match scheme.as_str() {
                "https" => 443,
                "http" => 80,
                _ => return None,
            };
            let port = port_of(&authority, Some(default_port))?;
            Some(Self {
                scheme,
                authority,
                port,
            })
        })();
        target.ok_or_else(|| {
            TransportError::new(TransportErrorKind::Connect, false)
                .with_detail("the URI is not an http or https one with a host")
        })
    }

    fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

/// Connections that were opened ahead, or are just being opened, at most one a
/// host.
#[derive(Default)]
pub(super) struct Spares {
    slots: Mutex<Vec<Slot>>,
    landed: Condvar,
}

struct Slot {
    target: Target,
    /// Until when it may be waited for, or used.
    until: Instant,
    /// Somebody waits for it.
    is_claimed: bool,
    result: Option<Result<Stream, TransportError>>,
}

impl Spares {
    /// Registers a dial, unless there is one.
    fn open(&self, target: &Target, deadline: Instant) -> bool {
        let mut slots = self.lock();
        if slots.iter().any(|slot| slot.target == *target) {
            return false;
        }
        slots.push(Slot {
            target: target.clone(),
            until: deadline,
            is_claimed: false,
            result: None,
        });
        true
    }

    /// The connection that was opened ahead. One that is just being opened is
    /// waited for by one caller; what that dial fails with is the caller's.
    /// `None`: dial.
    fn take(&self, target: &Target, deadline: Instant) -> Option<Result<Stream, TransportError>> {
        let mut slots = self.lock();
        let mut is_mine = false;
        loop {
            let index = slots.iter().position(|slot| slot.target == *target)?;
            let slot = slots.get_mut(index)?;
            if let Some(result) = slot.result.take() {
                let began_with_less_time = slot.until < deadline;
                slots.swap_remove(index);
                return match result {
                    Ok(mut stream) => stream.is_open().then_some(Ok(stream)),
                    Err(error)
                        if error.kind == TransportErrorKind::Timeout && began_with_less_time =>
                    {
                        None
                    }
                    Err(error) => Some(Err(error)),
                };
            }
            if slot.is_claimed && !is_mine {
                return None;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                slot.is_claimed = false;
                return None;
            }
            (slot.is_claimed, is_mine) = (true, true);
            let waited = self.landed.wait_timeout(slots, left);
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing but this looks after the age of spares: without a call there
    /// is no thread that could.
    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        slots.retain(|slot| slot.result.is_none() || slot.is_claimed || now < slot.until);
        slots
    }
}

/// A dial that is announced. However it ends, even if it is never begun,
/// nobody waits for it any longer.
pub(super) struct Opening {
    dialer: Arc<Dialer>,
    target: Target,
    deadline: Instant,
}

impl Opening {
    pub(super) fn dial(self) {
        let result = self.dialer.dial(&self.target, self.deadline);
        let mut slots = self.dialer.spares.lock();
        let slot = slots.iter_mut().find(|slot| slot.target == self.target);
        if let Some(slot) = slot.filter(|slot| slot.is_claimed || result.is_ok()) {
            if !slot.is_claimed {
                slot.until = Instant::now() + SPARE_LIFE;
            }
            slot.result = Some(result);
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut slots = self.dialer.spares.lock();
        slots.retain(|slot| slot.target != self.target || slot.result.is_some());
        drop(slots);
        self.dialer.spares.landed.notify_all();
    }
}
