//! The program `autharmor`, as a real process against the embedded emulator.
#![cfg(all(feature = "cli", unix))]

mod approve;
mod approve_setup;
mod checking;
mod disable;
mod doctor;
mod enrol;
mod failures;
mod harness;
mod help;
mod lists;
mod probe;
mod proof;
