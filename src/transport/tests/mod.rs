//! The transport against servers that follow a script.

mod addresses;
mod connecting;
mod exchange;
mod proxies;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, header};
use zeroize::Zeroizing;

use super::addresses::Addresses;
use super::{
    AgentTransport, ClientCertificate, Limits, ProxySetting, Roots, Transport, TransportError,
    TransportErrorKind, TransportSettings,
};
use crate::http::{HttpRequest, HttpResponse};
use autharmor_test_support::scripted::Ca;

/// Long enough never to matter.
const PATIENT: Duration = Duration::from_secs(60);

/// For servers that will not answer.
const HASTY: Duration = Duration::from_millis(100);

fn settings(roots: Roots) -> TransportSettings {
    TransportSettings {
        connect_timeout: PATIENT,
        roots,
        client_certificate: None,
        proxy: ProxySetting::Off,
        resolver: None,
    }
}

/// A transport that trusts this CA only, and to which every name is loopback.
fn trusting(ca: &Ca) -> AgentTransport {
    with_settings(settings(Roots::Only(vec![ca.pem()])))
}

fn with_settings(settings: TransportSettings) -> AgentTransport {
    let loopback = |_: &str, port| Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
    AgentTransport::with_addresses(settings, Addresses::with(loopback, Instant::now)).unwrap()
}

/// Does at once what there is to do.
fn warm_up(transport: &AgentTransport, uri: &http::Uri, limits: Limits) {
    if let Some(dial) = transport.warm_up(uri, limits) {
        dial();
    }
}

fn within(time: Duration) -> Limits {
    Limits {
        deadline: Instant::now() + time,
        max_response_body: 1024 * 1024,
    }
}

/// A request with something secret in every place where there can be.
fn request(method: Method, uri: &str) -> HttpRequest {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer s3cr3t"),
    );
    HttpRequest {
        body: (method == Method::POST).then(|| Zeroizing::new(b"code=s3cr3t".to_vec())),
        method,
        uri: format!("{uri}?username=ada").parse().unwrap(),
        headers,
    }
}

fn get(transport: &AgentTransport, uri: &str) -> Result<HttpResponse, TransportError> {
    transport.send(request(Method::GET, uri), within(PATIENT))
}

fn post(transport: &AgentTransport, uri: &str) -> Result<HttpResponse, TransportError> {
    transport.send(request(Method::POST, uri), within(PATIENT))
}

fn hastily(transport: &AgentTransport, uri: &str) -> Result<HttpResponse, TransportError> {
    transport.send(request(Method::GET, uri), within(HASTY))
}

/// What a program can tell from the error, after a look for secrets in all
/// that it says.
#[track_caller]
fn seen(result: Result<HttpResponse, TransportError>) -> (TransportErrorKind, bool, String) {
    let error = result.expect_err("there was an answer");
    let mut text = format!("{error}\n{error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, "\n{cause}\n{cause:?}").unwrap();
        source = cause.source();
    }
    for secret in ["s3cr3t", "czNjcjN0", "ada", "hunter2", "localhost", "?"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    (error.kind(), error.may_have_been_sent(), text)
}

/// As [`seen`], for a failure that speaks for itself.
#[track_caller]
fn kind(result: Result<HttpResponse, TransportError>) -> (TransportErrorKind, bool) {
    let (kind, sent, _) = seen(result);
    (kind, sent)
}

fn with_identity(ca: &Ca, certificate: Vec<u8>, key: Vec<u8>) -> TransportSettings {
    TransportSettings {
        client_certificate: Some(ClientCertificate {
            chain: certificate,
            key: Zeroizing::new(key),
        }),
        ..settings(Roots::Only(vec![ca.pem()]))
    }
}

#[test]
fn can_be_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<AgentTransport>();
}
