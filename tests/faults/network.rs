//! N: TCP and proxies. Rows about host names are in `names.rs`.

use std::sync::Arc;
use std::time::Duration;

use autharmor::ErrorKind::{Connect, Proxy, Timeout, Transport};
use autharmor::{Client, ClientBuilder, TransportError, TransportErrorKind};
use autharmor_test_support::scripted::{Act, Server, Switch};

use super::calls::{Call, ID, LONG};
use super::expect::{Cause, fails, served};
use super::fake_service::{FakeService, tokens};
use super::harness::{Counts, Row, Scenario, Service};
use super::scripted_service::{
    API_NAME, Fault, Hosts, LOGIN_NAME, Scheme, Stalls, ca, check_both, serve,
};
use super::secrets::{PASSWORD, SECRET};

fn broken() -> super::expect::Expect {
    fails(Transport).caused_by(Cause::Io).requests(3, 1)
}

#[test]
fn n2_no_response_to_syn() {
    Row::all(
        "N2",
        "no response to the SYN",
        |_| {
            FakeService::new(tokens, |_, _, _| {
                Err(TransportError::new(TransportErrorKind::Timeout, false))
            })
            .scenario()
        },
        &fails(Timeout).unsent().tokens(1),
    );
}

#[test]
fn n4_reset_before_the_request_is_read() {
    let mut row = Row::new("N4", "reset before the request is read");
    let fault = |_| vec![Fault::FirstRequest(vec![Act::Cut])];
    // Not over TLS: there the server must read to notice the request.
    check_both(&mut row, &[Scheme::Http], Stalls::No, fault, &broken());
    row.finish();
}

#[test]
fn n5_reset_after_the_request() {
    let mut row = Row::new("N5", "reset after the request arrived");
    let fault = |_| {
        vec![
            Fault::FirstRequest(vec![Act::Peek, Act::Cut]),
            Fault::NextRequest(vec![Act::Peek, Act::Cut]),
        ]
    };
    check_both(&mut row, &Scheme::BOTH, Stalls::No, fault, &broken());
    row.finish();
}

#[test]
fn n6_reset_during_the_body() {
    let mut row = Row::new("N6", "reset during the body");
    let fault = |_| {
        let partial = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"user_id\":";
        vec![Fault::NextRequest(vec![
            Act::Peek,
            Act::write(partial),
            Act::Cut,
        ])]
    };
    check_both(&mut row, &Scheme::BOTH, Stalls::No, fault, &broken());
    row.finish();
}

#[test]
fn n7_no_response() {
    let mut row = Row::new("N7", "the server accepts and never responds");
    let fault = |_| vec![Fault::NextRequest(vec![Act::Read, Act::Stall])];
    check_both(&mut row, &Scheme::BOTH, Stalls::Yes, fault, &fails(Timeout));
    row.finish();
}

#[test]
fn n8_slow_headers() {
    let mut row = Row::new("N8", "headers arrive byte by byte, without end");
    let fault = |_| {
        let begun = "HTTP/1.1 200 OK\r\nx: ";
        vec![Fault::NextRequest(vec![
            Act::Read,
            Act::write(begun),
            Act::Dribble(b"y".to_vec()),
        ])]
    };
    check_both(&mut row, &Scheme::BOTH, Stalls::Yes, fault, &fails(Timeout));
    row.finish();
}

#[test]
fn n9_slow_body() {
    let mut row = Row::new("N9", "the body arrives byte by byte, without end");
    let faults = |_| {
        let announced = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{";
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        vec![
            Fault::NextRequest(vec![
                Act::Read,
                Act::write(announced),
                Act::Dribble(b" ".to_vec()),
            ]),
            Fault::NextRequest(vec![
                Act::Read,
                Act::write(chunked),
                Act::Dribble(b"1\r\n \r\n".to_vec()),
            ]),
        ]
    };
    check_both(
        &mut row,
        &[Scheme::Https],
        Stalls::Yes,
        faults,
        &fails(Timeout),
    );
    row.finish();
}

#[test]
fn n10_idle_connection_is_closed() {
    let mut row = Row::new("N10", "an idle connection is closed by the server");
    for scheme in Scheme::BOTH {
        for end in [Act::Close, Act::Cut] {
            for call in Call::ALL {
                let hosts = Hosts::start(scheme);
                let client = hosts.builder().build().unwrap();
                let unannounced = vec![Act::serve(|seen| serve(seen, "")), end.clone()];
                hosts.api.fail(&Fault::FirstRequest(unannounced));
                call.make_with_time(&client).unwrap();
                hosts.api.server.wait_until_idle();
                hosts.api.recover();
                let scenario = Scenario {
                    client,
                    service: Box::new(hosts),
                    clock: None,
                };
                row.check_call(&scenario, call, &served());
            }
        }
    }
    row.finish();
}

#[test]
fn n11_closed_as_the_second_request_arrives() {
    let mut row = Row::new("N11", "closed as the second request arrives");
    let fault = |_| vec![Fault::NextRequest(vec![Act::Read, Act::Close])];
    check_both(&mut row, &Scheme::BOTH, Stalls::No, fault, &broken());
    let reset = |_| vec![Fault::NextRequest(vec![Act::Cut])];
    check_both(&mut row, &[Scheme::Http], Stalls::No, reset, &broken());
    row.finish();
}

/// A proxy in front of API and token endpoint.
pub(crate) struct ThroughProxy {
    proxy: Server,
    connection: Switch,
    healthy: Vec<Act>,
}

impl ThroughProxy {
    pub(crate) fn start() -> Arc<Self> {
        let opened = "HTTP/1.1 200 Connection established\r\n\r\n";
        Self::start_with(vec![Act::Read, Act::write(opened)])
    }

    /// A proxy that opens its tunnel with these acts.
    pub(crate) fn start_with(mut healthy: Vec<Act>) -> Arc<Self> {
        let exchange = Switch::default();
        exchange.set(vec![
            Act::serve(|seen| serve(seen, "connection: close\r\n")),
            Act::Close,
        ]);
        healthy.extend(Scheme::Https.handshake());
        healthy.push(Act::Each(exchange));
        let connection = Switch::default();
        connection.set(healthy.clone());
        Arc::new(Self {
            proxy: Server::start(vec![vec![Act::Switch(connection.clone())]]),
            connection,
            healthy,
        })
    }

    /// After one good call the proxy plays these acts on each connection.
    pub(crate) fn scenario(call: Call, fault: Vec<Act>, timeout: Duration) -> Scenario {
        let through = Self::start();
        let client = through.builder().timeout(timeout).build().unwrap();
        call.make_with_time(&client).unwrap();
        through.set(fault);
        Scenario::new(client, through)
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let port = self.port();
        Client::builder(ID, SECRET)
            .api_url(format!("https://{API_NAME}"))
            .login_url(format!("https://{LOGIN_NAME}"))
            .only_root_certificates(ca().pem())
            .proxy(format!("http://user:{PASSWORD}@127.0.0.1:{port}"))
            .connect_timeout(LONG)
            .timeout(LONG)
            .on_attempt(super::attempts::observe)
    }

    /// Plays these acts on each new connection.
    pub(crate) fn set(&self, fault: Vec<Act>) {
        self.connection.set(fault);
    }

    pub(crate) fn port(&self) -> u16 {
        self.proxy.address().port()
    }

    pub(crate) fn connections(&self) -> usize {
        self.proxy.connections()
    }
}

impl Service for Arc<ThroughProxy> {
    fn counts(&self) -> Counts {
        let mut requests = self.proxy.requests();
        requests.retain(|seen| !seen.head.starts_with("CONNECT "));
        let (for_token, api): (Vec<_>, Vec<_>) = requests
            .iter()
            .partition(|seen| seen.head.starts_with("POST /connect/token "));
        Counts {
            api: api.len(),
            acted_on: api.len(),
            tokens: for_token.len(),
            ..Counts::default()
        }
    }

    fn settle(&self, api: usize, tokens: usize) {
        self.proxy.settle(api + tokens);
    }

    fn recover(&self) {
        self.connection.set(self.healthy.clone());
    }
}

#[test]
fn n14_proxy_refuses() {
    let mut row = Row::new("N14", "the proxy responds 407 or 502, or breaks");
    for response in [
        format!("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n{PASSWORD}"),
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("{PASSWORD}\r\n\r\n"),
    ] {
        for call in Call::ALL {
            let refuse = vec![Act::Read, Act::write(&response), Act::Close];
            let cause = if response.starts_with("HTTP") {
                Cause::Other
            } else {
                Cause::None
            };
            let expect = fails(Proxy).caused_by(cause).unsent();
            row.check_call(&ThroughProxy::scenario(call, refuse, LONG), call, &expect);
        }
    }
    for call in Call::ALL {
        let expect = fails(Proxy).caused_by(Cause::Io).unsent();
        let cut = vec![Act::Read, Act::Cut];
        row.check_call(&ThroughProxy::scenario(call, cut, LONG), call, &expect);
    }
    row.finish();
}

#[test]
fn n15_no_more_sockets() {
    Row::all(
        "N15",
        "no file descriptor or port is left",
        |_| {
            FakeService::new(tokens, |_, _, _| {
                // EMFILE
                let cause = std::io::Error::from_raw_os_error(24);
                Err(TransportError::new(TransportErrorKind::Connect, false).with_source(cause))
            })
            .scenario()
        },
        &fails(Connect).caused_by(Cause::Io).unsent().tokens(1),
    );
}
