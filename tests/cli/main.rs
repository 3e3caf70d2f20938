//! Tests of the program `autharmor`, each a real process.

#[cfg(unix)]
mod checking;
#[cfg(unix)]
mod doctor;
#[cfg(unix)]
mod probe;
