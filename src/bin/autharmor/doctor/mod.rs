//! `autharmor doctor`: checks everything that a call needs, one by one.

mod certificate;
mod checks;
mod network;
mod report;
mod service;
#[cfg(unix)]
mod sshd;

#[cfg(unix)]
use std::path::PathBuf;
use std::time::{Duration, Instant};

use autharmor::Client;
use clap::Args;

use self::report::{Finding, Report};
use crate::config::{ConfigArgs, Settings};
use crate::failure::Failure;
use crate::link::{Link, Place, Route};

/// The time limit of one check.
const CHECK_LIMIT: Duration = Duration::from_secs(10);

/// Checks the configuration and the way to the service
///
/// Prints one line for each check, and what to do about a failure: settings and
/// where each comes from, token store, proxy, name resolution, TLS and its
/// certificates, clock, credentials, one read,
#[cfg_attr(
    unix,
    doc = "the settings of `autharmor approve`, and whether sshd waits long enough for it."
)]
#[cfg_attr(
    not(unix),
    doc = "but not sshd: there is no `autharmor approve` on this platform."
)]
/// A check that needs another one which failed is skipped.
///
/// Nothing is changed, at the service or on this machine. The output has no
/// secrets and no names of people: you can attach it to a bug report. It does
/// name hosts.
#[derive(Args)]
#[command(after_long_help = "\
Exit status:
  0  all checks passed, perhaps with warnings
  1  a check failed for another reason, such as a certificate or the clock
  2  the command line is wrong
  3  a setting or a file is wrong, or the credentials are refused
  4  the service cannot be reached
  If several checks failed, the first one counts.

Examples:
  autharmor doctor
      Checks what the other commands would use.
  autharmor doctor --config /etc/autharmor/config.toml
      Checks the configuration of the machine.
  autharmor doctor --json | jq -r 'select(.verdict == \"fail\") | .check'
      Prints the names of the checks that failed.")]
pub(crate) struct Options {
    /// Prints one JSON object a line, with check, verdict, seen and advice
    ///
    /// `verdict` is ok, warn, fail or skipped. `advice` is missing if there is
    /// nothing to do.
    #[arg(long)]
    json: bool,

    /// Seconds that all checks together may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    deadline: u64,

    /// Configuration of sshd, for its `LoginGraceTime`
    ///
    /// A login ends after that time, so `autharmor approve` must be faster.
    #[cfg(unix)]
    #[arg(long, value_name = "FILE", default_value = "/etc/ssh/sshd_config")]
    sshd_config: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,
}

/// What the checks have found out so far.
struct Doctor<'a> {
    options: &'a Options,
    deadline: Instant,
    settings: Option<Settings>,
    /// The ways to the API and to the token endpoint; one if they are the same.
    routes: Vec<Route>,
    /// Hosts that cannot be connected to.
    unreachable: Vec<Place>,
    /// Open connections.
    links: Vec<Link>,
    /// A client whose credentials are good.
    client: Option<Client>,
}

impl Doctor<'_> {
    /// When the check that runs now must have ended.
    fn limit(&self) -> Instant {
        (Instant::now() + CHECK_LIMIT).min(self.deadline)
    }

    fn can_reach(&self, route: &Route) -> bool {
        let first_hop = route.first_hop();
        !self
            .unreachable
            .iter()
            .any(|it| it == first_hop || *it == route.place)
    }
}

/// Runs all checks. Fails if one of them fails.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut report = Report::new(options.json);
    let now = Instant::now();
    let total = Duration::from_secs(options.deadline);
    let mut doctor = Doctor {
        options,
        deadline: now.checked_add(total).unwrap_or(now + CHECK_LIMIT),
        settings: None,
        routes: Vec::new(),
        unreachable: Vec::new(),
        links: Vec::new(),
        client: None,
    };
    for finding in checks::configuration(&mut doctor) {
        report.add(finding);
    }
    for (name, check) in checks::CHECKS {
        let findings = if doctor.settings.is_none() {
            vec![Finding::skipped(name, "the configuration is wrong")]
        } else if Instant::now() >= doctor.deadline {
            vec![Finding::fail(
                name,
                Failure::Unreachable,
                "no time left",
                "See which check was slow, or raise --deadline.",
            )]
        } else {
            check(&mut doctor)
        };
        for finding in findings {
            report.add(finding);
        }
    }
    report.end()
}
