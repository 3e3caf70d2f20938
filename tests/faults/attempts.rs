//! The attempts of the calls of a thread: as the observer sees them, as the log
//! has them, and as a transport of a test was asked to make them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use autharmor::Attempt;

/// The attempts of a thread.
#[derive(Default)]
pub(crate) struct Attempts {
    observed: Vec<Attempt>,
    logged: usize,
    /// Stays 0 with the crate's own transport.
    asked: usize,
}

thread_local! {
    static ATTEMPTS: RefCell<Attempts> = RefCell::default();
}

/// The observer of every client.
pub(crate) fn observe(attempt: &Attempt) {
    ATTEMPTS.with_borrow_mut(|attempts| attempts.observed.push(attempt.clone()));
}

/// Counts the record of an attempt.
pub(crate) fn note_record(record: &log::Record) {
    let target = record.target();
    if matches!(target, "autharmor::client" | "autharmor::token")
        && record.args().to_string().contains(": attempt ")
    {
        ATTEMPTS.with_borrow_mut(|attempts| attempts.logged += 1);
    }
}

/// Counts a request that a transport of a test is asked to send.
pub(crate) fn note_request() {
    ATTEMPTS.with_borrow_mut(|attempts| attempts.asked += 1);
}

/// Returns the attempts of this thread so far.
pub(crate) fn take() -> Attempts {
    ATTEMPTS.take()
}

impl Attempts {
    /// Asserts that the observer saw every attempt once, and that another
    /// followed where it was announced, unless the call failed.
    pub(crate) fn check(self, context: &str, has_failed: bool) {
        let Self {
            observed,
            logged,
            asked,
        } = self;
        assert_eq!(observed.len(), logged, "I9: {context}: {observed:?}");
        let is_asked = asked == 0 || asked == logged;
        assert!(is_asked, "I9: {context}: {asked} requests; {observed:?}");
        let mut announced = BTreeMap::new();
        for attempt in &observed {
            let number = announced.remove(attempt.name()).unwrap_or(1);
            assert_eq!(attempt.number(), number, "I9: {context}: {observed:?}");
            if attempt.will_repeat() {
                assert!(attempt.error_kind().is_some(), "I9: {context}: {attempt:?}");
                announced.insert(attempt.name(), number + 1);
            }
        }
        let is_complete = has_failed || announced.is_empty();
        assert!(is_complete, "I9: {context}: {observed:?}");
    }
}
