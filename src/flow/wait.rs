//! Waiting for a person: [`WaitPolicy`], and polling within a deadline.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{self, AuthInfo, AuthRequestStatus, ResultCode};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::http::Request;
use crate::registrations::{self, RegistrationStatus};
use crate::user_key::UserKey;
use crate::users::{self, AuthMethodId, EnrolledAuthMethod};

/// How long to wait where nothing says how long: the longest time that a
/// sign-in may be given.
pub(super) const USUAL_LIFE: Duration = Duration::from_secs(300);
/// Polls never follow each other faster.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(500);
/// How often a caller who wants to see progress is called.
const TICK: Duration = Duration::from_millis(100);
/// What the last poll may take beyond the deadline.
const GRACE: Duration = Duration::from_secs(5);

/// How to wait for a person.
///
/// Polls begin 1 second after the start and become rarer, up to one every 5
/// seconds; each pause is shortened at random by up to half, but never below
/// 500 ms. The last poll comes when the time is over; it may take up to 5
/// seconds more.
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
    /// Waits as long as the request itself lives, 300 seconds where nobody
    /// knows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits so long, whatever the request's own time is.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Calls this about ten times a second while waiting, to show progress;
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

/// Where a wait stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitProgress {
    /// The time since the waiting began.
    pub elapsed: Duration,
    /// The time until it ends.
    pub remaining: Duration,
    /// How often the service was asked.
    pub polls: u32,
    /// What went wrong with the last poll, if anything did.
    pub last_error: Option<Error>,
}

/// How waiting for a sign-in ended. **None of these is a sign-in**: only the
/// validate call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthWait {
    /// The user has answered, and the service waits for the validate call.
    ReadyToValidate,
    /// The request is over: nothing can be validated any more. The code says
    /// why, if the service does.
    Ended(Option<ResultCode>),
    /// The time is over and the user has not answered. The same request can be
    /// waited for again.
    StillPending,
    /// The progress callback ended the waiting.
    GivenUp,
}

/// How waiting for an enrolment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationWait {
    /// The user has enrolled. Under v4 the service now waits for the validate
    /// call.
    Enrolled,
    /// The registration is over and has failed.
    Ended(RegistrationStatus),
    /// The time is over and the user has not enrolled.
    StillPending,
    /// The progress callback ended the waiting.
    GivenUp,
}

/// What tells an enrolment that is waited for from others.
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
    /// Under v4: the registration, by its id. Polls
    /// `GET /v4/users/registrations/{registration_id}`.
    #[must_use]
    pub fn registration(registration_id: Uuid) -> Self {
        Self(Watch::Registration(registration_id))
    }

    /// Under v3: the user's enrolled methods, compared with what they are now.
    /// **Make it before the registration is started**, so that an old
    /// enrolment does not count. A user who does not exist yet has none. An
    /// enrolment that leaves the list as it was, such as the same phone's after
    /// `reset_and_reinvite`, is not seen.
    ///
    /// Calls `GET /v3/users/{user_id}` and fails as [`Client::get_user`] does, but
    /// for a 404.
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
    /// Polls `GET /auth/{auth_request_id}` until the request leaves 'pending
    /// approval' or the time is over.
    ///
    /// 429, 5xx and broken connections are absorbed within the time; any other
    /// failure (403, 404, an answer that cannot be read) ends the waiting with
    /// its error. A status that is unknown goes on being polled.
    ///
    /// ```no_run
    /// use autharmor::flow::{AuthWait, WaitPolicy};
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    /// match client.wait_for_auth(auth_request_id, &WaitPolicy::new())? {
    ///     AuthWait::ReadyToValidate => println!("now validate"),
    ///     other => println!("no: {other:?}"),
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn wait_for_auth(
        &self,
        auth_request_id: Uuid,
        policy: &WaitPolicy<'_>,
    ) -> Result<AuthWait, Error> {
        self.wait_for_auth_within(auth_request_id, USUAL_LIFE, policy)
    }

    pub(super) fn wait_for_auth_within(
        &self,
        auth_request_id: Uuid,
        life: Duration,
        policy: &WaitPolicy<'_>,
    ) -> Result<AuthWait, Error> {
        let request = auth::get_auth_info(auth_request_id);
        let polled = poll(self, policy, life, &request, |answer| {
            Ok(auth_wait(&answer?))
        })?;
        Ok(match polled {
            Polled::Seen(wait) => wait,
            Polled::TimeOver => AuthWait::StillPending,
            Polled::GivenUp => AuthWait::GivenUp,
        })
    }

    /// Polls until an enrolment is done, has failed, or the time is over.
    ///
    /// Failures are treated as in [`wait_for_auth`](Self::wait_for_auth);
    /// where a user is watched, a 404 means 'not yet'.
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
        self.wait_for_registration_within(watch, USUAL_LIFE, policy)
    }

    pub(super) fn wait_for_registration_within(
        &self,
        watch: &RegistrationWatch,
        life: Duration,
        policy: &WaitPolicy<'_>,
    ) -> Result<RegistrationWait, Error> {
        let polled = match &watch.0 {
            Watch::Registration(id) => {
                let request = registrations::get_registration_info(*id);
                poll(self, policy, life, &request, |answer| {
                    Ok(registration_wait(answer?.registration_status_code))
                })?
            }
            Watch::User { user, before } => {
                let request = users::get_user(user);
                poll(self, policy, life, &request, |answer| match answer {
                    Ok(details) => Ok(has_new(&details.enrolled_auth_methods, before)
                        .then_some(RegistrationWait::Enrolled)),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                })?
            }
        };
        Ok(match polled {
            Polled::Seen(wait) => wait,
            Polled::TimeOver => RegistrationWait::StillPending,
            Polled::GivenUp => RegistrationWait::GivenUp,
        })
    }
}

/// `None`: go on polling.
fn auth_wait(info: &AuthInfo) -> Option<AuthWait> {
    match info.auth_request_status_id? {
        AuthRequestStatus::PendingValidation => Some(AuthWait::ReadyToValidate),
        AuthRequestStatus::Completed => Some(AuthWait::Ended(
            info.auth_response.as_ref().and_then(|it| it.result_code),
        )),
        _ => None,
    }
}

fn registration_wait(status: Option<RegistrationStatus>) -> Option<RegistrationWait> {
    match status? {
        RegistrationStatus::Registered | RegistrationStatus::PendingValidation => {
            Some(RegistrationWait::Enrolled)
        }
        failed @ (RegistrationStatus::Declined
        | RegistrationStatus::InvalidSignature
        | RegistrationStatus::Timeout
        | RegistrationStatus::ValidationTimeout
        | RegistrationStatus::SecurityException) => Some(RegistrationWait::Ended(failed)),
        _ => None,
    }
}

/// Whether there are more authenticators than before, or others.
fn has_new(now: &[EnrolledAuthMethod], before: &[EnrolledAuthMethod]) -> bool {
    let mut old: Vec<_> = before
        .iter()
        .filter(|method| is_authenticator(method))
        .collect();
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

enum Polled<W> {
    Seen(W),
    TimeOver,
    GivenUp,
}

/// Sends a request again and again until `judge` sees an end in its answer.
fn poll<T: serde::de::DeserializeOwned, W>(
    client: &Client,
    policy: &WaitPolicy<'_>,
    life: Duration,
    request: &Request<T>,
    judge: impl Fn(Result<T, Error>) -> Result<Option<W>, Error>,
) -> Result<Polled<W>, Error> {
    let clock = client.clock();
    let timeout = policy.timeout.unwrap_or(life);
    let began = clock.now();
    let deadline = clock.deadline(timeout);
    let left = || deadline.saturating_duration_since(clock.now());
    let mut progress = WaitProgress {
        elapsed: Duration::ZERO,
        remaining: timeout,
        polls: 0,
        last_error: None,
    };

    // Before the n-th poll, with the server's own wish if it has one.
    let mut wish = Duration::ZERO;
    let mut intervals = [1000, 1500, 2250, 3375]
        .into_iter()
        .map(Duration::from_millis);
    loop {
        let interval = intervals.next().unwrap_or(Duration::from_secs(5));
        let jittered = interval / 2 + clock.jitter(interval / 2);
        let wake = clock.deadline(jittered.max(SHORTEST_INTERVAL).max(wish).min(left()));
        loop {
            let pause = wake.saturating_duration_since(clock.now());
            let Some(tell) = &policy.on_progress else {
                clock.sleep(pause);
                break;
            };
            progress.elapsed = clock.now().saturating_duration_since(began);
            progress.remaining = left();
            if tell(&progress).is_break() {
                return Ok(Polled::GivenUp);
            }
            if pause.is_zero() {
                break;
            }
            clock.sleep(pause.min(TICK));
        }
        let is_last = left().is_zero();
        let patience = client.default_timeout().min(left().max(GRACE));
        let answer = client.send(&request.clone().without_retries().timeout(patience));
        progress.polls += 1;
        match judge(answer) {
            Ok(Some(end)) => return Ok(Polled::Seen(end)),
            Ok(None) => {
                wish = Duration::ZERO;
                progress.last_error = None;
            }
            Err(error) if error.is_transient() => {
                wish = error.retry_after().unwrap_or_default();
                progress.last_error = Some(error);
            }
            Err(error) => return Err(error),
        }
        if is_last {
            return Ok(Polled::TimeOver);
        }
    }
}

#[cfg(test)]
mod tests;
