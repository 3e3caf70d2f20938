//! TCP, TLS and certificates.

use rustls::HandshakeKind;

use super::TransportErrorKind::{Connect, Dns, Timeout, Tls};
use super::*;
use crate::ErrorKind;
use autharmor_test_support::BlackHole;
use autharmor_test_support::scripted::{Act, Ca, DEAD_PORT, OK, Server};

/// A server that responds to every request, each on a connection of its own.
fn serving(tls: Arc<rustls::ServerConfig>) -> Server {
    Server::start(vec![vec![Act::Tls(tls), Act::Read, Act::write(OK)]])
}

fn refused(result: Result<HttpResponse, TransportError>, hint: &str) {
    let (kind, sent, text) = seen(result);
    assert_eq!((kind, sent), (Tls, false), "{text}");
    assert!(text.contains(hint), "{text}");
}

#[test]
fn plain_http_works_where_it_is_asked_for() {
    let server = Server::start(vec![vec![Act::Read, Act::write(OK)]]);
    let transport = trusting(&Ca::new());
    get(&transport, &server.http("/")).unwrap();
    assert!(server.handshakes().is_empty());
}

#[test]
fn certificates_that_do_not_vouch_for_the_host() {
    let ca = Ca::new();
    for (years, hosts, hint) in [
        ((2020, 2021), ["localhost"], "clock"),
        ((2120, 2121), ["localhost"], "clock"),
        ((2020, 2120), ["api.example"], "another host"),
    ] {
        let server = serving(ca.server(&hosts, years));
        let (kind, sent, text) = seen_with_host(get(&trusting(&ca), &server.https("/")));
        assert_eq!((kind, sent), (Tls, false), "{text}");
        assert!(text.contains(hint), "{text}");
        assert!(server.requests().is_empty());
    }
    let server = serving(Ca::new().localhost());
    refused(get(&trusting(&ca), &server.https("/")), "platform");
}

/// rustls names the host that it wanted, which is no secret.
fn seen_with_host(
    result: Result<HttpResponse, TransportError>,
) -> (TransportErrorKind, bool, String) {
    let error = result.expect_err("there was a response");
    let text = format!("{error} {:?}", error.source());
    assert!(!text.contains("s3cr3t") && !text.contains("ada"), "{text}");
    (error.kind(), error.may_have_been_sent(), text)
}

#[test]
fn an_address_must_be_in_the_certificate() {
    let ca = Ca::new();
    let uri = |server: &Server| format!("https://{}/", server.address());
    let named = serving(ca.localhost());
    get(&trusting(&ca), &uri(&named)).unwrap();
    let unnamed = serving(ca.server(&["localhost"], (2020, 2120)));
    let (kind, sent, _) = seen_with_host(get(&trusting(&ca), &uri(&unnamed)));
    assert_eq!((kind, sent), (Tls, false));
}

#[test]
fn a_server_without_tls() {
    let server = Server::start(vec![vec![
        Act::ReadSome,
        Act::write("HTTP/1.1 400 Bad Request\r\n\r\n"),
    ]]);
    let result = get(&trusting(&Ca::new()), &server.https("/"));
    refused(result, "does not speak TLS");
}

#[test]
fn a_handshake_that_is_cut_or_never_ends() {
    let transport = trusting(&Ca::new());
    for acts in [
        vec![Act::Cut],
        vec![Act::ReadSome, Act::Cut],
        vec![Act::ReadSome, Act::write(b"\x16\x03\x03"), Act::Cut],
    ] {
        let server = Server::start(vec![acts]);
        let result = post(&transport, &server.https("/"));
        assert_eq!(kind(result), (Connect, false));
    }
    let server = Server::start(vec![vec![Act::Stall]]);
    let result = hastily(&transport, &server.https("/"));
    assert_eq!(kind(result), (Timeout, false));
}

#[test]
fn the_connect_timeout_bounds_the_handshake() {
    let server = Server::start(vec![vec![Act::Stall]]);
    let transport = with_settings(TransportSettings {
        connect_timeout: HASTY,
        ..settings(Roots::Bundled)
    });
    let result = get(&transport, &server.https("/"));
    assert_eq!(kind(result), (Timeout, false));
}

#[test]
fn connection_refused() {
    let transport = trusting(&Ca::new());
    let uri = format!("https://localhost:{DEAD_PORT}/");
    assert_eq!(kind(post(&transport, &uri)), (Connect, false));
}

#[test]
fn no_such_host() {
    let transport = with_settings(TransportSettings {
        resolver: Some(Arc::new(|_: &str, _| {
            Err(std::io::Error::other("no such name"))
        })),
        ..settings(Roots::Bundled)
    });
    let result = post(&transport, "https://nowhere.example/");
    assert_eq!(kind(result), (Dns, false));
}

#[test]
fn a_dead_address_is_passed_over() {
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let address = server.address();
    // 127.0.0.2 is loopback, too, where the server does not listen.
    let both = move |_: &str, port| Ok(vec![([127, 0, 0, 2], port).into(), address]);
    let transport = with_settings(TransportSettings {
        resolver: Some(Arc::new(both)),
        ..settings(Roots::Only(vec![ca.pem()]))
    });
    get(&transport, &server.https("/")).unwrap();
}

#[test]
fn dead_addresses_are_passed_and_the_good_one_is_tried_first_next_time() {
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let hole = BlackHole::new();
    let mut addresses = hole.addresses(6);
    addresses.push(server.address());
    let connect_timeout = Duration::from_secs(30);
    let transport = with_settings(TransportSettings {
        connect_timeout,
        resolver: Some(Arc::new(move |_: &str, _| Ok(addresses.clone()))),
        ..settings(Roots::Only(vec![ca.pem()]))
    });
    let connect = || {
        let began = Instant::now();
        get(&transport, &server.https("/")).unwrap();
        let took = began.elapsed();
        // Until then the connection could be used again.
        server.wait_until_idle();
        took
    };
    let first = connect();
    // One by one, each dead address would take as long.
    assert!(first < connect_timeout, "{first:?}");
    // Behind six dead addresses, no attempt begins earlier than this.
    let after_six = Duration::from_millis(6 * 250);
    assert!(first >= after_six, "{first:?}");
    // The machine may be busy for a while.
    assert!((0..5).any(|_| connect() < after_six));
}

#[test]
fn dead_addresses_take_one_connect_timeout_together() {
    let hole = BlackHole::new();
    let addresses = hole.addresses(8);
    let connect_timeout = Duration::from_secs(1);
    let transport = with_settings(TransportSettings {
        connect_timeout,
        resolver: Some(Arc::new(move |_: &str, _| Ok(addresses.clone()))),
        ..settings(Roots::Bundled)
    });
    let began = Instant::now();
    let result = post(&transport, "https://api.example/");
    assert_eq!(kind(result), (Timeout, false));
    let took = began.elapsed();
    assert!(
        connect_timeout <= took && took < 4 * connect_timeout,
        "{took:?}"
    );
}

#[test]
fn own_roots_come_with_the_bundled_ones_or_instead() {
    let (one, other) = (Ca::new(), Ca::new());
    let both = [one.pem(), other.pem()];
    for roots in [
        Roots::Only(both.to_vec()),
        Roots::Only(vec![both.concat()]),
        Roots::BundledAnd(both.to_vec()),
    ] {
        let transport = with_settings(settings(roots));
        for ca in [&one, &other] {
            let server = serving(ca.localhost());
            get(&transport, &server.https("/")).unwrap();
        }
    }
    let server = serving(one.localhost());
    let bundled = with_settings(settings(Roots::Bundled));
    refused(get(&bundled, &server.https("/")), "not trusted");
}

#[cfg(feature = "platform-verifier")]
#[test]
fn the_platform_does_not_know_a_throwaway_ca() {
    // A machine without certificates says so at once.
    let Ok(transport) = AgentTransport::new(settings(Roots::Platform)) else {
        return;
    };
    let server = serving(Ca::new().localhost());
    let (kind, sent, _) = seen_with_host(get(&transport, &server.https("/")));
    assert_eq!((kind, sent), (Tls, false));
}

#[track_caller]
fn config_error(settings: TransportSettings) {
    let error = AgentTransport::new(settings).expect_err("it was accepted");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains("s3cr3t") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn roots_are_checked_before_they_are_needed() {
    let good = Ca::new().pem();
    let text = String::from_utf8(good.clone()).unwrap();
    let key = Ca::new().issue(&["x"], (2020, 2120)).key_pem();
    for bad in [
        Vec::new(),
        b"s3cr3t".to_vec(),
        vec![0xff; 1000],
        key,
        text[..text.len() - 30].into(),
        text.replacen('M', "\u{e9}", 1).into(),
        b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n".to_vec(),
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_vec(),
    ] {
        config_error(settings(Roots::Only(vec![bad.clone()])));
        config_error(settings(Roots::BundledAnd(vec![good.clone(), bad])));
    }
    config_error(settings(Roots::Only(vec![])));
}

#[test]
fn a_client_certificate_is_shown_to_who_asks() {
    let ca = Ca::new();
    let identity = ca.issue(&["client.example"], (2020, 2120));
    let server = serving(ca.demanding());
    let transport = with_settings(with_identity(
        &ca,
        identity.certificate_pem(),
        identity.key_pem(),
    ));
    get(&transport, &server.https("/")).unwrap();

    // TLS 1.3 tells of the refusal when the request is already on its way.
    let (kind, _, text) = seen(get(&trusting(&ca), &server.https("/")));
    assert!(matches!(kind, Tls | TransportErrorKind::Broken), "{text}");
}

#[test]
fn a_client_certificate_is_checked_before_it_is_needed() {
    let ca = Ca::new();
    let one = ca.issue(&["one"], (2020, 2120));
    let other = ca.issue(&["other"], (2020, 2120));
    let (certificate, key) = (one.certificate_pem(), one.key_pem());
    for (certificate, key) in [
        (certificate.clone(), other.key_pem()),
        (certificate.clone(), Vec::new()),
        (certificate.clone(), b"s3cr3t".to_vec()),
        (certificate.clone(), certificate.clone()),
        (
            certificate.clone(),
            b"-----BEGIN PRIVATE KEY-----\ns3cr3t==\n-----END PRIVATE KEY-----\n".to_vec(),
        ),
        (
            certificate,
            b"-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n".to_vec(),
        ),
        (Vec::new(), key.clone()),
        (key.clone(), key.clone()),
        (
            b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n".to_vec(),
            key,
        ),
    ] {
        config_error(with_identity(&ca, certificate, key));
    }
}

#[test]
fn a_connect_timeout_of_zero_is_a_mistake_and_an_endless_one_is_not() {
    config_error(TransportSettings {
        connect_timeout: Duration::ZERO,
        ..settings(Roots::Bundled)
    });
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let transport = with_settings(TransportSettings {
        connect_timeout: Duration::MAX,
        ..settings(Roots::Only(vec![ca.pem()]))
    });
    get(&transport, &server.https("/")).unwrap();
}

#[test]
fn sessions_are_resumed() {
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let transport = trusting(&ca);
    for _ in 0..3 {
        get(&transport, &server.https("/")).unwrap();
        server.wait_until_idle();
    }
    let kinds = server.handshakes();
    assert_eq!(
        kinds,
        [
            HandshakeKind::Full,
            HandshakeKind::Resumed,
            HandshakeKind::Resumed
        ]
    );
}

#[test]
fn a_connection_opened_ahead_is_the_one_that_is_used() {
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let transport = connecting_ahead(&ca, &server.https("/"));
    begin(&transport).unwrap().run();
    assert!(begin(&transport).is_none());
    assert_eq!(server.connections(), 1);
    assert!(server.requests().is_empty());
    get(&transport, &server.https("/")).unwrap();
    assert_eq!(server.connections(), 1);
    server.wait_until_idle();
    get(&transport, &server.https("/")).unwrap();
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_connection_that_is_being_opened_ahead_is_waited_for() {
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let transport = connecting_ahead(&ca, &server.https("/"));
    let dial = begin(&transport).unwrap();
    std::thread::scope(|scope| {
        let request = scope.spawn(|| get(&transport, &server.https("/")));
        dial.run();
        request.join().unwrap().unwrap();
    });
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_connection_that_was_never_opened_ahead_is_not_waited_for() {
    let ca = Ca::new();
    let server = serving(ca.localhost());
    let transport = connecting_ahead(&ca, &server.https("/"));
    drop(begin(&transport).unwrap());
    get(&transport, &server.https("/")).unwrap();
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_connection_opened_ahead_and_closed_since_is_replaced() {
    let ca = Ca::new();
    let server = Server::start(vec![
        vec![Act::Tls(ca.localhost())],
        vec![Act::Tls(ca.localhost()), Act::Read, Act::write(OK)],
    ]);
    let transport = connecting_ahead(&ca, &server.https("/"));
    begin(&transport).unwrap().run();
    server.wait_until_idle();
    get(&transport, &server.https("/")).unwrap();
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_connection_that_cannot_be_opened_ahead_harms_no_request() {
    let ca = Ca::new();
    for uri in [
        format!("https://localhost:{DEAD_PORT}/"),
        "/only/a/path".to_owned(),
        "ftp://localhost/".to_owned(),
    ] {
        let transport = connecting_ahead(&ca, &uri);
        if let Some(dial) = begin(&transport) {
            dial.run();
        }
        let server = serving(ca.localhost());
        get(&transport, &server.https("/")).unwrap();
    }
}

#[test]
fn the_first_request_to_another_host_opens_the_connection_ahead() {
    let ca = Ca::new();
    let login = serving(ca.localhost());
    let api = Server::start(vec![vec![
        Act::Tls(ca.localhost()),
        Act::Stall,
        Act::Read,
        Act::write(OK),
    ]]);
    let transport = connecting_ahead(&ca, &api.https("/"));
    get(&transport, &login.https("/")).unwrap();
    api.wait_until_stalled(1);
    assert!(api.requests().is_empty());
    api.release();
    get(&transport, &api.https("/")).unwrap();
    assert_eq!(api.connections(), 1);
}

#[test]
fn after_a_first_request_to_the_host_itself_nothing_is_opened_ahead() {
    let ca = Ca::new();
    let api = serving(ca.localhost());
    let transport = connecting_ahead(&ca, &api.https("/"));
    get(&transport, &api.https("/v3/users")).unwrap();
    assert!(begin(&transport).is_none());
}

#[test]
fn a_failure_of_an_earlier_connection_ahead_is_not_the_next_requests() {
    let ca = Ca::new();
    let server = Server::start(vec![
        vec![Act::Cut],
        vec![Act::Tls(ca.localhost()), Act::Read, Act::write(OK)],
    ]);
    let transport = connecting_ahead(&ca, &server.https("/"));
    begin(&transport).unwrap().run();
    get(&transport, &server.https("/")).unwrap();
    assert_eq!(server.connections(), 2);
}
