//! K: many threads, panics, and transports that call back.

use std::sync::{Arc, OnceLock};
use std::thread;

use super::fake::{Answer, Fake, healthy, tokens};
use super::harness::{Call, Row, World, served};
use super::timed;
use super::wire::{Hosts, Over};
use crate::testing::{Gate, seconds};
use crate::{Client, ErrorKind, HttpRequest, Limits};

fn serving(_: usize, request: &HttpRequest, _: Limits) -> Answer {
    healthy(request)
}

#[test]
fn k1_a_crowd_on_a_cold_client() {
    let mut row = Row::new("K1", "64 threads, no token yet");
    for call in Call::ALL {
        let (world, _) = timed(Fake::new(tokens, serving));
        row.endure_crowd(&world, call, 64, &served().requests(64, 64).tokens(1));
    }
    row.note("one token");
    row.done();
}

#[test]
fn k3_a_panic_while_fetching() {
    let mut row = Row::new("K3", "the transport panics while it fetches a token");
    for call in Call::ALL {
        let (world, _) = timed(Fake::new(
            |number, request, limits| {
                assert!(number > 0, "planted");
                tokens(number, request, limits)
            },
            serving,
        ));
        let client = world.client.clone();
        assert!(thread::spawn(move || call.make(&client)).join().is_err());
        row.endure(&world, call, &served().tokens(1));
    }
    row.note("the next call works");
    row.done();
}

#[test]
fn k4_a_slow_renewal() {
    let mut row = Row::new("K4", "the early renewal is slow");
    for call in Call::ALL {
        let served_others = Gate::default();
        let others = served_others.clone();
        let (world, clock) = timed(Fake::new(
            move |number, request, limits| {
                if number == 1 {
                    // Whoever waited for this would make it wait for ever.
                    others.wait_for(1 + 7);
                }
                tokens(number, request, limits)
            },
            move |_, request, _| {
                served_others.count();
                healthy(request)
            },
        ));
        call.make(&world.client).unwrap();
        clock.advance(seconds(570));
        row.endure_crowd(&world, call, 8, &served().requests(8, 8).tokens(1));
    }
    row.note("only who renews waits");
    row.done();
}

#[test]
fn k6_a_transport_that_calls_back() {
    let mut row = Row::new("K6", "a custom transport calls the client it belongs to");
    for call in Call::ALL {
        let client = Arc::new(OnceLock::<Client>::new());
        let inner = client.clone();
        let (world, _) = timed(Fake::new(
            move |number, request, limits| {
                if number == 0 {
                    let error = call.make(inner.get().unwrap()).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Config);
                }
                tokens(number, request, limits)
            },
            serving,
        ));
        client.set(world.client.clone()).unwrap();
        row.endure(&world, call, &served().tokens(1));
    }
    // While it has a token, a call within a call is one more call.
    let client = Arc::new(OnceLock::<Client>::new());
    let inner = client.clone();
    let (world, _) = timed(Fake::new(tokens, move |number, request, _| {
        if number == 0 {
            Call::Read.make(inner.get().unwrap()).unwrap();
        }
        healthy(request)
    }));
    client.set(world.client.clone()).unwrap();
    row.endure(&world, Call::Read, &served().requests(2, 0).tokens(1));
    row.note("no deadlock: the inner call fails while a token is fetched");
    row.done();
}

#[test]
fn k7_clones() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Client>();

    let mut row = Row::new("K7", "clones");
    for call in Call::ALL {
        let hosts = Hosts::start(Over::Tls);
        let world = World {
            client: hosts.builder().build().unwrap(),
            side: Box::new(hosts.clone()),
            clock: None,
        };
        row.endure(&world, call, &served().tokens(1));
        for _ in 0..4 {
            call.make(&world.client.clone()).unwrap();
        }
        assert_eq!(hosts.login.server.connections(), 1);
        assert_eq!(hosts.login.server.requests().len(), 1);
        assert_eq!(hosts.api.server.connections(), 1);
    }
    row.note("they share token and connections; `Send + Sync`");
    row.done();
}

#[test]
fn k8_dropped_while_others_run() {
    let mut row = Row::new("K8", "a client is dropped while its clones call");
    for call in Call::ALL {
        let (inside, dropped) = (Gate::default(), Gate::default());
        let (is_inside, is_dropped) = (inside.clone(), dropped.clone());
        let (world, _) = timed(Fake::new(tokens, move |_, request, _| {
            is_inside.count();
            is_dropped.wait_for(1);
            healthy(request)
        }));
        let original = world.client.clone();
        let dropping = thread::spawn(move || {
            inside.wait_for(8);
            drop(original);
            dropped.count();
        });
        row.endure_crowd(&world, call, 8, &served().requests(8, 8).tokens(1));
        dropping.join().unwrap();
    }
    row.done();
}
