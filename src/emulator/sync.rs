//! Locks, and waiting that ends with the emulator.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Locks even if a thread panicked while it held the lock: every change under
/// these locks is made in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A flag that ends the emulator's threads, also while they sleep.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    stopped: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self) {
        let guard = lock(&self.lock);
        self.stopped.store(true, Ordering::Release);
        self.wake.notify_all();
        drop(guard);
    }

    /// Sleeps for `time`, or until the flag is set.
    pub(crate) fn sleep(&self, time: Duration) {
        let guard = lock(&self.lock);
        drop(
            self.wake
                .wait_timeout_while(guard, time, |()| !self.is_set()),
        );
    }
}
