//! The program `autharmor`: administers users, approves logins, emulates the
//! service.
//!
//! One file for each subcommand. `config.rs` reads the settings, `failure.rs`
//! decides the exit status.

#![forbid(unsafe_code)]

mod approve;
mod config;
mod doctor;
mod emulator;
mod failure;
mod files;
mod link;
mod probe;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

/// Signs people in with Auth Armor, and administers who can
///
/// An unofficial client of the Auth Armor service.
#[derive(Parser)]
#[command(name = "autharmor", version, max_term_width = 80)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Doctor(doctor::Options),
    Emulator(emulator::Options),
    Probe(probe::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result: Result<(), Failure> = match &cli.command {
        Command::Doctor(options) => doctor::run(options),
        Command::Emulator(options) => emulator::run(options),
        Command::Probe(options) => probe::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("autharmor: {failure}");
            failure.exit_code()
        }
    }
}
