//! Names and addresses, and what counts as unsent.

use std::sync::Arc;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::harness::{
    Call, Cause, HASTY, ID, PATIENT, Row, SECRET, Side, Tally, World, fails, served, watched,
};
use super::scripted::{Act, Ca, DEAD_PORT, Server};
use super::wire::{Fault, Hosts, Over, Place, SERVICE, ca};
use crate::ErrorKind::{Connect, Dns, Proxy, Timeout, Tls};
use crate::clock::{ManualClock, SystemClock};
use crate::transport::{AgentTransport, ProxySetting, Resolve, Roots, TransportSettings};
use crate::{Client, Error, ErrorKind, HttpRequest, Limits, Transport};

/// What the name of a server leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Straight,
    /// A port where nobody listens.
    Nowhere,
    /// That, and the server.
    NowhereFirst,
    Unknown,
    /// The resolver does not answer.
    Stuck,
}

/// Two servers and a resolver.
struct Named {
    hosts: Arc<Hosts>,
    signs: Arc<Signs>,
}

/// Where each port's name leads, if not straight.
struct Signs {
    odd: Mutex<Option<(u16, Way)>>,
    changed: Condvar,
}

impl Signs {
    /// A resolver, and a clock that each look-up moves on by an hour, so that
    /// nothing is cached.
    fn resolver(self: &Arc<Self>) -> (Arc<Resolve>, Arc<ManualClock>) {
        let signs = self.clone();
        let clock = Arc::new(ManualClock::new());
        let hours = clock.clone();
        let resolve = move |_: &str, port: u16| {
            hours.advance(Duration::from_secs(3600));
            signs.look_up(port)
        };
        (Arc::new(resolve), clock)
    }

    fn look_up(&self, port: u16) -> std::io::Result<Vec<std::net::SocketAddr>> {
        let server = ([127, 0, 0, 1], port).into();
        let nowhere = ([127, 0, 0, 1], DEAD_PORT).into();
        let odd = self.odd.lock().unwrap();
        match odd.filter(|(odd, _)| *odd == port).map(|(_, way)| way) {
            None | Some(Way::Straight) => Ok(vec![server]),
            Some(Way::Nowhere) => Ok(vec![nowhere]),
            Some(Way::NowhereFirst) => Ok(vec![nowhere, server]),
            Some(Way::Unknown) => Err(std::io::Error::other("no such name")),
            Some(Way::Stuck) => {
                drop(self.changed.wait_while(odd, |odd| odd.is_some()));
                Ok(vec![server])
            }
        }
    }

    fn set(&self, odd: Option<(u16, Way)>) {
        *self.odd.lock().unwrap() = odd;
        self.changed.notify_all();
    }
}

impl Side for Named {
    fn tally(&self) -> Tally {
        self.hosts.tally()
    }

    fn settle(&self, api: usize, tokens: usize) {
        self.hosts.settle(api, tokens);
    }

    fn heal(&self) {
        self.signs.set(None);
        self.hosts.heal();
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.signs.set(None);
    }
}

/// After a call that went well, the server at that place has its fault, and
/// its name leads that way.
fn world(call: Call, place: Place, way: Way, fault: &Fault, timeout: Duration) -> World {
    let hosts = Hosts::start(Over::Tls);
    let signs = Arc::new(Signs {
        odd: Mutex::new(None),
        changed: Condvar::new(),
    });
    let (resolver, clock) = signs.resolver();
    let settings = TransportSettings {
        connect_timeout: PATIENT,
        roots: Roots::Only(vec![ca().pem()]),
        client_certificate: None,
        proxy: ProxySetting::Off,
        hosts: Vec::new(),
        user_agent: http::HeaderValue::from_static("test"),
        resolver: Some(resolver),
        preconnect: None,
        clock,
    };
    let transport = AgentTransport::new(settings).unwrap();
    let port = |host: &super::wire::Host| host.server.address().port();
    let client = hosts
        .builder()
        .api_url(format!("https://{SERVICE}:{}", port(&hosts.api)))
        .login_url(format!("https://{SERVICE}:{}", port(&hosts.login)))
        .transport(transport)
        .timeout(timeout)
        .build()
        .unwrap();
    hosts.fail(&client, call, place, fault);
    let odd = match place {
        Place::Login => port(&hosts.login),
        Place::Api => port(&hosts.api),
    };
    signs.set(Some((odd, way)));
    World {
        client,
        side: Box::new(Named { hosts, signs }),
        clock: None,
    }
}

/// Nothing wrong with the server, but each request finds it anew.
fn healthy() -> Fault {
    Fault::First(vec![Act::serve(|seen| super::wire::serve(seen, ""))])
}

fn led_astray(row: &mut Row, way: Way, expect: &super::harness::Expect) {
    for call in Call::ALL {
        let at_api = world(call, Place::Api, way, &healthy(), PATIENT);
        row.endure(&at_api, call, expect);
        let at_login = world(call, Place::Login, way, &healthy(), PATIENT);
        row.endure(&at_login, call, &expect.clone().at_login());
    }
}

#[test]
fn n1_refused() {
    let mut row = Row::new("N1", "connection refused");
    led_astray(
        &mut row,
        Way::Nowhere,
        &fails(Connect).because(Cause::Io).unsent(),
    );
    row.done();
}

#[test]
fn n3_no_such_name() {
    let mut row = Row::new("N3", "no such host name");
    led_astray(
        &mut row,
        Way::Unknown,
        &fails(Dns).because(Cause::Io).unsent(),
    );
    row.done();
}

#[test]
fn n12_the_first_address_is_dead() {
    let mut row = Row::new("N12", "the first of two addresses is dead");
    led_astray(&mut row, Way::NowhereFirst, &served());
    row.done();
}

/// What counts as unsent, and nothing else does: a start that fails in one of
/// these ways may be made again.
#[test]
fn what_counts_as_unsent() {
    let dial = |acts: Vec<Act>| Fault::Dial(acts);
    let next = |acts: Vec<Act>| Fault::Next(acts);
    let partial = || Act::write("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{");
    let stranger = Ca::new().localhost();
    let met = |way, fault: &Fault, timeout| {
        let world = world(Call::Start, Place::Api, way, fault, timeout);
        let error = start(&world.client);
        (error.kind(), error.may_have_been_sent())
    };
    for (what, way, fault, timeout, kind) in [
        ("refused", Way::Nowhere, healthy(), PATIENT, Connect),
        ("no such name", Way::Unknown, healthy(), PATIENT, Dns),
        (
            "time over while resolving",
            Way::Stuck,
            healthy(),
            HASTY,
            Timeout,
        ),
        (
            "time over while connecting",
            Way::Straight,
            dial(vec![Act::Stall]),
            HASTY,
            Timeout,
        ),
        (
            "handshake cut",
            Way::Straight,
            dial(vec![Act::Cut]),
            PATIENT,
            Connect,
        ),
        (
            "handshake failed",
            Way::Straight,
            dial(vec![Act::Tls(stranger)]),
            PATIENT,
            Tls,
        ),
    ] {
        assert_eq!(met(way, &fault, timeout), (kind, false), "{what}");
    }
    for proxy in [
        vec![Act::Read, Act::write("HTTP/1.1 407 No\r\n\r\n")],
        vec![Act::Cut],
    ] {
        let error = through(&Server::start(vec![proxy]), PATIENT);
        assert_eq!((error.kind(), error.may_have_been_sent()), (Proxy, false));
    }
    let silent = Server::start(vec![vec![Act::Read, Act::Stall]]);
    let error = through(&silent, HASTY);
    assert_eq!((error.kind(), error.may_have_been_sent()), (Timeout, false));

    for (what, fault, timeout, kind) in [
        (
            "cut unread",
            next(vec![Act::Cut]),
            PATIENT,
            ErrorKind::Transport,
        ),
        (
            "reset",
            next(vec![Act::Peek, Act::Cut]),
            PATIENT,
            ErrorKind::Transport,
        ),
        (
            "closed",
            next(vec![Act::Read, Act::Close]),
            PATIENT,
            ErrorKind::Transport,
        ),
        (
            "body cut",
            next(vec![Act::Read, partial(), Act::Cut]),
            PATIENT,
            ErrorKind::Transport,
        ),
        ("silence", next(vec![Act::Stall]), HASTY, Timeout),
        (
            "body stalls",
            next(vec![Act::Read, partial(), Act::Stall]),
            HASTY,
            Timeout,
        ),
        (
            "garbage",
            next(vec![Act::Read, Act::write("no HTTP\r\n\r\n"), Act::Close]),
            PATIENT,
            ErrorKind::Protocol,
        ),
    ] {
        assert_eq!(met(Way::Straight, &fault, timeout), (kind, true), "{what}");
    }
}

/// What comes of a start by way of this proxy.
fn through(proxy: &Server, timeout: Duration) -> Error {
    let settings = TransportSettings {
        connect_timeout: PATIENT,
        roots: Roots::Only(vec![ca().pem()]),
        client_certificate: None,
        proxy: ProxySetting::Url(format!("http://{}", proxy.address()).into()),
        hosts: Vec::new(),
        user_agent: http::HeaderValue::from_static("test"),
        resolver: None,
        preconnect: None,
        clock: Arc::new(SystemClock),
    };
    let client = Client::builder(ID, SECRET)
        .transport(TokensAside(AgentTransport::new(settings).unwrap()))
        .timeout(timeout)
        .build()
        .unwrap();
    start(&client)
}

/// What a start fails with.
fn start(client: &Client) -> Error {
    let make = Arc::new(|client: &Client| Call::Start.make(client));
    watched(client, make, "a start").unwrap_err()
}

/// Tokens do not go through the proxy.
struct TokensAside(AgentTransport);

impl Transport for TokensAside {
    fn send(&self, request: HttpRequest, limits: Limits) -> super::fake::Answer {
        if request.uri().path() == "/connect/token" {
            super::fake::tokens(0, &request, limits)
        } else {
            self.0.send(request, limits)
        }
    }
}
