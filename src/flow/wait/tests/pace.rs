//! The pauses between polls, and their bounds.

use super::*;

/// Returns the pauses of a wait of 10 seconds, in milliseconds.
fn pauses(first: u64, longest: u64) -> Vec<u128> {
    let test = test(|_| pending());
    let policy =
        for_seconds(10).poll_every(Duration::from_millis(first), Duration::from_millis(longest));
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::StillPending);
    slept(&test)
}

#[test]
fn a_program_chooses_the_pauses_down_to_300_milliseconds() {
    assert_eq!(pauses(2000, 4000), [2000, 3000, 4000, 1000]);
    assert_eq!(pauses(3000, 3000), [3000, 3000, 3000, 1000]);
    // The longest is not shorter than the first.
    assert_eq!(pauses(4000, 0), [4000, 4000, 2000]);
    assert_eq!(pauses(0, 0)[..33], [300; 33]);
    assert_eq!(pauses(400, 1000)[..4], [400, 600, 900, 1000]);
}

#[test]
fn jitter_does_not_go_below_the_shortest_pause() {
    let clock = Arc::new(ManualClock::new());
    let unlucky = Arc::new(ShortClock(Arc::clone(&clock)));
    let test = TestClient::with(
        tokens,
        |_, _, _| pending(),
        move |builder| builder.clock(unlucky),
    );
    let policy = for_seconds(1).poll_every(Duration::ZERO, Duration::ZERO);
    wait(&test, &policy).unwrap();
    let slept: Vec<_> = clock.slept().iter().map(Duration::as_millis).collect();
    assert_eq!(slept, [300, 300, 300, 100]);
}

#[test]
fn the_longest_pauses_do_not_overflow() {
    let test = test(|_| pending());
    let policy = for_seconds(10).poll_every(Duration::MAX, Duration::MAX);
    assert_eq!(wait(&test, &policy).unwrap(), AuthWait::StillPending);
    assert_eq!(slept(&test), [10_000]);
}

#[cfg(feature = "emulator")]
#[test]
fn a_client_of_the_emulator_may_poll_every_10_milliseconds() {
    let emulator = crate::emulator::Emulator::start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    assert_eq!(client.shortest_poll_pause(), Duration::from_millis(10));
}

#[test]
fn a_retry_after_is_waited_for_up_to_20_seconds_and_a_quarter_more() {
    for (after, pause) in [("16", 20_000), ("21", 25_000), ("3600", 25_000)] {
        let test = test(move |number| match number {
            0 => with_retry_after(503, after),
            _ => approved(),
        });
        let policy = WaitPolicy::new();
        assert_eq!(wait(&test, &policy).unwrap(), AuthWait::ReadyToValidate);
        assert_eq!(slept(&test), [1000, pause]);
    }
}

#[test]
fn an_outage_after_a_poll_that_succeeded_says_so() {
    let test = test(|number| if number == 0 { pending() } else { reset() });
    let end = wait(&test, &for_seconds(5)).unwrap();
    assert_eq!(end, outage(ErrorKind::Transport, true));
}
