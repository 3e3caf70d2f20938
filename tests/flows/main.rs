//! Every sign-in and registration from begin to complete, against the emulator,
//! under both versions, with every outcome.

mod authenticator;
mod browser;
mod far_future;
mod faults;
#[cfg(unix)]
mod interrupted;
#[cfg(not(unix))]
mod interrupted {
    autharmor_test_support::ignored_tests! {
        "there are no signals on this platform":
        a_signal_ends_a_waiting_program_within_a_second_while_the_service_hangs
    }
}
mod magiclink;
mod page_json;
mod pages;
mod process;
mod proof;
mod registration;
mod scenario;
mod webauthn;
