//! Waiting for a user: what to poll, and how it can end.

mod policy;
mod polling;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::polling::{Waited, wait};
use crate::auth::{self, AuthRequestStatus, ResultCode};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::registrations::{self, RegistrationStatus};
use crate::user_key::UserKey;
use crate::users::{self, AuthMethodId, EnrolledAuthMethod};

pub use self::policy::{Outage, WaitPolicy, WaitProgress};

/// The life of a request, in seconds, if neither the response nor the request
/// says it: the longest time that a sign-in may have.
const DEFAULT_LIFE: u64 = 300;
/// The longest life that is taken from a response, in seconds.
const MAX_LIFE: i64 = 60 * 60;
/// The longest time that one poll may take.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// The end of a wait for a sign-in. **None of these is a sign-in**: only the
/// validate call tells.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
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
    /// The time is over, and the last poll failed: whether the user has
    /// responded is unknown. The same request can be waited for again.
    ServiceUnavailable(Outage),
    /// The progress callback or the cancel flag ended the waiting.
    Cancelled,
}

/// The end of a wait for a registration by phone.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
#[non_exhaustive]
pub enum RegistrationWait {
    /// The user has enrolled the phone. Under v4 the service waits for the
    /// validate call.
    Enrolled,
    /// The registration is over and has failed.
    Ended(RegistrationStatus),
    /// The time is over, and the user has not enrolled the phone.
    StillPending,
    /// The time is over, and the last poll failed: whether the user has
    /// responded is unknown. The same registration can be waited for again.
    ServiceUnavailable(Outage),
    /// The progress callback or the cancel flag ended the waiting.
    Cancelled,
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
    /// 429, 5xx, timeouts and broken connections do not end the waiting; if the
    /// last poll fails so, the end is [`AuthWait::ServiceUnavailable`]. Any
    /// other failure (403, 404, a response that cannot be decoded) ends it at
    /// once with its error. An unknown status counts as pending.
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
    #[inline]
    pub fn wait_for_auth(
        &self,
        auth_request_id: Uuid,
        policy: &WaitPolicy<'_>,
    ) -> Result<AuthWait, Error> {
        self.wait_for_auth_within(auth_request_id, DEFAULT_LIFE, policy)
    }

    /// `life` is in seconds.
    #[inline]
    pub(super) fn wait_for_auth_within(
        &self,
        auth_request_id: Uuid,
        life: u64,
        policy: &WaitPolicy<'_>,
    ) -> Result<AuthWait, Error> {
        let poll = move |client: &Self, timeout| poll_auth(client, auth_request_id, timeout);
        Ok(match wait(self, policy, life, poll)? {
            Waited::Ended(end) => end,
            Waited::TimeOver => AuthWait::StillPending,
            Waited::ServiceUnavailable(outage) => AuthWait::ServiceUnavailable(outage),
            Waited::Cancelled => AuthWait::Cancelled,
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
    #[inline]
    pub fn wait_for_registration(
        &self,
        watch: &RegistrationWatch,
        policy: &WaitPolicy<'_>,
    ) -> Result<RegistrationWait, Error> {
        self.wait_for_registration_within(watch, DEFAULT_LIFE, policy)
    }

    /// `life` is in seconds.
    #[inline]
    pub(super) fn wait_for_registration_within(
        &self,
        watch: &RegistrationWatch,
        life: u64,
        policy: &WaitPolicy<'_>,
    ) -> Result<RegistrationWait, Error> {
        let watch = watch.clone();
        let poll = move |client: &Self, timeout| poll_registration(client, &watch, timeout);
        Ok(match wait(self, policy, life, poll)? {
            Waited::Ended(end) => end,
            Waited::TimeOver => RegistrationWait::StillPending,
            Waited::ServiceUnavailable(outage) => RegistrationWait::ServiceUnavailable(outage),
            Waited::Cancelled => RegistrationWait::Cancelled,
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

/// Returns how long a single poll of this client may take.
pub(super) fn poll_timeout(client: &Client) -> Duration {
    client.default_timeout().min(POLL_TIMEOUT)
}

/// Polls a sign-in once. `None` means that it is pending.
#[inline]
pub(super) fn poll_auth(
    client: &Client,
    id: Uuid,
    timeout: Duration,
) -> Result<Option<AuthWait>, Error> {
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
#[inline]
pub(super) fn poll_registration(
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
    method.method() == Some(AuthMethodId::Authenticator)
}

#[cfg(test)]
mod tests;
