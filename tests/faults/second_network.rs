//! P: connections and proxies, second list.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use autharmor::ErrorKind::{Connect, Proxy, Timeout};
use autharmor::{Client, ClientBuilder};
use autharmor_test_support::BlackHole;
use autharmor_test_support::scripted::{Act, DEAD_PORT, Seen};

use super::calls::{Call, ID, LONG, Outcome, SHORT, seconds};
use super::expect::{Cause, fails, served};
use super::harness::{Row, Scenario};
use super::network::ThroughProxy;
use super::scripted_service::{API_NAME, Hosts, LOGIN_NAME, Place, Scheme};
use super::secrets::{PASSWORD, SECRET};

/// Two servers; the name of one leads to these addresses, then to the server.
fn behind(place: Place, dead: Vec<SocketAddr>, connect_timeout: Duration) -> Scenario {
    let hosts = Hosts::start(Scheme::Https);
    let faulty = match place {
        Place::Api => API_NAME,
        Place::Login => LOGIN_NAME,
    };
    let client = hosts
        .builder()
        .api_url(format!("https://{API_NAME}:{}", hosts.api.port()))
        .login_url(format!("https://{LOGIN_NAME}:{}", hosts.login.port()))
        .resolver(move |name, port| {
            let mut addresses = Vec::new();
            if name == faulty {
                addresses.extend(&dead);
            }
            addresses.push(([127, 0, 0, 1], port).into());
            Ok(addresses)
        })
        .connect_timeout(connect_timeout)
        .build()
        .unwrap();
    if place == Place::Api {
        client.check_credentials().unwrap();
    }
    // A later call needs a new connection.
    hosts.api.close_after_each_response();
    hosts.login.close_after_each_response();
    Scenario::new(client, hosts)
}

#[test]
fn p1_many_dead_addresses() {
    let mut row = Row::new("P1", "many unreachable addresses before a good one");
    let black_hole = BlackHole::new();
    let connect_timeout = seconds(20);
    let check = |place, count, call: Call, mut part: Row| {
        let scenario = behind(place, black_hole.addresses(count), connect_timeout);
        let first = Arc::new(Mutex::new(Duration::ZERO));
        let took = first.clone();
        let make = move |client: &Client| {
            let began = Instant::now();
            let result = call.make(client);
            *took.lock().unwrap() = began.elapsed();
            result
        };
        let tokens = usize::from(place == Place::Login);
        part.check_other_call(
            &scenario,
            call == Call::Read,
            make,
            &served().tokens(tokens),
        );
        let first = *first.lock().unwrap();
        // One after the other they take nearly all of the time.
        assert!(first < connect_timeout / 2, "P1: {count} dead: {first:?}");
        part
    };
    let parts: Vec<Row> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for count in [1, 6, 12] {
            for place in [Place::Api, Place::Login] {
                for call in [Call::Read, Call::Start] {
                    let (part, check) = (row.part(), &check);
                    threads.push(scope.spawn(move || check(place, count, call, part)));
                }
            }
        }
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|e| std::panic::resume_unwind(e))
            })
            .collect()
    });
    for part in parts {
        row.join(part);
    }
    // The address that worked comes first the next time.
    let scenario = behind(Place::Api, black_hole.addresses(12), connect_timeout);
    let took = || {
        let began = Instant::now();
        Call::Read.make(&scenario.client).unwrap();
        began.elapsed()
    };
    let (first, second) = (took(), took());
    assert!(second < first, "P1: {first:?}, then {second:?}");
    row.note("connected in less than half of the connect timeout; the next time at once");
    row.finish();
}

/// A proxy that opens a tunnel only for this user agent.
fn demanding(user_agent: String) -> Arc<ThroughProxy> {
    let respond = move |seen: &Seen| {
        let head = seen.head.to_lowercase();
        let line = format!("\r\nuser-agent: {}\r\n", user_agent.to_lowercase());
        let response: &str = if head.contains(&line) {
            "HTTP/1.1 200 Connection established\r\n\r\n"
        } else {
            "HTTP/1.1 403 Forbidden\r\n\r\n"
        };
        response.into()
    };
    ThroughProxy::start_with(vec![Act::serve(respond)])
}

#[test]
fn p2_proxy_needs_a_user_agent() {
    let mut row = Row::new("P2", "a proxy refuses `CONNECT` without `User-Agent`");
    let own = concat!("autharmor-rust/", env!("CARGO_PKG_VERSION"));
    for suffix in [None, Some("door-daemon/2.1"), Some("tool/1 (Linux; x64)")] {
        let expected = suffix.map_or(own.to_owned(), |suffix| format!("{own} {suffix}"));
        for call in Call::ALL {
            let through = demanding(expected.clone());
            let mut builder = through.builder();
            if let Some(suffix) = suffix {
                builder = builder.user_agent_suffix(suffix);
            }
            let scenario = Scenario::new(builder.build().unwrap(), through);
            // Its token request goes through the proxy as well.
            row.check_call(&scenario, call, &served().tokens(1));
        }
    }
    row.note("it gets the API's value, with the suffix");
    row.finish();
}

#[test]
fn p3_proxy_refuses_the_password() {
    let mut row = Row::new("P3", "407 from the proxy");
    for response in [
        "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=\"x\"\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 407 No\r\n\r\n",
        "HTTP/1.0 407 No\r\ncontent-length: 2\r\n\r\nno",
    ] {
        for call in Call::ALL {
            let through = ThroughProxy::start();
            let client = through.builder().build().unwrap();
            call.make_with_time(&client).unwrap();
            through.set(vec![Act::Read, Act::write(response), Act::Close]);
            let proxy = through.clone();
            let make = move |client: &Client| {
                let before = proxy.connections();
                let result = call.make(client);
                assert_eq!(proxy.connections() - before, 1, "P3: attempts");
                assert!(!result.as_ref().unwrap_err().is_transient());
                result
            };
            let expect = fails(Proxy).caused_by(Cause::Other).unsent();
            let scenario = Scenario::new(client, through);
            row.check_other_call(&scenario, call == Call::Read, make, &expect);
        }
    }
    row.note("one attempt, not transient");
    row.finish();
}

/// A proxy of the environment, `http://proxy.test:3128`, and a client of
/// servers with names.
struct EnvironmentProxy {
    hosts: Arc<Hosts>,
    through: Arc<ThroughProxy>,
    client: Client,
}

const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://proxy.test:3128");

impl EnvironmentProxy {
    /// A client whose API has this host. The token endpoint needs no proxy.
    fn new(api: &str) -> Self {
        let hosts = Hosts::start(Scheme::Https);
        let through = ThroughProxy::start();
        let port = through.port();
        let client = hosts
            .builder_with_environment_proxy()
            .api_url(format!("https://{api}:{}", hosts.api.port()))
            .resolver(move |name, wanted| {
                let port = if name == "proxy.test" { port } else { wanted };
                Ok(vec![([127, 0, 0, 1], port).into()])
            })
            .build()
            .unwrap();
        Self {
            hosts,
            through,
            client,
        }
    }
}

#[test]
fn p4_forms_of_no_proxy() {
    const TEST: &str = "second_network::p4_forms_of_no_proxy";
    let mut row = Row::new("P4", "`NO_PROXY`: networks, dots, and what cannot be read");
    let dotted = format!("{API_NAME}.");
    for (api, no_proxy) in [
        (API_NAME, "test"),
        (API_NAME, ".test"),
        (API_NAME, "api.test."),
        (API_NAME, ".test."),
        (dotted.as_str(), "api.test"),
        (API_NAME, "other, api.test"),
        // This address leads to the own machine, but is none of its loopback
        // addresses, which are always exempt.
        ("0.0.0.0", "0.0.0.0/8"),
        ("0.0.0.0", "192.168.0.0/16,0.0.0.0/24"),
        ("0.0.0.0", "0.0.0.0"),
    ] {
        let part = format!("{api} exempt by {no_proxy:?}");
        row.check_in_child(TEST, &part, &[PROXY, ("NO_PROXY", no_proxy)], |row| {
            let made = EnvironmentProxy::new(api);
            let scenario = Scenario::new(made.client, made.hosts.clone());
            row.check_call(&scenario, Call::Read, &served().tokens(1));
            assert_eq!(made.through.connections(), 0, "P4: by the proxy");
        });
    }
    for (api, no_proxy) in [
        (API_NAME, ""),
        (API_NAME, "api.test:abc"),
        (API_NAME, "api.test:0x1bb"),
        (API_NAME, "foo *"),
        (API_NAME, "pi.test"),
        ("10.1.2.3", "10.0.0.0/33"),
        ("10.1.2.3", "10.1.2.4/31x"),
        ("10.1.2.3", "11.0.0.0/8"),
        ("10.1.2.3", "fd00::/8"),
    ] {
        let part = format!("{api} not exempt by {no_proxy:?}");
        row.check_in_child(TEST, &part, &[PROXY, ("NO_PROXY", no_proxy)], |row| {
            let made = EnvironmentProxy::new(api);
            let scenario = Scenario::new(made.client, made.through.clone());
            row.check_call(&scenario, Call::Read, &served());
            assert_eq!(made.hosts.api.server.connections(), 0, "P4: directly");
        });
    }
    // The same for IPv6. Nobody listens there, so only the way can be seen.
    for no_proxy in ["::/8", "fd00::/8,::/120", "::"] {
        let api = format!("[::]:{DEAD_PORT}");
        let case = format!("{api} exempt by {no_proxy:?}");
        row.check_in_child(TEST, &case, &[PROXY, ("NO_PROXY", no_proxy)], |row| {
            let through = ThroughProxy::start();
            let proxy_port = through.port();
            let client = Client::builder(ID, SECRET)
                .api_url(format!("https://{api}"))
                .login_url(format!("https://{api}"))
                .resolver(move |_, _| Ok(vec![([127, 0, 0, 1], proxy_port).into()]))
                .connect_timeout(SHORT)
                .timeout(LONG)
                .build()
                .unwrap();
            let error = Call::Read.make(&client).unwrap_err();
            assert!(matches!(error.kind(), Connect | Timeout), "{case}: {error}");
            assert_eq!(through.connections(), 0, "{case}");
            row.note("as curl and Go read them");
        });
    }
    row.note("what cannot be read exempts nothing");
    row.finish();
}

#[test]
fn p5_unusable_proxy_that_is_not_used() {
    const TEST: &str = "second_network::p5_unusable_proxy_that_is_not_used";
    const SOCKS: &str = "socks5h://proxy.example:1080";
    let mut row = Row::new("P5", "an unusable proxy variable that no host would use");
    let names = format!("{API_NAME},{LOGIN_NAME}");
    for (part, api, login, variables) in [
        ("loopback", None, None, vec![("HTTPS_PROXY", SOCKS)]),
        ("all", None, None, vec![("ALL_PROXY", SOCKS)]),
        (
            "star",
            Some(API_NAME),
            Some(LOGIN_NAME),
            vec![("ALL_PROXY", SOCKS), ("NO_PROXY", "*")],
        ),
        (
            "named",
            Some(API_NAME),
            Some(LOGIN_NAME),
            vec![("HTTPS_PROXY", SOCKS), ("NO_PROXY", &names)],
        ),
    ] {
        row.check_in_child(TEST, part, &variables, |row| {
            for call in Call::ALL {
                let hosts = Hosts::start(Scheme::Https);
                let mut builder = hosts
                    .builder_with_environment_proxy()
                    .resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]));
                if let Some(api) = api {
                    builder = builder.api_url(format!("https://{api}:{}", hosts.api.port()));
                }
                if let Some(login) = login {
                    let port = hosts.login.port();
                    builder = builder.login_url(format!("https://{login}:{port}"));
                }
                let scenario = Scenario::new(builder.build().unwrap(), hosts);
                row.check_call(&scenario, call, &served().tokens(1));
            }
        });
    }
    row.note("no error");
    row.finish();
}

#[test]
fn p6_proxy_password_that_is_not_encoded() {
    const TEST: &str = "second_network::p6_proxy_password_that_is_not_encoded";
    let mut row = Row::new("P6", "`#`, `/`, `?` or `\\` in the password of a proxy");
    for odd in ["#", "/", "?", "\\"] {
        let proxy = format!("http://user:{PASSWORD}{odd}x@proxy.example:3128");
        let build = || Client::builder(ID, SECRET).proxy(proxy.as_str()).build();
        row.check_refused_build(build, "percent");
        row.check_in_child(TEST, odd, &[("HTTPS_PROXY", &proxy)], |row| {
            row.check_refused_build(|| Client::new(ID, SECRET), "percent");
            row.check_refused_build(|| Client::new(ID, SECRET), "HTTPS_PROXY");
        });
    }
    row.note("the error says to percent-encode it");
    row.finish();
}

#[test]
fn p7_odd_responses_to_connect() {
    let mut row = Row::new("P7", "`CONNECT`: interim responses, bare LF, or no HTTP");
    for response in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        // RFC 9112, section 2.2.
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nx: y\r\n\n",
    ] {
        for call in Call::ALL {
            let through = ThroughProxy::start_with(vec![Act::Read, Act::write(response)]);
            let client = through.builder().build().unwrap();
            let scenario = Scenario::new(client, through);
            row.check_call(&scenario, call, &served().tokens(1));
        }
    }
    // The proxy goes on waiting; who waits with it runs into the timeout.
    for response in [
        "SSH-2.0-OpenSSH_9.6\r\n".to_owned(),
        "\0\0\0\0\0\0\0\0".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(200_000)),
    ] {
        for call in Call::ALL {
            let acts = vec![Act::Read, Act::write(&response), Act::Stall];
            let scenario = ThroughProxy::scenario(call, acts, LONG);
            row.check_call(&scenario, call, &fails(Proxy).unsent());
        }
    }
    row.note("interim responses are skipped, bare LF is read; what is no HTTP ends at once");
    row.finish();
}

type Set = fn(ClientBuilder) -> ClientBuilder;

#[test]
fn p8_no_threads() {
    const TEST: &str = "second_network::p8_no_threads";
    let mut row = Row::new("P8", "the system makes no more threads");
    // A stack of this size cannot be had; threads of the tests have their own.
    let variables = [("RUST_MIN_STACK", "70368744177664")];
    let sets: [(&str, Set); 3] = [
        ("resolver", |builder| builder),
        ("two addresses", |builder| {
            builder.resolver(|_, port| {
                let dead = ([127, 0, 0, 1], DEAD_PORT).into();
                Ok(vec![dead, ([127, 0, 0, 1], port).into()])
            })
        }),
        ("no preconnect", |builder| builder),
    ];
    for (part, set) in sets {
        row.check_in_child(TEST, part, &variables, |row| {
            assert!(thread::Builder::new().spawn(|| {}).is_err(), "P8: a thread");
            for call in Call::ALL {
                let hosts = Hosts::start(Scheme::Https);
                let builder = hosts
                    .builder()
                    .api_url(format!("https://{API_NAME}:{}", hosts.api.port()))
                    .login_url(format!("https://{LOGIN_NAME}:{}", hosts.login.port()))
                    .resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]));
                let client = set(builder).build().unwrap();
                let mut expect = served().tokens(1);
                if part == "no preconnect" {
                    let outcome = client.check_credentials().map(|()| Outcome::Served);
                    outcome.unwrap();
                    expect = served();
                }
                row.check_call(&Scenario::new(client, hosts), call, &expect);
            }
        });
    }
    row.note("the client does without");
    row.finish();
}
