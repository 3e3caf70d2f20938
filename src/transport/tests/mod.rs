//! The transport against servers that follow a script.

mod connecting;
mod exchange;
mod proxies;
mod resolving;
mod stream;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, header};
use zeroize::Zeroizing;

use super::preconnect::PendingDial;
use super::{
    AgentTransport, ClientCertificate, Limits, ProxySetting, Roots, Transport, TransportError,
    TransportErrorKind, TransportSettings,
};
use crate::clock::SystemClock;
use crate::http::{HttpRequest, HttpResponse};
use autharmor_test_support::scripted::Ca;

/// Long enough never to matter.
const PATIENT: Duration = Duration::from_secs(60);

/// For servers that do not respond.
const HASTY: Duration = Duration::from_millis(100);

/// Every name resolves to 127.0.0.1.
fn settings(roots: Roots) -> TransportSettings {
    TransportSettings {
        connect_timeout: PATIENT,
        roots,
        client_certificate: None,
        proxy: ProxySetting::Off,
        hosts: Vec::new(),
        user_agent: HeaderValue::from_static("autharmor-test/1"),
        resolver: Some(Arc::new(|_: &str, port| {
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        })),
        preconnect: None,
        clock: Arc::new(SystemClock),
    }
}

/// A transport that trusts only this CA.
fn trusting(ca: &Ca) -> AgentTransport {
    with_settings(settings(Roots::Only(vec![ca.pem()])))
}

fn with_settings(settings: TransportSettings) -> AgentTransport {
    AgentTransport::new(settings).unwrap()
}

/// A transport that connects to `uri` while the first request goes to another
/// host.
fn connecting_ahead(ca: &Ca, uri: &str) -> AgentTransport {
    with_settings(TransportSettings {
        preconnect: Some(uri.parse().unwrap()),
        ..settings(Roots::Only(vec![ca.pem()]))
    })
}

/// Starts the dial that the first request to another host starts.
fn begin(transport: &AgentTransport) -> Option<PendingDial> {
    let elsewhere = "https://login.example/".parse().unwrap();
    let deadline = Instant::now() + PATIENT;
    transport.preconnect.begin(&elsewhere, deadline)
}

fn within(time: Duration) -> Limits {
    Limits {
        deadline: Instant::now() + time,
        max_response_body: 1024 * 1024,
    }
}

/// A request with something secret in every place that can hold it.
fn request(method: Method, uri: &str) -> HttpRequest {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Bearer s3cr3t"),
    );
    HttpRequest {
        body: (method == Method::POST).then(|| b"code=s3cr3t".to_vec().into()),
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

/// The error's kind, whether anything was sent, and all of its texts, which
/// must hold no secret.
#[track_caller]
fn seen(result: Result<HttpResponse, TransportError>) -> (TransportErrorKind, bool, String) {
    let error = result.expect_err("there was a response");
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

/// As [`seen`], without the texts.
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
