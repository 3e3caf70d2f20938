//! The program `autharmor`: administers users, approves logins, emulates the
//! service.
//!
//! One file for each subcommand. `config.rs` reads the settings, `failure.rs`
//! decides the exit status.

#![forbid(unsafe_code)]

mod approve;
mod config;
mod emulator;
mod failure;
mod files;
mod proof;

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
    Emulator(emulator::Options),
    Proof(proof::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result: Result<(), Failure> = match &cli.command {
        Command::Emulator(options) => emulator::run(options),
        Command::Proof(options) => proof::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("autharmor: {failure}");
            failure.exit_code()
        }
    }
}
