//! [`SingleFlight`]: work that one thread does and others wait for.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::Clock;

/// The result of work under way. One thread calls [`finish`](Self::finish),
/// any number of others [`wait`](Self::wait).
#[derive(Debug)]
pub(crate) struct SingleFlight<T> {
    result: Mutex<Option<T>>,
    finished: Condvar,
}

impl<T> SingleFlight<T> {
    pub(crate) fn new() -> Self {
        Self {
            result: Mutex::new(None),
            finished: Condvar::new(),
        }
    }

    /// Sets the result and wakes all who wait. Later results are ignored.
    pub(crate) fn finish(&self, result: T) {
        self.lock().get_or_insert(result);
        self.finished.notify_all();
    }

    /// Returns the result if there is one by now.
    pub(crate) fn peek(&self) -> Option<T>
    where
        T: Clone,
    {
        self.lock().clone()
    }

    /// Waits for the result. `None` at the deadline.
    pub(crate) fn wait(&self, clock: &dyn Clock, deadline: Instant) -> Option<T>
    where
        T: Clone,
    {
        let mut result = self.lock();
        loop {
            if result.is_some() || clock.now() >= deadline {
                return result.clone();
            }
            let slice = clock.wait_slice(deadline);
            let waited = self.finished.wait_timeout(result, slice);
            result = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing is left half done under the lock, so a panic elsewhere does not
    /// matter.
    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::clock::{ManualClock, SystemClock};

    #[test]
    fn all_who_wait_get_the_first_result() {
        let flight = SingleFlight::new();
        assert_eq!(flight.peek(), None);
        let deadline = SystemClock.deadline(Duration::from_secs(60));
        thread::scope(|scope| {
            let waiting = [(); 8].map(|()| scope.spawn(|| flight.wait(&SystemClock, deadline)));
            flight.finish(1);
            flight.finish(2);
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), Some(1));
            }
        });
        assert_eq!(flight.peek(), Some(1));
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let clock = ManualClock::new();
        let deadline = clock.deadline(Duration::from_secs(5));
        let flight = SingleFlight::<u8>::new();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| flight.wait(&clock, deadline));
            clock.advance(Duration::from_secs(5));
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
