//! Polls until there is an end or the time is over.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::policy::{Outage, WaitPolicy, WaitProgress};
use super::poll_timeout;
use crate::client::Client;
use crate::clock::{Clock, lengthened, shortened};
use crate::error::Error;

/// The default pauses before the first poll and between later ones.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// The longest `Retry-After` of a poll that is waited for, without jitter.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(20);
/// The pause between two calls of a progress callback.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// The time before the client's deadline that is left for the last poll and the
/// validation.
const RESERVE: Duration = Duration::from_secs(3);

pub(super) enum Waited<W> {
    Ended(W),
    TimeOver,
    ServiceUnavailable(Outage),
    Cancelled,
}

/// Polls until `poll` returns an end or the time is over. `poll` gets the time
/// that it may take. `life` is in seconds.
pub(super) fn wait<W: Send + 'static>(
    client: &Client,
    policy: &WaitPolicy<'_>,
    life: u64,
    poll: impl Fn(&Client, Duration) -> Result<Option<W>, Error> + Clone + Send + 'static,
) -> Result<Waited<W>, Error> {
    client.check_deadline("flow")?;
    let clock = client.clock();
    let mut waiting = Waiting::new(client, policy, life);
    let mut any_poll_succeeded = false;
    let mut retry_after = Duration::ZERO;
    let mut pauses = Pauses::new(client, policy);
    loop {
        let next_poll = clock.deadline(pauses.next().max(retry_after).min(waiting.remaining()));
        if waiting.pause_until(next_poll).is_break() {
            return Ok(Waited::Cancelled);
        }
        let is_last = waiting.remaining().is_zero();
        let Some(polled) = waiting.run(&poll) else {
            return Ok(Waited::Cancelled);
        };
        waiting.progress.polls += 1;
        waiting.progress.last_error = match polled {
            Ok(Some(end)) => return Ok(Waited::Ended(end)),
            Ok(None) => {
                any_poll_succeeded = true;
                None
            }
            Err(error) if error.is_transient() => Some(error),
            Err(error) => return Err(error),
        };
        let last_error = waiting.progress.last_error.as_ref();
        let after = last_error.and_then(Error::retry_after).unwrap_or_default();
        // Others may have been told the same time.
        retry_after = lengthened(clock, after.min(MAX_RETRY_AFTER), Duration::MAX);
        if is_last {
            return Ok(match waiting.progress.last_error {
                None => Waited::TimeOver,
                Some(last_error) => Waited::ServiceUnavailable(Outage {
                    last_error,
                    any_poll_succeeded,
                }),
            });
        }
    }
}

/// The pauses between polls.
struct Pauses<'a> {
    clock: &'a dyn Clock,
    shortest: Duration,
    next: Duration,
    longest: Duration,
}

impl<'a> Pauses<'a> {
    fn new(client: &'a Client, policy: &WaitPolicy<'_>) -> Self {
        let shortest = client.shortest_poll_pause();
        let (first, longest) = policy.pauses.unwrap_or(PAUSES);
        Self {
            clock: client.clock(),
            shortest,
            next: first.max(shortest),
            longest: longest.max(first),
        }
    }

    /// Returns the next pause, shortened at random by up to half.
    fn next(&mut self) -> Duration {
        let pause = shortened(self.clock, self.next).max(self.shortest);
        self.next = self.next.saturating_add(self.next / 2).min(self.longest);
        pause
    }
}

/// The state of a wait.
struct Waiting<'a, 'p> {
    client: &'a Client,
    policy: &'a WaitPolicy<'p>,
    began: Instant,
    /// The time of the last poll.
    end: Instant,
    next_report: Instant,
    progress: WaitProgress,
}

impl<'a, 'p> Waiting<'a, 'p> {
    fn new(client: &'a Client, policy: &'a WaitPolicy<'p>, life: u64) -> Self {
        let clock = client.clock();
        let now = clock.now();
        let timeout = policy.timeout.unwrap_or(Duration::from_secs(life));
        let mut end = clock.deadline(timeout);
        if let Some(deadline) = client.deadline() {
            let left = deadline.saturating_duration_since(now);
            end = end.min(now + left.saturating_sub(RESERVE.min(left / 2)));
        }
        Self {
            client,
            policy,
            began: now,
            end,
            next_report: now,
            progress: WaitProgress {
                elapsed: Duration::ZERO,
                remaining: end.saturating_duration_since(now),
                polls: 0,
                last_error: None,
            },
        }
    }

    /// Returns the time until the last poll.
    fn remaining(&self) -> Duration {
        self.end
            .saturating_duration_since(self.client.clock().now())
    }

    /// Reports the progress. Breaks if the waiting is cancelled.
    fn report(&mut self) -> ControlFlow<()> {
        let now = self.client.clock().now();
        self.next_report = self.client.clock().deadline(PROGRESS_INTERVAL);
        self.progress.elapsed = now.saturating_duration_since(self.began);
        self.progress.remaining = self.remaining();
        if self.policy.is_cancelled() {
            return ControlFlow::Break(());
        }
        self.policy.report(&self.progress)
    }

    fn pause_until(&mut self, time: Instant) -> ControlFlow<()> {
        let clock = self.client.clock();
        loop {
            let pause = time.saturating_duration_since(clock.now());
            if !self.policy.can_cancel() {
                clock.sleep(pause);
                return ControlFlow::Continue(());
            }
            self.report()?;
            if pause.is_zero() {
                return ControlFlow::Continue(());
            }
            clock.sleep(pause.min(PROGRESS_INTERVAL));
        }
    }

    /// Polls once. `None` means that the waiting is cancelled.
    fn run<W: Send + 'static>(
        &mut self,
        poll: &(impl Fn(&Client, Duration) -> Result<Option<W>, Error> + Clone + Send + 'static),
    ) -> Option<Result<Option<W>, Error>> {
        let timeout = self.poll_timeout();
        if !self.policy.can_cancel() {
            return Some(poll(self.client, timeout));
        }
        // The end of the thread drops the sender, which wakes the receiver.
        let (running, ended) = mpsc::channel::<()>();
        let spawned = thread::Builder::new()
            .name("autharmor-poll".to_owned())
            .spawn({
                let (client, poll) = (self.client.clone(), poll.clone());
                move || {
                    let _running = running;
                    poll(&client, timeout)
                }
            });
        let Ok(thread) = spawned else {
            return Some(poll(self.client, timeout));
        };
        loop {
            let slice = self.client.clock().wait_slice(self.next_report);
            if let Err(RecvTimeoutError::Disconnected) = ended.recv_timeout(slice) {
                return match thread.join() {
                    Ok(polled) => Some(polled),
                    Err(panic) => resume_unwind(panic),
                };
            }
            let is_due = self.client.clock().now() >= self.next_report;
            if self.policy.is_cancelled() || is_due && self.report().is_break() {
                return None;
            }
        }
    }

    /// Returns the time that the next poll may take. Before the client's
    /// deadline it leaves as much for the validation.
    fn poll_timeout(&self) -> Duration {
        let timeout = poll_timeout(self.client);
        match self.client.deadline() {
            None => timeout,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(self.client.clock().now());
                timeout.min((left / 2).max(Duration::from_millis(1)))
            }
        }
    }
}
