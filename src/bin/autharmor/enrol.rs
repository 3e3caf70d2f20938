//! `autharmor enrol`: registers a user's phone.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use autharmor::flow::{RegisteredUser, Registration, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;
use autharmor::{ApiVersion, UserKey};
use clap::{Args, value_parser};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use uuid::Uuid;

use crate::config::{ConfigArgs, Settings, Trust};
use crate::failure::Failure;
use crate::output::{print_line, printable, report};
use crate::signals;
use crate::users::user_key;

/// Registers a phone: shows a QR code and waits until it is scanned
///
/// Makes a new user, or with --existing adds a phone to a user. The person scans
/// the code with the Auth Armor app. Show it to nobody else: whoever scans it can
/// sign in as the user. Exits with status 0 once the phone is registered.
#[derive(Args)]
#[command(after_help = "\
Examples:
  autharmor enrol ada@example.com
  autharmor enrol ada@example.com --existing --wait 300
  autharmor enrol ada@example.com --link")]
pub(crate) struct Options {
    /// Name of the new user; with --existing, username or id
    user: String,

    /// Adds a phone to a user who exists
    #[arg(long)]
    existing: bool,

    /// Seconds that the person may take [default: as long as the code is valid]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=86_400))]
    wait: Option<u32>,

    /// Prints the link in place of the QR code, to open it on the phone
    #[arg(long)]
    link: bool,

    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let settings = Settings::load(&options.config, Trust::Caller)?;
    let mut builder = settings.builder()?;
    if settings.api_version.is_none() {
        // v4 validates the registration of a phone; v3 does not.
        builder = builder.api_version(ApiVersion::V4);
    }
    let client = builder.build()?;
    let started = if options.existing {
        let user = existing(&settings, &options.user)?;
        client.begin_authenticator_registration_for_user(user)?
    } else {
        let mut request = StartAuthenticatorRegistration::new(&options.user);
        if let Some(seconds) = options.wait {
            request = request.timeout_in_seconds(seconds);
        }
        client.begin_authenticator_registration(&request)?
    };
    let code = started
        .qr_code_data
        .ok_or_else(|| Failure::Failed("the response of the service has no QR code".to_owned()))?;
    if options.link {
        print_line(&printable(code.expose()))?;
    } else {
        print_line(&qr_code(code.expose(), io::stdout().is_terminal())?)?;
    }
    report("Scan this with the Auth Armor app. Waiting; Ctrl-C ends it.");

    let interrupted = signals::interrupted()?;
    let mut policy = WaitPolicy::new().cancel_flag(&interrupted);
    if let Some(seconds) = options.wait {
        policy = policy.timeout(Duration::from_secs(seconds.into()));
    }
    registered(&started.pending.wait(&client, &policy)?)
}

/// Returns the user's id. It is looked up with the version of the settings: v4
/// would have the name in the URL.
fn existing(settings: &Settings, user: &str) -> Result<Uuid, Failure> {
    match user_key(user) {
        Ok(UserKey::Id(id)) => Ok(id),
        Ok(name) => Ok(settings.client()?.get_user(name)?.user_id),
    }
}

/// Prints the user, or returns why nobody is registered.
pub(crate) fn registered(registration: &Registration) -> Result<(), Failure> {
    let why = match registration {
        Registration::Registered(user) => return print_user(user),
        Registration::Declined => "declined",
        Registration::TimedOut | Registration::StillPending => "nobody responded in time",
        Registration::ValidatedTooLate => "the validation came too late",
        Registration::RefusedForSecurity => "the service refused for security reasons",
        Registration::FailedSignature => "the signature of the device is wrong",
        Registration::Cancelled => "interrupted",
        Registration::ServiceUnavailable(outage) => {
            let error = &outage.last_error;
            return Err(Failure::Unreachable(format!("not registered: {error:#}")));
        }
        _ => "the service gives an unknown reason",
    };
    Err(Failure::Failed(format!("not registered: {why}")))
}

fn print_user(user: &RegisteredUser) -> Result<(), Failure> {
    let name = printable(user.username().unwrap_or("-"));
    print_line(&format!("registered     {name}"))?;
    print_line(&format!("user_id        {}", user.user_id()))?;
    if let Some(id) = user.credential_id() {
        print_line(&format!("credential_id  {}", printable(id.as_str())))?;
    }
    Ok(())
}

/// Returns the lines of a QR code.
fn qr_code(data: &str, is_terminal: bool) -> Result<String, Failure> {
    // The lowest level of correction, so that it fits small terminals.
    let code = QrCode::with_error_correction_level(data, EcLevel::L)
        .map_err(|error| Failure::Failed(format!("cannot make a QR code: {error}")))?;
    let lines = code.render::<Dense1x2>().build();
    if !is_terminal {
        return Ok(lines);
    }
    // Black on white, whatever the terminal's colours are.
    let lines = lines
        .lines()
        .map(|line| format!("\x1b[30;107m{line}\x1b[0m"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_has_colours_on_a_terminal_only() {
        let data = "https://app.example/invite?code=".repeat(4);
        let plain = qr_code(&data, false).unwrap();
        assert!(!plain.contains('\x1b'));
        // A quiet zone of four modules at each side; two modules are one line.
        let width = plain.lines().next().unwrap().chars().count();
        assert_eq!(plain.lines().count(), width.div_ceil(2));
        assert!(width <= 60, "{width}");
        let coloured = qr_code(&data, true).unwrap();
        for line in coloured.lines() {
            assert!(line.starts_with("\x1b[30;107m") && line.ends_with("\x1b[0m"));
        }
        assert!(qr_code(&"x".repeat(4000), false).is_err());
    }
}
