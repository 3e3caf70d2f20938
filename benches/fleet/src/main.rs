//! Simulates a fleet of clients in virtual time, with the crate's own token
//! cache, retries and waits, over a modelled service and store.
//!
//! Prints tables and a plot, and fails if a bound does not hold. With `--short`
//! for few clients; with `--report FOLDER` it writes `README.md` and
//! `outage.svg` there.

mod report;
mod run;
mod service;
mod store;
mod time;

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::run::{FETCH, FirstHolder, LEASE, Plan, Seconds, Sharing};
use crate::service::Failure;

/// Both hosts are down in these seconds.
const OUTAGE: Range<u64> = 30..90;
const OUTAGE_RUN: Duration = Duration::from_secs(150);

/// What a run may cost at most.
const MOST_WITH_LEASES: u32 = 2;
const MOST_WITH_JITTER: u32 = 20;
/// A token that has ended by the other clients' clocks is no use to them.
const MOST_WITH_A_WRONG_CLOCK: u32 = 4;
/// Calls without a lease wait for so long at most.
const SPREAD: Duration = Duration::from_secs(1);
/// After the end of a lease: the time until somebody looks, and that until the
/// others look again.
const LOOKS: Duration = Duration::from_secs(1);
const MOST_AMPLIFICATION: f64 = 1.2;
const MOST_AFTER: f64 = 3.0;

struct Report {
    text: String,
    broken: Vec<String>,
}

impl Report {
    fn line(&mut self, line: &str) {
        println!("{line}");
        self.text += line;
        self.text.push('\n');
    }

    fn check(&mut self, holds: bool, bound: &str) {
        if !holds {
            self.broken.push(bound.to_owned());
        }
    }
}

fn main() -> ExitCode {
    let mut is_short = false;
    let mut folder = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--short" => is_short = true,
            "--report" => folder = arguments.next().map(PathBuf::from),
            _ => {
                eprintln!("usage: autharmor-fleet [--short] [--report FOLDER]");
                return ExitCode::from(2);
            }
        }
    }
    let mut report = Report {
        text: String::new(),
        broken: Vec::new(),
    };
    report.line("# Simulated fleets");
    report.line("");
    report.line("Written by `cargo run --release --manifest-path benches/fleet/Cargo.toml --");
    report.line("--report benches/fleet`. Time is virtual; token cache, retries and waits are the");
    report.line("crate's. Of five clients four read a user every 2 s and one waits for people. A");
    report.line("token request takes 150 ms, a read 50 ms, a command to the store 1 ms. The token");
    report.line("endpoint serves 100 requests a second; it refuses more with a 429 when its queue");
    report.line("is longer than a second.");
    let sizes: &[u32] = if is_short {
        &[10, 200]
    } else {
        &[10, 200, 1_000, 10_000]
    };
    token_requests(&mut report, sizes);
    let sizes: &[u32] = if is_short {
        &[10, 300]
    } else {
        &[10, 1_000, 10_000]
    };
    let svg = outages(&mut report, sizes);
    if let Some(folder) = folder {
        let write = |name, text| std::fs::write(folder.join(name), text);
        if let Err(error) =
            write("README.md", &report.text).and_then(|()| write("outage.svg", &svg))
        {
            eprintln!("{}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    }
    for bound in &report.broken {
        eprintln!("a bound does not hold: {bound}");
    }
    ExitCode::from(u8::from(!report.broken.is_empty()))
}

/// All start in the same instant; a token lives for 20 s.
fn token_requests(report: &mut Report, sizes: &[u32]) {
    report.line("");
    report.line("## Token requests");
    report.line("");
    report
        .line("All clients start in the same instant. A token lives for 20 s; 65 s are simulated.");
    report.line("");
    report.line(
        "| clients | token shared through | cold start | most at a renewal | failed reads \
         | slowest read | longest wait for a token | most store commands/s |",
    );
    report.line("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for &clients in sizes {
        for (sharing, name) in [
            (Sharing::None, "nothing"),
            (Sharing::Store, "a store without leases"),
            (Sharing::Leases(FirstHolder::Fetches), "a store with leases"),
            (
                Sharing::Leases(FirstHolder::IsKilled),
                "the same, the first holder killed",
            ),
            (
                Sharing::Leases(FirstHolder::Stalls),
                "the same, the first holder stalled for 8 s",
            ),
            (
                Sharing::Leases(FirstHolder::IsBehind),
                "the same, the first holder's clock an hour behind",
            ),
        ] {
            let plan = Plan {
                clients,
                sharing,
                token_life: Duration::from_secs(20),
                outage: Duration::ZERO..Duration::ZERO,
                failure: Failure::Unavailable,
                start: Duration::ZERO,
                length: Duration::from_secs(65),
            };
            let seconds = plan.run();
            let found = report::renewals(&seconds);
            let failed: u32 = seconds.failed.iter().sum();
            report.line(&format!(
                "| {clients} | {name} | {} | {} | {failed} | {:.1} s | {:.1} s | {} |",
                found.cold_start,
                found.most_at_a_renewal,
                seconds.slowest.as_secs_f64(),
                seconds.longest_wait.as_secs_f64(),
                seconds.store.iter().max().unwrap_or(&0),
            ));
            let bound = |what: &str| format!("{clients} clients, {name}: {what}");
            let (most, longest_wait) = match sharing {
                Sharing::None => continue,
                Sharing::Store if clients > 200 => continue,
                Sharing::Store => (MOST_WITH_JITTER, SPREAD + 2 * FETCH),
                Sharing::Leases(FirstHolder::IsBehind) => {
                    (MOST_WITH_A_WRONG_CLOCK, 2 * FETCH + LOOKS)
                }
                Sharing::Leases(_) => (MOST_WITH_LEASES, LEASE + FETCH + LOOKS),
            };
            report.check(found.number >= 2, &bound("two renewals"));
            let is_few = found.cold_start.max(found.most_at_a_renewal) <= most;
            report.check(is_few, &bound("few token requests"));
            report.check(failed == 0, &bound("no read fails"));
            let is_short = seconds.longest_wait <= longest_wait;
            report.check(is_short, &bound("a token in time"));
        }
    }
}

/// Both hosts are down for a minute. Returns a plot of the largest fleet.
fn outages(report: &mut Report, sizes: &[u32]) -> String {
    let hour = Duration::from_secs(3600);
    // So that it ends in the outage.
    let minute = Duration::from_secs(60);
    report.line("");
    report.line("## A minute without the service");
    report.line("");
    report.line(
        "| clients | what fails | token | shared through | usual requests/s | requests per read \
         | most token requests/s | busiest second after | recovery |",
    );
    report.line("| ---: | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |");
    let outage = Duration::from_secs(OUTAGE.start)..Duration::from_secs(OUTAGE.end);
    let range =
        usize::try_from(OUTAGE.start).unwrap_or(0)..usize::try_from(OUTAGE.end).unwrap_or(0);
    let mut largest: Vec<(&str, Seconds)> = Vec::new();
    for &clients in sizes {
        largest.clear();
        for (failure, what) in [
            (Failure::Unavailable, "503"),
            (Failure::RetryAfter, "503, `Retry-After`: its end"),
        ] {
            for (token_life, token) in [(hour, "valid"), (minute, "ends")] {
                for (sharing, name) in [
                    (Sharing::None, "nothing"),
                    (Sharing::Store, "store"),
                    (Sharing::Leases(FirstHolder::Fetches), "leases"),
                ] {
                    let seconds = Plan {
                        clients,
                        sharing,
                        token_life,
                        outage: outage.clone(),
                        failure,
                        start: Duration::from_secs(2),
                        length: OUTAGE_RUN,
                    }
                    .run();
                    let found = report::outage(&seconds, &range);
                    let mut line = format!(
                        "| {clients} | {what} | {token} | {name} | {:.0} | {:.2} | {} | {:.2}× | ",
                        found.usual, found.amplification, found.most_tokens, found.busiest_after,
                    );
                    let _ = match found.recovery {
                        Some(recovery) => write!(line, "{recovery} s |"),
                        None => write!(line, "none |"),
                    };
                    report.line(&line);
                    let bound = |text: &str| format!("{clients}, {what}, {token}, {name}: {text}");
                    let is_quiet = found.amplification <= MOST_AMPLIFICATION;
                    report.check(is_quiet, &bound("at most 1.2 requests for each read"));
                    // Of few clients one second says little.
                    let is_calm = found.busiest_after <= MOST_AFTER || clients < 100;
                    report.check(is_calm, &bound("at most three times the usual load"));
                    // Ten thousand tokens are more than the endpoint has.
                    let recovers =
                        found.recovery.is_some() || (sharing == Sharing::None && clients > 1_000);
                    report.check(recovers, &bound("it recovers"));
                    if failure == Failure::Unavailable && token == "ends" {
                        largest.push((name, seconds));
                    }
                }
            }
        }
    }
    let runs: Vec<_> = largest.iter().map(|(name, run)| (*name, run)).collect();
    if let Some((_, run)) = runs.iter().find(|(name, _)| *name == "leases") {
        report.line("");
        report.line("The largest fleet, with leases and a token that ends in the outage:");
        report.line("");
        report.line("```text");
        report.line(report::text_plot(run, &range).trim_end());
        report.line("```");
        report.line("");
        report.line("![Requests by second](outage.svg)");
    }
    let clients = sizes.last().copied().unwrap_or(0);
    report::svg(&format!("{clients} clients"), &runs, &range)
}
