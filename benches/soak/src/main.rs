//! Makes a million mixed calls with 64 threads against a service at which one
//! exchange in twenty fails, and checks results and resources afterwards. Then
//! it measures calls that stall.
//!
//!     cargo run --release --manifest-path benches/soak/Cargo.toml
//!
//! `-- --help` lists the options. It exits with 1 if a check fails.

mod attacks;
mod calls;
mod checks;
mod fault_schedule;
mod ledger;
mod resources;
mod scenario;
mod service;
mod stalls;
mod tally;
mod waits;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, panic};

use autharmor::{ApiVersion, RetryPolicy};
use clap::{Parser, Subcommand, ValueEnum};

use crate::calls::Caller;
use crate::checks::{Checks, Measurements};
use crate::resources::{KernelResources, Resources};
use crate::scenario::Scenario;
use crate::service::{Command, Service};
use crate::tally::Tally;

/// One of so many calls belongs to the warm-up.
const WARM_UP: u64 = 10;

/// Makes many calls while faults occur, and measures calls that stall. Takes
/// minutes.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    process: Option<Process>,
}

#[derive(clap::Args)]
struct Options {
    /// Run only this part
    #[arg(long)]
    only: Option<Part>,
    /// Calls to make
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Threads that make them
    #[arg(long, default_value_t = 64)]
    threads: usize,
    /// Percentage of exchanges with a fault
    #[arg(long, default_value_t = 5.0)]
    faults: f64,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds without calls before each measurement; the client keeps an idle
    /// connection for 30
    #[arg(long, default_value_t = 31)]
    pause: u64,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Soak,
    Stalls,
}

/// The processes that this program starts.
#[derive(Subcommand)]
enum Process {
    /// The emulator
    #[command(hide = true)]
    Service { percent: f64, seed: u64 },
    /// A client with a resolver that never replies
    #[command(hide = true)]
    DeadResolver,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.process {
        Some(Process::Service { percent, seed }) => service::serve(percent, seed).map(|()| true),
        Some(Process::DeadResolver) => stalls::call_with_dead_resolver().map(|()| true),
        None => run(&cli.options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all checks passed.
fn run(options: &Options) -> io::Result<bool> {
    let mut checks = Checks::default();
    if options.only != Some(Part::Stalls) {
        soak(options, &mut checks)?;
    }
    if options.only != Some(Part::Soak) {
        stalls::measure(&mut checks);
        waits::measure(&mut checks);
    }
    Ok(checks.all_passed())
}

fn soak(options: &Options, checks: &mut Checks) -> io::Result<()> {
    let calls = options.calls;
    println!(
        "Soak: {calls} calls by {} threads, faults in {} % of the exchanges, seed {}",
        options.threads, options.faults, options.seed
    );
    let panics = count_panics();
    let service = Service::start(options.faults, options.seed)?;
    let before = Resources::now();
    let client = |version| {
        service
            .client_builder()
            .api_version(version)
            .username_in_query(true)
            .timeout(Duration::from_secs(5))
            .connect_timeout(Duration::from_secs(2))
            .retry(
                RetryPolicy::default()
                    .first_pause(Duration::from_millis(5))
                    .longest_pause(Duration::from_millis(50)),
            )
            .build()
            .expect("valid settings")
    };
    let clients = [client(ApiVersion::V3), client(ApiVersion::V4)];
    let scenario = Scenario::new(service, clients);

    let pause = Duration::from_secs(options.pause);
    let mut tally = Tally::default();
    let mut callers = Callers::new(options);
    let threads = before.kernel.map_or(0, |kernel| kernel.threads);
    callers.call_until(&scenario, calls / WARM_UP, &mut tally);
    recover(&scenario, pause, &mut tally);
    let warm = Resources::when_threads_ended(threads);
    callers.call_until(&scenario, calls, &mut tally);
    let recovered = recover(&scenario, pause, &mut tally);
    let end = Resources::when_threads_ended(threads);

    let measured = Measurements {
        threads: options.threads,
        report: scenario.service.report(),
        starts: scenario.starts.get(),
        attacks: scenario.attacks.get(),
        successful_attacks: scenario.successful_attacks.get(),
        lookups: scenario.lookups.get(),
        contradictions: scenario.contradictions.get(),
        panics: panics.load(Relaxed),
        crashed: callers.crashed,
        seconds: callers.seconds,
        recovered,
        before,
        warm,
        peak: callers.peak,
        end,
        after: {
            drop(scenario);
            Resources::when_threads_ended(threads)
        },
        tally,
    };
    checks::check_all(&measured, checks);
    Ok(())
}

/// Waits until pooled connections are too old to be used again, and makes calls
/// so that the clients close them: otherwise the measurement would depend on
/// their number. Returns how many of the last 100 calls had a result.
fn recover(scenario: &Scenario, pause: Duration, tally: &mut Tally) -> u64 {
    eprintln!(
        "{} calls; pause of {} s",
        scenario.calls.get(),
        pause.as_secs()
    );
    thread::sleep(pause);
    let (calls, results) = Caller::new(scenario, 0).recover();
    tally.add(calls);
    results
}

/// Counts the panics of all threads, those of the crate included.
fn count_panics() -> &'static AtomicU64 {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Relaxed);
        print(info);
    }));
    &PANICS
}

/// The calling threads, and what was measured while they ran.
struct Callers {
    threads: usize,
    seed: u64,
    crashed: u64,
    seconds: f64,
    /// The maximum of each resource.
    peak: Option<KernelResources>,
}

impl Callers {
    fn new(options: &Options) -> Self {
        Self {
            threads: options.threads,
            seed: options.seed,
            crashed: 0,
            seconds: 0.0,
            peak: None,
        }
    }

    /// Starts new threads and waits for their end. What is left then belongs to
    /// the client.
    fn call_until(&mut self, scenario: &Scenario, calls: u64, tally: &mut Tally) {
        enable_faults(scenario, true);
        let began = Instant::now();
        let busy = AtomicUsize::new(self.threads);
        let seed = self.seed.wrapping_add(calls);
        let seeds = (1..).map(|number: u64| seed.wrapping_add(number << 32));
        let outcomes: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = seeds
                .take(self.threads)
                .map(|seed| {
                    let busy = BusyGuard(&busy);
                    scope.spawn(move || {
                        let _busy = busy;
                        Caller::new(scenario, seed).run_until(calls)
                    })
                })
                .collect();
            self.watch(scenario, &busy, began);
            callers
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        for outcome in outcomes {
            match outcome {
                Ok(calls) => tally.add(calls),
                Err(_) => self.crashed += 1,
            }
        }
        self.seconds += began.elapsed().as_secs_f64();
        enable_faults(scenario, false);
    }

    fn watch(&mut self, scenario: &Scenario, busy: &AtomicUsize, began: Instant) {
        let mut printed = 0;
        while busy.load(Relaxed) > 0 {
            thread::sleep(Duration::from_millis(200));
            if let Some(now) = KernelResources::now() {
                let peak = self.peak.get_or_insert(now);
                peak.threads = peak.threads.max(now.threads);
                peak.sockets = peak.sockets.max(now.sockets);
                peak.rss_kib = peak.rss_kib.max(now.rss_kib);
            }
            let tens = began.elapsed().as_secs() / 10;
            if tens > printed {
                printed = tens;
                eprintln!("{} calls", scenario.calls.get());
            }
        }
    }
}

fn enable_faults(scenario: &Scenario, is_enabled: bool) {
    let outcome = scenario.service.run(&Command::EnableFaults(is_enabled));
    outcome.expect("the service obeys");
}

/// Counts a thread as busy until it ends, even by a panic.
struct BusyGuard<'a>(&'a AtomicUsize);

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
