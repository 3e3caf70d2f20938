//! N: host names and addresses, and what counts as unsent.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use autharmor::ErrorKind::{Connect, Dns, Protocol, Proxy, Timeout, Tls, Transport};
use autharmor::{Client, Error, ErrorKind};
use autharmor_test_support::scripted::{Act, Ca, DEAD_PORT};

use super::calls::{Call, LONG, SHORT};
use super::expect::{Cause, Expect, fails, served};
use super::harness::{Counts, Row, Scenario, Service, with_watchdog};
use super::network::ThroughProxy;
use super::scripted_service::{API_NAME, Fault, Hosts, LOGIN_NAME, Place, Scheme, scenario};

/// The result of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookUp {
    /// A port that nobody listens on.
    DeadPort,
    /// The same, then the server.
    DeadPortFirst,
    NotFound,
    /// The resolver does not return.
    Hangs,
}

/// Two servers, and a resolver of which one name has a fault.
struct NamedHosts {
    hosts: Arc<Hosts>,
    resolver: Arc<Resolver>,
}

#[derive(Default)]
struct Resolver {
    fault: Mutex<Option<(Place, LookUp)>>,
    changed: Condvar,
}

impl Resolver {
    fn look_up(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let place = match name {
            API_NAME => Place::Api,
            LOGIN_NAME => Place::Login,
            _ => panic!("unexpected name: {name}"),
        };
        let server = ([127, 0, 0, 1], port).into();
        let dead = ([127, 0, 0, 1], DEAD_PORT).into();
        let fault = self.fault.lock().unwrap();
        let look_up = fault.filter(|(faulty, _)| *faulty == place);
        match look_up.map(|(_, look_up)| look_up) {
            None => Ok(vec![server]),
            Some(LookUp::DeadPort) => Ok(vec![dead]),
            Some(LookUp::DeadPortFirst) => Ok(vec![dead, server]),
            Some(LookUp::NotFound) => Err(io::Error::other("no such name")),
            Some(LookUp::Hangs) => {
                drop(self.changed.wait_while(fault, |fault| fault.is_some()));
                Ok(vec![server])
            }
        }
    }

    fn set(&self, fault: Option<(Place, LookUp)>) {
        *self.fault.lock().unwrap() = fault;
        self.changed.notify_all();
    }
}

impl Service for NamedHosts {
    fn counts(&self) -> Counts {
        self.hosts.counts()
    }

    fn settle(&self, api: usize, tokens: usize) {
        self.hosts.settle(api, tokens);
    }

    fn recover(&self) {
        self.resolver.set(None);
        self.hosts.recover();
    }
}

impl Drop for NamedHosts {
    fn drop(&mut self) {
        self.resolver.set(None);
    }
}

/// A client whose look-ups of one server have this result. It has a token if
/// that is the API.
fn with_look_up(place: Place, look_up: LookUp, timeout: Duration) -> Scenario {
    let hosts = Hosts::start(Scheme::Https);
    let resolver = Arc::new(Resolver::default());
    resolver.set(Some((place, look_up)));
    let look_up = {
        let resolver = resolver.clone();
        move |name: &str, port| resolver.look_up(name, port)
    };
    let client = hosts
        .builder()
        .api_url(format!("https://{API_NAME}:{}", hosts.api.port()))
        .login_url(format!("https://{LOGIN_NAME}:{}", hosts.login.port()))
        .resolver(look_up)
        .timeout(timeout)
        .build()
        .unwrap();
    if place == Place::Api {
        client.check_credentials().unwrap();
    }
    Scenario::new(client, NamedHosts { hosts, resolver })
}

fn check_look_up(row: &mut Row, look_up: LookUp, expect: &Expect) {
    for call in Call::ALL {
        let at_api = with_look_up(Place::Api, look_up, LONG);
        row.check_call(&at_api, call, expect);
        let at_login = with_look_up(Place::Login, look_up, LONG);
        row.check_call(&at_login, call, &expect.clone().at_login());
    }
}

#[test]
fn n1_connection_refused() {
    let mut row = Row::new("N1", "connection refused");
    let expect = fails(Connect).caused_by(Cause::Io).unsent();
    check_look_up(&mut row, LookUp::DeadPort, &expect);
    row.finish();
}

#[test]
fn n3_no_such_host_name() {
    let mut row = Row::new("N3", "no such host name");
    let expect = fails(Dns).caused_by(Cause::Io).unsent();
    check_look_up(&mut row, LookUp::NotFound, &expect);
    row.finish();
}

#[test]
fn n12_the_first_address_is_dead() {
    let mut row = Row::new("N12", "the first of two addresses is dead");
    check_look_up(&mut row, LookUp::DeadPortFirst, &served());
    row.finish();
}

/// Only these count as unsent: a start that fails in one of these ways may be
/// made again.
#[test]
fn failures_that_count_as_unsent() {
    for (look_up, timeout, kind) in [
        (LookUp::DeadPort, LONG, Connect),
        (LookUp::NotFound, LONG, Dns),
        (LookUp::Hangs, SHORT, Timeout),
    ] {
        let scenario = with_look_up(Place::Api, look_up, timeout);
        let error = start(&scenario.client);
        assert_eq!(seen(&error), (kind, false), "{look_up:?}");
    }

    let stranger = Ca::new().localhost();
    for (what, acts, timeout, kind) in [
        ("handshake stalls", vec![Act::Stall], SHORT, Timeout),
        ("handshake cut", vec![Act::Cut], LONG, Connect),
        ("handshake failed", vec![Act::Tls(stranger)], LONG, Tls),
    ] {
        let scenario = start_with(&Fault::Connection(acts), timeout);
        assert_eq!(seen(&start(&scenario.client)), (kind, false), "{what}");
    }

    let refuse = Act::write("HTTP/1.1 407 No\r\n\r\n");
    for (what, acts, timeout, kind) in [
        ("407", vec![Act::Read, refuse], LONG, Proxy),
        ("proxy cut", vec![Act::Cut], LONG, Proxy),
        ("proxy stalls", vec![Act::Read, Act::Stall], SHORT, Timeout),
    ] {
        let scenario = ThroughProxy::scenario(Call::Start, acts, timeout);
        assert_eq!(seen(&start(&scenario.client)), (kind, false), "{what}");
    }

    let partial = || Act::write("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{");
    let garbage = Act::write("no HTTP\r\n\r\n");
    for (what, acts, kind) in [
        ("cut unread", vec![Act::Cut], Transport),
        ("reset", vec![Act::Peek, Act::Cut], Transport),
        ("closed", vec![Act::Read, Act::Close], Transport),
        ("body cut", vec![Act::Read, partial(), Act::Cut], Transport),
        ("garbage", vec![Act::Read, garbage, Act::Close], Protocol),
    ] {
        let scenario = start_with(&Fault::NextRequest(acts), LONG);
        assert_eq!(seen(&start(&scenario.client)), (kind, true), "{what}");
    }
    for (what, acts) in [
        ("no response", vec![Act::Stall]),
        ("body stalls", vec![Act::Read, partial(), Act::Stall]),
    ] {
        // On a busy machine a short timeout can pass before the request is
        // sent; then a longer one is tried.
        let mut timeout = SHORT;
        let error = loop {
            let scenario = start_with(&Fault::NextRequest(acts.clone()), timeout);
            let before = scenario.service.counts().api;
            let error = start(&scenario.client);
            if timeout >= LONG || scenario.service.counts().api > before {
                break error;
            }
            timeout *= 2;
        };
        assert_eq!(seen(&error), (Timeout, true), "{what}");
    }
}

fn start_with(fault: &Fault, timeout: Duration) -> Scenario {
    scenario(Call::Start, Place::Api, Scheme::Https, fault, |builder| {
        builder.timeout(timeout)
    })
}

/// The error of a start.
fn start(client: &Client) -> Error {
    let make = Arc::new(|client: &Client| Call::Start.make(client));
    with_watchdog(client, make, "a start").unwrap_err()
}

fn seen(error: &Error) -> (ErrorKind, bool) {
    (error.kind(), error.may_have_been_sent())
}
