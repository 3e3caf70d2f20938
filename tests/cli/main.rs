//! The program `autharmor` as a process, against the emulator.

#[cfg(unix)]
mod approve;
#[cfg(unix)]
mod checking;
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod probe;
