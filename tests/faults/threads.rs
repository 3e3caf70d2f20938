//! K: many threads, panics, and transports that call back.

use std::sync::{Arc, OnceLock};
use std::thread;

use autharmor::{Client, ErrorKind};
use autharmor_test_support::Gate;

use super::calls::{Call, seconds};
use super::expect::served;
use super::fake_service::{FakeService, healthy, serving, tokens, with_clock};
use super::harness::{Row, Scenario};
use super::scripted_service::{Hosts, Scheme};

#[test]
fn k1_64_threads_without_a_token() {
    let mut row = Row::new("K1", "64 threads, no token yet");
    for call in Call::ALL {
        let (scenario, _) = with_clock(FakeService::new(tokens, serving));
        row.check_threads(&scenario, call, 64, &served().requests(64, 64).tokens(1));
    }
    row.note("one token request");
    row.finish();
}

#[test]
fn k3_panic_during_token_fetch() {
    let mut row = Row::new("K3", "the transport panics during a token fetch");
    for call in Call::ALL {
        let (scenario, _) = with_clock(FakeService::new(
            |number, request, limits| {
                assert!(number > 0, "planted");
                tokens(number, request, limits)
            },
            serving,
        ));
        let client = scenario.client.clone();
        assert!(thread::spawn(move || call.make(&client)).join().is_err());
        row.check_call(&scenario, call, &served().tokens(1));
    }
    row.note("the next call works");
    row.finish();
}

#[test]
fn k4_slow_renewal() {
    let mut row = Row::new("K4", "an early renewal is slow");
    for call in Call::ALL {
        let served_others = Gate::default();
        let others = served_others.clone();
        let (scenario, clock) = with_clock(FakeService::new(
            move |number, request, limits| {
                if number == 1 {
                    // A thread that waited for this fetch would block it.
                    others.wait_for(1 + 7);
                }
                tokens(number, request, limits)
            },
            move |_, request, _| {
                served_others.count();
                healthy(request)
            },
        ));
        call.make(&scenario.client).unwrap();
        clock.advance(seconds(570));
        row.check_threads(&scenario, call, 8, &served().requests(8, 8).tokens(1));
    }
    row.note("only the thread that renews waits");
    row.finish();
}

#[test]
fn k6_transport_calls_its_own_client() {
    let mut row = Row::new("K6", "a custom transport calls its own client");
    for call in Call::ALL {
        let client = Arc::new(OnceLock::<Client>::new());
        let inner = client.clone();
        let (scenario, _) = with_clock(FakeService::new(
            move |number, request, limits| {
                if number == 0 {
                    let error = call.make(inner.get().unwrap()).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Config);
                }
                tokens(number, request, limits)
            },
            serving,
        ));
        client.set(scenario.client.clone()).unwrap();
        row.check_call(&scenario, call, &served().tokens(1));
    }
    // With a token in the cache, the inner call is one more call.
    let client = Arc::new(OnceLock::<Client>::new());
    let inner = client.clone();
    let (scenario, _) = with_clock(FakeService::new(tokens, move |number, request, _| {
        if number == 0 {
            Call::Read.make(inner.get().unwrap()).unwrap();
        }
        healthy(request)
    }));
    client.set(scenario.client.clone()).unwrap();
    row.check_call(&scenario, Call::Read, &served().requests(2, 0).tokens(1));
    row.note("no deadlock: the inner call fails during a token fetch");
    row.finish();
}

#[test]
fn k7_clones() {
    fn check<T: Send + Sync + Clone + 'static>() {}
    check::<Client>();

    let mut row = Row::new("K7", "clones");
    for call in Call::ALL {
        let hosts = Hosts::start(Scheme::Https);
        let scenario = Scenario {
            client: hosts.builder().build().unwrap(),
            service: Box::new(hosts.clone()),
            clock: None,
        };
        row.check_call(&scenario, call, &served().tokens(1));
        for _ in 0..4 {
            call.make(&scenario.client.clone()).unwrap();
        }
        assert_eq!(hosts.login.server.connections(), 1);
        assert_eq!(hosts.login.server.requests().len(), 1);
        assert_eq!(hosts.api.server.connections(), 1);
    }
    row.note("they share token and connections; `Send + Sync`");
    row.finish();
}

#[test]
fn k8_client_dropped_during_calls() {
    let mut row = Row::new("K8", "a client is dropped while its clones call");
    for call in Call::ALL {
        let (inside, dropped) = (Gate::default(), Gate::default());
        let (is_inside, is_dropped) = (inside.clone(), dropped.clone());
        let (scenario, _) = with_clock(FakeService::new(tokens, move |_, request, _| {
            is_inside.count();
            is_dropped.wait_for(1);
            healthy(request)
        }));
        let original = scenario.client.clone();
        let dropping = thread::spawn(move || {
            inside.wait_for(8);
            drop(original);
            dropped.count();
        });
        row.check_threads(&scenario, call, 8, &served().requests(8, 8).tokens(1));
        dropping.join().unwrap();
    }
    row.finish();
}
