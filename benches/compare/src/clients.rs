//! The clients that are compared, each used in its usual way.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use autharmor::auth::{StartAuthenticatorAuth, StartAuthenticatorAuthResponse};
use autharmor::users::{User, UserDetails};
use autharmor::{Client, Page, PageQuery};
use clap::{Args, ValueEnum};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use uuid::Uuid;

use crate::Servers;
use crate::canned::{NIL, RECORDS, USER_ID, USERNAME};

/// A call that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Call {
    ById,
    ByName,
    Start,
    List,
}

impl Call {
    pub const ALL: [Self; 4] = [Self::ByName, Self::ById, Self::Start, Self::List];

    pub fn name(self) -> &'static str {
        match self {
            Self::ById => "get_user by id",
            Self::ByName => "get_user by name",
            Self::Start => "start_authenticator_auth",
            Self::List => "list_users, 100 records",
        }
    }

    fn path(self) -> String {
        match self {
            Self::ById => format!("/v3/users/{USER_ID}"),
            Self::ByName => format!("/v3/users/{NIL}"),
            Self::Start => "/v3/auth/authenticator/start".to_owned(),
            Self::List => "/v3/users?page_size=100".to_owned(),
        }
    }

    fn body(self) -> Option<Value> {
        (self == Self::Start).then(|| {
            json!({
                "username": USERNAME, "send_push": true, "timeout_in_seconds": 60,
                "action_name": "Sign in", "short_msg": "Somebody signs in to Example as you",
            })
        })
    }

    /// Decodes a response into the types of this crate, the same for every
    /// client.
    fn decode(self, body: &[u8]) {
        match self {
            Self::ById | Self::ByName => {
                let user: UserDetails = serde_json::from_slice(body).expect("a user");
                black_box(&user);
            }
            Self::Start => {
                let started: StartAuthenticatorAuthResponse =
                    serde_json::from_slice(body).expect("a started request");
                black_box(&started);
            }
            Self::List => {
                let page: Page<User> = serde_json::from_slice(body).expect("a page");
                assert_eq!(page.records.len(), RECORDS);
            }
        }
    }
}

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
            Self::Ureq => ureq(ureq_config(servers).build().new_agent()),
            Self::UreqLargePool => ureq(large(ureq_config(servers)).build().new_agent()),
            Self::UreqDeadline => {
                let config = ureq_config(servers).timeout_global(whole);
                ureq(config.build().new_agent())
            }
            Self::UreqPhases => {
                let config = ureq_config(servers)
                    .timeout_connect(Some(Duration::from_secs(5)))
                    .timeout_send_request(whole)
                    .timeout_send_body(whole)
                    .timeout_recv_response(whole)
                    .timeout_recv_body(whole);
                ureq(config.build().new_agent())
            }
            Self::UreqResolver => {
                let config = ureq_config(servers).timeout_global(whole).build();
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

/// The arguments of a program that makes calls.
#[derive(Args)]
pub struct CallArgs {
    client: ClientKind,
    call: Call,
    /// How many calls to make
    pub count: usize,
}

impl CallArgs {
    /// Starts the client and makes some calls with it.
    pub fn warm_caller(&self) -> Box<dyn FnMut() + Send> {
        const WARM_UP: usize = 20;
        let client = self.client.start(&Servers::from_env());
        let mut caller = client.caller(self.call);
        for _ in 0..WARM_UP {
            caller();
        }
        caller
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

const USER_AGENT: &str = "autharmor-rust/0.1.0";
const NAME_HEADER: &str = "X-AuthArmor-UsernameValue";
const JSON: &str = "application/json";

/// Returns a header value as long as the server's.
fn bearer() -> String {
    format!("Bearer {}", "t0ken".repeat(160))
}

fn start_request() -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new()
        .user(USERNAME)
        .action_name("Sign in")
        .short_msg("Somebody signs in to Example as you")
        .send_push(true)
        .timeout_in_seconds(60)
}

fn with_autharmor(client: &Client, call: Call) {
    match call {
        Call::ById => {
            let id: Uuid = black_box(Uuid::from_u128(0x5b1d_7d5e_0d6f_4c3a_9a55_3f0c_2f6c_1f01));
            black_box(client.get_user(id).expect("a user"));
        }
        Call::ByName => {
            black_box(client.get_user(USERNAME).expect("a user"));
        }
        Call::Start => {
            let started = client.start_authenticator_auth(&start_request());
            black_box(started.expect("a started request"));
        }
        Call::List => {
            let page = client.list_users(PageQuery::new().page_size(100));
            assert_eq!(page.expect("a page").records.len(), RECORDS);
        }
    }
}

fn with_ureq(agent: &ureq::Agent, url: &str, bearer: &str, call: Call) {
    let response = if call == Call::Start {
        let body = serde_json::to_vec(&start_request()).expect("a body");
        agent
            .post(url)
            .header("Authorization", bearer)
            .header("Content-Type", JSON)
            .send(&body)
    } else {
        let request = agent.get(url).header("Authorization", bearer);
        match call {
            Call::ByName => request.header(NAME_HEADER, USERNAME).call(),
            _ => request.call(),
        }
    };
    let body = response.expect("a response").into_body().read_to_vec();
    call.decode(&body.expect("a body"));
}

fn with_reqwest(client: &reqwest::blocking::Client, url: &str, bearer: &str, call: Call) {
    let request = if call == Call::Start {
        let body = serde_json::to_vec(&start_request()).expect("a body");
        client.post(url).header("Content-Type", JSON).body(body)
    } else {
        client.get(url)
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
            Call::Start => (
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

/// Default settings with the headers of this crate.
fn ureq_config(servers: &Servers) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    let roots: Vec<_> = roots_of(servers)
        .iter()
        .map(|root| Certificate::from_der(root).to_owned())
        .collect();
    let roots = RootCerts::new_with_certs(&roots);
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .user_agent(USER_AGENT)
        .accept(JSON)
        .accept_encoding("identity")
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
