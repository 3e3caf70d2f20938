//! An emulator with one user.

use std::{
    thread,
    time::{Duration, Instant},
};

use autharmor::emulator::Emulator;

/// Starts an emulator with the user `ada@example.com`.
pub fn emulator() -> Emulator {
    Emulator::builder().user("ada@example.com").start().unwrap()
}

/// Waits until the emulator has received a call of an endpoint, whether it has
/// responded or not. Panics after 30 seconds.
pub fn wait_for_call(emulator: &Emulator, endpoint: &str) {
    let began = Instant::now();
    let received = || {
        let requests = emulator.requests();
        requests.iter().any(|r| r.endpoint() == Some(endpoint))
    };
    while !received() {
        assert!(began.elapsed() < Duration::from_secs(30), "no {endpoint}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns how many token requests the emulator has received.
pub fn token_requests(emulator: &Emulator) -> usize {
    let requests = emulator.requests();
    let for_tokens = requests.iter().filter(|r| r.endpoint() == Some("token"));
    for_tokens.count()
}
