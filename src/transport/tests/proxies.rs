//! Proxies: from settings and environment, and the tunnels through them.

use super::super::proxy::{Proxy, read_status};
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

/// The URL of a proxy, with a password that must not be shown.
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
         User-Agent: autharmor-test/1\r\n\
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
    let transport = with_settings(TransportSettings {
        proxy: ProxySetting::Url(proxy.http("").into()),
        preconnect: Some("https://api.example/".parse().unwrap()),
        ..settings(Roots::Only(vec![ca.pem()]))
    });
    begin(&transport).unwrap().run();
    get(&transport, "https://api.example/").unwrap();
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_tunnel_that_is_not_opened_is_the_proxys_failure() {
    let ca = Ca::new();
    for response in [
        "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_owned(),
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nada".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: https://portal.example/\r\n\r\n".to_owned(),
        "garbage from ada\r\n\r\n".to_owned(),
        "HTTP/1.1 \u{e9}\r\n\r\n".to_owned(),
        "HTTP/1.1 200".to_owned(),
        format!("HTTP/1.1 200 {}", "x".repeat(100_000)),
        String::new(),
    ] {
        let proxy = Server::start(vec![vec![Act::Read, Act::write(response)]]);
        let result = post(&through(url(&proxy), &ca), "https://api.example/");
        assert_eq!(kind(result), (AtProxy, false));
    }
}

#[test]
fn a_proxy_that_cannot_be_reached_or_does_not_respond() {
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

const API: &str = "https://api.example/";

/// The proxy of an environment with these variables.
fn proxy(variables: &[(&str, &str)]) -> Result<Option<Proxy>, crate::Error> {
    Proxy::from_env(&Environment::of(variables), &[API.parse().unwrap()])
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
    assert!(!unused.unwrap().unwrap().applies_to("api.example", 443));
    let with_line_end = proxy(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", "api.example\n")]);
    assert!(
        !with_line_end
            .unwrap()
            .unwrap()
            .applies_to("api.example", 443)
    );
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
        assert_eq!(proxy.applies_to(host, port), served, "{host}:{port}");
    }
}

/// The hosts are read as curl and Go read them.
#[test]
fn forms_of_no_proxy() {
    for (list, matching, others) in [
        (
            "10.0.0.0/8",
            &["10.0.0.1", "10.255.0.9"][..],
            &["11.0.0.1", "[a00::1]", "10.example"][..],
        ),
        ("10.1.2.3/8", &["10.0.0.1"], &["11.0.0.1"]),
        ("10.0.0.1/32", &["10.0.0.1"], &["10.0.0.2"]),
        ("0.0.0.0/0", &["1.2.3.4"], &["api.example", "[2001:db8::1]"]),
        (
            "fd00::/8",
            &["[fd12::1]"],
            &["[fe00::1]", "253.0.0.1", "fd00.example"],
        ),
        ("2001:db8::1/127", &["[2001:db8::]"], &["[2001:db8::2]"]),
        ("10.0.0.1", &["[::ffff:10.0.0.1]"], &["[::ffff:10.0.0.2]"]),
        (
            "api.example.",
            &["api.example", "api.example."],
            &["example"],
        ),
        (".api.example.", &["api.example", "x.api.example."], &[]),
        ("api.example", &["api.example.", "x.api.example"], &[]),
        ("api.example.:443", &["api.example"], &["other.example"]),
        ("api.example:", &["api.example"], &["other.example"]),
        ("api.example *", &["api.example"], &["other.example"]),
        ("*, other.example", &["api.example"], &[]),
        ("*.api.example", &["x.api.example"], &["xapi.example"]),
        // These cannot be read.
        ("api.example:abc", &[], &["api.example"]),
        ("api.example:+443", &[], &["api.example"]),
        ("api.example:65979", &[], &["api.example"]),
        ("10.0.0.0/33", &[], &["10.0.0.0"]),
        ("10.0.0.0/+8", &[], &["10.0.0.0"]),
        ("10.0.0.0/", &[], &["10.0.0.0"]),
        ("10.0.0.0/x", &[], &["10.0.0.0"]),
        ("10.0.0/8", &[], &["10.0.0.0"]),
        ("fd00::/129", &[], &["[fd00::]"]),
        ("example/8", &[], &["example"]),
        ("*api.example", &[], &["api.example", "x.api.example"]),
        ("api.*", &[], &["api.example"]),
        (".", &[], &["api.example", "api.example."]),
        (":443", &[], &["api.example"]),
        ("https://api.example", &[], &["api.example"]),
    ] {
        let proxy = proxy(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)]);
        let proxy = proxy.unwrap().unwrap();
        for host in matching {
            assert!(!proxy.applies_to(host, 443), "{list} exempts {host}");
        }
        for host in others {
            assert!(proxy.applies_to(host, 443), "{list} does not exempt {host}");
        }
    }
}

#[test]
fn a_proxy_that_no_host_would_use_is_no_error() {
    let hosts = |hosts: &[&str]| {
        hosts
            .iter()
            .map(|it| it.parse().unwrap())
            .collect::<Vec<_>>()
    };
    for (exempt, uris, is_used) in [
        (
            "",
            &["https://api.example/", "https://login.example/"][..],
            true,
        ),
        (
            "api.example",
            &["https://api.example/", "https://login.example/"],
            true,
        ),
        (
            "example",
            &["https://api.example/", "https://login.example/"],
            false,
        ),
        ("api.example:8443", &["https://api.example/"], true),
        ("api.example:8443", &["https://api.example:8443/"], false),
        ("*", &["https://api.example/"], false),
        ("", &["http://127.0.0.1:8080/", "https://localhost/"], false),
        (
            "",
            &["http://127.0.0.1:8080/", "https://api.example/"],
            true,
        ),
    ] {
        for url in ["socks5h://p:1", "garbage", "http://u:a#b@p:1"] {
            let env = Environment::of(&[("ALL_PROXY", url), ("NO_PROXY", exempt)]);
            let found = Proxy::from_env(&env, &hosts(uris));
            assert_eq!(
                found.is_err(),
                is_used,
                "{url} for {uris:?} without {exempt}"
            );
        }
    }
}

#[test]
fn a_password_that_must_be_percent_encoded_is_explained() {
    for password in [
        "hunter2#",
        "1#hunter2",
        "hun/ter2",
        "hun?ter2",
        "hun\\ter2",
        "hun@ter2",
    ] {
        let url = format!("http://user:{password}@p:1");
        let error = proxy(&[("HTTPS_PROXY", &url)]).expect_err(password);
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("HTTPS_PROXY") && text.contains("percent-encode"),
            "{text}"
        );
        assert!(!text.contains("ter2"), "{text}");
    }
    let encoded = proxy(&[("HTTPS_PROXY", "http://user:a%23%2F%3F%5C%40b@p:1")]);
    assert_eq!(encoded.unwrap().unwrap().host, "p");
}

#[test]
fn a_refused_password_is_not_tried_again() {
    for (status, transient) in [(407, false), (403, true), (502, true)] {
        let proxy = Server::start(vec![vec![
            Act::Read,
            Act::write(format!("HTTP/1.1 {status} No\r\n\r\n")),
        ]]);
        let clock = Arc::new(crate::ManualClock::new());
        let client = crate::Client::builder("id", "s3cr3t")
            .proxy(format!(
                "http://user:hunter2@127.0.0.1:{}",
                proxy.address().port()
            ))
            .user_agent_suffix("door/2")
            .clock(clock)
            .build()
            .unwrap();
        let error = client.check_credentials().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Proxy);
        assert_eq!(error.is_transient(), transient, "{status}");
        let reported = format!("the proxy responded with status {status}");
        let (mut next, mut sources) = (error.source(), Vec::new());
        while let Some(source) = next {
            sources.push(source.to_string());
            next = source.source();
        }
        assert!(sources.contains(&reported), "{sources:?}");
        let requests = proxy.requests();
        assert_eq!(requests.len(), if transient { 3 } else { 1 }, "{status}");
        let agent = concat!(
            "User-Agent: autharmor-rust/",
            env!("CARGO_PKG_VERSION"),
            " door/2\r\n"
        );
        assert!(
            requests.iter().all(|it| it.head.contains(agent)),
            "{requests:?}"
        );
    }
}

/// The status of a response to `CONNECT`, and what it leaves unread.
fn status_of(response: &str) -> (Option<u16>, &str) {
    let mut rest = response.as_bytes();
    let status = read_status(&mut rest).unwrap_or_default();
    (status, std::str::from_utf8(rest).unwrap())
}

#[test]
fn responses_to_connect() {
    for (response, status) in [
        ("HTTP/1.1 200 OK\r\n\r\n", Some(200)),
        ("HTTP/1.0 200\r\nx: y\r\n\r\n", Some(200)),
        ("HTTP/1.1 200 OK\nx: y\n\n", Some(200)),
        ("HTTP/1.1 204\n\n", Some(204)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            Some(200),
        ),
        ("HTTP/1.1 100\n\nHTTP/1.1 407\n", Some(407)),
        ("HTTP/1.1 101 Switching\r\n", Some(101)),
        // The rest of such a head is of no interest.
        ("HTTP/1.1 407 No\r\n", Some(407)),
        ("S", None),
        ("HTTP/2", None),
        ("HTTP/1.1 20 OK\r\n", None),
        ("HTTP/1.1 2000 OK\r\n", None),
        ("HTTP/1.1 +20 OK\r\n", None),
        ("HTTP/1.1  200 OK\r\n", None),
        ("HTTP/1.x 200 OK\r\n", None),
        ("HTTP/1.1200 OK\r\n", None),
        ("\r\n", None),
    ] {
        let with_rest = response.to_owned() + "tunnel";
        let (found, rest) = status_of(&with_rest);
        assert_eq!(found, status, "{response}");
        if status == Some(200) {
            assert_eq!(rest, "tunnel", "{response}");
        }
    }
    for endless in [
        "HTTP/1.1 200 ".to_owned() + &"x".repeat(100_000),
        "HTTP/1.1 200 OK\r\n".to_owned() + &"x: y\r\n".repeat(100_000),
        "HTTP/1.1 100 Go on\r\n\r\n".repeat(100_000),
    ] {
        let (found, rest) = status_of(&endless);
        assert_eq!(found, None);
        assert!(endless.len() - rest.len() <= 8 * 1024);
    }
}

#[test]
fn a_head_of_eight_kibibytes_is_read_and_one_that_is_cut_is_an_error() {
    let start = "HTTP/1.1 200 OK\r\nx: ";
    for (length, status) in [(8192, Some(200)), (8193, None)] {
        let filler = "y".repeat(length - start.len() - 4);
        let head = format!("{start}{filler}\r\n\r\n");
        assert_eq!(read_status(&mut head.as_bytes()).unwrap(), status);
    }
    for cut in ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nx: y\r\n"] {
        let error = read_status(&mut cut.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{cut}");
    }
    let broken = |kind: std::io::ErrorKind| {
        let mut stream = std::io::Read::chain(start.as_bytes(), Failing(kind));
        read_status(&mut stream).unwrap_err().kind()
    };
    let kind = std::io::ErrorKind::ConnectionReset;
    assert_eq!(broken(kind), kind);
}

/// A stream whose reads fail.
struct Failing(std::io::ErrorKind);

impl std::io::Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }
}

/// A peer that is no proxy and says something once is not waited for.
#[test]
fn what_is_not_http_ends_the_connection_at_once() {
    let ca = Ca::new();
    let chatty = Server::start(vec![vec![
        Act::Read,
        Act::write("SSH-2.0-OpenSSH_9.6"),
        Act::Stall,
    ]]);
    let result = post(&through(url(&chatty), &ca), "https://api.example/");
    assert_eq!(kind(result), (AtProxy, false));
}
