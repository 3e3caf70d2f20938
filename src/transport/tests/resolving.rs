//! The look-up of host names, with resolvers of the tests' own.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use super::super::resolver::Resolver;
use super::super::threads::tests::NONE_LEFT;
use super::TransportErrorKind::{Dns, Timeout};
use super::*;
use crate::clock::ManualClock;
use autharmor_test_support::scripted::{Act, DEAD_PORT, OK, Server};

fn soon() -> Instant {
    Instant::now() + HASTY
}

fn later() -> Instant {
    Instant::now() + PATIENT
}

fn resolver(
    resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
) -> Resolver {
    Resolver::new(Some(Arc::new(resolve)), Arc::new(SystemClock))
}

/// A resolver that finds these addresses, the number of its look-ups, and the
/// clock of its cache.
fn counting(found: &'static [&'static str]) -> (Resolver, Arc<AtomicUsize>, Arc<ManualClock>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let clock = Arc::new(ManualClock::new());
    let count = asked.clone();
    let resolve = move |_: &str, port| {
        count.fetch_add(1, SeqCst);
        let parse = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), port);
        Ok(found.iter().map(parse).collect())
    };
    let resolver = Resolver::new(Some(Arc::new(resolve)), clock.clone());
    (resolver, asked, clock)
}

#[test]
fn addresses_keep_their_order_and_are_cached_for_a_minute() {
    let (resolver, asked, clock) = counting(&["::1", "127.0.0.1", "::2"]);
    for seconds in [0, 30, 29] {
        clock.advance(Duration::from_secs(seconds));
        let found = resolver.addresses("api.example", 443, later()).unwrap();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[::1]:443", "127.0.0.1:443", "[::2]:443"]);
        assert_eq!(asked.load(SeqCst), 1);
    }
    clock.advance(Duration::from_secs(1));
    resolver.addresses("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_forgotten_host_is_looked_up_again() {
    let (resolver, asked, _) = counting(&["127.0.0.1"]);
    resolver.addresses("api.example", 443, later()).unwrap();
    resolver.forget("other.example", 443);
    resolver.forget("api.example", 80);
    resolver.addresses("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 1);
    resolver.forget("api.example", 443);
    resolver.addresses("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_refused_connection_drops_the_cached_addresses() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let dead = move |_: &str, _| {
        count.fetch_add(1, SeqCst);
        Ok(vec![([127, 0, 0, 1], DEAD_PORT).into()])
    };
    let transport = with_settings(TransportSettings {
        resolver: Some(Arc::new(dead)),
        ..settings(Roots::Bundled)
    });
    for _ in 0..2 {
        get(&transport, "https://api.example/").unwrap_err();
    }
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn an_ip_address_needs_no_look_up() {
    let (resolver, asked, _) = counting(&[]);
    for (host, address) in [("10.0.0.1", "10.0.0.1:443"), ("[::1]", "[::1]:443")] {
        let found = resolver.addresses(host, 443, soon()).unwrap();
        assert_eq!(found[..], [address.parse().unwrap()]);
    }
    assert_eq!(asked.load(SeqCst), 0);
}

#[test]
fn a_host_without_addresses_is_an_error() {
    let (resolver, ..) = counting(&[]);
    let error = resolver.addresses("api.example", 443, later()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_sent()), (Dns, false));
}

#[test]
fn failures_are_returned_and_not_cached() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let first_fails = move |_: &str, port| match count.fetch_add(1, SeqCst) {
        0 => Err(io::Error::other("no such name")),
        _ => Ok(vec![([127, 0, 0, 1], port).into()]),
    };
    let resolver = resolver(first_fails);
    let error = resolver.addresses("api.example", 443, later()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_sent()), (Dns, false));
    assert_eq!(error.source().unwrap().to_string(), "no such name");
    resolver.addresses("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_stuck_look_up_is_left_behind_and_shared() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let resolver = resolver(move |_, port| {
        count.fetch_add(1, SeqCst);
        released.lock().unwrap().recv().unwrap();
        Ok(vec![([127, 0, 0, 1], port).into()])
    });
    for _ in 0..3 {
        let error = resolver.addresses("api.example", 443, soon()).unwrap_err();
        assert_eq!((error.kind(), error.may_have_been_sent()), (Timeout, false));
    }
    assert_eq!(asked.load(SeqCst), 1);
    release.send(()).unwrap();
    resolver.addresses("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 1);
}

#[test]
fn many_threads_share_one_look_up() {
    const THREADS: usize = 8;
    let (resolver, asked, _) = counting(&["127.0.0.1"]);
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                resolver.addresses("api.example", 443, later()).unwrap();
            });
        }
    });
    assert_eq!(asked.load(SeqCst), 1);
}

#[test]
fn the_system_resolver_finds_localhost() {
    let resolver = Resolver::new(None, Arc::new(SystemClock));
    let found = resolver.addresses("localhost", 443, later()).unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn the_families_alternate_and_what_worked_comes_first() {
    let (resolver, ..) = counting(&["::1", "::2", "127.0.0.1"]);
    let found = |host| {
        let found = resolver.addresses(host, 443, later()).unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        found("api.example"),
        ["[::1]:443", "127.0.0.1:443", "[::2]:443"]
    );
    resolver.prefer("api.example", 443, "[::2]:443".parse().unwrap());
    let with_preferred = ["[::2]:443", "[::1]:443", "127.0.0.1:443"];
    assert_eq!(found("api.example"), with_preferred);
    resolver.forget("api.example", 443);
    assert_eq!(found("api.example"), with_preferred);
    assert_eq!(found("login.example")[0], "[::1]:443");
}

#[test]
fn without_a_thread_the_look_up_runs_in_the_calling_one() {
    let (resolver, asked, _) = counting(&["127.0.0.1"]);
    NONE_LEFT.set(true);
    for _ in 0..2 {
        let found = resolver.addresses("api.example", 443, later()).unwrap();
        assert_eq!(found, ["127.0.0.1:443".parse().unwrap()]);
    }
    NONE_LEFT.set(false);
    assert_eq!(asked.load(SeqCst), 1);
}

#[test]
fn without_a_thread_a_request_is_served() {
    let ca = Ca::new();
    let server = Server::start(vec![vec![
        Act::Tls(ca.localhost()),
        Act::Read,
        Act::write(OK),
    ]]);
    let transport = with_settings(TransportSettings {
        preconnect: Some("https://api.example/".parse().unwrap()),
        resolver: Some(Arc::new(|_: &str, port| {
            let dead = ([127, 0, 0, 1], DEAD_PORT).into();
            Ok(vec![dead, ([127, 0, 0, 1], port).into()])
        })),
        ..settings(Roots::Only(vec![ca.pem()]))
    });
    NONE_LEFT.set(true);
    let result = get(&transport, &server.https("/"));
    NONE_LEFT.set(false);
    result.unwrap();
}

#[test]
fn a_resolver_that_panics_fails_the_look_up_and_not_the_next() {
    let asked = AtomicUsize::new(0);
    let resolver = resolver(move |_, port| {
        assert!(asked.fetch_add(1, SeqCst) > 0, "planted");
        Ok(vec![([127, 0, 0, 1], port).into()])
    });
    let error = resolver.addresses("api.example", 443, later()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_sent()), (Dns, false));
    resolver.addresses("api.example", 443, later()).unwrap();
}
