//! L: TLS, with throwaway certificates.

use std::sync::Arc;

use super::api::Client;
use super::api::ErrorKind::{Connect, Decode, Timeout, Tls, Transport};
use super::harness::{Call, Cause, Expect, ID, Row, SECRET, World, fails, served};
use super::scripted::{Act, Ca};
use super::wire::{Fault, Hosts, Over, Place, Stalls, body_for, ca, meet, serve, world};

/// Everything that is not about the certificate goes well.
fn with_certificate(config: &Arc<rustls::ServerConfig>) -> Fault {
    Fault::Dial(vec![
        Act::Tls(config.clone()),
        Act::serve(|seen| serve(seen, "")),
    ])
}

fn certificates(row: &mut Row, configs: &[Arc<rustls::ServerConfig>], says: &'static str) {
    let faults = |_| configs.iter().map(with_certificate).collect();
    let expect = fails(Tls).because(Cause::Tls).unsent().says(says);
    meet(row, &[Over::Tls], Stalls::No, faults, &expect);
}

#[test]
fn l1_unknown_issuer() {
    let mut row = Row::new("L1", "unknown issuer");
    certificates(
        &mut row,
        &[Ca::new().localhost()],
        "use the platform's roots or add the proxy's own",
    );
    row.done();
}

#[test]
fn l2_expired_or_not_yet_valid() {
    let mut row = Row::new("L2", "certificate expired, or not yet valid");
    let hosts = ["localhost", "127.0.0.1"];
    let expired = ca().server(&hosts, (2020, 2021));
    let early = ca().server(&hosts, (2120, 2121));
    certificates(
        &mut row,
        &[expired],
        "has expired, or the local clock is wrong",
    );
    certificates(
        &mut row,
        &[early],
        "not valid yet, or the local clock is wrong",
    );
    row.done();
}

#[test]
fn l3_another_host_or_address() {
    let mut row = Row::new("L3", "certificate for another host, or address");
    let years = (2020, 2120);
    let configs = [
        ca().server(&["api.example"], years),
        ca().server(&["localhost"], years),
        ca().server(&["127.0.0.2"], years),
    ];
    certificates(&mut row, &configs, "for another host");
    row.done();
}

#[test]
fn l4_no_tls_at_all() {
    let mut row = Row::new("L4", "the server speaks no TLS");
    let fault = |_| {
        vec![Fault::Dial(vec![
            Act::ReadSome,
            Act::write("HTTP/1.1 400 Bad Request\r\n\r\n"),
            Act::Close,
        ])]
    };
    let expect = fails(Tls)
        .because(Cause::Tls)
        .unsent()
        .says("does not speak TLS");
    meet(&mut row, &[Over::Tls], Stalls::No, fault, &expect);
    row.done();
}

#[test]
fn l6_the_handshake_stalls() {
    let mut row = Row::new("L6", "the handshake stalls");
    let faults = |_| {
        vec![
            Fault::Dial(vec![Act::Stall]),
            Fault::Dial(vec![Act::ReadSome, Act::write(b"\x16\x03\x03"), Act::Stall]),
        ]
    };
    meet(
        &mut row,
        &[Over::Tls],
        Stalls::Yes,
        faults,
        &fails(Timeout).unsent(),
    );
    row.done();
}

#[test]
fn l7_the_handshake_is_cut() {
    let mut row = Row::new("L7", "closed during the handshake");
    let faults = |_| {
        vec![
            Fault::Dial(vec![Act::Cut]),
            Fault::Dial(vec![Act::ReadSome, Act::write(b"\x16\x03\x03"), Act::Cut]),
        ]
    };
    let expect = fails(Connect).because(Cause::Io).unsent();
    meet(&mut row, &[Over::Tls], Stalls::No, faults, &expect);
    row.done();
}

#[test]
fn l8_a_body_is_cut_without_a_goodbye() {
    let mut row = Row::new("L8", "announced body cut, no `close_notify`");
    let fault = |_| {
        let partial = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{";
        vec![Fault::Next(vec![Act::Read, Act::write(partial), Act::Cut])]
    };
    let expect = fails(Transport).because(Cause::Io).requests(3, 1);
    meet(&mut row, &[Over::Tls], Stalls::No, fault, &expect);
    row.done();
}

#[test]
fn l9_a_body_of_unknown_length_is_cut_without_a_goodbye() {
    let mut row = Row::new(
        "L9",
        "body until the end of the connection, no `close_notify`",
    );
    let cut_after = |bytes: usize| {
        move |_| {
            vec![Fault::Next(vec![
                Act::serve(move |seen| {
                    let body = body_for(seen);
                    let part = &body[..bytes.min(body.len() - 1)];
                    format!("HTTP/1.1 200 OK\r\n\r\n{part}").into_bytes()
                }),
                Act::Cut,
            ])]
        }
    };
    let expect = fails(Decode).status(200);
    for bytes in [0, 1, 40, usize::MAX] {
        meet(
            &mut row,
            &[Over::Tls],
            Stalls::No,
            cut_after(bytes),
            &expect,
        );
    }
    let whole = |_| {
        vec![Fault::Next(vec![
            Act::serve(|seen| format!("HTTP/1.1 200 OK\r\n\r\n{}", body_for(seen)).into_bytes()),
            Act::Cut,
        ])]
    };
    meet(&mut row, &[Over::Tls], Stalls::No, whole, &served());
    row.note("whatever is not one whole JSON document is an error");
    row.done();
}

#[test]
fn l10_roots_that_are_none() {
    let mut row = Row::new("L10", "own roots: garbage, empty, damaged");
    let good = String::from_utf8(ca().pem()).unwrap();
    for bad in [
        String::new(),
        SECRET.to_owned(),
        good[..good.len() - 30].to_owned(),
        format!("-----BEGIN CERTIFICATE-----\n{SECRET}\n-----END CERTIFICATE-----\n"),
    ] {
        let builder = || Client::builder(ID, SECRET).no_proxy();
        row.refuses_to_build(|| builder().only_root_certificates(&bad).build(), "root");
        row.refuses_to_build(|| builder().add_root_certificates(&bad).build(), "root");
    }
    row.done();
}

#[cfg(not(feature = "platform-verifier"))]
#[test]
fn l11_the_platforms_roots_are_behind_their_feature() {
    use super::api::ClientBuilder;

    /// Called only where the builder has no such method of its own.
    trait Missing: Sized {
        fn platform_verifier(self) -> &'static str {
            "missing"
        }
    }
    impl Missing for ClientBuilder {}

    let mut row = Row::new("L11", "platform verifier without its feature");
    let found = Client::builder(ID, SECRET).platform_verifier();
    assert_eq!(found, "missing");
    l11_seen(&mut row);
    row.done();
}

#[cfg(feature = "platform-verifier")]
#[test]
fn l11_the_platforms_roots_are_behind_their_feature() {
    let mut row = Row::new("L11", "platform verifier without its feature");
    let client = Client::builder(ID, SECRET)
        .no_proxy()
        .platform_verifier()
        .build();
    // A machine may be without certificates.
    if let Err(error) = client {
        assert_eq!(error.kind(), super::api::ErrorKind::Config);
    }
    l11_seen(&mut row);
    row.done();
}

fn l11_seen(row: &mut Row) {
    row.note("the setting exists with the feature only, and does not panic");
}

#[test]
fn l12_another_crypto_provider_is_the_default() {
    let mut row = Row::new("L12", "another crypto provider installed, or none");
    // None is installed until here, and none is by our doing.
    for call in Call::ALL {
        row.endure(&healthy(), call, &served().tokens(1));
    }
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    // One that can do nothing: whoever asks for it fails.
    let useless = rustls::crypto::CryptoProvider {
        cipher_suites: Vec::new(),
        kx_groups: Vec::new(),
        ..rustls::crypto::ring::default_provider()
    };
    useless.install_default().unwrap();
    for call in Call::ALL {
        row.endure(&healthy(), call, &served().tokens(1));
    }
    row.done();
}

/// Two servers with nothing wrong.
fn healthy() -> World {
    let hosts = Hosts::start(Over::Tls);
    World {
        client: hosts.builder().build().unwrap(),
        side: Box::new(hosts),
        clock: None,
    }
}

#[test]
fn l13_plain_http() {
    let mut row = Row::new("L13", "`http://` base URL");
    let builder = || Client::builder(ID, SECRET).no_proxy();
    for url in [
        "http://api.example",
        "http://localhost:1",
        "http://127.0.0.1.api.example",
    ] {
        let leave = move |leave| builder().allow_http_on_loopback(leave);
        row.refuses_to_build(|| leave(true).api_url(url).build(), "is http://");
        row.refuses_to_build(|| leave(true).login_url(url).build(), "is http://");
    }
    let loopback = || builder().api_url("http://127.0.0.1:1");
    row.refuses_to_build(|| loopback().build(), "allow_http_on_loopback(true)");
    assert!(loopback().allow_http_on_loopback(true).build().is_ok());
    row.note("loopback with leave: ok");
    row.done();
}

#[test]
fn l14_a_proxy_that_inspects() {
    let mut row = Row::new("L14", "a proxy that puts its own CA in between");
    let inspector = Ca::new();
    let config = inspector.localhost();
    let expect = fails(Tls)
        .because(Cause::Tls)
        .unsent()
        .says("platform's roots");
    let fault = with_certificate(&config);
    let refused: &Expect = &expect;
    for call in Call::ALL {
        row.endure(
            &world(call, Place::Api, Over::Tls, &fault, |it| it),
            call,
            refused,
        );
        let knowing = |builder: super::api::ClientBuilder| {
            builder.only_root_certificates([ca().pem(), inspector.pem()].concat())
        };
        let fault = Fault::Dial(vec![Act::Tls(config.clone()), Act::Each(serving())]);
        row.endure(
            &world(call, Place::Api, Over::Tls, &fault, knowing),
            call,
            &served(),
        );
    }
    row.note("the latter if its root is trusted");
    row.done();
}

fn serving() -> super::scripted::Switch {
    let switch = super::scripted::Switch::default();
    switch.set(vec![Act::serve(|seen| serve(seen, ""))]);
    switch
}
