//! C, and the rows of T and H that are about time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use autharmor::ErrorKind::{InvalidInput, RateLimited, Unavailable};
use autharmor::{Client, Clock, ManualClock, users};

use super::calls::{Call, ID, Outcome, seconds, token_body};
use super::expect::{Expect, fails, served};
use super::fake_service::{FakeService, healthy, respond, respond_with, tokens, with_clock};
use super::harness::{Row, Scenario};
use super::secrets::SECRET;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A healthy service whose tokens have this life.
fn with_life(life: &'static str) -> (Scenario, Arc<ManualClock>) {
    let json = move |number| {
        let body = token_body(number, life);
        body.replace(r#""expires_in":,"#, "")
    };
    with_clock(FakeService::new(
        move |number, _, _| respond(200, json(number)),
        |_, request, _| healthy(request),
    ))
}

/// A second call this many milliseconds after the first makes this many token
/// requests.
fn check_later(row: &mut Row, life: &'static str, pause: u64, tokens: usize) {
    for call in Call::ALL {
        let (scenario, clock) = with_life(life);
        call.make(&scenario.client).unwrap();
        clock.advance(Duration::from_millis(pause));
        row.check_call(&scenario, call, &served().tokens(tokens));
    }
}

#[test]
fn t8_token_without_a_life() {
    let mut row = Row::new("T8", "`expires_in` missing");
    check_later(&mut row, "", 269_000, 0);
    check_later(&mut row, "null", 269_000, 0);
    check_later(&mut row, "", 270_000, 1);
    row.note("counts as five minutes");
    row.finish();
}

#[test]
fn t9_life_of_another_type() {
    let mut row = Row::new("T9", "`expires_in` is `\"3600\"` or 3600.0");
    for life in ["\"3600\"", "3600.0"] {
        check_later(&mut row, life, 3_569_000, 0);
        check_later(&mut row, life, 3_570_000, 1);
    }
    check_later(&mut row, "18446744073709551615", 86_369_000, 0);
    check_later(&mut row, "18446744073709551615", 86_370_000, 1);
    row.note("read as a number; at most a day");
    row.finish();
}

#[test]
fn t10_token_that_ends_at_once() {
    let mut row = Row::new("T10", "`expires_in` 0, -1 or 1");
    for (life, tokens) in [("0", 1), ("-1", 1), ("1", 0)] {
        check_later(&mut row, life, 0, tokens);
    }
    check_later(&mut row, "1", 1_000, 1);
    row.note("used once; never more token requests than calls");
    row.finish();
}

#[test]
fn t14_token_endpoint_is_busy() {
    let mut row = Row::new("T14", "429, `Retry-After` 1, 50 or 3600");
    for call in Call::ALL {
        let (scenario, clock) = with_clock(FakeService::new(
            |number, request, limits| match number {
                0 => respond_with(429, &[("retry-after", "1")], ""),
                _ => tokens(number, request, limits),
            },
            |_, request, _| healthy(request),
        ));
        row.check_call(&scenario, call, &served().tokens(2));
        assert_eq!(clock.slept(), [Duration::from_millis(1250)]);

        // Longer than the deadline, or than any pause.
        for (after, text) in [(50, "50"), (3600, "3600")] {
            let (scenario, clock) = with_clock(FakeService::new(
                move |_, _, _| respond_with(429, &[("retry-after", text)], ""),
                |_, request, _| healthy(request),
            ));
            let expect = fails(RateLimited)
                .status(429)
                .retry_after(seconds(after))
                .unsent()
                .tokens(1);
            row.check_call(&scenario, call, &expect);
            assert!(clock.slept().is_empty());
        }
    }
    row.note("a pause within the deadline is made");
    row.finish();
}

/// A token endpoint that is down after its first token of ten minutes.
fn down_after_first() -> (Scenario, Arc<ManualClock>) {
    with_clock(FakeService::new(
        |number, request, limits| match number {
            0 => tokens(number, request, limits),
            _ => respond(503, ""),
        },
        |_, request, _| healthy(request),
    ))
}

#[test]
fn t17_renewal_fails_before_expiry() {
    let mut row = Row::new("T17", "renewal fails while the old token is valid");
    for call in Call::ALL {
        let (scenario, clock) = down_after_first();
        call.make(&scenario.client).unwrap();
        clock.advance(seconds(580));
        row.check_call(&scenario, call, &served().tokens(3));

        let (scenario, clock) = down_after_first();
        call.make(&scenario.client).unwrap();
        clock.advance(seconds(580));
        call.make(&scenario.client).unwrap();
        row.check_call(&scenario, call, &served().tokens(0));
    }
    row.note("the next renewal only after five seconds");
    row.finish();
}

#[test]
fn t18_renewal_fails_after_expiry() {
    let mut row = Row::new("T18", "renewal fails after the old token expired");
    let expect = fails(Unavailable).status(503).unsent().tokens(3);
    for call in Call::ALL {
        let (scenario, clock) = down_after_first();
        call.make(&scenario.client).unwrap();
        clock.advance(seconds(600));
        row.check_call(&scenario, call, &expect);

        // Neither an earlier failure nor a clock that is set back extends it.
        let (scenario, clock) = down_after_first();
        call.make(&scenario.client).unwrap();
        clock.advance(seconds(580));
        call.make(&scenario.client).unwrap();
        clock.advance(seconds(20));
        call.make(&scenario.client).unwrap_err();
        clock.set_wall(SystemTime::UNIX_EPOCH);
        row.check_call(&scenario, call, &expect);
    }
    row.finish();
}

#[test]
fn c1_the_wall_clock_jumps_ahead() {
    let mut row = Row::new("C1", "wall clock a day ahead");
    for call in Call::ALL {
        let (scenario, clock) = with_life("600");
        call.make(&scenario.client).unwrap();
        clock.set_wall(clock.wall() + DAY);
        row.check_call(&scenario, call, &served().tokens(1));
    }
    row.note("one more token request");
    row.finish();
}

#[test]
fn c2_the_wall_clock_jumps_back() {
    let yesterday = SystemTime::now().checked_sub(DAY).unwrap();
    let before_1970 = SystemTime::UNIX_EPOCH.checked_sub(DAY).unwrap();
    let mut row = Row::new("C2", "wall clock a day back, or before 1970");
    for call in Call::ALL {
        for wall in [yesterday, before_1970] {
            for (pause, tokens) in [(0, 0), (600, 1)] {
                let (scenario, clock) = with_life("600");
                call.make(&scenario.client).unwrap();
                clock.set_wall(wall);
                clock.advance(seconds(pause));
                row.check_call(&scenario, call, &served().tokens(tokens));
            }
        }
    }
    row.note("the token expires when it would have expired");
    row.finish();
}

#[test]
fn c3_machine_is_suspended() {
    let mut row = Row::new(
        "C3",
        "suspended for five hours while the monotonic clock stands still",
    );
    for call in Call::ALL {
        let (scenario, clock) = with_life("600");
        call.make(&scenario.client).unwrap();
        clock.set_wall(clock.wall() + seconds(5 * 60 * 60));
        row.check_call(&scenario, call, &served().tokens(1));
    }
    row.note("the wall clock decides");
    row.finish();
}

#[test]
fn c4_token_expires_between_check_and_use() {
    let mut row = Row::new("C4", "the token expires between check and use");
    for (life, renewal) in [("600", 570_000), ("100", 90_000)] {
        check_later(&mut row, life, renewal - 1, 0);
        check_later(&mut row, life, renewal, 1);
    }
    row.note("renewed 30 s before its end, or a tenth of its life");
    row.finish();
}

#[test]
fn c5_life_shorter_than_the_margin() {
    let mut row = Row::new("C5", "a life shorter than the margin");
    for (life, renewal) in [("10", 9_000), ("1", 900)] {
        check_later(&mut row, life, renewal - 1, 0);
        check_later(&mut row, life, renewal, 1);
    }
    row.finish();
}

/// A clock whose pauses take an hour longer.
#[derive(Debug)]
struct LateClock(ManualClock);

impl Clock for LateClock {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }

    fn sleep(&self, pause: Duration) {
        self.0.sleep(pause + seconds(3600));
    }

    fn jitter(&self, most: Duration) -> Duration {
        most
    }
}

#[test]
fn c7_pause_takes_too_long() {
    let mut row = Row::new("C7", "a pause before a retry takes an hour longer");
    for call in Call::ALL {
        let clock = Arc::new(LateClock(ManualClock::new()));
        let now = {
            let clock = clock.clone();
            move || clock.now()
        };
        let service = FakeService::new(tokens, |_, _, _| respond(503, ""));
        let builder = Client::builder(ID, SECRET).clock(clock);
        let mut scenario = service.with_clock_of(Arc::new(now), builder);
        // The fault itself takes the call beyond its deadline.
        scenario.clock = None;
        row.check_call(&scenario, call, &fails(Unavailable).status(503).tokens(1));
    }
    row.note("no attempt after the deadline");
    row.finish();
}

#[test]
fn c8_zero_and_longest_timeout() {
    let mut row = Row::new("C8", "timeout 0 or `Duration::MAX`");
    let builder = || Client::builder(ID, SECRET).no_proxy();
    let zero = Duration::ZERO;
    row.check_refused_build(|| builder().timeout(zero).build(), "timeout is zero");
    row.check_refused_build(
        || builder().connect_timeout(zero).build(),
        "connect_timeout is zero",
    );
    for (timeout, expect) in [
        (
            zero,
            fails(InvalidInput).unsent().says("the timeout is zero"),
        ),
        (Duration::MAX, served().tokens(1)),
    ] {
        let service =
            FakeService::new(tokens, |_, request, _| healthy(request)).timeout(Duration::MAX);
        let read = move |client: &Client| {
            let request = users::get_user(super::secrets::NAME).timeout(timeout);
            client.send(&request).map(|_| Outcome::Served)
        };
        row.check_other_call(&service.scenario(), true, read, &expect);
    }
    for call in Call::ALL {
        let service =
            FakeService::new(tokens, |_, request, _| healthy(request)).timeout(Duration::MAX);
        row.check_call(&service.scenario(), call, &served().tokens(1));
    }
    row.finish();
}

#[test]
fn h16_unavailable_for_a_while() {
    let mut row = Row::new("H16", "503, `Retry-After` 5 or 90");
    let busy = |after: &'static str| {
        with_clock(FakeService::new(
            tokens,
            move |number, request, _| match number {
                0 => respond_with(503, &[("retry-after", after)], ""),
                _ => healthy(request),
            },
        ))
    };
    let error = |after| {
        let error: Expect = fails(Unavailable).status(503);
        error.retry_after(seconds(after)).tokens(1)
    };
    for call in Call::ALL {
        let (scenario, clock) = busy("5");
        if call == Call::Read {
            row.check_call(&scenario, call, &served().requests(2, 0).tokens(1));
            assert_eq!(clock.slept(), [Duration::from_millis(6250)]);
        } else {
            row.check_call(&scenario, call, &error(5));
            assert!(clock.slept().is_empty());
        }
        let (scenario, clock) = busy("90");
        row.check_call(&scenario, call, &error(90));
        assert!(clock.slept().is_empty());
    }
    row.finish();
}
