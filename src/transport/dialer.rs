//! [`Dialer`]: makes connections. Whatever fails here was not sent.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use rustls::ClientConfig;

use super::happy_eyeballs;
use super::proxy::Proxy;
use super::resolver::Resolver;
use super::stream::{Socket, Stream};
use super::target::Target;
use super::tls::handshake;
use super::{TransportError, TransportErrorKind};

/// Makes connections, directly or through a proxy.
pub(super) struct Dialer {
    pub(super) resolver: Resolver,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) proxy: Option<Proxy>,
    /// For a proxy that itself speaks TLS.
    pub(super) proxy_tls: Arc<ClientConfig>,
    /// For the requests to the proxy.
    pub(super) user_agent: HeaderValue,
    /// Bounds TCP, the proxy's tunnel and TLS together.
    pub(super) connect_timeout: Duration,
}

impl Dialer {
    /// The proxy for this target, if there is one.
    pub(super) fn proxy_for(&self, target: &Target) -> Option<&Proxy> {
        let proxy = self.proxy.as_ref();
        proxy.filter(|proxy| proxy.applies_to(target.host(), target.port()))
    }

    /// Makes a new connection to `target`.
    pub(super) fn dial(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Stream, TransportError> {
        let (host, port) = (target.host(), target.port());
        let stream = match self.proxy_for(target) {
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
        proxy.open_tunnel(&mut stream, target, &self.user_agent)?;
        Ok(stream)
    }

    fn dial_tcp(&self, host: &str, port: u16, deadline: Instant) -> Result<Stream, TransportError> {
        let addresses = self.resolver.addresses(host, port, deadline)?;
        let deadline = Instant::now()
            .checked_add(self.connect_timeout)
            .map_or(deadline, |connected| connected.min(deadline));
        match happy_eyeballs::connect(&addresses, deadline, connect) {
            Ok((tcp, address)) => {
                if addresses.len() > 1 {
                    self.resolver.prefer(host, port, address);
                }
                Ok(Stream::Plain(Socket::new(tcp, deadline)))
            }
            Err(error) => {
                self.resolver.forget(host, port);
                Err(if error.kind() == io::ErrorKind::TimedOut {
                    TransportError::new(TransportErrorKind::Timeout, false)
                        .with_detail("while connecting")
                } else {
                    TransportError::new(TransportErrorKind::Connect, false).with_source(error)
                })
            }
        }
    }
}

fn connect(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect_timeout(&address, limit)?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
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
