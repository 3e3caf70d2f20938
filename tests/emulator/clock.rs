//! Clients that use the emulator's clock.

use std::{thread, time::Duration};

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::{Emulator, Fault};
use autharmor::flow::{SignIn, WaitPolicy};
use autharmor_test_support::emulator::wait_for_call;

const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// The numbers of token requests and of other requests.
fn requests(emulator: &Emulator) -> (usize, usize) {
    let requests = emulator.requests();
    let tokens = requests
        .iter()
        .filter(|request| request.endpoint() == Some("token"))
        .count();
    (tokens, requests.len() - tokens)
}

#[test]
fn a_client_replaces_its_token_when_the_clock_is_advanced() {
    for standing in [false, true] {
        let mut builder = Emulator::builder().user("ada");
        if standing {
            builder = builder.clock_at(1_600_000_000);
        }
        let emulator = builder.start().unwrap();
        let client = emulator.client_builder().build().unwrap();
        for calls in 1..=5 {
            client.get_user("ada").unwrap();
            // Not one call was made with an expired token.
            assert_eq!(requests(&emulator), (calls, calls));
            emulator.advance(TOKEN_LIFE);
        }
    }
}

#[test]
fn a_small_advance_costs_no_token() {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    for _ in 0..5 {
        client.get_user("ada").unwrap();
        emulator.advance(Duration::from_secs(60));
    }
    assert_eq!(requests(&emulator), (1, 5));
}

#[test]
fn a_call_succeeds_while_the_clock_is_advanced() {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    client.get_user("ada").unwrap();
    let latency = Fault::latency(Duration::from_millis(200)).times(1);
    emulator.fault(latency.on("start_authenticator_auth"));
    let request = StartAuthenticatorAuth::new().user("ada");
    thread::scope(|scope| {
        let call = scope.spawn(|| client.start_authenticator_auth(&request));
        wait_for_call(&emulator, "start_authenticator_auth");
        // Longer than the life of the token and the time limit of the call.
        emulator.advance(Duration::from_secs(24 * 60 * 60));
        call.join().unwrap().unwrap();
    });
    // The token expired on the way: the call was refused and repeated once.
    assert_eq!(requests(&emulator), (2, 3));
    assert_eq!(emulator.pending_requests().len(), 1);
}

#[test]
fn waiting_ends_with_the_time_out_of_the_sign_in() {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    let request = StartAuthenticatorAuth::new()
        .user("ada")
        .timeout_in_seconds(300);
    let started = client.begin_authenticator_sign_in(&request).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| started.pending.wait(&client, &WaitPolicy::new()));
        wait_for_call(&emulator, "get_auth_info");
        emulator.advance(Duration::from_secs(301));
        assert!(matches!(waiting.join().unwrap().unwrap(), SignIn::TimedOut));
    });
}
