//! [`Gate`]: lets threads of a test wait for each other.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A test that waits longer hangs, and fails.
const LIMIT: Duration = Duration::from_secs(60);

/// Holds threads back until it has been counted up often enough.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    /// Counts up by one.
    pub fn count(&self) {
        *self.0.0.lock().unwrap() += 1;
        self.0.1.notify_all();
    }

    /// Waits until the count has reached `counts`. Panics after a minute.
    pub fn wait_for(&self, counts: usize) {
        let guard = self.0.0.lock().unwrap();
        let waited = self
            .0
            .1
            .wait_timeout_while(guard, LIMIT, |count| *count < counts);
        let (count, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "counted {} of {counts}", *count);
    }
}
