//! [`Proxy`]: opens tunnels through an HTTP proxy.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::no_proxy::NoProxy;
use super::stream::Stream;
use super::target::{Target, port_of};
use super::{TransportError, TransportErrorKind};
use crate::environment::Environment;
use crate::error::Error;
use crate::secret::Secret;

/// The largest head of a proxy's response.
const MAX_HEAD: u64 = 8 * 1024;

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
    /// Returns the proxy, if there is one. `hosts` are the only ones that will
    /// be connected to.
    pub(super) fn resolve(&self, hosts: &[Uri]) -> Result<Option<Proxy>, Error> {
        match self {
            Self::Environment(env) => Proxy::from_env(env, hosts),
            Self::Off => Ok(None),
            Self::Url(url) => Proxy::parse(url.expose(), "the proxy setting").map(Some),
        }
    }

    /// Returns host and port of the proxy for a URI, if there is one.
    pub(crate) fn place_for(&self, uri: &Uri) -> Result<Option<String>, Error> {
        let target = Target::of(uri)?;
        let proxy = self.resolve(std::slice::from_ref(uri))?;
        let proxy = proxy.filter(|proxy| proxy.applies_to(target.host(), target.port()));
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host, proxy.port)))
    }
}

/// An HTTP CONNECT proxy. Its `Debug` shows no user and no password.
pub(super) struct Proxy {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    authorization: Option<Zeroizing<String>>,
    exempt: NoProxy,
}

impl Proxy {
    /// Reads `HTTPS_PROXY`, or else `ALL_PROXY`, and [`NO_PROXY`](NoProxy), each
    /// in upper or lower case. An empty variable counts as unset. A proxy that
    /// cannot be used is no error if none of `hosts` would use it.
    pub(super) fn from_env(env: &Environment, hosts: &[Uri]) -> Result<Option<Self>, Error> {
        let urls = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let proxy = match first_set(env, &urls) {
            Ok(None) => return Ok(None),
            Ok(Some((name, url))) => Self::parse(&url, name),
            Err(error) => Err(error),
        };
        let list = first_set(env, &["NO_PROXY", "no_proxy"])?;
        let exempt = NoProxy::parse(list.as_ref().map_or("", |(_, list)| list));
        let is_exempt = |uri: &Uri| {
            Target::of(uri).is_ok_and(|target| exempt.matches(target.host(), target.port()))
        };
        match proxy {
            Err(_) if hosts.iter().all(is_exempt) => Ok(None),
            proxy => Ok(Some(Self { exempt, ..proxy? })),
        }
    }

    /// `place` says where the URL was set. Errors show it instead of the URL,
    /// which may hold a password.
    fn parse(url: &str, place: &'static str) -> Result<Self, Error> {
        let wrong = || {
            let hint = if url.contains('@') {
                "; in user and password, percent-encode characters such as # / ? \\ @"
            } else {
                ""
            };
            Error::config(format!(
                "{place} is not a URL like http://proxy.example:3128{hint}"
            ))
        };
        // A `#`, for one, would cut the URL within the password.
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let user_info = after_scheme.rsplit_once('@').map_or("", |(user, _)| user);
        if user_info.contains(['#', '/', '?', '\\', '@']) {
            return Err(wrong());
        }
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
            exempt: NoProxy::default(),
        })
    }

    /// Whether it gets a user and a password with each `CONNECT`.
    pub(super) fn has_credentials(&self) -> bool {
        self.authorization.is_some()
    }

    /// Whether this host is reached through the proxy.
    pub(super) fn applies_to(&self, host: &str, port: u16) -> bool {
        !self.exempt.matches(host, port)
    }

    /// Asks for a tunnel. Afterwards `stream`, a connection to the proxy, leads
    /// to the target. After a failure nothing of the request was sent.
    pub(super) fn open_tunnel(
        &self,
        stream: &mut Stream,
        target: &Target,
        user_agent: &HeaderValue,
    ) -> Result<(), TransportError> {
        let (host, port) = (target.host(), target.port());
        let user_agent = user_agent.to_str().unwrap_or_default();
        let head = format!(
            "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {user_agent}\r\n"
        );
        let mut parts = vec![head.as_str()];
        if let Some(authorization) = &self.authorization {
            parts.extend(["Proxy-Authorization: Basic ", authorization, "\r\n"]);
        }
        parts.push("\r\n");
        let request = Zeroizing::new(parts.concat());
        let status = stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.flush())
            .and_then(|()| read_status(stream));
        match status {
            Ok(Some(200..=299)) => Ok(()),
            // Repeated attempts with wrong credentials get accounts locked.
            Ok(Some(407)) => Err(
                failure("it wants a user and a password, or others than it got")
                    .with_source(ProxyStatus(407))
                    .permanent(),
            ),
            Ok(Some(status)) => {
                Err(failure("it refused to connect to the host").with_source(ProxyStatus(status)))
            }
            Ok(None) => Err(failure("its response is not HTTP, or too large")),
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

/// Reads the status of the response to `CONNECT`. Interim responses (1xx) are
/// skipped. Of a 2xx response it reads the head and nothing of what follows,
/// which belongs to the tunnel. `None` if it is not HTTP, or larger than
/// [`MAX_HEAD`].
pub(super) fn read_status(stream: &mut impl Read) -> io::Result<Option<u16>> {
    let mut head = stream.take(MAX_HEAD);
    let status = read_heads(&mut head);
    match status {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && head.limit() == 0 => Ok(None),
        status => status,
    }
}

fn read_heads(head: &mut impl Read) -> io::Result<Option<u16>> {
    loop {
        let status = read_status_line(head)?;
        match status {
            Some(100 | 102..=199) => skip_headers(head)?,
            Some(200..=299) => {
                skip_headers(head)?;
                return Ok(status);
            }
            _ => return Ok(status),
        }
    }
}

/// Stops at the first byte that is not HTTP, so that nobody waits for more.
fn read_status_line(head: &mut impl Read) -> io::Result<Option<u16>> {
    const PREFIX: &[u8] = b"HTTP/1.";
    let mut line = Vec::new();
    loop {
        match read_byte(head)? {
            b'\n' => break,
            byte => line.push(byte),
        }
        if !line.starts_with(PREFIX) && !PREFIX.starts_with(&line) {
            return Ok(None);
        }
    }
    let digits = match line.strip_prefix(PREFIX) {
        Some([b'0'..=b'9', b' ', a, b, c] | [b'0'..=b'9', b' ', a, b, c, b' ' | b'\r', ..]) => {
            [*a, *b, *c]
        }
        _ => return Ok(None),
    };
    let status = std::str::from_utf8(&digits)
        .ok()
        .and_then(|it| it.parse().ok());
    Ok(status.filter(|_| digits.iter().all(u8::is_ascii_digit)))
}

/// Reads up to the empty line.
fn skip_headers(head: &mut impl Read) -> io::Result<()> {
    let mut is_empty = true;
    loop {
        match read_byte(head)? {
            b'\n' if is_empty => return Ok(()),
            b'\n' => is_empty = true,
            b'\r' => {}
            _ => is_empty = false,
        }
    }
}

fn read_byte(head: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    head.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
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
