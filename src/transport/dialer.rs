//! [`Dialer`]: makes connections. Whatever fails here was not sent.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::{Authority, Scheme};
use rustls::ClientConfig;

use super::proxy::Proxy;
use super::resolver::{Resolver, port_of};
use super::stream::{Socket, Stream};
use super::tls::handshake;
use super::{TransportError, TransportErrorKind};

/// Makes connections, directly or through a proxy.
pub(super) struct Dialer {
    pub(super) resolver: Resolver,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) proxy: Option<Proxy>,
    /// For a proxy that itself speaks TLS.
    pub(super) proxy_tls: Arc<ClientConfig>,
    /// Bounds TCP, the proxy's tunnel and TLS together.
    pub(super) connect_timeout: Duration,
}

impl Dialer {
    /// Makes a new connection to `target`.
    pub(super) fn dial(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Stream, TransportError> {
        let (host, port) = (target.authority.host(), target.port);
        let proxy = self.proxy.as_ref();
        let stream = match proxy.filter(|proxy| proxy.applies_to(host, port)) {
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
        let addresses = self.resolver.addresses(host, port, deadline)?;
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
            self.resolver.forget(host, port);
        }
        Err(if failure.kind() == io::ErrorKind::TimedOut {
            TransportError::new(TransportErrorKind::Timeout, false).with_detail("while connecting")
        } else {
            TransportError::new(TransportErrorKind::Connect, false).with_source(failure)
        })
    }
}

/// Any failure to reach the proxy is one of kind `Proxy`, except a timeout.
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

/// The host to connect to, and how.
#[derive(PartialEq, Clone)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    port: u16,
}

impl Target {
    /// Reads the target of a URI with scheme and host.
    pub(super) fn of(uri: &Uri) -> Result<Self, TransportError> {
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
