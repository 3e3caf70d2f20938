//! [`Attempt`]: what an observer is told about each attempt of a call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::ErrorKind;
use crate::http::{ApiVersion, Endpoint};

/// One attempt of a call or of a token fetch, for
/// [`ClientBuilder::on_attempt`](crate::ClientBuilder::on_attempt).
///
/// It holds no value of a request or a response: no id, no name, no URL, no
/// token, no text of the server.
///
/// ```
/// use autharmor::{ApiVersion, Attempt, Client};
///
/// fn log(attempt: &Attempt) {
///     eprintln!(
///         "{} {}: attempt {}: status {:?}, {:?} after {:?}{}",
///         attempt.name(),
///         attempt.api_version().map_or("", ApiVersion::as_str),
///         attempt.number(),
///         attempt.status(),
///         attempt.error_kind(),
///         attempt.elapsed(),
///         if attempt.will_repeat() { ", again" } else { "" },
///     );
/// }
///
/// let client = Client::builder("id", "secret").on_attempt(log).build()?;
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) api_version: Option<ApiVersion>,
    pub(crate) number: u32,
    pub(crate) status: Option<u16>,
    pub(crate) error_kind: Option<ErrorKind>,
    pub(crate) elapsed: Duration,
    pub(crate) will_repeat: bool,
}

impl Attempt {
    /// Returns the endpoint, or `None` for the token endpoint.
    ///
    /// The look-up of a user's id, which some calls by name need, is a call of
    /// [`Endpoint::GetUser`] with attempts of its own.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint
    }

    /// Returns the [name](Endpoint::name) of the endpoint, or `token`. There
    /// are 32 names, so they are fit for a label of a metric.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.endpoint.map_or("token", Endpoint::name)
    }

    /// Returns the version of the API that was called, or `None` for the token
    /// endpoint.
    #[must_use]
    pub fn api_version(&self) -> Option<ApiVersion> {
        self.api_version
    }

    /// Returns the number of the attempt within its call or token fetch, from
    /// 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the HTTP status, or `None` if there was no response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the kind of the failure, or `None` if the status is a success.
    ///
    /// The body of a successful call is decoded after its last attempt, so a
    /// call can still fail with [`ErrorKind::Api`], [`ErrorKind::Decode`] or
    /// [`ErrorKind::Mismatch`]. A token is decoded within its attempt.
    #[must_use]
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.error_kind
    }

    /// Returns the time from the request to its response or failure: name
    /// resolution and connecting included, the token fetch and pauses not.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Returns whether another attempt follows, after a pause or with a new
    /// token. It does not if the pause outlasts the call's timeout or if the
    /// token cannot be fetched.
    #[must_use]
    pub fn will_repeat(&self) -> bool {
        self.will_repeat
    }
}

type OnAttempt = dyn Fn(&Attempt) + Send + Sync;

/// The observer of a client, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<OnAttempt>>);

impl Observer {
    pub(crate) fn new(callback: impl Fn(&Attempt) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(callback)))
    }

    /// Calls the observer, if there is one.
    pub(crate) fn report(&self, attempt: impl FnOnce() -> Attempt) {
        if let Some(callback) = &self.0 {
            // The panic hook has reported it. The call goes on.
            drop(catch_unwind(AssertUnwindSafe(|| callback(&attempt()))));
        }
    }
}

#[cfg(test)]
mod tests;
