//! [`Proxy`]: the way through an HTTP CONNECT proxy, and when to take it.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::addresses::{bare, port_of};
use super::stream::Stream;
use super::{TransportError, TransportErrorKind};
use crate::environment::Environment;
use crate::error::Error;
use crate::secret::Secret;

/// The largest head of a proxy's answer.
const MAX_HEAD: usize = 8 * 1024;

/// Which proxy to use.
#[derive(Clone)]
pub(crate) enum ProxySetting {
    /// The one that the environment names, see [`Proxy::from_env`].
    Environment(Arc<Environment>),
    /// None.
    Off,
    /// This one, `http://user:password@host:port` or `https://..`, for every
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
    exempt: Exempt,
}

/// The hosts that are reached without the proxy.
#[derive(Default)]
struct Exempt {
    all: bool,
    loopback: bool,
    /// Lower case, without leading dots; each stands for its subdomains, too.
    hosts: Vec<(String, Option<u16>)>,
}

impl Proxy {
    /// Reads `HTTPS_PROXY`, else `ALL_PROXY`, and `NO_PROXY`, each in upper or
    /// lower case, where an empty one counts as unset.
    ///
    /// `NO_PROXY` lists `*`, domains, that include their subdomains with or
    /// without a leading dot, or IP addresses; each may have a port. A proxy
    /// from the environment is not used for loopback addresses: what listens
    /// there is not to be found from the proxy's place.
    pub(super) fn from_env(env: &Environment) -> Result<Option<Self>, Error> {
        let urls = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let Some((name, url)) = first_set(env, &urls)? else {
            return Ok(None);
        };
        let mut proxy = Self::parse(&url, name)?;
        let exempt = first_set(env, &["NO_PROXY", "no_proxy"])?;
        proxy.exempt = Exempt::parse(exempt.as_ref().map_or("", |(_, list)| list));
        Ok(Some(proxy))
    }

    /// `place` is where the URL stands. Errors name that and not the URL, in
    /// which there may be a password.
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
            // As everybody else reads `proxy.example:3128`. A lone word is
            // more likely a mistake.
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
            exempt: Exempt::default(),
        })
    }

    /// Whether the way to this host leads through the proxy.
    pub(super) fn serves(&self, host: &str, port: u16) -> bool {
        !self.exempt.covers(host, port)
    }

    /// Asks for a tunnel. `stream` leads to the proxy before and to the target
    /// afterwards. A failure is always unsent.
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
        let answer = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.flush())
            .and_then(|()| read_status(stream));
        match answer {
            Ok(Some(200..=299)) => Ok(()),
            Ok(Some(status)) => Err(failure(match status {
                407 => "it wants a user and a password, or others than it got",
                _ => "it refused to connect to the host",
            })
            .with_source(ProxyStatus(status))),
            Ok(None) => Err(failure("its answer is not HTTP")),
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

impl Exempt {
    fn parse(list: &str) -> Self {
        let mut exempt = Self {
            loopback: true,
            ..Self::default()
        };
        for entry in list.split(|c: char| c == ',' || c.is_whitespace()) {
            let entry = entry.trim_start_matches('*');
            if entry.is_empty() {
                continue;
            }
            exempt.hosts.push(host_and_port(entry));
        }
        exempt.all = list.split(',').any(|entry| entry.trim() == "*");
        exempt
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let host = bare(host).to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        let is_loopback = match address {
            Some(address) => address.is_loopback(),
            None => host == "localhost" || host.ends_with(".localhost"),
        };
        let named = |(domain, only): &(String, Option<u16>)| {
            let is_within = || {
                host.strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            only.is_none_or(|only| only == port)
                && if address.is_some() {
                    address == domain.parse().ok()
                } else {
                    is_within()
                }
        };
        self.all || (self.loopback && is_loopback) || self.hosts.iter().any(named)
    }
}

/// Takes an entry of `NO_PROXY` apart.
fn host_and_port(entry: &str) -> (String, Option<u16>) {
    let (host, port) = match entry.rsplit_once(':') {
        // More than one colon is an IPv6 address without a port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (entry, None),
    };
    let host = bare(host.trim_start_matches('.')).to_ascii_lowercase();
    (host, port)
}

/// `user:password` of an authority as HTTP Basic wants it.
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

/// Reads the head of the answer and nothing of what follows: that belongs to
/// the tunnel. `None` if it is not HTTP.
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

/// What a proxy answered instead of a tunnel.
#[derive(Debug)]
struct ProxyStatus(u16);

impl fmt::Display for ProxyStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy answered with status {}", self.0)
    }
}

impl StdError for ProxyStatus {}
