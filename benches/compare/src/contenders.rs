//! Those who make the calls, each in the way that comes natural to it.

use std::env;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use autharmor::auth::{StartAuthenticatorAuth, StartAuthenticatorAuthResponse};
use autharmor::users::{User, UserDetails};
use autharmor::{Client, Page, PageQuery};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use ureq::http::Uri;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use uuid::Uuid;

use crate::Place;
use crate::canned::{NIL, RECORDS, USER_ID, USERNAME};

/// The four calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

    /// For a command line.
    pub fn word(self) -> String {
        format!("{self:?}")
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

    /// Decodes what came, into the types of this crate, which are the same
    /// work for everybody.
    fn decode(self, body: &[u8]) {
        match self {
            Self::ById | Self::ByName => {
                let user: UserDetails = serde_json::from_slice(body).expect("a user");
                black_box(&user);
            }
            Self::Start => {
                let started: StartAuthenticatorAuthResponse =
                    serde_json::from_slice(body).expect("a request that was started");
                black_box(&started);
            }
            Self::List => {
                let page: Page<User> = serde_json::from_slice(body).expect("a page");
                assert_eq!(page.records.len(), RECORDS);
            }
        }
    }
}

/// Who makes the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// A socket, rustls, and just enough HTTP. One connection a thread.
    Raw,
    /// ureq without any deadline, as its documentation has it.
    Ureq,
    /// The same with room for many idle connections.
    UreqLargePool,
    /// With a deadline for the whole call and nothing else.
    UreqDeadline,
    /// With a deadline for each phase but name resolution.
    UreqPhases,
    /// With a deadline and a resolver that remembers.
    UreqResolver,
    /// This crate, as `Client::new` makes it.
    Autharmor,
    /// reqwest, as `Client::new` makes it.
    Reqwest,
}

impl Contender {
    /// Those in the table.
    pub const MAIN: [Self; 4] = [Self::Raw, Self::Ureq, Self::Autharmor, Self::Reqwest];
    /// The roads to deadlines with ureq.
    pub const ROADS: [Self; 3] = [Self::UreqPhases, Self::UreqDeadline, Self::UreqResolver];
    pub const ALL: [Self; 8] = [
        Self::Raw,
        Self::Ureq,
        Self::UreqLargePool,
        Self::UreqDeadline,
        Self::UreqPhases,
        Self::UreqResolver,
        Self::Autharmor,
        Self::Reqwest,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw rustls socket",
            Self::Ureq => "bare ureq, no deadline",
            Self::UreqLargePool => "bare ureq, large pool",
            Self::UreqDeadline => "ureq, timeout_global",
            Self::UreqPhases => "ureq, timeouts of phases",
            Self::UreqResolver => "ureq, timeout_global, own resolver",
            Self::Autharmor => "autharmor",
            Self::Reqwest => "reqwest::blocking",
        }
    }

    /// For a command line.
    pub fn word(self) -> String {
        format!("{self:?}")
    }

    pub fn from_word(word: &str) -> Self {
        let known = Self::ALL.into_iter().find(|known| known.word() == word);
        known.unwrap_or_else(|| panic!("there is no contender {word}"))
    }

    /// One of it, for as many threads as like.
    pub fn start(self, place: &Place) -> Started {
        let large = |config: ureq::config::ConfigBuilder<_>| {
            config
                .max_idle_connections(1000)
                .max_idle_connections_per_host(1000)
        };
        let ureq = |agent| Inner::Ureq(agent, bearer());
        let whole = Some(Duration::from_secs(30));
        let inner = match self {
            Self::Raw => Inner::Raw(tls_config(place)),
            Self::Ureq => ureq(ureq_config(place).build().new_agent()),
            Self::UreqLargePool => ureq(large(ureq_config(place)).build().new_agent()),
            Self::UreqDeadline => {
                let config = ureq_config(place).timeout_global(whole);
                ureq(config.build().new_agent())
            }
            Self::UreqPhases => {
                let config = ureq_config(place)
                    .timeout_connect(Some(Duration::from_secs(5)))
                    .timeout_send_request(whole)
                    .timeout_send_body(whole)
                    .timeout_recv_response(whole)
                    .timeout_recv_body(whole);
                ureq(config.build().new_agent())
            }
            Self::UreqResolver => {
                let config = ureq_config(place).timeout_global(whole).build();
                let agent =
                    ureq::Agent::with_parts(config, DefaultConnector::new(), Remembered::default());
                ureq(agent)
            }
            Self::Autharmor => Inner::Autharmor(
                Client::builder("id", "secret")
                    .api_url(&place.api)
                    .login_url(&place.login)
                    .only_root_certificates(&place.ca_pem)
                    .build()
                    .expect("the settings are good"),
            ),
            Self::Reqwest => {
                let client = reqwest::blocking::Client::builder()
                    .tls_backend_preconfigured((*tls_config(place)).clone())
                    .user_agent(USER_AGENT)
                    .build()
                    .expect("the settings are good");
                Inner::Reqwest(client, bearer())
            }
        };
        Started {
            inner,
            place: place.clone(),
        }
    }
}

/// What the arguments of a program ask for: who calls what (already warm), and
/// how often.
pub fn from_args() -> (Box<dyn FnMut() + Send>, usize) {
    const WARM_UP: usize = 20;
    let args: Vec<_> = env::args().skip(1).collect();
    let [contender, call, count] = &args[..] else {
        panic!("usage: CONTENDER CALL COUNT");
    };
    let call = Call::ALL.into_iter().find(|known| known.word() == *call);
    let client = Contender::from_word(contender).start(&Place::from_env());
    let mut caller = client.caller(call.expect("a call"));
    for _ in 0..WARM_UP {
        caller();
    }
    (caller, count.parse().expect("a count"))
}

/// One client.
pub struct Started {
    inner: Inner,
    place: Place,
}

enum Inner {
    Raw(Arc<ClientConfig>),
    Ureq(ureq::Agent, String),
    Autharmor(Client),
    Reqwest(reqwest::blocking::Client, String),
}

impl Started {
    /// What a thread makes its calls with.
    pub fn caller(&self, call: Call) -> Box<dyn FnMut() + Send> {
        let url = format!("{}{}", self.place.api, call.path());
        match &self.inner {
            Inner::Raw(config) => {
                let mut raw = Raw::open(config.clone(), &self.place.api, call);
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

/// Of the length that the server gives out.
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
            black_box(started.expect("a request that was started"));
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

/// The least that speaks HTTP: the request is text that was made once, the
/// answer is expected to be of the one form that this server has.
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
            filled += read.ok().filter(|amount| *amount > 0).expect("an answer");
            let known = body.or_else(|| body_of(&self.input[..filled]));
            if let Some((start, end)) = known.filter(|(_, end)| *end <= filled) {
                return self.call.decode(&self.input[start..end]);
            }
            body = known;
        }
    }
}

/// Where the body begins and where it will end.
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

fn roots_of(place: &Place) -> Vec<CertificateDer<'static>> {
    let roots = CertificateDer::pem_slice_iter(place.ca_pem.as_bytes());
    roots.collect::<Result<_, _>>().expect("PEM")
}

fn tls_config(place: &Place) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in roots_of(place) {
        roots.add(root).expect("a certificate");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a provider that knows TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The defaults, but for the headers, which are those of this crate.
fn ureq_config(place: &Place) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    let roots: Vec<_> = roots_of(place)
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

/// Asks for the addresses of the one host once.
#[derive(Debug, Default)]
struct Remembered {
    system: DefaultResolver,
    known: OnceLock<ResolvedSocketAddrs>,
}

impl Resolver for Remembered {
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
