//! [`Question`]: asks a person by a push notification.

use std::time::{Duration, Instant};

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::flow::{AuthenticatorStarted, Registration, SignIn, WaitPolicy};
use autharmor::registrations::StartAuthenticatorRegistration;
use autharmor::users::AuthMethodId;
use autharmor::{Client, Error, ErrorKind};
use nix::errno::Errno;
use uuid::Uuid;

use super::decision::{Cause, Outcome, Stage, outcome_of_error};
use super::message::Message;
use super::terminal::Screen;
use super::text::{MAX_NAME, printable};
use crate::failure::Failure;

/// The pauses between polls: a person waits in front of a terminal.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A question to a person.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// With the deadline.
    pub(crate) client: Client,
    pub(crate) deadline: Instant,
    pub(crate) user: String,
    pub(crate) message: Message,
    pub(crate) visual_verify: bool,
    pub(crate) screen: Screen,
}

/// What became of a question.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// For the log.
    pub(crate) detail: Option<String>,
    pub(crate) request_id: Option<Uuid>,
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            detail: None,
            request_id: None,
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let outcome = match failure {
            Failure::Config(_) => Outcome::Misconfigured,
            _ => Outcome::Broken,
        };
        Self::from(outcome).with_detail(failure.to_string())
    }
}

impl Answer {
    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn of_error(stage: Stage, error: &Error) -> Self {
        let outcome = outcome_of_error(stage, error.kind(), cause_of(error));
        Self::from(outcome).with_detail(error.to_string())
    }
}

impl Question {
    /// Sends a push notification, waits, and has the service verify the
    /// response.
    pub(crate) fn sign_in(&self) -> Answer {
        if self.visual_verify && self.screen == Screen::Off {
            // Whoever could switch the terminal off could switch the check off.
            let why = "visual_verify is on, and there is no terminal to show the number on";
            return Answer::from(Outcome::Broken).with_detail(why);
        }
        let request = StartAuthenticatorAuth::new()
            .user(self.user.as_str())
            .send_push(true)
            .use_visual_verify(self.visual_verify)
            .timeout_in_seconds(self.request_life())
            .action_name(self.message.action.as_str())
            .short_msg(self.message.text.as_str());
        let started = match self.client.begin_authenticator_sign_in(&request) {
            Ok(started) if started.push_message_sent => started,
            Ok(_) if self.has_no_app() => return Outcome::NoApp.into(),
            Ok(_) => return Answer::from(Outcome::Refused).with_detail("no push was sent"),
            Err(error) if self.says_unenrolled(&error) => {
                return Answer::from(Outcome::NoApp).with_detail(error.to_string());
            }
            Err(error) => return Answer::of_error(Stage::BeforeAsking, &error),
        };
        if self.visual_verify && started.visual_verify_value.is_none() {
            // Then the app does not ask for the number either.
            return Answer::from(Outcome::Refused).with_detail("the service has sent no number");
        }
        self.say_what_to_do(&started);
        let policy = WaitPolicy::new().poll_every(FIRST_PAUSE, LONGEST_PAUSE);
        let mut answer = match started.pending.wait(&self.client, &policy) {
            Ok(end) => self.answer_of(&end),
            Err(error) => Answer::of_error(Stage::AfterAsking, &error),
        };
        answer.request_id = Some(started.pending.auth_request_id());
        answer
    }

    /// Has the person enrol the app by a QR code, then asks as
    /// [`sign_in`](Self::sign_in) does: a registration shows less than a sign-in.
    pub(crate) fn enrol_and_sign_in(&self) -> Answer {
        match self.enrol() {
            Ok(()) => self.sign_in(),
            Err(why) => Answer::from(Outcome::NotEnrolled).with_detail(why),
        }
    }

    fn enrol(&self) -> Result<(), String> {
        let text = |error: Error| error.to_string();
        if self.screen == Screen::Off {
            return Err("there is no terminal to show the QR code on".to_owned());
        }
        let user = self.user.as_str();
        let started = match self.client.begin_authenticator_registration_for_user(user) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let request = StartAuthenticatorRegistration::new(user);
                self.client.begin_authenticator_registration(&request)
            }
            started => started,
        };
        let started = started.map_err(text)?;
        self.screen.say("Scan this with the Auth Armor app:");
        let code = started.qr_code_data.as_ref();
        if !code.is_some_and(|code| self.screen.draw(code)) {
            return Err("the QR code cannot be shown".to_owned());
        }
        let policy = WaitPolicy::new().poll_every(FIRST_PAUSE, LONGEST_PAUSE);
        match started.pending.wait(&self.client, &policy).map_err(text)? {
            Registration::Registered(_) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    fn say_what_to_do(&self, started: &AuthenticatorStarted) {
        if let (true, Some(value)) = (self.visual_verify, &started.visual_verify_value) {
            let value = printable(value, MAX_NAME);
            self.screen.say(&format!("Choose {value} in the app."));
        }
        let left = self.left().as_secs();
        let text = format!("Approve the login in the Auth Armor app, within {left} seconds.");
        self.screen.say(&text);
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Returns how long the phone shows the question, within the limits of the
    /// service.
    fn request_life(&self) -> u32 {
        u32::try_from(self.left().as_secs().clamp(15, 300)).unwrap_or(15)
    }

    /// Whether a refusal means that the user does not have the app.
    fn says_unenrolled(&self, error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Api) && self.has_no_app()
    }

    /// Asks the service whether the user lacks the app. Only an explicit
    /// response counts: a 404 of a wrong URL has no error code.
    pub(crate) fn app_of(&self) -> Result<bool, Error> {
        match self.client.get_user(self.user.as_str()) {
            Ok(details) => Ok(details.is_enrolled(AuthMethodId::Authenticator)),
            Err(error) if error.kind() == ErrorKind::NotFound && error.code().is_some() => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn answer_of(&self, end: &SignIn) -> Answer {
        match end {
            // The start response has said which id the name has. The flow has
            // compared the id.
            SignIn::SignedIn(user)
                if user
                    .username()
                    .is_some_and(|name| !name.eq_ignore_ascii_case(&self.user)) =>
            {
                Outcome::WrongUser.into()
            }
            SignIn::SignedIn(_) => Outcome::Approved.into(),
            SignIn::Declined => Outcome::Declined.into(),
            SignIn::TimedOut | SignIn::StillPending => Outcome::Silent.into(),
            SignIn::ValidatedTooLate => Outcome::TooLate.into(),
            SignIn::RefusedForSecurity => {
                Answer::from(Outcome::Refused).with_detail("for security reasons")
            }
            SignIn::FailedSignature => {
                Answer::from(Outcome::Refused).with_detail("wrong signature")
            }
            SignIn::ServiceUnavailable(outage) => {
                Answer::from(Outcome::Lost).with_detail(outage.last_error.to_string())
            }
            SignIn::Cancelled => Outcome::Interrupted.into(),
            _ => Outcome::Refused.into(),
        }
    }

    fn has_no_app(&self) -> bool {
        matches!(self.app_of(), Ok(false))
    }
}

/// Returns the failure of the system behind an error.
fn cause_of(error: &Error) -> Cause {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkDown, NetworkUnreachable};
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            let number = error.raw_os_error().map(Errno::from_raw);
            return match (number, error.kind()) {
                (Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS), _) => {
                    Cause::Shortage
                }
                (_, ConnectionRefused | HostUnreachable | NetworkDown | NetworkUnreachable) => {
                    Cause::NoConnection
                }
                _ => Cause::Other,
            };
        }
        source = error.source();
    }
    Cause::Other
}
