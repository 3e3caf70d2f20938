//! Logs each decision, to syslog or to standard error.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process;

use syslog::{Facility, Formatter3164, Logger, LoggerBackend};
use uuid::Uuid;

use super::decision::{Decision, Outcome, Verdict};
use super::origin::Origin;
use super::settings::LogTo;
use super::text::{MAX_NAME, printable};

/// What is logged.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) decision: Decision,
    /// `None` if it could not be found out.
    pub(crate) origin: Option<&'a Origin>,
    /// The Auth Armor user.
    pub(crate) user: Option<&'a str>,
    pub(crate) request_id: Option<Uuid>,
    /// The error, or the signal.
    pub(crate) detail: Option<&'a str>,
}

impl Record<'_> {
    /// Returns one line. All values of others are escaped.
    fn line(&self) -> String {
        let verdict = match self.decision.verdict {
            Verdict::Admit => "let in",
            Verdict::Enrol => "enrols",
            Verdict::Refuse(_) => "refused",
        };
        let mut line = format!("{verdict}: {}", self.decision.reason);
        let origin = self.origin;
        let id = self.request_id.map(|id| id.to_string());
        for (name, value) in [
            ("login", origin.map(|origin| origin.login.as_str())),
            ("user", self.user),
            ("service", origin.and_then(|it| it.service.as_deref())),
            ("from", origin.and_then(|it| it.remote_host.as_deref())),
            ("tty", origin.and_then(|it| it.tty.as_deref())),
            ("request", id.as_deref()),
            ("detail", self.detail),
        ] {
            if let Some(value) = value {
                // Nobody can forge a field with a quote in a name.
                let limit = if name == "detail" {
                    4 * MAX_NAME
                } else {
                    MAX_NAME
                };
                let value = printable(value, limit).replace('"', "\\u{22}");
                let _ = write!(line, " {name}=\"{value}\"");
            }
        }
        line
    }

    fn write(&self, logger: &mut Logger<LoggerBackend, Formatter3164>) -> syslog::Result<()> {
        let line = self.line();
        match (self.decision.verdict, self.outcome) {
            (Verdict::Admit, Outcome::Approved | Outcome::Exempt) => logger.info(line),
            (Verdict::Admit, Outcome::Unreachable) => logger.alert(line),
            (Verdict::Admit, _) => logger.warning(line),
            (Verdict::Refuse(_), Outcome::Misconfigured | Outcome::Broken) => logger.err(line),
            (Verdict::Enrol | Verdict::Refuse(_), _) => logger.notice(line),
        }
    }
}

/// Logs a decision. A log that does not work changes no decision.
pub(crate) fn log(to: LogTo, record: &Record<'_>) {
    match to {
        LogTo::Stderr => {
            let _ = writeln!(io::stderr(), "autharmor: {}", record.line());
        }
        LogTo::Syslog => {
            let _ = connect().and_then(|mut logger| record.write(&mut logger));
        }
    }
}

/// Connects to the syslog of this machine.
pub(crate) fn connect() -> syslog::Result<Logger<LoggerBackend, Formatter3164>> {
    syslog::unix(Formatter3164 {
        facility: Facility::LOG_AUTHPRIV,
        hostname: None,
        process: "autharmor".to_owned(),
        pid: process::id(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approve::decision::decide;
    use crate::approve::settings::{Failmode, Unenrolled};

    #[test]
    fn a_line_says_who_from_where_and_why() {
        let origin = Origin {
            login: "ada".to_owned(),
            service: Some("sshd".to_owned()),
            remote_host: Some("203.0.113.7".to_owned()),
            tty: Some("ssh".to_owned()),
        };
        let record = Record {
            outcome: Outcome::Unreachable,
            decision: decide(Outcome::Unreachable, Failmode::Safe, Unenrolled::Deny),
            origin: Some(&origin),
            user: Some("ada@example.com"),
            request_id: Some(Uuid::from_u128(7)),
            detail: Some("token: no connection"),
        };
        assert_eq!(
            record.line(),
            "let in: service not reachable, and failmode is safe login=\"ada\" \
             user=\"ada@example.com\" service=\"sshd\" from=\"203.0.113.7\" tty=\"ssh\" \
             request=\"00000000-0000-0000-0000-000000000007\" detail=\"token: no connection\""
        );
    }

    #[test]
    fn nobody_can_forge_a_line_or_a_field() {
        let origin = Origin {
            login: "ada\" request=\"1\nNov 25 sshd[1]: let in".to_owned(),
            remote_host: Some("\u{1b}[2J\u{202e}".to_owned()),
            ..Origin::default()
        };
        let record = Record {
            outcome: Outcome::Declined,
            decision: decide(Outcome::Declined, Failmode::Safe, Unenrolled::Allow),
            origin: Some(&origin),
            user: None,
            request_id: None,
            detail: None,
        };
        assert_eq!(
            record.line(),
            "refused: declined login=\"ada\\u{22} request=\\u{22}1\\u{a}Nov 25 sshd[1]: let in\" \
             from=\"\\u{1b}[2J\\u{202e}\""
        );
    }
}
