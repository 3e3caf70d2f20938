//! Cancelling, and progress, while a poll hangs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::*;

/// A service whose first poll hangs until its deadline. The user has approved by
/// the second one. Time passes only by the sender: a tenth of a second for each
/// message.
fn hanging() -> (TestClient, Sender<()>) {
    let clock = Arc::new(OnceLock::<Arc<ManualClock>>::new());
    let (ticker, ticks) = mpsc::channel();
    let (clock_of_server, ticks) = (Arc::clone(&clock), Mutex::new(ticks));
    let test = TestClient::new(tokens, move |number, _, limits| {
        let clock = clock_of_server.get().unwrap();
        let ticks = ticks.lock().unwrap();
        while number == 0 && clock.now() < limits.deadline {
            if ticks.recv().is_err() {
                break;
            }
            clock.advance(Duration::from_millis(100));
        }
        if number == 0 {
            Err(TransportError::new(TransportErrorKind::Timeout, true))
        } else {
            approved()
        }
    });
    clock.set(Arc::clone(&test.clock)).unwrap();
    (test, ticker)
}

/// The first poll begins after this time.
const FIRST_POLL: Duration = Duration::from_secs(1);

#[test]
fn progress_is_reported_while_a_poll_hangs_and_the_poll_costs_five_seconds() {
    let (test, ticker) = hanging();
    let mut reports = Vec::new();
    let policy = WaitPolicy::new().on_progress(|progress| {
        if progress.polls == 0 && progress.elapsed >= FIRST_POLL {
            reports.push(progress.elapsed.as_millis());
            ticker.send(()).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::ReadyToValidate);
    drop(policy);
    // The poll ends after 6 seconds; the report of that moment may come after it.
    let expected: Vec<u128> = (10..60).map(|tenth| tenth * 100).collect();
    assert_eq!(reports[..50], expected);
    assert_eq!(test.api_requests(), 2);
}

#[test]
fn a_callback_can_cancel_while_a_poll_hangs() {
    for cancel_at in [1000, 1100, 3000, 5800] {
        let (test, ticker) = hanging();
        let began = test.clock.now();
        let policy = WaitPolicy::new().on_progress(|progress| {
            if progress.elapsed >= Duration::from_millis(cancel_at) {
                return ControlFlow::Break(());
            }
            if progress.elapsed >= FIRST_POLL {
                ticker.send(()).unwrap();
            }
            ControlFlow::Continue(())
        });
        assert_eq!(wait(&test, &policy).unwrap(), AuthWait::Cancelled);
        let elapsed = test.clock.now() - began;
        assert_eq!(elapsed, Duration::from_millis(cancel_at));
    }
}

#[test]
fn a_flag_cancels_while_a_poll_hangs() {
    let flag = Arc::new(AtomicBool::new(false));
    let (gate, closed) = mpsc::channel::<()>();
    let (set, closed) = (Arc::clone(&flag), Mutex::new(closed));
    let test = TestClient::new(tokens, move |_, _, _| {
        set.store(true, Ordering::Relaxed);
        let _ = closed.lock().unwrap().recv();
        approved()
    });
    let policy = WaitPolicy::new().cancel_flag(&flag);
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::Cancelled);
    drop(gate);
}

#[test]
fn a_flag_cancels_before_the_first_poll_and_during_a_pause() {
    let flag = AtomicBool::new(true);
    let test = test(|_| pending());
    let policy = WaitPolicy::new().cancel_flag(&flag);
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::Cancelled);
    assert!(test.seen().is_empty());

    flag.store(false, Ordering::Relaxed);
    let policy = WaitPolicy::new()
        .cancel_flag(&flag)
        .on_progress(|progress| {
            flag.store(progress.elapsed >= seconds(3), Ordering::Relaxed);
            ControlFlow::Continue(())
        });
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::Cancelled);
    assert_eq!(test.api_requests(), 2);
    let slept: Duration = test.clock.slept().iter().sum();
    assert_eq!(slept, Duration::from_millis(3100));
}

#[test]
fn only_a_wait_that_can_be_cancelled_polls_in_another_thread() {
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&threads);
    let test = test(move |_| {
        seen.lock().unwrap().push(thread::current().id());
        approved()
    });
    let flag = AtomicBool::new(false);
    for policy in [
        WaitPolicy::new(),
        WaitPolicy::new().cancel_flag(&flag),
        WaitPolicy::new().on_progress(|_| ControlFlow::Continue(())),
    ] {
        assert_eq!(wait(&test, &policy).unwrap(), AuthWait::ReadyToValidate);
    }
    let own = thread::current().id();
    let is_own = threads
        .lock()
        .unwrap()
        .iter()
        .map(|id| *id == own)
        .collect::<Vec<_>>();
    assert_eq!(is_own, [true, false, false]);
}

#[test]
fn a_panic_of_a_transport_reaches_the_caller() {
    let test = test(|_| panic!("the transport's"));
    let flag = AtomicBool::new(false);
    for policy in [WaitPolicy::new(), WaitPolicy::new().cancel_flag(&flag)] {
        let end = catch_unwind(AssertUnwindSafe(|| wait(&test, &policy)));
        let panic = end.unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"the transport's"));
    }
}
