//! [`AgentTransport`]: sends requests with ureq, over the crate's own connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use ureq::config::AutoHeaderValue;
use ureq::unversioned::transport::Connector;

use super::connection::{MAX_HEAD, NoResolver, OUTPUT, PreconnectConnector};
use super::deadline;
use super::dialer::Dialer;
use super::preconnect::Preconnect;
use super::proxy::ProxySetting;
use super::resolver::{Resolve, Resolver};
use super::tls::{self, ClientCertificate, Roots};
use super::{Limits, Transport, TransportError, TransportErrorKind};
use crate::clock::Clock;
use crate::error::Error;
use crate::http::buffer::WipedBuffer;
use crate::http::{HttpRequest, HttpResponse};

/// Enough for many threads that call at the same time, again and again.
const IDLE_PER_HOST: usize = 128;
const IDLE: usize = 2 * IDLE_PER_HOST;

/// Shorter than what servers and their load balancers commonly allow (60 s and
/// more). A request on a connection that the server is closing fails, and one
/// that must not happen twice cannot be repeated.
const IDLE_AGE: Duration = Duration::from_secs(30);

/// Buffer for a response without `Content-Length`. Enough for nearly all.
const BODY: usize = 4 * 1024;

/// Largest `Content-Length` trusted for preallocation.
const MAX_PREALLOCATED_BODY: usize = 64 * 1024;

/// Settings of an [`AgentTransport`].
pub(crate) struct TransportSettings {
    /// Bounds TCP, the proxy's tunnel and TLS together.
    pub(crate) connect_timeout: Duration,
    pub(crate) roots: Roots,
    pub(crate) client_certificate: Option<ClientCertificate>,
    pub(crate) proxy: ProxySetting,
    /// The hosts that requests go to.
    pub(crate) hosts: Vec<Uri>,
    /// The `User-Agent` of requests to a proxy.
    pub(crate) user_agent: HeaderValue,
    pub(crate) resolver: Option<Arc<Resolve>>,
    /// Connected to while the first request goes to another host.
    pub(crate) preconnect: Option<Uri>,
    /// Tells how long resolved addresses are cached.
    pub(crate) clock: Arc<dyn Clock>,
}

/// The default transport of a client.
pub(crate) struct AgentTransport {
    agent: ureq::Agent,
    pub(super) preconnect: Arc<Preconnect>,
    /// The hosts that requests go to, each with its `Host` header: ureq would
    /// compose the header for each request.
    hosts: Vec<(Uri, HeaderValue)>,
}

impl AgentTransport {
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config) if a setting
    /// is wrong.
    pub(crate) fn new(settings: TransportSettings) -> Result<Self, Error> {
        let TransportSettings {
            connect_timeout,
            roots,
            client_certificate,
            proxy,
            hosts,
            user_agent,
            resolver,
            preconnect,
            clock,
        } = settings;
        if connect_timeout.is_zero() {
            return Err(Error::config("the connect timeout is zero"));
        }
        let proxy = proxy.resolve(&hosts)?;
        let tls = tls::client_config(&roots, client_certificate.as_ref())?;
        // A proxy does not get the client certificate.
        let proxy_tls = if client_certificate.is_some() && proxy.as_ref().is_some_and(|p| p.tls) {
            tls::client_config(&roots, None)?
        } else {
            tls.clone()
        };
        let dialer = Arc::new(Dialer {
            resolver: Resolver::new(resolver, clock),
            tls,
            proxy,
            proxy_tls,
            user_agent,
            connect_timeout,
        });
        let preconnect = Arc::new(Preconnect::new(dialer, preconnect.as_ref()));
        let agent = agent(PreconnectConnector(preconnect.clone()));
        let hosts = hosts
            .into_iter()
            .filter_map(|uri| host_header(&uri).map(|header| (uri, header)))
            .collect();
        Ok(Self {
            agent,
            preconnect,
            hosts,
        })
    }
}

/// Makes an agent that does nothing on its own: no redirects, no proxy, no
/// headers.
pub(super) fn agent(connector: impl Connector) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The dialer does that.
        .proxy(None)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .max_response_header_size(MAX_HEAD)
        .max_idle_connections(IDLE)
        .max_idle_connections_per_host(IDLE_PER_HOST)
        .max_idle_age(IDLE_AGE)
        .build();
    ureq::Agent::with_parts(config, connector, NoResolver)
}

impl AgentTransport {
    fn run(
        &self,
        request: HttpRequest,
        max_response_body: usize,
    ) -> Result<HttpResponse, TransportError> {
        let HttpRequest {
            method,
            uri,
            mut headers,
            body,
        } = request;
        // ureq adds what is missing, at a higher cost.
        if let Some((_, host)) = self
            .hosts
            .iter()
            .find(|(known, _)| is_same_host(known, &uri))
        {
            headers.insert(HOST, host.clone());
        }
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let has_body = body.is_some() || matches!(method, Method::POST | Method::PUT);
        let response = if has_body {
            let body = body.as_ref().map_or(&[][..], |body| body.as_slice());
            self.agent.run(request_of(method, uri, headers, body))
        } else {
            self.agent.run(request_of(method, uri, headers, ()))
        };
        let (parts, body) = response.map_err(explain)?.into_parts();
        check_encoding(&parts.headers)?;
        let body = read_body(body, max_response_body)?;
        Ok(HttpResponse {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }
}

impl Transport for AgentTransport {
    fn send(&self, request: HttpRequest, limits: Limits) -> Result<HttpResponse, TransportError> {
        check_size(&request.uri, &request.headers)?;
        deadline::run_until(limits.deadline, || {
            self.preconnect
                .before_request(&request.uri, limits.deadline);
            self.run(request, limits.max_response_body)
        })
        .unwrap_or_else(|| Err(TransportError::new(TransportErrorKind::Timeout, false)))
    }
}

impl fmt::Debug for AgentTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentTransport")
            .field("preconnect", &self.preconnect)
            .finish_non_exhaustive()
    }
}

/// Returns the `Host` header of requests to this host.
fn host_header(uri: &Uri) -> Option<HeaderValue> {
    let host = uri.host()?;
    let default_port = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    match uri.port_u16().filter(|port| *port != default_port) {
        Some(port) => HeaderValue::try_from(format!("{host}:{port}")).ok(),
        None => HeaderValue::from_str(host).ok(),
    }
}

fn is_same_host(a: &Uri, b: &Uri) -> bool {
    a.authority().map(Authority::as_str) == b.authority().map(Authority::as_str)
        && a.scheme() == b.scheme()
}

fn request_of<B>(method: Method, uri: Uri, headers: HeaderMap, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// ureq would find this out only after it had sent the headers before.
fn check_size(uri: &Uri, headers: &HeaderMap) -> Result<(), TransportError> {
    // Method, version, separators.
    const REST: usize = 32;
    let line = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let longest = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .fold(line, usize::max);
    if longest + REST > OUTPUT {
        return Err(TransportError::new(TransportErrorKind::Protocol, false)
            .with_detail("the URL or a header of the request is too long"));
    }
    Ok(())
}

/// The request accepts `identity` only.
fn check_encoding(headers: &HeaderMap) -> Result<(), TransportError> {
    let plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if plain {
        Ok(())
    } else {
        Err(TransportError::new(TransportErrorKind::Protocol, true)
            .with_detail("the response is compressed"))
    }
}

fn read_body(mut body: ureq::Body, limit: usize) -> Result<WipedBuffer, TransportError> {
    let too_large = || {
        TransportError::new(TransportErrorKind::Protocol, true)
            .with_detail("the response is too large")
    };
    let announced = body
        .content_length()
        .map(|length| {
            let length = usize::try_from(length).ok();
            length.filter(|it| *it <= limit).ok_or_else(too_large)
        })
        .transpose()?;
    // One more than announced, to find the end without growing.
    let expected = announced.unwrap_or(BODY).min(MAX_PREALLOCATED_BODY) + 1;
    let mut bytes = WipedBuffer::with_capacity(expected);
    bytes
        .read_from(&mut body.as_reader(), limit)
        .map_err(|error| explain(ureq::Error::from(error)))?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

/// Translates an error of ureq. Its texts are left out: they may hold URLs, or
/// what the server wrote.
fn explain(error: ureq::Error) -> TransportError {
    use TransportErrorKind::{Broken, Protocol, Timeout};
    match error {
        // From the dialer.
        ureq::Error::Other(error) => error
            .downcast()
            .map_or_else(|_| TransportError::new(Broken, true), |error| *error),
        ureq::Error::Io(error) => match tls::as_tls_error(error) {
            Ok(error) => tls::refused(error, true),
            Err(error) => TransportError::new(Broken, true).with_source(error),
        },
        ureq::Error::Timeout(_) => TransportError::new(Timeout, true),
        ureq::Error::LargeResponseHeader(..) => TransportError::new(Protocol, true)
            .with_detail("the headers of the response are too large"),
        // Found before anything was sent.
        ureq::Error::Http(_) | ureq::Error::BadUri(_) => {
            TransportError::new(Protocol, false).with_detail("the request cannot be put into HTTP")
        }
        _ => TransportError::new(Protocol, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(uri: &str) -> Uri {
        uri.parse().unwrap()
    }

    #[test]
    fn the_host_header_has_the_port_unless_it_is_the_scheme_s_own() {
        for (url, host) in [
            ("https://api.example/v3", "api.example"),
            ("https://api.example:443/", "api.example"),
            ("https://api.example:80/", "api.example:80"),
            ("http://127.0.0.1/", "127.0.0.1"),
            ("http://127.0.0.1:80/", "127.0.0.1"),
            ("http://127.0.0.1:443/", "127.0.0.1:443"),
            ("http://[::1]:8080/", "[::1]:8080"),
        ] {
            assert_eq!(host_header(&uri(url)).unwrap(), host, "{url}");
        }
    }

    #[test]
    fn a_host_is_the_same_with_scheme_and_port() {
        let api = uri("https://api.example/a");
        assert!(is_same_host(&api, &uri("https://api.example/b")));
        for other in [
            "https://api.example:444/a",
            "https://login.example/a",
            "http://api.example/a",
        ] {
            assert!(!is_same_host(&api, &uri(other)), "{other}");
        }
    }

    #[test]
    fn a_request_line_that_just_fits_is_sent() {
        let longest = OUTPUT - 32;
        for (length, fits) in [(longest, true), (longest + 1, false)] {
            let path = "/".repeat(length);
            let result = check_size(&uri(&path), &HeaderMap::new());
            assert_eq!(result.is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn errors_of_ureq_say_whether_anything_was_sent() {
        let http = Uri::try_from("http://[").unwrap_err();
        for (error, was_sent, part) in [
            (ureq::Error::LargeResponseHeader(2, 1), true, "headers"),
            (ureq::Error::Http(http.into()), false, "put into HTTP"),
            (ureq::Error::BadUri(String::new()), false, "put into HTTP"),
        ] {
            let error = Error::from(explain(error));
            assert_eq!(error.may_have_been_sent(), was_sent, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
