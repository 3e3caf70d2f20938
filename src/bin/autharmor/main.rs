//! The program `autharmor`: administers users, approves logins, emulates the
//! service.
//!
//! One file for each subcommand. `config.rs` reads the settings, `failure.rs`
//! decides the exit status.

#![forbid(unsafe_code)]

#[cfg_attr(not(unix), path = "approve/settings.rs")]
mod approve;
mod config;
mod emulator;
mod failure;
mod files;

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
    #[cfg(unix)]
    Approve(approve::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(unix)]
    if approve::has_more_than_caller() && !matches!(cli.command, Command::Approve(_)) {
        eprintln!("autharmor: with more rights than its caller it does nothing but approve");
        return ExitCode::from(2);
    }
    let result: Result<(), Failure> = match &cli.command {
        Command::Emulator(options) => emulator::run(options),
        #[cfg(unix)]
        Command::Approve(options) => return approve::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("autharmor: {failure}");
            failure.exit_code()
        }
    }
}
