//! Measures waits for a user while the service hangs or is down, in real time.

use std::error::Error;
use std::ops::{ControlFlow, RangeInclusive};
use std::time::{Duration, Instant};

use autharmor::Client;
use autharmor::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth};
use autharmor::emulator::{Decision, Emulator, Fault};
use autharmor::flow::{SignIn, WaitPolicy};

use crate::checks::Checks;

const USER: &str = "ada@example.com";
/// Longer than any wait that is measured here.
const HANG: Duration = Duration::from_mins(1);

/// Returns whether the end is the expected one.
type Run = fn(&Emulator, &Client) -> Result<bool, Box<dyn Error>>;

/// A case, and the seconds that it may take.
struct Case {
    name: &'static str,
    seconds: RangeInclusive<f64>,
    run: Run,
}

const CASES: &[Case] = &[
    Case {
        name: "one poll hangs, and the user approves meanwhile",
        seconds: 4.5..=10.0,
        run: |emulator, client| {
            emulator.fault(Fault::latency(HANG).on("get_auth_info").times(1));
            emulator.on_sign_in(|_| Decision::Approve);
            let end = wait(client, &WaitPolicy::new())?;
            Ok(matches!(end, SignIn::SignedIn(_)))
        },
    },
    Case {
        name: "cancelled one second into a poll that hangs",
        seconds: 0.9..=2.0,
        run: |emulator, client| {
            emulator.fault(Fault::latency(HANG).on("get_auth_info").times(1));
            let policy = WaitPolicy::new().on_progress(|progress| {
                if progress.elapsed < Duration::from_secs(1) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            Ok(matches!(wait(client, &policy)?, SignIn::Cancelled))
        },
    },
    Case {
        name: "the service is down for a wait of 3 s",
        seconds: 2.7..=3.5,
        run: |emulator, client| {
            emulator.fault(Fault::status(503).on("get_auth_info").times(1000));
            let end = wait(client, &WaitPolicy::new().timeout(Duration::from_secs(3)))?;
            Ok(matches!(end, SignIn::ServiceUnavailable(outage) if !outage.any_poll_succeeded))
        },
    },
    Case {
        name: "a poll is refused with Retry-After 3600",
        // Twenty seconds, lengthened by up to a quarter, and the next polls.
        seconds: 19.0..=27.0,
        run: |emulator, client| {
            let fault = Fault::status(429).retry_after("3600");
            emulator.fault(fault.on("get_auth_info").times(1));
            emulator.on_sign_in(|_| Decision::Approve);
            Ok(matches!(
                wait(client, &WaitPolicy::new())?,
                SignIn::SignedIn(_)
            ))
        },
    },
    Case {
        name: "a magic link arrives from another address",
        seconds: 0.0..=1.0,
        run: |emulator, client| {
            let request = StartMagiclinkEmailAuth::new(USER, "https://app.example/in");
            let pending = client.begin_magiclink_sign_in(&request.ip_address("203.0.113.7"))?;
            let mail = emulator.outbox().pop().ok_or("there is no mail")?;
            let url = emulator.click(&mail.link)?;
            let end = pending.ip_address("198.51.100.9").complete(client, &url)?;
            Ok(matches!(end, SignIn::RefusedForSecurity))
        },
    },
];

fn wait(client: &Client, policy: &WaitPolicy<'_>) -> Result<SignIn, autharmor::Error> {
    let request = StartAuthenticatorAuth::new().user(USER);
    let started = client.begin_authenticator_sign_in(&request)?;
    started.pending.wait(client, policy)
}

pub fn measure(checks: &mut Checks) {
    println!("\nWaits for a user:");
    println!("  | case | seconds | expected | end |");
    println!("  | --- | ---: | --- | --- |");
    let mut all_as_expected = true;
    for case in CASES {
        let began = Instant::now();
        let outcome = run(case);
        let seconds = began.elapsed().as_secs_f64();
        let is_expected = matches!(outcome, Ok(true)) && case.seconds.contains(&seconds);
        all_as_expected &= is_expected;
        let end = match outcome {
            Ok(true) => "as expected".to_owned(),
            Ok(false) => "**another end**".to_owned(),
            Err(error) => format!("**{error}**"),
        };
        println!(
            "  | {} | {seconds:.3} | {:.1} to {:.1} | {end} |",
            case.name,
            case.seconds.start(),
            case.seconds.end()
        );
    }
    println!("\nChecks of the waits:");
    checks.check(all_as_expected, "every wait ended as expected and in time");
}

fn run(case: &Case) -> Result<bool, Box<dyn Error>> {
    let emulator = Emulator::builder().user(USER).start()?;
    let client = emulator.client_builder().build()?;
    (case.run)(&emulator, &client)
}
