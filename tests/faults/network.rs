//! N: TCP and proxies. What needs names of its own is in `src/faults/`.

use super::api::ErrorKind::{Connect, Proxy, Timeout, Transport};
use super::api::{TransportError, TransportErrorKind};
use super::fake::{Fake, tokens};
use super::harness::{
    Call, Cause, ID, PASSWORD, PATIENT, Row, SECRET, Side, Tally, World, fails, served,
};
use super::scripted::{Act, Server, Switch};
use super::wire::{Fault, Hosts, Over, Stalls, ca, meet, serve};

fn broken() -> super::harness::Expect {
    fails(Transport).because(Cause::Io).requests(3, 1)
}

#[test]
fn n2_nobody_answers_the_syn() {
    Row::all(
        "N2",
        "SYN into a black hole",
        |_| {
            Fake::new(tokens, |_, _, _| {
                Err(TransportError::new(TransportErrorKind::Timeout, false))
            })
            .world()
        },
        &fails(Timeout).unsent().tokens(1),
    );
}

#[test]
fn n4_reset_before_a_byte_is_read() {
    let mut row = Row::new("N4", "reset before the request is read");
    let fault = |_| vec![Fault::First(vec![Act::Cut])];
    // Without TLS: there, a first byte must be read to know of the request.
    meet(&mut row, &[Over::Tcp], Stalls::No, fault, &broken());
    row.done();
}

#[test]
fn n5_reset_after_the_request() {
    let mut row = Row::new("N5", "reset after the request arrived");
    let fault = |_| {
        vec![
            Fault::First(vec![Act::Peek, Act::Cut]),
            Fault::Next(vec![Act::Peek, Act::Cut]),
        ]
    };
    meet(&mut row, &Over::BOTH, Stalls::No, fault, &broken());
    row.done();
}

#[test]
fn n6_reset_within_the_body() {
    let mut row = Row::new("N6", "reset within the body");
    let fault = |_| {
        let partial = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"user_id\":";
        vec![Fault::Next(vec![Act::Peek, Act::write(partial), Act::Cut])]
    };
    meet(&mut row, &Over::BOTH, Stalls::No, fault, &broken());
    row.done();
}

#[test]
fn n7_silence() {
    let mut row = Row::new("N7", "the server accepts and never answers");
    let fault = |_| vec![Fault::Next(vec![Act::Read, Act::Stall])];
    meet(&mut row, &Over::BOTH, Stalls::Yes, fault, &fails(Timeout));
    row.done();
}

#[test]
fn n8_headers_dribble() {
    let mut row = Row::new("N8", "headers come byte by byte, for ever");
    let fault = |_| {
        let begun = "HTTP/1.1 200 OK\r\nx: ";
        vec![Fault::Next(vec![
            Act::Read,
            Act::write(begun),
            Act::Dribble(b"y".to_vec()),
        ])]
    };
    meet(&mut row, &Over::BOTH, Stalls::Yes, fault, &fails(Timeout));
    row.done();
}

#[test]
fn n9_the_body_dribbles() {
    let mut row = Row::new("N9", "the body comes byte by byte, for ever");
    let faults = |_| {
        let announced = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{";
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        vec![
            Fault::Next(vec![
                Act::Read,
                Act::write(announced),
                Act::Dribble(b" ".to_vec()),
            ]),
            Fault::Next(vec![
                Act::Read,
                Act::write(chunked),
                Act::Dribble(b"1\r\n \r\n".to_vec()),
            ]),
        ]
    };
    meet(&mut row, &[Over::Tls], Stalls::Yes, faults, &fails(Timeout));
    row.done();
}

#[test]
fn n10_an_idle_connection_is_closed() {
    let mut row = Row::new("N10", "an idle connection is closed by the server");
    for over in Over::BOTH {
        for end in [Act::Close, Act::Cut] {
            for call in Call::ALL {
                let hosts = Hosts::start(over);
                let client = hosts.builder().build().unwrap();
                let unannounced = vec![Act::serve(|seen| serve(seen, "")), end.clone()];
                hosts.api.fail(&Fault::First(unannounced));
                call.make_patiently(&client).unwrap();
                hosts.api.server.wait_until_idle();
                hosts.api.heal();
                let world = World {
                    client,
                    side: Box::new(hosts),
                    clock: None,
                };
                row.endure(&world, call, &served());
            }
        }
    }
    row.done();
}

#[test]
fn n11_the_connection_closes_under_the_second_request() {
    let mut row = Row::new("N11", "closed as the second request arrives");
    let fault = |_| vec![Fault::Next(vec![Act::Read, Act::Close])];
    meet(&mut row, &Over::BOTH, Stalls::No, fault, &broken());
    let reset = |_| vec![Fault::Next(vec![Act::Cut])];
    meet(&mut row, &[Over::Tcp], Stalls::No, reset, &broken());
    row.done();
}

/// A proxy with this answer to `CONNECT`. The tunnel, once there is one, leads
/// to the API and to the token endpoint alike.
struct Through {
    proxy: Server,
    answer: Switch,
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

impl Through {
    fn start() -> std::sync::Arc<Self> {
        let answer = Switch::default();
        answer.set(vec![Act::write(OPEN)]);
        let served = Switch::default();
        served.set(vec![
            Act::serve(|seen| serve(seen, "connection: close\r\n")),
            Act::Close,
        ]);
        let mut script = vec![Act::Read, Act::Switch(answer.clone())];
        script.extend(Over::Tls.opening());
        script.push(Act::Each(served));
        std::sync::Arc::new(Self {
            proxy: Server::start(vec![script]),
            answer,
        })
    }

    fn world(call: Call, fault: Vec<Act>) -> World {
        let through = Self::start();
        let port = through.proxy.address().port();
        let client = super::api::Client::builder(ID, SECRET)
            .api_url("https://localhost")
            .login_url("https://localhost")
            .only_root_certificates(ca().pem())
            .proxy(format!("http://user:{PASSWORD}@127.0.0.1:{port}"))
            .timeout(PATIENT)
            .build()
            .unwrap();
        call.make_patiently(&client).unwrap();
        through.answer.set(fault);
        World {
            client,
            side: Box::new(through),
            clock: None,
        }
    }
}

impl Side for std::sync::Arc<Through> {
    fn tally(&self) -> Tally {
        let api = self.proxy.arrivals();
        Tally {
            api,
            felt: api,
            ..Tally::default()
        }
    }

    fn settle(&self, api: usize, _: usize) {
        self.proxy.settle(api);
    }

    fn heal(&self) {
        self.answer.set(vec![Act::write(OPEN)]);
    }
}

#[test]
fn n14_a_proxy_that_refuses() {
    let mut row = Row::new("N14", "the proxy answers 407 or 502, or breaks");
    for answer in [
        format!("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n{PASSWORD}"),
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("{PASSWORD}\r\n\r\n"),
    ] {
        for call in Call::ALL {
            let refuse = vec![Act::write(&answer), Act::Close];
            let cause = if answer.starts_with("HTTP") {
                Cause::Other
            } else {
                Cause::None
            };
            let expect = fails(Proxy).because(cause).unsent();
            row.endure(&Through::world(call, refuse), call, &expect);
        }
    }
    for call in Call::ALL {
        let expect = fails(Proxy).because(Cause::Io).unsent();
        row.endure(&Through::world(call, vec![Act::Cut]), call, &expect);
    }
    row.done();
}

#[test]
fn n15_no_more_sockets() {
    Row::all(
        "N15",
        "no file descriptor or port is left",
        |_| {
            Fake::new(tokens, |_, _, _| {
                // EMFILE
                let cause = std::io::Error::from_raw_os_error(24);
                Err(TransportError::new(TransportErrorKind::Connect, false).with_source(cause))
            })
            .world()
        },
        &fails(Connect).because(Cause::Io).unsent().tokens(1),
    );
}
