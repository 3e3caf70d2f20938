//! The clients that are compared, each used in its usual way.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use autharmor::Client;
pub use autharmor_guard::Call;
use autharmor_guard::{
    JSON, NAME_HEADER, USER_AGENT, bearer, ureq_config, with_autharmor, with_ureq,
};
use clap::ValueEnum;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::Servers;
use crate::canned::USERNAME;

/// A client that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientKind {
    /// A socket, rustls, and a minimum of HTTP. One connection per thread.
    Raw,
    /// ureq without a deadline, as in its documentation.
    Ureq,
    /// ureq with a large connection pool.
    UreqLargePool,
    /// ureq with `timeout_global`.
    UreqDeadline,
    /// ureq with a timeout for each phase except name resolution.
    UreqPhases,
    /// ureq with `timeout_global` and a resolver with a cache.
    UreqResolver,
    /// This crate with default settings.
    Autharmor,
    /// reqwest with default settings.
    Reqwest,
}

impl ClientKind {
    /// The clients in the main table.
    pub const MAIN: [Self; 4] = [Self::Raw, Self::Ureq, Self::Autharmor, Self::Reqwest];
    /// ureq with the kinds of deadline that it offers.
    pub const DEADLINES: [Self; 3] = [Self::UreqPhases, Self::UreqDeadline, Self::UreqResolver];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw rustls socket",
            Self::Ureq => "bare ureq, no deadline",
            Self::UreqLargePool => "bare ureq, large pool",
            Self::UreqDeadline => "ureq, timeout_global",
            Self::UreqPhases => "ureq, timeout per phase",
            Self::UreqResolver => "ureq, timeout_global, own resolver",
            Self::Autharmor => "autharmor",
            Self::Reqwest => "reqwest::blocking",
        }
    }

    /// Creates a client that any number of threads can share.
    pub fn start(self, servers: &Servers) -> RunningClient {
        let large = |config: ureq::config::ConfigBuilder<_>| {
            config
                .max_idle_connections(1000)
                .max_idle_connections_per_host(1000)
        };
        let ureq = |agent| Inner::Ureq(agent, bearer());
        let whole = Some(Duration::from_secs(30));
        let inner = match self {
            Self::Raw => Inner::Raw(tls_config(servers)),
            Self::Ureq => ureq(ureq_config(&servers.ca_pem).build().new_agent()),
            Self::UreqLargePool => ureq(large(ureq_config(&servers.ca_pem)).build().new_agent()),
            Self::UreqDeadline => {
                let config = ureq_config(&servers.ca_pem).timeout_global(whole);
                ureq(config.build().new_agent())
            }
            Self::UreqPhases => {
                let config = ureq_config(&servers.ca_pem)
                    .timeout_connect(Some(Duration::from_secs(5)))
                    .timeout_send_request(whole)
                    .timeout_send_body(whole)
                    .timeout_recv_response(whole)
                    .timeout_recv_body(whole);
                ureq(config.build().new_agent())
            }
            Self::UreqResolver => {
                let config = ureq_config(&servers.ca_pem).timeout_global(whole).build();
                let agent = ureq::Agent::with_parts(
                    config,
                    DefaultConnector::new(),
                    CachingResolver::default(),
                );
                ureq(agent)
            }
            Self::Autharmor => Inner::Autharmor(
                Client::builder("id", "secret")
                    .api_url(&servers.api)
                    .login_url(&servers.login)
                    .only_root_certificates(&servers.ca_pem)
                    .build()
                    .expect("valid settings"),
            ),
            Self::Reqwest => {
                let client = reqwest::blocking::Client::builder()
                    .tls_backend_preconfigured((*tls_config(servers)).clone())
                    .user_agent(USER_AGENT)
                    .build()
                    .expect("valid settings");
                Inner::Reqwest(client, bearer())
            }
        };
        RunningClient {
            inner,
            servers: servers.clone(),
        }
    }
}

/// Returns the name of a value on the command line.
pub fn arg(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("no value is skipped");
    value.get_name().to_owned()
}

/// A client in use.
pub struct RunningClient {
    inner: Inner,
    servers: Servers,
}

enum Inner {
    Raw(Arc<ClientConfig>),
    Ureq(ureq::Agent, String),
    Autharmor(Client),
    Reqwest(reqwest::blocking::Client, String),
}

impl RunningClient {
    /// Returns a function for one thread that makes one call.
    pub fn caller(&self, call: Call) -> Box<dyn FnMut() + Send> {
        let url = format!("{}{}", self.servers.api, call.path());
        match &self.inner {
            Inner::Raw(config) => {
                let mut raw = Raw::open(config.clone(), &self.servers.api, call);
                Box::new(move || raw.call())
            }
            Inner::Ureq(agent, bearer) => {
                let (agent, bearer) = (agent.clone(), bearer.clone());
                Box::new(move || with_ureq(&agent, &url, &bearer, call))
            }
            Inner::Autharmor(client) => {
                let client = client.clone();
                Box::new(move || with_autharmor(&client, call))
            }
            Inner::Reqwest(client, bearer) => {
                let (client, bearer) = (client.clone(), bearer.clone());
                Box::new(move || with_reqwest(&client, &url, &bearer, call))
            }
        }
    }
}

fn with_reqwest(client: &reqwest::blocking::Client, url: &str, bearer: &str, call: Call) {
    let request = match call.body() {
        Some(body) => client
            .post(url)
            .header("Content-Type", JSON)
            .body(body.to_string()),
        None => client.get(url),
    };
    let request = match call {
        Call::ByName => request.header(NAME_HEADER, USERNAME),
        _ => request,
    };
    let response = request
        .header("Accept", JSON)
        .header("Authorization", bearer)
        .send()
        .and_then(reqwest::blocking::Response::error_for_status)
        .expect("a response");
    call.decode(&response.bytes().expect("a body"));
}

/// A minimum of HTTP: the request is a constant text, and the response must have
/// the form that this server sends.
struct Raw {
    stream: StreamOwned<ClientConnection, TcpStream>,
    request: Vec<u8>,
    input: Vec<u8>,
    call: Call,
}

impl Raw {
    fn open(config: Arc<ClientConfig>, api: &str, call: Call) -> Self {
        let authority = api.strip_prefix("https://").expect("an https URL");
        let host = authority.split(':').next().expect("a host").to_owned();
        let name = ServerName::try_from(host).expect("a host");
        let tls = ClientConnection::new(config, name).expect("TLS");
        let tcp = TcpStream::connect(authority).expect("a server");
        tcp.set_nodelay(true).expect("a socket");
        let body = call.body().map(|body| body.to_string()).unwrap_or_default();
        let (method, more) = match call {
            Call::Start | Call::Validate => (
                "POST",
                format!("Content-Type: {JSON}\r\nContent-Length: {}\r\n", body.len()),
            ),
            Call::ByName => ("GET", format!("{NAME_HEADER}: {USERNAME}\r\n")),
            _ => ("GET", String::new()),
        };
        let request = format!(
            "{method} {} HTTP/1.1\r\nHost: {authority}\r\nAccept: {JSON}\r\n\
             Accept-Encoding: identity\r\nUser-Agent: {USER_AGENT}\r\n\
             Authorization: {}\r\n{more}\r\n{body}",
            call.path(),
            bearer()
        );
        Self {
            stream: StreamOwned::new(tls, tcp),
            request: request.into_bytes(),
            input: vec![0; 64 * 1024],
            call,
        }
    }

    fn call(&mut self) {
        self.stream.write_all(&self.request).expect("a connection");
        let (mut filled, mut body) = (0, None);
        loop {
            let read = self.stream.read(&mut self.input[filled..]);
            filled += read.ok().filter(|amount| *amount > 0).expect("a response");
            let known = body.or_else(|| body_of(&self.input[..filled]));
            if let Some((start, end)) = known.filter(|(_, end)| *end <= filled) {
                return self.call.decode(&self.input[start..end]);
            }
            body = known;
        }
    }
}

/// Returns the start and the end of the body.
fn body_of(input: &[u8]) -> Option<(usize, usize)> {
    const LENGTH: &str = "Content-Length: ";
    let start = 4 + input.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = str::from_utf8(&input[..start]).ok()?;
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix(LENGTH))?
        .parse()
        .ok()?;
    Some((start, start + length))
}

fn roots_of(servers: &Servers) -> Vec<CertificateDer<'static>> {
    let roots = CertificateDer::pem_slice_iter(servers.ca_pem.as_bytes());
    roots.collect::<Result<_, _>>().expect("PEM")
}

fn tls_config(servers: &Servers) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in roots_of(servers) {
        roots.add(root).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a provider with TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Looks the one host up once.
#[derive(Debug, Default)]
struct CachingResolver {
    system: DefaultResolver,
    known: OnceLock<ResolvedSocketAddrs>,
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if let Some(known) = self.known.get() {
            return Ok(known.clone());
        }
        let found = self.system.resolve(uri, config, timeout)?;
        Ok(self.known.get_or_init(|| found).clone())
    }
}
