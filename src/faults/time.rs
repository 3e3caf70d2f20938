//! C, and what of T and H is about time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::fake::{Fake, answer, answer_with, healthy, tokens};
use super::harness::{Call, Expect, Good, ID, Row, SECRET, World, fails, served, token_body};
use super::timed;
use crate::ErrorKind::{InvalidInput, RateLimited, Unavailable};
use crate::clock::Clock;
use crate::clock::ManualClock;
use crate::testing::seconds;
use crate::{Client, users};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A healthy service whose tokens have this life.
fn with_life(life: &'static str) -> (World, Arc<ManualClock>) {
    let json = move |number| {
        let body = token_body(number, life);
        body.replace(r#""expires_in":,"#, "")
    };
    timed(Fake::new(
        move |number, _, _| answer(200, json(number)),
        |_, request, _| healthy(request),
    ))
}

/// One call, and so many milliseconds later another that costs so many tokens.
fn later(row: &mut Row, life: &'static str, pause: u64, tokens: usize) {
    for call in Call::ALL {
        let (world, clock) = with_life(life);
        call.make(&world.client).unwrap();
        clock.advance(Duration::from_millis(pause));
        row.endure(&world, call, &served().tokens(tokens));
    }
}

#[test]
fn t8_a_token_of_unknown_life() {
    let mut row = Row::new("T8", "`expires_in` missing");
    later(&mut row, "", 269_000, 0);
    later(&mut row, "null", 269_000, 0);
    later(&mut row, "", 270_000, 1);
    row.note("taken as five minutes");
    row.done();
}

#[test]
fn t9_a_life_of_another_type() {
    let mut row = Row::new("T9", "`expires_in` is `\"3600\"` or 3600.0");
    for life in ["\"3600\"", "3600.0"] {
        later(&mut row, life, 3_569_000, 0);
        later(&mut row, life, 3_570_000, 1);
    }
    later(&mut row, "18446744073709551615", 86_369_000, 0);
    later(&mut row, "18446744073709551615", 86_370_000, 1);
    row.note("taken as a number; more than a day is not believed");
    row.done();
}

#[test]
fn t10_a_token_that_is_over_at_once() {
    let mut row = Row::new("T10", "`expires_in` 0, -1 or 1");
    for (life, tokens) in [("0", 1), ("-1", 1), ("1", 0)] {
        later(&mut row, life, 0, tokens);
    }
    later(&mut row, "1", 1_000, 1);
    row.note("used once, never more fetches than calls");
    row.done();
}

#[test]
fn t14_the_token_endpoint_is_busy() {
    let mut row = Row::new("T14", "429, `Retry-After` 1, 50 or 3600");
    for call in Call::ALL {
        let (world, clock) = timed(Fake::new(
            |number, request, limits| match number {
                0 => answer_with(429, &[("retry-after", "1")], ""),
                _ => tokens(number, request, limits),
            },
            |_, request, _| healthy(request),
        ));
        row.endure(&world, call, &served().tokens(2));
        assert_eq!(clock.slept(), [seconds(1)]);

        // Not within the deadline, and not within reason.
        for (after, text) in [(50, "50"), (3600, "3600")] {
            let (world, clock) = timed(Fake::new(
                move |_, _, _| answer_with(429, &[("retry-after", text)], ""),
                |_, request, _| healthy(request),
            ));
            let expect = fails(RateLimited)
                .status(429)
                .retry_after(seconds(after))
                .unsent()
                .tokens(1);
            row.endure(&world, call, &expect);
            assert!(clock.slept().is_empty());
        }
    }
    row.note("waited for within the deadline");
    row.done();
}

/// A token of ten minutes, and a token endpoint that is down since.
fn down_since() -> (World, Arc<ManualClock>) {
    timed(Fake::new(
        |number, request, limits| match number {
            0 => tokens(number, request, limits),
            _ => answer(503, ""),
        },
        |_, request, _| healthy(request),
    ))
}

#[test]
fn t17_a_renewal_fails_before_the_end() {
    let mut row = Row::new("T17", "renewal fails, the old token is still valid");
    for call in Call::ALL {
        let (world, clock) = down_since();
        call.make(&world.client).unwrap();
        clock.advance(seconds(580));
        row.endure(&world, call, &served().tokens(3));

        let (world, clock) = down_since();
        call.make(&world.client).unwrap();
        clock.advance(seconds(580));
        call.make(&world.client).unwrap();
        row.endure(&world, call, &served().tokens(0));
    }
    row.note("the next renewal only after five seconds");
    row.done();
}

#[test]
fn t18_a_renewal_fails_after_the_end() {
    let mut row = Row::new("T18", "renewal fails, the old token has expired");
    let expect = fails(Unavailable).status(503).unsent().tokens(3);
    for call in Call::ALL {
        let (world, clock) = down_since();
        call.make(&world.client).unwrap();
        clock.advance(seconds(600));
        row.endure(&world, call, &expect);

        // An earlier failure has not made it live longer, nor does a clock
        // that is set back.
        let (world, clock) = down_since();
        call.make(&world.client).unwrap();
        clock.advance(seconds(580));
        call.make(&world.client).unwrap();
        clock.advance(seconds(20));
        call.make(&world.client).unwrap_err();
        clock.set_wall(SystemTime::UNIX_EPOCH);
        row.endure(&world, call, &expect);
    }
    row.done();
}

#[test]
fn c1_the_wall_clock_jumps_ahead() {
    let mut row = Row::new("C1", "wall clock a day ahead");
    for call in Call::ALL {
        let (world, clock) = with_life("600");
        call.make(&world.client).unwrap();
        clock.set_wall(clock.wall() + DAY);
        row.endure(&world, call, &served().tokens(1));
    }
    row.note("one more token");
    row.done();
}

#[test]
fn c2_the_wall_clock_jumps_back() {
    let yesterday = SystemTime::now().checked_sub(DAY).unwrap();
    let before_1970 = SystemTime::UNIX_EPOCH.checked_sub(DAY).unwrap();
    let mut row = Row::new("C2", "wall clock a day back, or before 1970");
    for call in Call::ALL {
        for wall in [yesterday, before_1970] {
            for (pause, tokens) in [(0, 0), (600, 1)] {
                let (world, clock) = with_life("600");
                call.make(&world.client).unwrap();
                clock.set_wall(wall);
                clock.advance(seconds(pause));
                row.endure(&world, call, &served().tokens(tokens));
            }
        }
    }
    row.note("the token ends when it would have ended");
    row.done();
}

#[test]
fn c3_the_machine_sleeps() {
    let mut row = Row::new(
        "C3",
        "suspended for five hours, the monotonic clock stands still",
    );
    for call in Call::ALL {
        let (world, clock) = with_life("600");
        call.make(&world.client).unwrap();
        clock.set_wall(clock.wall() + seconds(5 * 60 * 60));
        row.endure(&world, call, &served().tokens(1));
    }
    row.note("the wall clock tells");
    row.done();
}

#[test]
fn c4_the_token_ends_between_check_and_use() {
    let mut row = Row::new("C4", "the token ends between check and use");
    for (life, renewal) in [("600", 570_000), ("100", 90_000)] {
        later(&mut row, life, renewal - 1, 0);
        later(&mut row, life, renewal, 1);
    }
    row.note("renewed 30 s before, or a tenth of its life");
    row.done();
}

#[test]
fn c5_a_life_shorter_than_the_margin() {
    let mut row = Row::new("C5", "a life shorter than the margin");
    for (life, renewal) in [("10", 9_000), ("1", 900)] {
        later(&mut row, life, renewal - 1, 0);
        later(&mut row, life, renewal, 1);
    }
    row.done();
}

/// A clock whose sleeper wakes an hour late.
#[derive(Debug)]
struct Overslept(ManualClock);

impl Clock for Overslept {
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
fn c7_a_sleep_overshoots() {
    let mut row = Row::new("C7", "a pause before a retry takes an hour longer");
    for call in Call::ALL {
        let clock = Arc::new(Overslept(ManualClock::new()));
        let now = {
            let clock = clock.clone();
            move || clock.now()
        };
        let fake = Fake::new(tokens, |_, _, _| answer(503, ""));
        let builder = Client::builder(ID, SECRET).clock(clock);
        let mut world = fake.timed(Arc::new(now), builder);
        // It is beyond the deadline when it wakes, and that is the fault.
        world.clock = None;
        row.endure(&world, call, &fails(Unavailable).status(503).tokens(1));
    }
    row.note("no try beyond the deadline");
    row.done();
}

#[test]
fn c8_no_time_and_all_the_time() {
    let mut row = Row::new("C8", "timeout 0 or `Duration::MAX`");
    let builder = || Client::builder(ID, SECRET).no_proxy();
    let zero = Duration::ZERO;
    row.refuses_to_build(|| builder().timeout(zero).build(), "timeout is zero");
    row.refuses_to_build(
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
        let fake = Fake::new(tokens, |_, request, _| healthy(request)).timeout(Duration::MAX);
        let read = move |client: &Client| {
            let request = users::get_user(super::harness::NAME).timeout(timeout);
            client.send(&request).map(|_| Good::Served)
        };
        row.endure_other(&fake.world(), true, read, &expect);
    }
    for call in Call::ALL {
        let fake = Fake::new(tokens, |_, request, _| healthy(request)).timeout(Duration::MAX);
        row.endure(&fake.world(), call, &served().tokens(1));
    }
    row.done();
}

#[test]
fn h16_unavailable_for_a_while() {
    let mut row = Row::new("H16", "503, `Retry-After` 5 or 90");
    let busy = |after: &'static str| {
        timed(Fake::new(tokens, move |number, request, _| match number {
            0 => answer_with(503, &[("retry-after", after)], ""),
            _ => healthy(request),
        }))
    };
    let error = |after| {
        let error: Expect = fails(Unavailable).status(503);
        error.retry_after(seconds(after)).tokens(1)
    };
    for call in Call::ALL {
        let (world, clock) = busy("5");
        if call == Call::Read {
            row.endure(&world, call, &served().requests(2, 0).tokens(1));
            assert_eq!(clock.slept(), [seconds(5)]);
        } else {
            row.endure(&world, call, &error(5));
            assert!(clock.slept().is_empty());
        }
        let (world, clock) = busy("90");
        row.endure(&world, call, &error(90));
        assert!(clock.slept().is_empty());
    }
    row.done();
}
