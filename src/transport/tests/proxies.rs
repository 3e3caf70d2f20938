//! Proxies: from settings and environment, and the tunnels through them.

use super::super::proxy::Proxy;
use super::TransportErrorKind::{Proxy as AtProxy, Timeout, Tls};
use super::*;
use crate::ErrorKind;
use crate::environment::Environment;
use autharmor_test_support::scripted::{Act, Ca, DEAD_PORT, OK, Server};

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn through(url: String, ca: &Ca) -> AgentTransport {
    with_settings(TransportSettings {
        proxy: ProxySetting::Url(url.into()),
        ..settings(Roots::Only(vec![ca.pem()]))
    })
}

/// The URL of a proxy that wants a password which must be shown to nobody.
fn url(proxy: &Server) -> String {
    format!(
        "http://us%40er:hunter2@localhost:{}",
        proxy.address().port()
    )
}

#[test]
fn requests_go_through_the_tunnel() {
    let ca = Ca::new();
    let api = ca.server(&["api.example"], (2020, 2120));
    let proxy = Server::start(vec![vec![
        Act::Read,
        Act::write(OPEN),
        Act::Tls(api),
        Act::Read,
        Act::write(OK),
        Act::Read,
        Act::write(OK),
    ]]);
    let transport = through(url(&proxy), &ca);
    for _ in 0..2 {
        get(&transport, "https://api.example/users").unwrap();
    }
    let heads: Vec<String> = proxy.requests().into_iter().map(|r| r.head).collect();
    assert_eq!(
        heads[0],
        "CONNECT api.example:443 HTTP/1.1\r\n\
         Host: api.example:443\r\n\
         Proxy-Authorization: Basic dXNAZXI6aHVudGVyMg==\r\n\r\n"
    );
    assert!(heads[1].starts_with("GET /users?username=ada HTTP/1.1\r\n"));
    assert_eq!((heads.len(), proxy.connections()), (3, 1));
    assert!(!format!("{transport:?}").contains("hunter2"));
}

#[test]
fn a_proxy_may_speak_tls_itself() {
    let ca = Ca::new();
    let proxy = Server::start(vec![vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write(OPEN),
        Act::Tls(ca.server(&["api.example"], (2020, 2120))),
        Act::Read,
        Act::write(OK),
        Act::Read,
        Act::write(OK),
    ]]);
    let transport = through(proxy.https(""), &ca);
    for _ in 0..2 {
        post(&transport, "https://api.example/").unwrap();
    }
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_proxy_is_not_shown_our_certificate() {
    let ca = Ca::new();
    let identity = ca.issue(&["client.example"], (2020, 2120));
    let proxy = Server::start(vec![vec![
        Act::Tls(ca.demanding()),
        Act::Read,
        Act::write(OPEN),
    ]]);
    let transport = with_settings(TransportSettings {
        proxy: ProxySetting::Url(proxy.https("").into()),
        ..with_identity(&ca, identity.certificate_pem(), identity.key_pem())
    });
    let result = post(&transport, "https://api.example/");
    assert_eq!(kind(result), (AtProxy, false));
    assert!(proxy.requests().is_empty());
}

#[test]
fn a_connection_can_be_opened_ahead_through_a_proxy() {
    let ca = Ca::new();
    let proxy = Server::start(vec![vec![
        Act::Read,
        Act::write(OPEN),
        Act::Tls(ca.server(&["api.example"], (2020, 2120))),
        Act::Read,
        Act::write(OK),
    ]]);
    let transport = through(url(&proxy), &ca);
    warm_up(
        &transport,
        &"https://api.example/".parse().unwrap(),
        within(PATIENT),
    );
    get(&transport, "https://api.example/").unwrap();
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_tunnel_that_is_not_opened_is_the_proxys_failure() {
    let ca = Ca::new();
    for answer in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_owned(),
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nada".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: https://portal.example/\r\n\r\n".to_owned(),
        "garbage from ada\r\n\r\n".to_owned(),
        "HTTP/1.1 \u{e9}\r\n\r\n".to_owned(),
        "HTTP/1.1 200".to_owned(),
        format!("HTTP/1.1 200 {}", "x".repeat(100_000)),
        String::new(),
    ] {
        let proxy = Server::start(vec![vec![Act::Read, Act::write(answer)]]);
        let result = post(&through(url(&proxy), &ca), "https://api.example/");
        assert_eq!(kind(result), (AtProxy, false));
    }
}

#[test]
fn a_proxy_that_cannot_be_reached_or_does_not_answer() {
    let ca = Ca::new();
    let dead = through(format!("http://u:hunter2@localhost:{DEAD_PORT}"), &ca);
    assert_eq!(kind(post(&dead, "https://api.example/")), (AtProxy, false));

    let not_tls = Server::start(vec![vec![Act::ReadSome, Act::write("no TLS here")]]);
    let transport = through(not_tls.https(""), &ca);
    let result = post(&transport, "https://api.example/");
    assert_eq!(kind(result), (AtProxy, false));

    let silent = Server::start(vec![vec![Act::Read, Act::Stall]]);
    let result = hastily(&through(url(&silent), &ca), "https://api.example/");
    assert_eq!(kind(result), (Timeout, false));
}

#[test]
fn what_fails_behind_the_tunnel_is_not_the_proxys_failure() {
    let ca = Ca::new();
    let proxy = Server::start(vec![vec![
        Act::Read,
        Act::write(OPEN),
        Act::Tls(Ca::new().server(&["api.example"], (2020, 2120))),
    ]]);
    let result = post(&through(url(&proxy), &ca), "https://api.example/");
    assert_eq!(kind(result), (Tls, false));
}

/// The proxy of an environment with these variables.
fn proxy(variables: &[(&str, &str)]) -> Result<Option<Proxy>, crate::Error> {
    Proxy::from_env(&Environment::of(variables))
}

#[test]
fn the_environment_names_a_proxy() {
    for (variables, place) in [
        (&[][..], None),
        (&[("HTTP_PROXY", "http://p:1")], None),
        (&[("HTTPS_PROXY", " "), ("https_proxy", "")], None),
        (&[("HTTPS_PROXY", "http://p:1/")], Some((false, "p", 1))),
        (&[("https_proxy", "https://p")], Some((true, "p", 443))),
        (&[("ALL_PROXY", "HTTP://p")], Some((false, "p", 80))),
        (&[("all_proxy", " u:w@p:3128\n")], Some((false, "p", 3128))),
        (
            &[("HTTPS_PROXY", "http://[::1]:1")],
            Some((false, "[::1]", 1)),
        ),
        (
            &[("ALL_PROXY", "http://q:2"), ("https_proxy", "http://p:1")],
            Some((false, "p", 1)),
        ),
    ] {
        let proxy = proxy(variables).unwrap();
        let found = proxy.as_ref().map(|p| (p.tls, p.host.as_str(), p.port));
        assert_eq!(found, place, "{variables:?}");
    }
}

#[test]
fn what_is_no_proxy_is_an_error_that_names_the_variable() {
    for (value, hint) in [
        ("hunter2", "not a URL"),
        ("ftp://hunter2:1", "not a URL"),
        ("http://", "not a URL"),
        ("http://:1", "not a URL"),
        ("http://u:hunter2@p:99999", "not a URL"),
        ("http://u:hunter2@p:1/path", "not a URL"),
        ("http://p:1?hunter2", "not a URL"),
        ("http://hunter2 x:1", "not a URL"),
        ("socks5://u:hunter2@p:1", "SOCKS"),
        ("socks4a://hunter2", "SOCKS"),
    ] {
        let error = proxy(&[("HTTPS_PROXY", value)]).expect_err(value);
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("HTTPS_PROXY") && text.contains(hint),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");

        let setting = TransportSettings {
            proxy: ProxySetting::Url(value.into()),
            ..settings(Roots::Bundled)
        };
        let error = AgentTransport::new(setting).expect_err(value);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn some_hosts_need_no_proxy() {
    let unused = proxy(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", " * ")]);
    assert!(!unused.unwrap().unwrap().serves("api.example", 443));
    let with_line_end = proxy(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "api.example\n")]);
    assert!(!with_line_end.unwrap().unwrap().serves("api.example", 443));
    let list =
        "example.com, .example.org ,*.example.net, 10.0.0.1,other.example:8443 [2001:db8::1]";
    let proxy = proxy(&[("HTTPS_PROXY", "http://p:1"), ("no_proxy", list)])
        .unwrap()
        .unwrap();
    for (host, port, served) in [
        ("example.com", 443, false),
        ("API.Example.Com", 443, false),
        ("notexample.com", 443, true),
        ("example.com.evil.example", 443, true),
        ("example.org", 443, false),
        ("a.b.example.org", 443, false),
        ("a.example.net", 443, false),
        ("10.0.0.1", 443, false),
        ("110.0.0.1", 443, true),
        ("other.example", 8443, false),
        ("other.example", 443, true),
        ("[2001:db8::1]", 443, false),
        ("[2001:db8::2]", 443, true),
        ("localhost", 443, false),
        ("api.localhost", 443, false),
        ("127.8.0.1", 443, false),
        ("[::1]", 443, false),
    ] {
        assert_eq!(proxy.serves(host, port), served, "{host}:{port}");
    }
}
