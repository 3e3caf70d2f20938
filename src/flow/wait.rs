//! Waiting for a user: [`WaitPolicy`], and polling within a deadline.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{self, AuthRequestStatus, ResultCode};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::registrations::{self, RegistrationStatus};
use crate::user_key::UserKey;
use crate::users::{self, AuthMethodId, EnrolledAuthMethod};

/// The life of a request, in seconds, if neither the response nor the request
/// says it: the longest time that a sign-in may have.
const DEFAULT_LIFE: u64 = 300;
/// The longest life that is taken from a response, in seconds.
const MAX_LIFE: i64 = 60 * 60;
/// The pauses before the first polls, in milliseconds.
const FIRST_PAUSES: [u64; 4] = [1000, 1500, 2250, 3375];
/// The pause before every later poll.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause between two calls of a progress callback.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// The time that the last poll may take beyond the deadline.
const GRACE_PERIOD: Duration = Duration::from_secs(5);

/// Settings for waiting for a user.
///
/// Polls begin 1 second after the start and become rarer, up to one every 5
/// seconds. Each pause is shortened at random by up to half. The last poll is
/// sent when the time is over. It may take up to 5 seconds more.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// use autharmor::flow::WaitPolicy;
///
/// let policy = WaitPolicy::new()
///     .timeout(Duration::from_secs(60))
///     .on_progress(|progress| {
///         eprint!("\r{} s left", progress.remaining.as_secs());
///         ControlFlow::Continue(())
///     });
/// ```
#[derive(Default)]
#[must_use]
pub struct WaitPolicy<'a> {
    timeout: Option<Duration>,
    on_progress: Option<Box<OnProgress<'a>>>,
}

type OnProgress<'a> = dyn Fn(&WaitProgress) -> ControlFlow<()> + 'a;

impl<'a> WaitPolicy<'a> {
    /// Waits as long as the request lives, or 300 seconds if that is not known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for this time, whatever the life of the request is.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls this about ten times a second while waiting, to show progress.
    /// [`ControlFlow::Break`] ends the waiting.
    pub fn on_progress(mut self, callback: impl Fn(&WaitProgress) -> ControlFlow<()> + 'a) -> Self {
        self.on_progress = Some(Box::new(callback));
        self
    }
}

impl fmt::Debug for WaitPolicy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitPolicy")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The progress of a wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitProgress {
    /// The time since the waiting began.
    pub elapsed: Duration,
    /// The time until it ends.
    pub remaining: Duration,
    /// The number of polls so far.
    pub polls: u32,
    /// The error of the last poll, if it failed.
    pub last_error: Option<Error>,
}

/// The end of a wait for a sign-in. **None of these is a sign-in**: only the
/// validate call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthWait {
    /// The user has approved, and the service waits for the validate call.
    ReadyToValidate,
    /// The request is over: nothing can be validated any more. The code is the
    /// reason, if the service gives one.
    Ended(Option<ResultCode>),
    /// The time is over, and the user has not responded. The same request can
    /// be waited for again.
    StillPending,
    /// The progress callback ended the waiting.
    GivenUp,
}

/// The end of a wait for a registration by phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationWait {
    /// The user has enrolled the phone. Under v4 the service waits for the
    /// validate call.
    Enrolled,
    /// The registration is over and has failed.
    Ended(RegistrationStatus),
    /// The time is over, and the user has not enrolled the phone.
    StillPending,
    /// The progress callback ended the waiting.
    GivenUp,
}

/// The registration to wait for, and how to tell it from others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegistrationWatch(Watch);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Watch {
    Registration(Uuid),
    User {
        user: UserKey,
        before: Vec<EnrolledAuthMethod>,
    },
}

impl RegistrationWatch {
    /// Under v4: watches the registration of this id. Polls
    /// `GET /v4/users/registrations/{registration_id}`.
    #[must_use]
    pub fn registration(registration_id: Uuid) -> Self {
        Self(Watch::Registration(registration_id))
    }

    /// Under v3: watches the user's methods and compares them with the present
    /// ones. **Call it before the registration is started**, so that an old
    /// enrolment does not count. A user who does not exist yet has no methods.
    /// An enrolment that leaves the list as it was, such as the same phone's
    /// after `reset_and_reinvite`, is not seen.
    ///
    /// Calls `GET /v3/users/{user_id}` and fails as [`Client::get_user`] does,
    /// except for a 404.
    pub fn user(client: &Client, user: impl Into<UserKey>) -> Result<Self, Error> {
        let user = user.into();
        let before = match client.get_user(&user) {
            Ok(details) => details.enrolled_auth_methods,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self(Watch::User { user, before }))
    }
}

impl Client {
    /// Polls `GET /auth/{auth_request_id}` until the request is no longer
    /// pending approval or the time is over.
    ///
    /// 429, 5xx and broken connections do not end the waiting. Any other
    /// failure (403, 404, a response that cannot be decoded) ends it with its
    /// error. An unknown status counts as pending.
    ///
    /// ```no_run
    /// use autharmor::flow::{AuthWait, WaitPolicy};
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    /// match client.wait_for_auth(auth_request_id, &WaitPolicy::new())? {
    ///     AuthWait::ReadyToValidate => println!("now validate"),
    ///     other => println!("not approved: {other:?}"),
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn wait_for_auth(
        &self,
        auth_request_id: Uuid,
        policy: &WaitPolicy<'_>,
    ) -> Result<AuthWait, Error> {
        self.wait_for_auth_within(auth_request_id, DEFAULT_LIFE, policy)
    }

    /// `life` is in seconds.
    pub(super) fn wait_for_auth_within(
        &self,
        auth_request_id: Uuid,
        life: u64,
        policy: &WaitPolicy<'_>,
    ) -> Result<AuthWait, Error> {
        let waited = wait(self, policy, life, |timeout| {
            poll_auth(self, auth_request_id, timeout)
        })?;
        Ok(match waited {
            Waited::Ended(end) => end,
            Waited::TimeOver => AuthWait::StillPending,
            Waited::GivenUp => AuthWait::GivenUp,
        })
    }

    /// Polls until the user has enrolled a phone, the registration has failed,
    /// or the time is over.
    ///
    /// Failures are treated as in [`wait_for_auth`](Self::wait_for_auth). For
    /// a watched user, a 404 counts as pending.
    ///
    /// ```no_run
    /// use autharmor::flow::{RegistrationWatch, WaitPolicy};
    /// use autharmor::registrations::StartAuthenticatorRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let watch = RegistrationWatch::user(&client, "ada")?;
    /// client.start_authenticator_registration(&StartAuthenticatorRegistration::new("ada"))?;
    /// let end = client.wait_for_registration(&watch, &WaitPolicy::new())?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn wait_for_registration(
        &self,
        watch: &RegistrationWatch,
        policy: &WaitPolicy<'_>,
    ) -> Result<RegistrationWait, Error> {
        self.wait_for_registration_within(watch, DEFAULT_LIFE, policy)
    }

    /// `life` is in seconds.
    pub(super) fn wait_for_registration_within(
        &self,
        watch: &RegistrationWatch,
        life: u64,
        policy: &WaitPolicy<'_>,
    ) -> Result<RegistrationWait, Error> {
        let waited = wait(self, policy, life, |timeout| {
            poll_registration(self, watch, timeout)
        })?;
        Ok(match waited {
            Waited::Ended(end) => end,
            Waited::TimeOver => RegistrationWait::StillPending,
            Waited::GivenUp => RegistrationWait::GivenUp,
        })
    }
}

/// Returns how long a request lives, in seconds: as the response says, or as
/// the request asked.
pub(super) fn request_life(response: Option<i64>, request: Option<u32>) -> u64 {
    response
        .filter(|seconds| (0..=MAX_LIFE).contains(seconds))
        .and_then(|seconds| u64::try_from(seconds).ok())
        .or(request.map(u64::from))
        .unwrap_or(DEFAULT_LIFE)
}

/// Polls a sign-in once. `None` means that it is pending.
fn poll_auth(client: &Client, id: Uuid, timeout: Duration) -> Result<Option<AuthWait>, Error> {
    let request = auth::get_auth_info(id).without_retries().timeout(timeout);
    let info = client.send(&request)?;
    Ok(match info.auth_request_status_id {
        Some(AuthRequestStatus::PendingValidation) => Some(AuthWait::ReadyToValidate),
        Some(AuthRequestStatus::Completed) => {
            let code = info.auth_response.and_then(|response| response.result_code);
            Some(AuthWait::Ended(code))
        }
        _ => None,
    })
}

/// Polls a registration once. `None` means that it is pending.
fn poll_registration(
    client: &Client,
    watch: &RegistrationWatch,
    timeout: Duration,
) -> Result<Option<RegistrationWait>, Error> {
    match &watch.0 {
        Watch::Registration(id) => {
            let request = registrations::get_registration_info(*id);
            let info = client.send(&request.without_retries().timeout(timeout))?;
            Ok(info.registration_status_code.and_then(registration_end))
        }
        Watch::User { user, before } => {
            let request = users::get_user(user);
            match client.send(&request.without_retries().timeout(timeout)) {
                Ok(details) => {
                    let is_enrolled = has_new(&details.enrolled_auth_methods, before);
                    Ok(is_enrolled.then_some(RegistrationWait::Enrolled))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        }
    }
}

fn registration_end(status: RegistrationStatus) -> Option<RegistrationWait> {
    match status {
        RegistrationStatus::Registered | RegistrationStatus::PendingValidation => {
            Some(RegistrationWait::Enrolled)
        }
        RegistrationStatus::Declined
        | RegistrationStatus::InvalidSignature
        | RegistrationStatus::Timeout
        | RegistrationStatus::ValidationTimeout
        | RegistrationStatus::SecurityException => Some(RegistrationWait::Ended(status)),
        _ => None,
    }
}

/// Returns whether there are more authenticators than before, or others.
fn has_new(now: &[EnrolledAuthMethod], before: &[EnrolledAuthMethod]) -> bool {
    let mut old: Vec<_> = before.iter().filter(|old| is_authenticator(old)).collect();
    now.iter()
        .filter(|method| is_authenticator(method))
        .any(
            |method| match old.iter().position(|known| *known == method) {
                Some(known) => {
                    old.swap_remove(known);
                    false
                }
                None => true,
            },
        )
}

fn is_authenticator(method: &EnrolledAuthMethod) -> bool {
    method.auth_method_id == Some(AuthMethodId::Authenticator)
        || method.auth_method_name.as_deref()
            == Some(auth::AuthMethod::AuthArmorAuthenticator.as_str())
}

enum Waited<W> {
    Ended(W),
    TimeOver,
    GivenUp,
}

/// Polls until `poll` returns an end or the time is over. `poll` gets the time
/// that it may take. `life` is in seconds.
fn wait<W>(
    client: &Client,
    policy: &WaitPolicy<'_>,
    life: u64,
    poll: impl Fn(Duration) -> Result<Option<W>, Error>,
) -> Result<Waited<W>, Error> {
    let clock = client.clock();
    let timeout = policy.timeout.unwrap_or(Duration::from_secs(life));
    let began = clock.now();
    let deadline = clock.deadline(timeout);
    let remaining = || deadline.saturating_duration_since(clock.now());
    let mut progress = WaitProgress {
        elapsed: Duration::ZERO,
        remaining: timeout,
        polls: 0,
        last_error: None,
    };

    let mut retry_after = Duration::ZERO;
    let mut pauses = FIRST_PAUSES.into_iter().map(Duration::from_millis);
    loop {
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
        let pause = pause / 2 + clock.jitter(pause / 2);
        let next_poll = clock.deadline(pause.max(retry_after).min(remaining()));
        loop {
            let pause = next_poll.saturating_duration_since(clock.now());
            let Some(on_progress) = &policy.on_progress else {
                clock.sleep(pause);
                break;
            };
            progress.elapsed = clock.now().saturating_duration_since(began);
            progress.remaining = remaining();
            if on_progress(&progress).is_break() {
                return Ok(Waited::GivenUp);
            }
            if pause.is_zero() {
                break;
            }
            clock.sleep(pause.min(PROGRESS_INTERVAL));
        }
        let is_last = remaining().is_zero();
        let polled = poll(client.default_timeout().min(remaining().max(GRACE_PERIOD)));
        progress.polls += 1;
        match polled {
            Ok(Some(end)) => return Ok(Waited::Ended(end)),
            Ok(None) => {
                retry_after = Duration::ZERO;
                progress.last_error = None;
            }
            Err(error) if error.is_transient() => {
                retry_after = error.retry_after().unwrap_or_default();
                progress.last_error = Some(error);
            }
            Err(error) => return Err(error),
        }
        if is_last {
            return Ok(Waited::TimeOver);
        }
    }
}

#[cfg(test)]
mod tests;
