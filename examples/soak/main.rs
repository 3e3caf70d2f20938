//! Soaks the client: a million mixed calls by 64 threads against a service at
//! which one exchange in twenty goes wrong, and a look at what is left of it
//! afterwards. Then it holds a clock to everything that can stall.
//!
//!     cargo run --release --example soak
//!
//! See `HELP` for its options. It ends with a 1 if a check fails.

mod calls;
mod checks;
mod dice;
mod heap;
mod measure;
mod register;
mod service;
mod stalls;
mod tally;
mod weather;

use autharmor_test_support::scripted;

use std::io;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, panic};

use autharmor::{ApiVersion, RetryPolicy};

use crate::calls::{Caller, World};
use crate::checks::{Evidence, Verdict};
use crate::measure::{Holdings, Kernel};
use crate::service::{Ask, Service};
use crate::tally::Tally;

const HELP: &str = "\
Soaks the client in faults, and measures what stalls. For minutes.

Usage: cargo run --release --example soak -- [OPTIONS]

Options:
  --only PART       Only this part: `soak` or `stalls`
  --calls N         Calls to make [default: 1000000]
  --threads N       Threads that make them [default: 64]
  --faults PERCENT  Exchanges in which something goes wrong [default: 5]
  --seed N          Of all chance [default: 1]
  --help            Print this
";

/// How long the client keeps a connection that is not used.
const POOLED: Duration = Duration::from_secs(30);
/// The warm-up's share of the calls: one in so many.
const WARM_UP: u64 = 10;

pub(crate) struct Options {
    only: Option<String>,
    calls: u64,
    pub(crate) threads: usize,
    faults: f64,
    seed: u64,
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let outcome = match args.first().map(String::as_str) {
        // What this program starts itself as.
        Some(service::ARGUMENT) => be_the_service(&args),
        Some(stalls::ARGUMENT) => return stalls::ask_the_dead_resolver(),
        _ => match parse(args.into_iter()) {
            Ok(Some(options)) => run(&options),
            Ok(None) => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            Err(error) => {
                eprintln!("soak: {error}; try --help");
                return ExitCode::from(2);
            }
        },
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

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    fn number<T: FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
        let number = value.and_then(|value| value.parse().ok());
        number.ok_or_else(|| format!("{name} needs a number"))
    }
    let mut options = Options {
        only: None,
        calls: 1_000_000,
        threads: 64,
        faults: 5.0,
        seed: 1,
    };
    while let Some(name) = args.next() {
        match name.as_str() {
            "--only" => options.only = args.next(),
            "--calls" => options.calls = number(&name, args.next())?,
            "--threads" => options.threads = number(&name, args.next())?,
            "--faults" => options.faults = number(&name, args.next())?,
            "--seed" => options.seed = number(&name, args.next())?,
            "--help" => return Ok(None),
            _ => return Err(format!("{name} is no option")),
        }
    }
    match options.only.as_deref() {
        None | Some("soak" | "stalls") => Ok(Some(options)),
        Some(_) => Err("--only needs `soak` or `stalls`".to_owned()),
    }
}

fn be_the_service(args: &[String]) -> io::Result<bool> {
    let percent = args.get(1).and_then(|percent| percent.parse().ok());
    let seed = args.get(2).and_then(|seed| seed.parse().ok());
    let (Some(percent), Some(seed)) = (percent, seed) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    service::serve(percent, seed).map(|()| true)
}

fn run(options: &Options) -> io::Result<bool> {
    let mut verdict = Verdict::default();
    let only = options.only.as_deref();
    if only != Some("stalls") {
        soak(options, &mut verdict)?;
    }
    if only != Some("soak") {
        stalls::measure(&mut verdict);
    }
    Ok(verdict.is_good())
}

fn soak(options: &Options, verdict: &mut Verdict) -> io::Result<()> {
    let calls = options.calls;
    println!(
        "Soak: {calls} calls by {} threads, faults in {} % of the exchanges, seed {}",
        options.threads, options.faults, options.seed
    );
    let panics = count_panics();
    let service = Service::start(options.faults, options.seed)?;
    let before = Holdings::now();
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
            .expect("the settings are good")
    };
    let clients = [client(ApiVersion::V3), client(ApiVersion::V4)];
    let world = World::new(service, clients);

    let mut tally = Tally::default();
    let mut crowd = Crowd::new(options);
    let threads = before.kernel.map_or(0, |kernel| kernel.threads);
    crowd.call_until(&world, calls / WARM_UP, &mut tally);
    rest(&world, &mut tally);
    let warm = Holdings::settled(threads);
    crowd.call_until(&world, calls, &mut tally);
    let healed = rest(&world, &mut tally);
    let end = Holdings::settled(threads);

    let records = world.service.records();
    let evidence = Evidence {
        starts: world.starts(),
        attacks: world.attacks(),
        confirmations: world.confirmations(),
        panics: panics.load(Relaxed),
        crashed: crowd.crashed,
        seconds: crowd.seconds,
        healed,
        before,
        warm,
        peak: crowd.peak,
        end,
        after: {
            drop(world.into_service());
            Holdings::settled(threads)
        },
        tally,
        records,
    };
    checks::judge(&evidence, options, verdict);
    Ok(())
}

/// Waits until pooled connections are too old to be kept, and lets the clients
/// notice it: what was measured would else depend on how many there happened to
/// be. Gives how many of the last hundred calls had a result.
fn rest(world: &World, tally: &mut Tally) -> u64 {
    eprintln!("{} calls; a rest of half a minute", world.calls());
    thread::sleep(POOLED + Duration::from_secs(1));
    let (calls, results) = Caller::new(world, 0).calm_down();
    tally.add(calls);
    results
}

/// How many threads have panicked, those of the crate included.
fn count_panics() -> &'static AtomicU64 {
    static PANICS: AtomicU64 = AtomicU64::new(0);
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Relaxed);
        print(info);
    }));
    &PANICS
}

/// The threads that call, and what was seen of them meanwhile.
struct Crowd {
    threads: usize,
    seed: u64,
    crashed: u64,
    seconds: f64,
    /// The most of each that was there at a time.
    peak: Option<Kernel>,
}

impl Crowd {
    fn new(options: &Options) -> Self {
        Self {
            threads: options.threads,
            seed: options.seed,
            crashed: 0,
            seconds: 0.0,
            peak: None,
        }
    }

    /// All threads are new, and gone at the end: what is left is the client's.
    fn call_until(&mut self, world: &World, calls: u64, tally: &mut Tally) {
        set_weather(world, true);
        let began = Instant::now();
        let busy = AtomicUsize::new(self.threads);
        let seed = self.seed.wrapping_add(calls);
        let seeds = (1..).map(|number: u64| seed.wrapping_add(number << 32));
        let outcomes: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = seeds
                .take(self.threads)
                .map(|seed| {
                    let busy = Leave(&busy);
                    scope.spawn(move || {
                        let _leave = busy;
                        Caller::new(world, seed).run_until(calls)
                    })
                })
                .collect();
            self.watch(world, &busy, began);
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
        set_weather(world, false);
    }

    fn watch(&mut self, world: &World, busy: &AtomicUsize, began: Instant) {
        let mut told = 0;
        while busy.load(Relaxed) > 0 {
            thread::sleep(Duration::from_millis(200));
            if let Some(now) = Kernel::now() {
                let peak = self.peak.get_or_insert(now);
                peak.threads = peak.threads.max(now.threads);
                peak.sockets = peak.sockets.max(now.sockets);
                peak.rss_kib = peak.rss_kib.max(now.rss_kib);
            }
            let tens = began.elapsed().as_secs() / 10;
            if tens > told {
                told = tens;
                eprintln!("{} calls", world.calls());
            }
        }
    }
}

fn set_weather(world: &World, is_bad: bool) {
    let told = world.service.ask(&Ask::Weather { is_bad });
    told.expect("the service obeys");
}

/// One thread less is busy, however it ends.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
