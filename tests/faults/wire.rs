//! The other side as two servers on loopback, one for tokens and one for the
//! API, that follow scripts byte by byte.
#![allow(dead_code, reason = "the two test programs use different parts of it")]

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;

use super::api::{Client, ClientBuilder, RetryPolicy};
use super::harness::{
    Call, Expect, HASTY, ID, PATIENT, Row, SECRET, Side, Tally, World, token_body,
};
use super::scripted::{Act, Ca, Seen, Server, Switch};

/// The CA that the clients trust.
pub(crate) fn ca() -> &'static Ca {
    static CA: OnceLock<Ca> = OnceLock::new();
    CA.get_or_init(Ca::new)
}

fn localhost() -> Arc<ServerConfig> {
    static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
    let hosts = ["127.0.0.1", "localhost", SERVICE];
    CONFIG
        .get_or_init(|| ca().server(&hosts, (2020, 2120)))
        .clone()
}

/// A name that only a test's own resolver knows.
pub(crate) const SERVICE: &str = "service.test";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    Tcp,
    Tls,
}

impl Over {
    pub(crate) const BOTH: [Self; 2] = [Self::Tcp, Self::Tls];

    pub(crate) fn opening(self) -> Vec<Act> {
        match self {
            Self::Tcp => Vec::new(),
            Self::Tls => vec![Act::Tls(localhost())],
        }
    }
}

/// Which server has the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Login,
    Api,
}

/// What a server does, and when. Before, one call has gone well; once a fault
/// is there it stays.
#[derive(Clone)]
pub(crate) enum Fault {
    /// To a new connection, in place of all that belongs to it.
    Dial(Vec<Act>),
    /// To a request that comes through a new connection.
    First(Vec<Act>),
    /// To a request that comes through the connection of the call before. When
    /// it is repeated, a new connection has the same fault.
    Next(Vec<Act>),
}

/// A server and its faults.
pub(crate) struct Host {
    pub(crate) server: Server,
    over: Over,
    connection: Switch,
    exchange: Switch,
}

impl Host {
    pub(crate) fn start(over: Over) -> Self {
        let connection = Switch::default();
        let host = Self {
            server: Server::start(vec![vec![Act::Switch(connection.clone())]]),
            over,
            connection,
            exchange: Switch::default(),
        };
        host.heal();
        host
    }

    pub(crate) fn url(&self) -> String {
        let scheme = match self.over {
            Over::Tcp => "http",
            Over::Tls => "https",
        };
        format!("{scheme}://{}", self.server.address())
    }

    fn ready(&self) -> Vec<Act> {
        let mut acts = self.over.opening();
        acts.push(Act::Each(self.exchange.clone()));
        acts
    }

    pub(crate) fn heal(&self) {
        self.connection.set(self.ready());
        self.exchange.set(vec![Act::serve(|seen| serve(seen, ""))]);
    }

    /// Serves, and closes after each answer.
    fn hang_up(&self) {
        self.exchange.set(vec![
            Act::serve(|seen| serve(seen, "connection: close\r\n")),
            Act::Close,
        ]);
    }

    pub(crate) fn fail(&self, fault: &Fault) {
        match fault {
            Fault::Dial(acts) => self.connection.set(acts.clone()),
            Fault::First(acts) | Fault::Next(acts) => self.exchange.set(acts.clone()),
        }
    }
}

/// What serves the request.
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
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\n{header}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Both servers.
pub(crate) struct Hosts {
    pub(crate) login: Host,
    pub(crate) api: Host,
}

impl Hosts {
    pub(crate) fn start(over: Over) -> Arc<Self> {
        Arc::new(Self {
            login: Host::start(over),
            api: Host::start(over),
        })
    }

    /// A builder for a client of these servers.
    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(ID, SECRET)
            .api_url(self.api.url())
            .login_url(self.login.url())
            .allow_http_on_loopback(true)
            .only_root_certificates(ca().pem())
            .no_proxy()
            .connect_timeout(PATIENT)
            .timeout(PATIENT)
            .retry(RetryPolicy::default().first_pause(Duration::from_millis(1)))
    }

    fn place(&self, place: Place) -> &Host {
        match place {
            Place::Login => &self.login,
            Place::Api => &self.api,
        }
    }

    /// Makes a call that goes well, then lets the fault in.
    pub(crate) fn fail(&self, client: &Client, call: Call, place: Place, fault: &Fault) {
        if !matches!(fault, Fault::Next(_)) {
            self.login.hang_up();
            self.api.hang_up();
        }
        call.make_patiently(client).unwrap();
        self.login.heal();
        self.api.heal();
        self.place(place).fail(fault);
        if place == Place::Login {
            client.invalidate_token();
        }
    }
}

impl Side for Arc<Hosts> {
    fn tally(&self) -> Tally {
        let api = self.api.server.arrivals();
        Tally {
            api,
            // The faults on the wire are no refusals.
            felt: api,
            tokens: self.login.server.arrivals(),
            // There is one thread that calls.
            tokens_at_once: 0,
            overtime: false,
        }
    }

    fn settle(&self, api: usize, tokens: usize) {
        self.api.server.settle(api);
        self.login.server.settle(tokens);
    }

    fn heal(&self) {
        self.login.heal();
        self.api.heal();
    }
}

/// A client of two servers of which one has the fault.
pub(crate) fn world(
    call: Call,
    place: Place,
    over: Over,
    fault: &Fault,
    tune: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> World {
    let hosts = Hosts::start(over);
    let client = tune(hosts.builder()).build().unwrap();
    hosts.fail(&client, call, place, fault);
    World {
        client,
        side: Box::new(hosts),
        clock: None,
    }
}

/// Whether a fault makes the client wait until its time is over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalls {
    Yes,
    No,
}

/// Every call meets each of the faults, at both places.
pub(crate) fn meet(
    row: &mut Row,
    overs: &[Over],
    stalls: Stalls,
    faults: impl Fn(Over) -> Vec<Fault>,
    expect: &Expect,
) {
    meet_at(row, Place::Api, overs, stalls, &faults, expect);
    meet_at(
        row,
        Place::Login,
        overs,
        stalls,
        &faults,
        &expect.clone().at_login(),
    );
}

pub(crate) fn meet_at(
    row: &mut Row,
    place: Place,
    overs: &[Over],
    stalls: Stalls,
    faults: &impl Fn(Over) -> Vec<Fault>,
    expect: &Expect,
) {
    let timeout = match stalls {
        Stalls::Yes => HASTY,
        Stalls::No => PATIENT,
    };
    let mut cases = Vec::new();
    for over in overs {
        for fault in faults(*over) {
            cases.extend(Call::ALL.map(|call| (*over, fault.clone(), call)));
        }
    }
    let run = |(over, fault, call): (Over, Fault, Call), mut part: Row| {
        let world = world(call, place, over, &fault, |builder| {
            builder.timeout(timeout)
        });
        part.endure(&world, call, expect);
        part
    };
    let parts: Vec<Row> = match stalls {
        Stalls::No => cases
            .into_iter()
            .map(|case| run(case, row.part()))
            .collect(),
        // They can as well wait together.
        Stalls::Yes => thread::scope(|scope| {
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
        }),
    };
    for part in parts {
        row.join(part);
    }
}
