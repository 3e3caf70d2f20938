//! A signal ends a program that waits for a user, while the service hangs.

use std::env;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autharmor::Client;
use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::{Emulator, Fault};
use autharmor::flow::{PendingAuthenticator, SignIn, WaitPolicy};
use autharmor_test_support::emulator::wait_for_call;
use autharmor_test_support::programs::this_program;

/// Set for the other process alone: the URL of the emulator, the certificate of
/// its authority, the client's secret, and the pending state.
const URL: &str = "AUTHARMOR_TEST_INTERRUPTED_URL";
const CA: &str = "AUTHARMOR_TEST_INTERRUPTED_CA";
const SECRET: &str = "AUTHARMOR_TEST_INTERRUPTED_SECRET";
const STATE: &str = "AUTHARMOR_TEST_INTERRUPTED_STATE";

/// The program that waits.
#[test]
#[ignore = "no test: another test runs it in another process"]
fn the_waiting_program() {
    let Ok(url) = env::var(URL) else { return };
    let variable = |name| env::var(name).unwrap();
    let client = Client::builder(variable("AUTHARMOR_CLIENT_ID"), variable(SECRET))
        .api_url(&url)
        .login_url(&url)
        .only_root_certificates(variable(CA))
        .no_proxy()
        .build()
        .unwrap();
    let pending: PendingAuthenticator = serde_json::from_str(&variable(STATE)).unwrap();

    let cancelled = Arc::new(AtomicBool::new(false));
    let signalled_at = Arc::new(Mutex::new(None));
    let (flag, time) = (Arc::clone(&cancelled), Arc::clone(&signalled_at));
    ctrlc::set_handler(move || {
        *time.lock().unwrap() = Some(Instant::now());
        flag.store(true, Ordering::Relaxed);
    })
    .unwrap();
    let policy = WaitPolicy::new().cancel_flag(&cancelled);
    let end = pending.wait(&client, &policy);
    let ended_at = Instant::now();
    assert!(matches!(end, Ok(SignIn::Cancelled)), "{end:?}");
    let signalled_at = signalled_at.lock().unwrap().unwrap();
    // The harness may have left its own line open.
    println!("\nmilliseconds={}", (ended_at - signalled_at).as_millis());
}

#[test]
fn a_signal_ends_a_waiting_program_within_a_second_while_the_service_hangs() {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    let request = StartAuthenticatorAuth::new().user("ada");
    let started = client.begin_authenticator_sign_in(&request).unwrap();
    let hang = Fault::latency(Duration::from_secs(60));
    emulator.fault(hang.on("get_auth_info"));

    let mut program = this_program()
        .args([
            "interrupted::the_waiting_program",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(URL, emulator.api_url())
        .env(CA, emulator.ca_pem())
        .env("AUTHARMOR_CLIENT_ID", emulator.client_id())
        .env(SECRET, emulator.client_secret())
        .env(STATE, serde_json::to_string(&started.pending).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_call(&emulator, "get_auth_info");
    let sent = Command::new("kill")
        .args(["-INT", &program.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    let status = program.wait().unwrap();
    let mut output = String::new();
    program.stdout.unwrap().read_to_string(&mut output).unwrap();
    assert!(status.success(), "{output}");
    let milliseconds = output
        .lines()
        .find_map(|line| line.strip_prefix("milliseconds="));
    let milliseconds: u64 = milliseconds.expect(&output).parse().unwrap();
    assert!(milliseconds < 1000, "{milliseconds}");
}
