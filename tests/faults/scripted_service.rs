//! The service as two servers on loopback, one for tokens and one for the API,
//! that follow scripts byte by byte.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use autharmor::{Client, ClientBuilder, RetryPolicy};
use autharmor_test_support::scripted::{Act, Ca, Seen, Server, Switch};
use rustls::ServerConfig;

use super::attempts;
use super::calls::{Call, ID, LONG, token_body};
use super::expect::Expect;
use super::harness::{Counts, Row, Scenario, Service};
use super::secrets::SECRET;

/// The authority that the clients trust.
pub(crate) fn ca() -> &'static Ca {
    static CA: OnceLock<Ca> = OnceLock::new();
    CA.get_or_init(Ca::new)
}

fn localhost() -> Arc<ServerConfig> {
    static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    let hosts = [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "localhost",
        API_NAME,
        LOGIN_NAME,
    ];
    CONFIG
        .get_or_init(|| ca().server(&hosts, (2020, 2120)))
        .clone()
}

/// Names that only the resolver of a test knows.
pub(crate) const API_NAME: &str = "api.test";
pub(crate) const LOGIN_NAME: &str = "login.test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) const BOTH: [Self; 2] = [Self::Http, Self::Https];

    pub(crate) fn handshake(self) -> Vec<Act> {
        match self {
            Self::Http => Vec::new(),
            Self::Https => vec![Act::Tls(localhost())],
        }
    }
}

/// The server with the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Login,
    Api,
}

/// A fault, and when it happens. One good call precedes it; once there, it
/// stays.
#[derive(Clone)]
pub(crate) enum Fault {
    /// On a new connection, from its beginning.
    Connection(Vec<Act>),
    /// On a request over a new connection.
    FirstRequest(Vec<Act>),
    /// On a request over the connection of the earlier call. If the request is
    /// repeated over a new connection, it meets the same fault.
    NextRequest(Vec<Act>),
}

/// One of the two servers.
pub(crate) struct Host {
    pub(crate) server: Server,
    scheme: Scheme,
    connection: Switch,
    exchange: Switch,
}

impl Host {
    pub(crate) fn start(scheme: Scheme) -> Self {
        let connection = Switch::default();
        let host = Self {
            server: Server::start(vec![vec![Act::Switch(connection.clone())]]),
            scheme,
            connection,
            exchange: Switch::default(),
        };
        host.recover();
        host
    }

    pub(crate) fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}", self.server.address())
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address().port()
    }

    pub(crate) fn recover(&self) {
        let mut acts = self.scheme.handshake();
        acts.push(Act::Each(self.exchange.clone()));
        self.connection.set(acts);
        self.exchange.set(vec![Act::serve(|seen| serve(seen, ""))]);
    }

    pub(crate) fn close_after_each_response(&self) {
        self.exchange.set(vec![
            Act::serve(|seen| serve(seen, "connection: close\r\n")),
            Act::Close,
        ]);
    }

    pub(crate) fn fail(&self, fault: &Fault) {
        match fault {
            Fault::Connection(acts) => self.connection.set(acts.clone()),
            Fault::FirstRequest(acts) | Fault::NextRequest(acts) => {
                self.exchange.set(acts.clone());
            }
        }
    }
}

/// The response that serves the request.
pub(crate) fn serve(seen: &Seen, header: &str) -> Vec<u8> {
    ok(header, &body_for(seen)).into_bytes()
}

/// The body that serves the request.
pub(crate) fn body_for(seen: &Seen) -> String {
    let path = seen.head.split(' ').nth(1).unwrap_or_default();
    match path {
        "/connect/token" => token_body(seen.connection, "600"),
        path => Call::of(path).body(),
    }
}

pub(crate) fn ok(header: &str, body: &str) -> String {
    let header = format!("{header}content-type: application/json\r\n");
    with_body("200 OK", &header, body)
}

/// A response with this status line, these headers and this body.
pub(crate) fn with_body(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Both servers.
pub(crate) struct Hosts {
    pub(crate) login: Host,
    pub(crate) api: Host,
}

impl Hosts {
    pub(crate) fn start(scheme: Scheme) -> Arc<Self> {
        Arc::new(Self {
            login: Host::start(scheme),
            api: Host::start(scheme),
        })
    }

    /// A builder of a client for these servers.
    pub(crate) fn builder(&self) -> ClientBuilder {
        self.builder_with_environment_proxy().no_proxy()
    }

    /// The same, with the proxy of the environment variables.
    pub(crate) fn builder_with_environment_proxy(&self) -> ClientBuilder {
        Client::builder(ID, SECRET)
            .api_url(self.api.url())
            .login_url(self.login.url())
            .allow_http_on_loopback(true)
            .only_root_certificates(ca().pem())
            .connect_timeout(LONG)
            .timeout(LONG)
            .retry(RetryPolicy::default().first_pause(Duration::from_millis(1)))
            .on_attempt(attempts::observe)
    }

    fn at(&self, place: Place) -> &Host {
        match place {
            Place::Login => &self.login,
            Place::Api => &self.api,
        }
    }

    /// Makes a good call, then begins the fault.
    pub(crate) fn fail(&self, client: &Client, call: Call, place: Place, fault: &Fault) {
        if !matches!(fault, Fault::NextRequest(_)) {
            self.login.close_after_each_response();
            self.api.close_after_each_response();
        }
        call.make_with_time(client).unwrap();
        self.login.recover();
        self.api.recover();
        self.at(place).fail(fault);
        if place == Place::Login {
            client.invalidate_token();
        }
    }
}

impl Service for Arc<Hosts> {
    fn counts(&self) -> Counts {
        let api = self.api.server.arrivals();
        Counts {
            api,
            // No fault of these servers is a refusal.
            acted_on: api,
            tokens: self.login.server.arrivals(),
            // Only one thread makes calls.
            tokens_at_once: 0,
            overtime: false,
        }
    }

    fn settle(&self, api: usize, tokens: usize) {
        self.api.server.settle(api);
        self.login.server.settle(tokens);
    }

    fn recover(&self) {
        self.login.recover();
        self.api.recover();
    }
}

/// Two servers without a fault.
pub(crate) fn healthy_scenario() -> Scenario {
    let hosts = Hosts::start(Scheme::Https);
    Scenario::new(hosts.builder().build().unwrap(), hosts)
}

/// A client of two servers, one of which has the fault.
pub(crate) fn scenario(
    call: Call,
    place: Place,
    scheme: Scheme,
    fault: &Fault,
    set: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Scenario {
    let hosts = Hosts::start(scheme);
    let client = set(hosts.builder()).build().unwrap();
    hosts.fail(&client, call, place, fault);
    Scenario::new(client, hosts)
}

/// Whether the client waits until its timeout.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalls {
    Yes,
    No,
}

/// Checks every call with each of the faults, at both servers.
pub(crate) fn check_both(
    row: &mut Row,
    schemes: &[Scheme],
    stalls: Stalls,
    faults: impl Fn(Scheme) -> Vec<Fault>,
    expect: &Expect,
) {
    check_at(row, Place::Api, schemes, stalls, &faults, expect);
    let at_login = expect.clone().at_login();
    check_at(row, Place::Login, schemes, stalls, &faults, &at_login);
}

/// Checks every call with each of the faults, at one server.
pub(crate) fn check_at(
    row: &mut Row,
    place: Place,
    schemes: &[Scheme],
    stalls: Stalls,
    faults: &impl Fn(Scheme) -> Vec<Fault>,
    expect: &Expect,
) {
    let mut cases = Vec::new();
    for scheme in schemes {
        for fault in faults(*scheme) {
            cases.extend(Call::ALL.map(|call| (*scheme, fault.clone(), call)));
        }
    }
    if stalls == Stalls::No {
        for (scheme, fault, call) in cases {
            let scenario = scenario(call, place, scheme, &fault, |builder| builder);
            row.check_call(&scenario, call, expect);
        }
        return;
    }
    // They wait at the same time.
    let run = |(scheme, fault, call): (Scheme, Fault, Call), mut part: Row| {
        let with_timeout = |timeout| {
            scenario(call, place, scheme, &fault, |builder| {
                builder.timeout(timeout)
            })
        };
        part.check_stalled_call(with_timeout, call, expect);
        part
    };
    let parts: Vec<Row> = thread::scope(|scope| {
        let threads: Vec<_> = cases
            .into_iter()
            .map(|case| {
                let (part, run) = (row.part(), &run);
                scope.spawn(move || run(case, part))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|e| std::panic::resume_unwind(e))
            })
            .collect()
    });
    for part in parts {
        row.join(part);
    }
}
