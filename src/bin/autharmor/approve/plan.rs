//! [`Plan`]: everything that is known before anybody is asked.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use autharmor::Client;

use super::Options;
use super::ask::Question;
use super::message::{Message, message};
use super::origin::Origin;
use super::person::{Person, person_of};
use super::rights;
use super::settings::{ApproveFile, Failmode, LogTo, Unenrolled};
use super::terminal::Screen;
use crate::config::{Settings, Trust};
use crate::failure::Failure;

/// The time for everything. sshd's `LoginGraceTime` is 120 seconds by default.
const DEADLINE: u64 = 60;
/// The service does not keep a request longer.
const MAX_DEADLINE: u64 = 300;

/// Everything that is known before anybody is asked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) person: Person,
    pub(crate) message: Message,
    pub(crate) failmode: Failmode,
    pub(crate) unenrolled: Unenrolled,
    pub(crate) visual_verify: bool,
    pub(crate) deadline: Duration,
    pub(crate) log_to: LogTo,
    pub(crate) sftp_server: Option<PathBuf>,
    /// The configuration file that was read.
    pub(crate) file: Option<PathBuf>,
    pub(crate) client: Client,
}

impl Plan {
    /// Reads the settings and applies them to a login. Asks nobody.
    pub(crate) fn make(options: &Options, origin: &Origin) -> Result<Self, Failure> {
        let settings = Settings::load(&options.config, options.trust())?;
        let file = &settings.approve;
        Ok(Self {
            person: person_of(&origin.login, file)?,
            message: message(origin, file)?,
            failmode: options.failmode.unwrap_or(file.failmode),
            unenrolled: file.unenrolled,
            visual_verify: file.visual_verify,
            deadline: file.deadline()?,
            log_to: options.log_to(file.log),
            sftp_server: file.sftp_server.clone(),
            client: settings.client()?,
            file: settings.file,
        })
    }

    /// Returns the question for a user, to be answered in time.
    pub(crate) fn question(&self, user: &str, began: Instant, screen: Screen) -> Question {
        let deadline = began + self.deadline;
        Question {
            client: self.client.with_deadline(deadline),
            deadline,
            user: user.to_owned(),
            message: self.message.clone(),
            visual_verify: self.visual_verify,
            screen,
        }
    }
}

impl ApproveFile {
    fn deadline(&self) -> Result<Duration, Failure> {
        let deadline = self.deadline.unwrap_or(DEADLINE);
        if !(5..=MAX_DEADLINE).contains(&deadline) {
            let why = format!("approve.deadline is not between 5 and {MAX_DEADLINE} seconds");
            return Err(Failure::Config(why));
        }
        Ok(Duration::from_secs(deadline))
    }

    /// Checks the settings with a login that nobody has, and returns the
    /// deadline.
    pub(crate) fn check(&self) -> Result<Duration, Failure> {
        let origin = Origin::by_hand("somebody".to_owned())?;
        person_of(&origin.login, self)?;
        message(&origin, self)?;
        self.deadline()
    }
}

impl Options {
    /// Whether the program decides about others than its caller. Then nothing
    /// of the environment counts but what PAM or sshd sets.
    pub(super) fn trust(&self) -> Trust {
        if self.pam || self.exec || rights::has_more_than_caller() {
            Trust::Nobody
        } else {
            Trust::Caller
        }
    }

    pub(super) fn log_to(&self, in_file: Option<LogTo>) -> LogTo {
        let by_default = match self.trust() {
            Trust::Nobody => LogTo::Syslog,
            Trust::Caller => LogTo::Stderr,
        };
        self.log.or(in_file).unwrap_or(by_default)
    }

    pub(super) fn screen(&self) -> Screen {
        if self.pam {
            Screen::Pam
        } else {
            Screen::of_terminal()
        }
    }

    pub(super) fn origin(&self) -> Result<Origin, Failure> {
        match &self.user {
            given if self.pam => Origin::of_pam(given.as_deref()),
            Some(user) => Origin::by_hand(user.clone()),
            None if self.exec => Origin::of_ssh(rights::caller()?.name),
            None => Origin::by_hand(rights::caller()?.name),
        }
    }
}
