//! [`WaitPolicy`]: the settings for waiting for a user.

use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::Error;

/// Settings for waiting for a user.
///
/// Polls begin 1 second after the start and become rarer, up to one every 5
/// seconds; [`poll_every`](Self::poll_every) changes that. Each pause is
/// shortened at random by up to half, and a `Retry-After` lengthens it to at
/// most 20 seconds and up to a quarter more at random. The last poll is sent when the time is over. A poll may
/// take up to 5 seconds, the last one as well.
///
/// A callback or a flag can cancel the waiting. Then each poll runs in a
/// short-lived thread, so that a service that does not respond delays neither.
/// A poll that is cancelled is left behind and ends by itself. If the system
/// has no thread left, the poll runs in the calling thread.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// use autharmor::flow::WaitPolicy;
///
/// let mut shown = 0;
/// let policy = WaitPolicy::new()
///     .timeout(Duration::from_secs(60))
///     .on_progress(|progress| {
///         shown += 1;
///         eprint!("\r{} s left", progress.remaining.as_secs());
///         ControlFlow::Continue(())
///     });
/// ```
#[derive(Default)]
#[must_use]
pub struct WaitPolicy<'a> {
    pub(super) timeout: Option<Duration>,
    pub(super) pauses: Option<(Duration, Duration)>,
    cancel: Option<&'a AtomicBool>,
    on_progress: Option<RefCell<Box<OnProgress<'a>>>>,
}

type OnProgress<'a> = dyn FnMut(&WaitProgress) -> ControlFlow<()> + 'a;

impl<'a> WaitPolicy<'a> {
    /// Waits as long as the request lives, or 300 seconds if that is not known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for this time, whatever the life of the request is. For one
    /// deadline of begin, wait and validation together, see
    /// [`Client::with_deadline`](crate::Client::with_deadline).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Polls after `first`, then after pauses that grow by half each time, up
    /// to `longest`. No pause is shorter than 300 ms (10 ms with a client of the
    /// emulator). Defaults to 1 second and 5 seconds.
    pub fn poll_every(mut self, first: Duration, longest: Duration) -> Self {
        self.pauses = Some((first, longest));
        self
    }

    /// Ends the waiting when this flag is `true`, for a signal handler. It is
    /// read about ten times a second. An `&Arc<AtomicBool>` will do.
    ///
    /// ```no_run
    /// use std::sync::atomic::AtomicBool;
    /// use autharmor::flow::WaitPolicy;
    ///
    /// static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    /// let policy = WaitPolicy::new().cancel_flag(&INTERRUPTED);
    /// ```
    pub fn cancel_flag<'b>(self, flag: &'b AtomicBool) -> WaitPolicy<'b>
    where
        'a: 'b,
    {
        WaitPolicy {
            timeout: self.timeout,
            pauses: self.pauses,
            cancel: Some(flag),
            on_progress: self.on_progress.map(|callback| {
                let callback: Box<OnProgress<'b>> = callback.into_inner();
                RefCell::new(callback)
            }),
        }
    }

    /// Calls this about ten times a second while waiting, to show progress.
    /// [`ControlFlow::Break`] ends the waiting.
    pub fn on_progress<'b>(
        self,
        callback: impl FnMut(&WaitProgress) -> ControlFlow<()> + 'b,
    ) -> WaitPolicy<'b>
    where
        'a: 'b,
    {
        WaitPolicy {
            timeout: self.timeout,
            pauses: self.pauses,
            cancel: self.cancel,
            on_progress: Some(RefCell::new(Box::new(callback))),
        }
    }

    /// Returns whether anything can end the waiting early.
    pub(super) fn can_cancel(&self) -> bool {
        self.cancel.is_some() || self.on_progress.is_some()
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Calls the callback, if there is one and it is not running already.
    pub(super) fn report(&self, progress: &WaitProgress) -> ControlFlow<()> {
        match self.on_progress.as_ref().map(RefCell::try_borrow_mut) {
            Some(Ok(mut callback)) => callback(progress),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl fmt::Debug for WaitPolicy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitPolicy")
            .field("timeout", &self.timeout)
            .field("pauses", &self.pauses)
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
    /// The number of polls that have ended.
    pub polls: u32,
    /// The error of the last poll, if it failed.
    pub last_error: Option<Error>,
}

/// A service that could not be polled when the time of a wait was over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outage {
    /// The error of the last poll.
    pub last_error: Error,
    /// Whether the service has responded to an earlier poll of this wait.
    pub any_poll_succeeded: bool,
}

#[cfg(test)]
impl PartialEq for Outage {
    fn eq(&self, other: &Self) -> bool {
        self.last_error.kind() == other.last_error.kind()
            && self.any_poll_succeeded == other.any_poll_succeeded
    }
}
