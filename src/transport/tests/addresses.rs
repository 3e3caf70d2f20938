//! Names to addresses, with a resolver of the test's own.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use super::super::addresses::Addresses;
use super::TransportErrorKind::{Dns, Timeout};
use super::*;

fn soon() -> Instant {
    Instant::now() + HASTY
}

fn later() -> Instant {
    Instant::now() + PATIENT
}

/// A resolver that knows one answer and counts how often it is asked.
fn counting(answer: &'static [&'static str]) -> (Addresses, Arc<AtomicUsize>, Arc<Mutex<Instant>>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let clock = Arc::new(Mutex::new(Instant::now()));
    let (count, time) = (asked.clone(), clock.clone());
    let addresses = Addresses::with(
        move |_, port| {
            count.fetch_add(1, SeqCst);
            let parse = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), port);
            Ok(answer.iter().map(parse).collect())
        },
        move || *time.lock().unwrap(),
    );
    (addresses, asked, clock)
}

#[test]
fn answers_keep_their_order_and_are_remembered_for_a_minute() {
    let (addresses, asked, clock) = counting(&["::1", "127.0.0.1", "::2"]);
    for seconds in [0, 30, 29] {
        *clock.lock().unwrap() += Duration::from_secs(seconds);
        let found = addresses.of("api.example", 443, later()).unwrap();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["[::1]:443", "127.0.0.1:443", "[::2]:443"]);
        assert_eq!(asked.load(SeqCst), 1);
    }
    *clock.lock().unwrap() += Duration::from_secs(1);
    addresses.of("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn what_did_not_work_is_forgotten() {
    let (addresses, asked, _) = counting(&["127.0.0.1"]);
    addresses.of("api.example", 443, later()).unwrap();
    addresses.forget("other.example", 443);
    addresses.forget("api.example", 80);
    addresses.of("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 1);
    addresses.forget("api.example", 443);
    addresses.of("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_refused_connection_makes_the_dialer_forget() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let dead = move |_: &str, _| {
        count.fetch_add(1, SeqCst);
        Ok(vec![
            ([127, 0, 0, 1], autharmor_test_support::scripted::DEAD_PORT).into(),
        ])
    };
    let transport = AgentTransport::with_addresses(
        settings(Roots::Bundled),
        Addresses::with(dead, Instant::now),
    )
    .unwrap();
    for _ in 0..2 {
        get(&transport, "https://api.example/").unwrap_err();
    }
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn addresses_need_no_look_up() {
    let (addresses, asked, _) = counting(&[]);
    for (host, address) in [("10.0.0.1", "10.0.0.1:443"), ("[::1]", "[::1]:443")] {
        let found = addresses.of(host, 443, soon()).unwrap();
        assert_eq!(found[..], [address.parse().unwrap()]);
    }
    assert_eq!(asked.load(SeqCst), 0);
}

#[test]
fn a_host_without_addresses_is_an_error() {
    let (addresses, ..) = counting(&[]);
    let error = addresses.of("api.example", 443, later()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_sent()), (Dns, false));
}

#[test]
fn failures_are_told_and_not_remembered() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let first_fails = move |_: &str, port| match count.fetch_add(1, SeqCst) {
        0 => Err(io::Error::other("no such name")),
        _ => Ok(vec![([127, 0, 0, 1], port).into()]),
    };
    let addresses = Addresses::with(first_fails, Instant::now);
    let error = addresses.of("api.example", 443, later()).unwrap_err();
    assert_eq!((error.kind(), error.may_have_been_sent()), (Dns, false));
    assert_eq!(error.source().unwrap().to_string(), "no such name");
    addresses.of("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 2);
}

#[test]
fn a_dead_resolver_is_left_behind_and_not_asked_again_meanwhile() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let addresses = Addresses::with(
        move |_, port| {
            count.fetch_add(1, SeqCst);
            released.lock().unwrap().recv().unwrap();
            Ok(vec![([127, 0, 0, 1], port).into()])
        },
        Instant::now,
    );
    for _ in 0..3 {
        let error = addresses.of("api.example", 443, soon()).unwrap_err();
        assert_eq!((error.kind(), error.may_have_been_sent()), (Timeout, false));
    }
    assert_eq!(asked.load(SeqCst), 1);
    release.send(()).unwrap();
    addresses.of("api.example", 443, later()).unwrap();
    assert_eq!(asked.load(SeqCst), 1);
}

#[test]
fn a_crowd_asks_once() {
    const CROWD: usize = 8;
    let (addresses, asked, _) = counting(&["127.0.0.1"]);
    let start = Barrier::new(CROWD);
    thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                start.wait();
                addresses.of("api.example", 443, later()).unwrap();
            });
        }
    });
    assert_eq!(asked.load(SeqCst), 1);
}

#[test]
fn the_machine_knows_itself() {
    let found = Addresses::new(None).of("localhost", 443, later()).unwrap();
    assert!(found.iter().all(|address| address.ip().is_loopback()));
}
