//! [`Proxy`]: opens tunnels through an HTTP proxy.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::no_proxy::NoProxy;
use super::resolver::port_of;
use super::stream::Stream;
use super::{TransportError, TransportErrorKind};
use crate::environment::Environment;
use crate::error::Error;
use crate::secret::Secret;

/// The largest head of a proxy's response.
const MAX_HEAD: usize = 8 * 1024;

/// Which proxy to use.
#[derive(Clone)]
pub(crate) enum ProxySetting {
    /// The proxy of the environment, see [`Proxy::from_env`].
    Environment(Arc<Environment>),
    /// None.
    Off,
    /// This proxy, `http://user:password@host:port` or `https://..`, for every
    /// host.
    Url(Secret),
}

impl ProxySetting {
    pub(super) fn resolve(&self) -> Result<Option<Proxy>, Error> {
        match self {
            Self::Environment(env) => Proxy::from_env(env),
            Self::Off => Ok(None),
            Self::Url(url) => Proxy::parse(url.expose(), "the proxy setting").map(Some),
        }
    }
}

/// An HTTP CONNECT proxy. Its `Debug` shows no user and no password.
pub(super) struct Proxy {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    authorization: Option<Zeroizing<String>>,
    no_proxy: NoProxy,
}

impl Proxy {
    /// Reads `HTTPS_PROXY`, or else `ALL_PROXY`, and [`NO_PROXY`](NoProxy), each
    /// in upper or lower case. An empty variable counts as unset.
    pub(super) fn from_env(env: &Environment) -> Result<Option<Self>, Error> {
        let urls = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let Some((name, url)) = first_set(env, &urls)? else {
            return Ok(None);
        };
        let mut proxy = Self::parse(&url, name)?;
        let list = first_set(env, &["NO_PROXY", "no_proxy"])?;
        proxy.no_proxy = NoProxy::parse(list.as_ref().map_or("", |(_, list)| list));
        Ok(Some(proxy))
    }

    /// `place` says where the URL was set. Errors show it instead of the URL,
    /// which may hold a password.
    fn parse(url: &str, place: &'static str) -> Result<Self, Error> {
        let wrong = || {
            Error::config(format!(
                "{place} is not a URL like http://proxy.example:3128"
            ))
        };
        let uri: Uri = url.trim().parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let (tls, default_port) = match uri.scheme_str() {
            Some("http") => (false, Some(80)),
            Some("https") => (true, Some(443)),
            // Other programs read `proxy.example:3128` as this, too. A name
            // without a port is more likely a mistake.
            None => (false, None),
            Some(scheme) if scheme.starts_with("socks") => {
                return Err(Error::config(format!(
                    "{place} names a SOCKS proxy, which is not supported; use an HTTP proxy"
                )));
            }
            Some(_) => return Err(wrong()),
        };
        let port = port_of(authority, default_port).ok_or_else(wrong)?;
        if authority.host().is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            tls,
            host: authority.host().to_owned(),
            port,
            authorization: authorization(authority.as_str()),
            no_proxy: NoProxy::default(),
        })
    }

    /// Whether this host is reached through the proxy.
    pub(super) fn applies_to(&self, host: &str, port: u16) -> bool {
        !self.no_proxy.matches(host, port)
    }

    /// Asks for a tunnel. Afterwards `stream`, a connection to the proxy, leads
    /// to the target. After a failure nothing of the request was sent.
    pub(super) fn open_tunnel(
        &self,
        stream: &mut Stream,
        host: &str,
        port: u16,
    ) -> Result<(), TransportError> {
        let mut head = Zeroizing::new(format!(
            "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        ));
        if let Some(authorization) = &self.authorization {
            for part in ["Proxy-Authorization: Basic ", authorization, "\r\n"] {
                head.push_str(part);
            }
        }
        head.push_str("\r\n");
        let status = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.flush())
            .and_then(|()| read_status(stream));
        match status {
            Ok(Some(200..=299)) => Ok(()),
            Ok(Some(status)) => Err(failure(match status {
                407 => "it wants a user and a password, or others than it got",
                _ => "it refused to connect to the host",
            })
            .with_source(ProxyStatus(status))),
            Ok(None) => Err(failure("its response is not HTTP")),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(TransportError::new(TransportErrorKind::Timeout, false)
                    .with_detail("while waiting for the proxy"))
            }
            Err(error) => Err(failure("it closed the connection").with_source(error)),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("tls", &self.tls)
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// Encodes `user:password` of an authority for HTTP Basic.
fn authorization(authority: &str) -> Option<Zeroizing<String>> {
    let (user_info, _) = authority.rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let mut plain = Zeroizing::new(Vec::with_capacity(user_info.len() + 1));
    plain.extend(percent_decode_str(user));
    plain.push(b':');
    plain.extend(percent_decode_str(password));
    Some(Zeroizing::new(BASE64_STANDARD.encode(&*plain)))
}

/// The first of these variables that is not blank, with its name.
fn first_set(
    env: &Environment,
    names: &[&'static str],
) -> Result<Option<(&'static str, Zeroizing<String>)>, Error> {
    for name in names {
        let value = env.get(name)?.map(Zeroizing::new);
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}

/// Reads the head of the response and nothing of what follows, which belongs
/// to the tunnel. `None` if it is not HTTP.
fn read_status(stream: &mut Stream) -> io::Result<Option<u16>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Ok(None);
        }
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let status = head
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok());
    Ok(status)
}

fn failure(detail: &'static str) -> TransportError {
    TransportError::new(TransportErrorKind::Proxy, false).with_detail(detail)
}

/// The status with which a proxy refused a tunnel.
#[derive(Debug)]
struct ProxyStatus(u16);

impl fmt::Display for ProxyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy responded with status {}", self.0)
    }
}

impl StdError for ProxyStatus {}
