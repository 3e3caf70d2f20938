//! An emulator with one user, and how often it was asked for a token.

use autharmor::emulator::Emulator;

pub(crate) fn emulator() -> Emulator {
    Emulator::builder().user("ada@example.com").start().unwrap()
}

pub(crate) fn token_requests(emulator: &Emulator) -> usize {
    let requests = emulator.requests();
    let for_tokens = requests.iter().filter(|r| r.endpoint() == Some("token"));
    for_tokens.count()
}
