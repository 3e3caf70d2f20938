//! The program `autharmor`: administers users, approves logins, emulates the
//! service.
//!
//! One file for each subcommand. `config.rs` reads the settings, `output.rs`
//! prints lists, `failure.rs` decides the exit status.

#![forbid(unsafe_code)]
#![expect(
    clippy::doc_markdown,
    reason = "doc comments are the help, which would show the backticks"
)]

#[cfg(unix)]
mod approve;
/// Only the settings, so that a configuration file can be shared.
#[cfg(not(unix))]
mod approve {
    mod settings;
    pub(crate) use self::settings::*;
}
mod completions;
mod config;
mod credentials;
mod doctor;
mod emulator;
mod enrol;
mod failure;
mod files;
mod invite;
mod link;
mod output;
mod probe;
mod proof;
mod signals;
mod users;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::failure::Failure;

/// Configuration and exit status, in the help of the program.
const HELP: &str = "\
Configuration:
  Options come first, then environment variables, then the configuration file:
  --config, or else autharmor/config.toml in $XDG_CONFIG_HOME or ~/.config, or
  else /etc/autharmor/config.toml. Only its owner may be able to write it.

    client_id = \"my-client-id\"
    client_secret_file = \"secret\"    # only its owner may be able to read it

  Optional keys, with examples:

    client_secret_credential = \"autharmor\"   # of systemd, in place of the file
    token_file = \"/var/cache/autharmor/token\"    # keeps the access token
    timeout = 30                      # seconds that a call may take
    proxy = \"http://proxy.example:3128\"
    ca_file = \"ca.pem\"               # trusts only these certificates
    api_url = \"https://api.autharmor.com\"
    login_url = \"https://login.autharmor.com\"
    api_version = \"v3\"               # or v4
    username_in_query = false         # v4 puts usernames into URLs
    non_ascii_usernames = false
    registration_redirect_url = \"https://example.com/welcome\"    # for invite

  Paths are relative to the folder of the file. Environment variables:

    AUTHARMOR_CLIENT_ID
    AUTHARMOR_CLIENT_SECRET or AUTHARMOR_CLIENT_SECRET_FILE
    AUTHARMOR_API_URL, AUTHARMOR_LOGIN_URL, AUTHARMOR_CA_FILE
    HTTPS_PROXY, ALL_PROXY, NO_PROXY

Exit status:
  0  success
  1  it did not work, or the login is not approved
  2  the command line does not make sense
  3  the configuration is missing or wrong, or a file cannot be trusted
  4  the service could not be reached

Try it without an account:
  autharmor emulator --user ada@example.com";

/// What this platform lacks, in the help of the program.
#[cfg(unix)]
const LEFT_OUT: &str = "";
#[cfg(not(unix))]
const LEFT_OUT: &str = "\
Left out on this platform:
  approve, with PAM and syslog; of doctor, the checks of approve, of sshd and of
  the right to write the token file. The rights of files are not checked: keep
  them in a folder that only you can use. Two runs of `credentials disable` with
  one --done-file are not kept apart. Ctrl-C ends the program at once.

";

#[cfg_attr(
    unix,
    doc = "Administers Auth Armor users, approves logins, emulates the service"
)]
#[cfg_attr(not(unix), doc = "Administers Auth Armor users, emulates the service")]
///
/// An unofficial program for Auth Armor, which signs people in without passwords: with
/// push notifications, passkeys and magic links.
#[derive(Parser)]
#[command(name = "autharmor", version, max_term_width = 80, after_long_help = format!("{LEFT_OUT}{HELP}"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Doctor(doctor::Options),
    #[command(subcommand)]
    Users(users::Users),
    #[command(subcommand)]
    Credentials(credentials::Credentials),
    Enrol(enrol::Options),
    Invite(invite::Options),
    Probe(probe::Options),
    Emulator(emulator::Options),
    #[cfg(unix)]
    Approve(approve::Options),
    Completions(completions::Completions),
    Man(completions::ManPage),
    Proof(proof::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(unix)]
    if approve::has_more_than_caller() && !matches!(cli.command, Command::Approve(_)) {
        eprintln!("autharmor: with more rights than its caller it does nothing but approve");
        return ExitCode::from(2);
    }
    let result: Result<(), Failure> = match &cli.command {
        Command::Doctor(options) => doctor::run(options),
        Command::Users(command) => users::run(command),
        Command::Credentials(command) => credentials::run(command),
        Command::Enrol(options) => enrol::run(options),
        Command::Invite(options) => invite::run(options),
        Command::Probe(options) => probe::run(options),
        Command::Emulator(options) => emulator::run(options),
        #[cfg(unix)]
        Command::Approve(options) => return approve::run(options),
        Command::Completions(options) => completions::completions(options, Cli::command()),
        Command::Man(options) => completions::man(options, Cli::command()),
        Command::Proof(options) => proof::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::ClosedPipe) {
                output::report(&format!("autharmor: {failure}"));
            }
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_says_what_this_platform_lacks() {
        let mut program = Cli::command();
        let has_approve = program.find_subcommand("approve").is_some();
        let help = program.render_long_help().to_string();
        assert_eq!(help.contains("Left out on this platform"), !has_approve);
        assert_eq!(help.contains("approves logins"), has_approve);
        assert_eq!(has_approve, cfg!(unix));
    }
}
