//! An emulator with one user.

use autharmor::emulator::Emulator;

/// Starts an emulator with the user `ada@example.com`.
pub fn emulator() -> Emulator {
    Emulator::builder().user("ada@example.com").start().unwrap()
}

/// Returns how many token requests the emulator has received.
pub fn token_requests(emulator: &Emulator) -> usize {
    let requests = emulator.requests();
    let for_tokens = requests.iter().filter(|r| r.endpoint() == Some("token"));
    for_tokens.count()
}
