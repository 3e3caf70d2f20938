//! L: TLS, with throwaway certificates.

use std::sync::Arc;

use autharmor::Client;
use autharmor::ErrorKind::{Connect, Decode, Timeout, Tls, Transport};
use autharmor_test_support::scripted::{Act, Ca};

use super::calls::{Call, ID};
use super::expect::{Cause, Expect, fails, served};
use super::harness::Row;
use super::scripted_service::{
    Fault, Place, Scheme, Stalls, body_for, ca, check_both, healthy_scenario, scenario, serve,
};
use super::secrets::SECRET;

/// A server whose only fault is its certificate.
fn with_config(config: &Arc<rustls::ServerConfig>) -> Fault {
    Fault::Connection(vec![
        Act::Tls(config.clone()),
        Act::serve(|seen| serve(seen, "")),
    ])
}

fn check_certificates(row: &mut Row, configs: &[Arc<rustls::ServerConfig>], says: &'static str) {
    let faults = |_| configs.iter().map(with_config).collect();
    let expect = fails(Tls).caused_by(Cause::Tls).unsent().says(says);
    check_both(row, &[Scheme::Https], Stalls::No, faults, &expect);
}

#[test]
fn l1_unknown_issuer() {
    let mut row = Row::new("L1", "unknown issuer");
    check_certificates(
        &mut row,
        &[Ca::new().localhost()],
        "use the platform's roots or add the proxy's own",
    );
    row.finish();
}

#[test]
fn l2_expired_or_not_yet_valid() {
    let mut row = Row::new("L2", "certificate expired, or not yet valid");
    let hosts = ["localhost", "127.0.0.1"];
    let expired = ca().server(&hosts, (2020, 2021));
    let early = ca().server(&hosts, (2120, 2121));
    check_certificates(
        &mut row,
        &[expired],
        "has expired, or the local clock is wrong",
    );
    check_certificates(
        &mut row,
        &[early],
        "not valid yet, or the local clock is wrong",
    );
    row.finish();
}

#[test]
fn l3_certificate_of_another_host() {
    let mut row = Row::new("L3", "certificate for another host, or address");
    let years = (2020, 2120);
    let configs = [
        ca().server(&["api.example"], years),
        ca().server(&["localhost"], years),
        ca().server(&["127.0.0.2"], years),
    ];
    check_certificates(&mut row, &configs, "for another host");
    row.finish();
}

#[test]
fn l4_server_without_tls() {
    let mut row = Row::new("L4", "the server does not speak TLS");
    let fault = |_| {
        vec![Fault::Connection(vec![
            Act::ReadSome,
            Act::write("HTTP/1.1 400 Bad Request\r\n\r\n"),
            Act::Close,
        ])]
    };
    let expect = fails(Tls)
        .caused_by(Cause::Tls)
        .unsent()
        .says("does not speak TLS");
    check_both(&mut row, &[Scheme::Https], Stalls::No, fault, &expect);
    row.finish();
}

#[test]
fn l6_handshake_stalls() {
    let mut row = Row::new("L6", "the handshake stalls");
    let faults = |_| {
        vec![
            Fault::Connection(vec![Act::Stall]),
            Fault::Connection(vec![Act::ReadSome, Act::write(b"\x16\x03\x03"), Act::Stall]),
        ]
    };
    check_both(
        &mut row,
        &[Scheme::Https],
        Stalls::Yes,
        faults,
        &fails(Timeout).unsent(),
    );
    row.finish();
}

#[test]
fn l7_closed_during_handshake() {
    let mut row = Row::new("L7", "closed during the handshake");
    let faults = |_| {
        vec![
            Fault::Connection(vec![Act::Cut]),
            Fault::Connection(vec![Act::ReadSome, Act::write(b"\x16\x03\x03"), Act::Cut]),
        ]
    };
    let expect = fails(Connect).caused_by(Cause::Io).unsent();
    check_both(&mut row, &[Scheme::Https], Stalls::No, faults, &expect);
    row.finish();
}

#[test]
fn l8_body_cut_without_close_notify() {
    let mut row = Row::new(
        "L8",
        "body shorter than its `Content-Length`, no `close_notify`",
    );
    let fault = |_| {
        let partial = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{";
        vec![Fault::NextRequest(vec![
            Act::Read,
            Act::write(partial),
            Act::Cut,
        ])]
    };
    let expect = fails(Transport).caused_by(Cause::Io).requests(3, 1);
    check_both(&mut row, &[Scheme::Https], Stalls::No, fault, &expect);
    row.finish();
}

#[test]
fn l9_body_of_unknown_length_cut_without_close_notify() {
    let mut row = Row::new(
        "L9",
        "body that ends with the connection, no `close_notify`",
    );
    let cut_after = |bytes: usize| {
        move |_| {
            vec![Fault::NextRequest(vec![
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
        check_both(
            &mut row,
            &[Scheme::Https],
            Stalls::No,
            cut_after(bytes),
            &expect,
        );
    }
    let whole = |_| {
        vec![Fault::NextRequest(vec![
            Act::serve(|seen| format!("HTTP/1.1 200 OK\r\n\r\n{}", body_for(seen)).into_bytes()),
            Act::Cut,
        ])]
    };
    check_both(&mut row, &[Scheme::Https], Stalls::No, whole, &served());
    row.note("anything but one complete JSON document is an error");
    row.finish();
}

#[test]
fn l10_invalid_root_certificates() {
    let mut row = Row::new("L10", "own root certificates: garbage, empty, damaged");
    let good = String::from_utf8(ca().pem()).unwrap();
    for bad in [
        String::new(),
        SECRET.to_owned(),
        good[..good.len() - 30].to_owned(),
        format!("-----BEGIN CERTIFICATE-----\n{SECRET}\n-----END CERTIFICATE-----\n"),
    ] {
        let builder = || Client::builder(ID, SECRET).no_proxy();
        row.check_refused_build(|| builder().only_root_certificates(&bad).build(), "root");
        row.check_refused_build(|| builder().add_root_certificates(&bad).build(), "root");
    }
    row.finish();
}

#[cfg(not(feature = "platform-verifier"))]
#[test]
fn l11_platform_verifier_without_its_feature() {
    use autharmor::ClientBuilder;

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
    row.finish();
}

#[cfg(feature = "platform-verifier")]
#[test]
fn l11_platform_verifier_without_its_feature() {
    let mut row = Row::new("L11", "platform verifier without its feature");
    let client = Client::builder(ID, SECRET)
        .no_proxy()
        .platform_verifier()
        .build();
    // A machine may be without certificates.
    if let Err(error) = client {
        assert_eq!(error.kind(), autharmor::ErrorKind::Config);
    }
    l11_seen(&mut row);
    row.finish();
}

fn l11_seen(row: &mut Row) {
    row.note("the setting exists only with the feature, and does not panic");
}

#[test]
fn l12_another_default_crypto_provider() {
    let mut row = Row::new("L12", "another crypto provider installed, or none");
    // None is installed so far, and the client installs none.
    for call in Call::ALL {
        row.check_call(&healthy_scenario(), call, &served().tokens(1));
    }
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    // One without any cipher suite: whoever uses it fails.
    let useless = rustls::crypto::CryptoProvider {
        cipher_suites: Vec::new(),
        kx_groups: Vec::new(),
        ..rustls::crypto::ring::default_provider()
    };
    useless.install_default().unwrap();
    for call in Call::ALL {
        row.check_call(&healthy_scenario(), call, &served().tokens(1));
    }
    row.finish();
}

#[test]
fn l13_http_base_url() {
    let mut row = Row::new("L13", "`http://` base URL");
    let builder = || Client::builder(ID, SECRET).no_proxy();
    for url in [
        "http://api.example",
        "http://localhost:1",
        "http://127.0.0.1.api.example",
    ] {
        let allowing = |allow| builder().allow_http_on_loopback(allow);
        row.check_refused_build(|| allowing(true).api_url(url).build(), "is http://");
        row.check_refused_build(|| allowing(true).login_url(url).build(), "is http://");
    }
    let loopback = || builder().api_url("http://127.0.0.1:1");
    row.check_refused_build(|| loopback().build(), "allow_http_on_loopback(true)");
    assert!(loopback().allow_http_on_loopback(true).build().is_ok());
    row.note("allowed for loopback addresses on request");
    row.finish();
}

#[test]
fn l14_intercepting_proxy() {
    let mut row = Row::new("L14", "an intercepting proxy with its own CA");
    let inspector = Ca::new();
    let config = inspector.localhost();
    let expect = fails(Tls)
        .caused_by(Cause::Tls)
        .unsent()
        .says("platform's roots");
    let fault = with_config(&config);
    let refused: &Expect = &expect;
    for call in Call::ALL {
        row.check_call(
            &scenario(call, Place::Api, Scheme::Https, &fault, |it| it),
            call,
            refused,
        );
        let trusting = |builder: autharmor::ClientBuilder| {
            builder.only_root_certificates([ca().pem(), inspector.pem()].concat())
        };
        let fault = Fault::Connection(vec![Act::Tls(config.clone()), Act::Each(serving())]);
        row.check_call(
            &scenario(call, Place::Api, Scheme::Https, &fault, trusting),
            call,
            &served(),
        );
    }
    row.note("ok only if its root is trusted");
    row.finish();
}

fn serving() -> autharmor_test_support::scripted::Switch {
    let switch = autharmor_test_support::scripted::Switch::default();
    switch.set(vec![Act::serve(|seen| serve(seen, ""))]);
    switch
}
