//! The program `autharmor`, as a real process against the embedded emulator.
#![cfg(feature = "cli")]

mod disable;
mod emulator;
mod enrol;
mod failures;
mod harness;
mod help;
mod lists;
