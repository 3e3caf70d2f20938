//! `autharmor approve` with real PAM, real sshd and pseudo-terminals, and
//! `autharmor emulator` with curl.
//!
//! A test is ignored if a program or a right that it needs is missing.

#[cfg(target_os = "linux")]
mod emulator;
#[cfg(target_os = "linux")]
mod pam;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
#[path = "../cli/approve_setup.rs"]
mod setup;
#[cfg(target_os = "linux")]
mod sshd;
#[cfg(target_os = "linux")]
mod stacks;
#[cfg(target_os = "linux")]
mod terminal;

use libtest_mimic::{Arguments, Trial};

#[cfg(target_os = "linux")]
fn trials() -> Vec<Trial> {
    let all = [
        pam::trials(),
        stacks::trials(),
        sshd::trials(),
        terminal::trials(),
        emulator::trials(),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(not(target_os = "linux"))]
fn trials() -> Vec<Trial> {
    vec![Trial::test("linux_only", || Ok(())).with_ignored_flag(true)]
}

fn main() {
    libtest_mimic::run(&Arguments::from_args(), trials()).exit();
}
