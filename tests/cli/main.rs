//! The program `autharmor` as a process, against the emulator.

#[cfg(unix)]
mod approve;
#[cfg(unix)]
mod approve_setup;
