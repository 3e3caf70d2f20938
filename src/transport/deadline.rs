//! The deadline of a call, for the connection that the call uses.
//!
//! ureq has a timeout for a single request, but copies its whole configuration
//! to apply it and computes what is left at each step. All of a call happens in
//! the thread of its caller, so the deadline need not pass through ureq.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The longest time that a call may take, whatever its deadline, so that no sum
/// of times can overflow.
const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `call`, whose connections read and write until `deadline`. `None` if the
/// deadline has passed.
pub(super) fn run_until<R>(deadline: Instant, call: impl FnOnce() -> R) -> Option<R> {
    let now = Instant::now();
    if deadline <= now {
        return None;
    }
    let deadline = deadline.min(now + LONGEST_CALL);
    let _restore = Restore(DEADLINE.replace(Some(deadline)));
    Some(call())
}

/// Returns the deadline of the call that this thread makes.
pub(super) fn of_this_call() -> Instant {
    DEADLINE
        .get()
        .unwrap_or_else(|| Instant::now() + LONGEST_CALL)
}

/// Brings the deadline of an outer call back: a resolver or a clock is foreign
/// code, and may make calls of its own.
struct Restore(Option<Instant>);

impl Drop for Restore {
    fn drop(&mut self) {
        DEADLINE.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_own_deadline() {
        let now = Instant::now();
        let outer = now + Duration::from_secs(60);
        let inner = now + Duration::from_secs(30);
        let ran = run_until(outer, || {
            assert_eq!(run_until(inner, of_this_call), Some(inner));
            assert_eq!(run_until(now, of_this_call), None);
            of_this_call()
        });
        assert_eq!(ran, Some(outer));
        assert!(of_this_call() > outer);
    }

    #[test]
    fn no_call_takes_longer_than_a_day() {
        let day = Duration::from_secs(86_400);
        let begun = Instant::now();
        let end = run_until(begun + 2 * day, of_this_call).unwrap();
        let without_a_call = of_this_call();
        for end in [end, without_a_call] {
            assert!(end >= begun + day && end <= Instant::now() + day);
        }
    }
}
