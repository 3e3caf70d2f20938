//! [`Target`]: the host and port of a URI.

use http::Uri;
use http::uri::{Authority, Scheme};

use super::{TransportError, TransportErrorKind};

/// The host to connect to, and whether by TLS.
#[derive(PartialEq, Clone)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    port: u16,
}

impl Target {
    /// Reads the target of an `http` or `https` URI with a host.
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

    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
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
