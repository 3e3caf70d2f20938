//! `autharmor approve --check`: everything but the push notification.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use autharmor::{Error, ErrorKind};
use nix::unistd::{User, geteuid};

use super::ask::Answer;
use super::decision::{Stage, Verdict, decide};
use super::person::Person;
use super::plan::Plan;
use super::settings::{Failmode, LogTo, Unenrolled};
use super::text::{MAX_NAME, printable};
use super::{Options, log};
use crate::config::Trust;

/// Prints one line for each step. Returns the exit status of the first failure.
pub(crate) fn run(options: &Options) -> ExitCode {
    match steps(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(answer) => {
            let decision = decide(answer.outcome, Failmode::Secure, Unenrolled::Deny);
            let detail = printable(&answer.detail.unwrap_or_default(), 4 * MAX_NAME);
            line("FAILED", format!("{}: {detail}", decision.reason));
            match decision.verdict {
                Verdict::Refuse(status) => ExitCode::from(status),
                Verdict::Admit | Verdict::Enrol => ExitCode::FAILURE,
            }
        }
    }
}

fn steps(options: &Options) -> Result<(), Answer> {
    let uid = geteuid();
    let account = User::from_uid(uid).ok().flatten();
    let name = account.map_or("no account".to_owned(), |account| account.name);
    line("runs as", format!("uid {uid} ({name})"));
    line(
        "environment",
        match options.trust() {
            Trust::Caller => "is read",
            Trust::Nobody => "is ignored",
        },
    );
    let origin = options.origin()?;
    let plan = Plan::make(options, &origin)?;
    let file = plan.file.as_ref().map(|file| file.display().to_string());
    line("configuration", file.as_deref().unwrap_or("no file"));
    line("failmode", format!("{:?}", plan.failmode).to_lowercase());
    line("deadline", format!("{} seconds", plan.deadline.as_secs()));
    let log = match plan.log_to {
        LogTo::Stderr => "standard error".to_owned(),
        LogTo::Syslog => match log::connect() {
            Ok(_) => "syslog, authpriv".to_owned(),
            Err(error) => format!("NOWHERE: {error}"),
        },
    };
    line("log", log);
    line("message", &plan.message.text);
    let login = printable(&origin.login, MAX_NAME);
    let user = match &plan.person {
        Person::Exempt => {
            line("login", format!("{login} is exempt: nobody is asked"));
            None
        }
        Person::NoUser => {
            line("login", format!("{login} has no user of Auth Armor"));
            None
        }
        Person::User(user) => {
            line("login", format!("{login} is {}", printable(user, MAX_NAME)));
            Some(user)
        }
    };
    let question = plan.question(
        user.map_or("", String::as_str),
        Instant::now(),
        options.screen(),
    );
    let refused = |error: Error| Answer::of_error(Stage::BeforeAsking, &error);
    question.client.check_credentials().map_err(refused)?;
    line("credentials", "accepted");
    if user.is_some() {
        let app = match (question.app_of(), plan.unenrolled) {
            (Ok(true), _) => "enrolled",
            (Ok(false), Unenrolled::Deny) => "not enrolled: this login is refused",
            (Ok(false), Unenrolled::Allow) => "not enrolled: this login is let in",
            (Ok(false), Unenrolled::Enrol) => "not enrolled: this login enrols first",
            (Err(error), _) if error.kind() == ErrorKind::UsernameInUrl => {
                "unknown: API v4 reads users by name only with the name in the URL"
            }
            (Err(error), _) => return Err(refused(error)),
        };
        line("app", app);
    }
    line("push", "not sent");
    Ok(())
}

fn line(name: &str, value: impl Display) {
    let _ = writeln!(io::stdout(), "{name:14} {value}");
}
