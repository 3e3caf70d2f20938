//! [`Dialer`]: makes connections; whatever fails here was not sent.

use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
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
        match self.spares.take(&target) {
            Some(spare) => Ok(spare),
            None => self.dial(&target, deadline),
        }
    }

    /// Opens a connection for a request that is to come. It is a favour: what
    /// goes wrong will go wrong again with the request, and be told then.
    pub(super) fn open_ahead(&self, uri: &Uri, deadline: Instant) {
        let Ok(target) = Target::of(uri) else { return };
        if self.spares.has(&target) {
            return;
        }
        if let Ok(stream) = self.dial(&target, deadline) {
            self.spares.put(target, stream);
        }
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
#[derive(PartialEq)]
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

/// Connections that were opened ahead, at most one a host.
#[derive(Default)]
pub(super) struct Spares(Mutex<Vec<(Target, Stream, Instant)>>);

impl Spares {
    fn has(&self, target: &Target) -> bool {
        self.with(|spares| spares.iter().any(|(known, ..)| known == target))
    }

    fn put(&self, target: Target, stream: Stream) {
        self.with(|spares| {
            spares.retain(|(known, ..)| *known != target);
            spares.push((target, stream, Instant::now()));
        });
    }

    fn take(&self, target: &Target) -> Option<Stream> {
        let mut stream = self.with(|spares| {
            let index = spares.iter().position(|(known, ..)| known == target)?;
            Some(spares.swap_remove(index).1)
        })?;
        stream.is_open().then_some(stream)
    }

    /// Nothing but this looks after the age of spares: without a call there
    /// is no thread that could.
    fn with<T>(&self, action: impl FnOnce(&mut Vec<(Target, Stream, Instant)>) -> T) -> T {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spares.retain(|(_, _, since)| since.elapsed() < SPARE_LIFE);
        action(&mut spares)
    }
}
