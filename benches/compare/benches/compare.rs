//! Compares warm calls of this crate and other clients.
//!
//!     cargo bench --manifest-path benches/compare/Cargo.toml --bench compare

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use autharmor_compare::canned::Canned;
use autharmor_compare::clients::{Call, ClientKind, RunningClient};
use autharmor_compare::measure::{median, pin};
use autharmor_compare::{Servers, check_bound, exit_code};
use clap::{Parser, ValueEnum};

/// Compares warm calls of a raw rustls socket, bare ureq, this crate and
/// reqwest::blocking, against one TLS server on this machine.
///
/// All client threads run on one core, the server on another. The clients take turns
/// in short slices, so that other load on the machine affects all of them; the tables
/// show medians of the slices, and of the ratios within each turn. Instructions and
/// allocations are counted by the package in `guard`.
#[derive(Parser)]
struct Cli {
    /// Run only these parts, such as speed,threads
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    /// Turns of each client in `speed` and `threads`
    #[arg(long, default_value_t = 40)]
    turns: usize,
    /// Length of a turn, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 50)]
    slice: u64,
    /// Exit with 1 if a bound is exceeded
    #[arg(long)]
    strict: bool,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Speed,
    Threads,
    Bursts,
}

impl Cli {
    fn slice(&self) -> Duration {
        Duration::from_millis(self.slice)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A thread inherits the core of the thread that starts it.
    let pinned = pin(1);
    let server = Canned::start();
    let slow = Canned::start_at(Ipv4Addr::LOCALHOST.into(), Duration::from_millis(10));
    if !(pinned && pin(0)) {
        println!("!!! NOT PINNED: the cores of this machine are unknown\n");
    }
    let servers = Servers::of(&server);
    let mut bounds = Vec::new();
    if cli.only.contains(&Part::Speed) {
        speed(&servers, &cli, &mut bounds);
    }
    if cli.only.contains(&Part::Threads) {
        threads(&servers, &cli, &mut bounds);
    }
    if cli.only.contains(&Part::Bursts) {
        bursts(&servers, &slow, &mut bounds);
    }
    println!("## Bounds\n");
    let mut all_passed = true;
    for (passed, bound, measured) in bounds {
        all_passed &= check_bound(passed, &bound, &measured);
    }
    exit_code(all_passed, cli.strict)
}

/// Whether a bound was kept, the bound, and the measured value.
type Bounds = Vec<(bool, String, String)>;

/// Calls per second of each client in each turn.
struct Turns(Vec<(ClientKind, Vec<f64>)>);

impl Turns {
    fn take(kinds: &[ClientKind], turns: usize, mut slice: impl FnMut(usize) -> f64) -> Self {
        let mut taken: Vec<_> = kinds.iter().map(|c| (*c, Vec::new())).collect();
        for _ in 0..turns {
            for (at, (_, rates)) in taken.iter_mut().enumerate() {
                rates.push(slice(at));
            }
        }
        Self(taken)
    }

    fn rates(&self, wanted: ClientKind) -> &[f64] {
        let found = self.0.iter().find(|(kind, _)| *kind == wanted);
        &found.expect("a client that was measured").1
    }

    fn rate(&self, of: ClientKind) -> f64 {
        median(self.rates(of).iter().copied())
    }

    /// Returns the rate of `a` divided by the rate of `b`.
    fn ratio(&self, a: ClientKind, b: ClientKind) -> f64 {
        median(self.rates(a).iter().zip(self.rates(b)).map(|(a, b)| a / b))
    }
}

/// Makes calls on this thread for this time. Returns calls per second.
fn measure_slice(caller: &mut dyn FnMut(), length: Duration) -> f64 {
    let began = Instant::now();
    let mut calls = 0;
    loop {
        caller();
        calls += 1;
        let took = began.elapsed();
        if took >= length {
            return f64::from(calls) / took.as_secs_f64();
        }
    }
}

fn speed(servers: &Servers, cli: &Cli, bounds: &mut Bounds) {
    println!("## Warm calls, one thread\n");
    for call in Call::ALL {
        let mut kinds = ClientKind::MAIN.to_vec();
        if call == Call::ByName {
            kinds.extend(ClientKind::DEADLINES);
        }
        let clients: Vec<_> = kinds.iter().map(|c| c.start(servers)).collect();
        let mut callers: Vec<_> = clients.iter().map(|client| client.caller(call)).collect();
        for caller in &mut callers {
            measure_slice(&mut **caller, cli.slice());
        }
        let turns = Turns::take(&kinds, cli.turns, |at| {
            measure_slice(&mut *callers[at], cli.slice())
        });
        println!(
            "| {} | calls/s | µs per call | time to bare ureq's | time to reqwest's |",
            call.name()
        );
        println!("| --- | ---: | ---: | ---: | ---: |");
        for kind in &kinds {
            let rate = turns.rate(*kind);
            println!(
                "| {} | {rate:.0} | {:.1} | {:.2} | {:.2} |",
                kind.name(),
                1e6 / rate,
                1.0 / turns.ratio(*kind, ClientKind::Ureq),
                1.0 / turns.ratio(*kind, ClientKind::Reqwest),
            );
        }
        println!();
        let most: &[(ClientKind, f64)] = match call {
            // ureq alone exceeds the first: about three quarters of the instructions
            // beyond those of the raw socket are its own. Another part are the
            // three system calls that find out whether an idle connection is silent;
            // the standard library has no way to do so with one.
            Call::ByName => &[(ClientKind::Raw, 1.20), (ClientKind::Reqwest, 0.56)],
            Call::List => &[(ClientKind::Ureq, 1.00)],
            _ => &[],
        };
        for (other, most) in most {
            let [time, bare] = [ClientKind::Autharmor, ClientKind::Ureq]
                .map(|kind| 1.0 / turns.ratio(kind, *other));
            bounds.push((
                time <= *most,
                format!("{}, time, at most {most} of {}", call.name(), other.name()),
                format!("{time:.3} (bare ureq {bare:.3})"),
            ));
        }
    }
}

/// Threads that make calls by name with one client, in slices.
struct CallingThreads {
    gate: Arc<Barrier>,
    stop: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    calls: Arc<std::sync::Mutex<u32>>,
}

impl CallingThreads {
    fn start(client: &RunningClient, count: usize) -> Self {
        let gate = Arc::new(Barrier::new(count + 1));
        let stop = Arc::new(AtomicBool::new(false));
        let end = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(std::sync::Mutex::new(0));
        let threads = (0..count)
            .map(|_| {
                let mut caller = client.caller(Call::ByName);
                let (gate, stop, end) = (gate.clone(), stop.clone(), end.clone());
                let calls = calls.clone();
                thread::spawn(move || {
                    loop {
                        gate.wait();
                        if end.load(Ordering::Relaxed) {
                            return;
                        }
                        let mut mine = 0;
                        while !stop.load(Ordering::Relaxed) {
                            caller();
                            mine += 1;
                        }
                        *calls.lock().expect("no panic") += mine;
                        gate.wait();
                    }
                })
            })
            .collect();
        Self {
            gate,
            stop,
            end,
            threads,
            calls,
        }
    }

    fn slice(&self, length: Duration) -> f64 {
        self.stop.store(false, Ordering::Relaxed);
        *self.calls.lock().expect("no panic") = 0;
        self.gate.wait();
        let began = Instant::now();
        thread::sleep(length);
        self.stop.store(true, Ordering::Relaxed);
        self.gate.wait();
        f64::from(*self.calls.lock().expect("no panic")) / began.elapsed().as_secs_f64()
    }

    fn stop(self) {
        self.end.store(true, Ordering::Relaxed);
        self.gate.wait();
        for thread in self.threads {
            thread.join().expect("no panic");
        }
    }
}

fn threads(servers: &Servers, cli: &Cli, bounds: &mut Bounds) {
    const KINDS: [ClientKind; 5] = [
        ClientKind::Raw,
        ClientKind::Ureq,
        ClientKind::UreqLargePool,
        ClientKind::Autharmor,
        ClientKind::Reqwest,
    ];
    println!("## Calls by name per second, all threads with one client (raw: one socket each)\n");
    print!("| threads |");
    for kind in KINDS {
        print!(" {} |", kind.name());
    }
    println!(" autharmor to large pool |");
    println!("| ---: |{} ---: |", " ---: |".repeat(KINDS.len()));
    for count in [1, 2, 8, 64] {
        let clients: Vec<_> = KINDS.iter().map(|c| c.start(servers)).collect();
        let groups: Vec<_> = clients
            .iter()
            .map(|client| CallingThreads::start(client, count))
            .collect();
        // Many threads need longer slices, in which each of them runs.
        let length = if count > 2 {
            cli.slice() * 4
        } else {
            cli.slice()
        };
        let turns = if count > 2 { cli.turns / 2 } else { cli.turns }.max(1);
        for group in &groups {
            group.slice(length);
        }
        let taken = Turns::take(&KINDS, turns, |at| groups[at].slice(length));
        groups.into_iter().for_each(CallingThreads::stop);
        print!("| {count} |");
        for kind in KINDS {
            print!(" {:.0} |", taken.rate(kind));
        }
        let ratio = taken.ratio(ClientKind::Autharmor, ClientKind::UreqLargePool);
        println!(" {ratio:.2} |");
        bounds.push((
            ratio >= 1.0,
            format!("{count} threads, at least the throughput of bare ureq with a large pool"),
            format!("{ratio:.3}"),
        ));
    }
    println!();
}

fn bursts(servers: &Servers, slow: &Canned, bounds: &mut Bounds) {
    const THREADS: usize = 64;
    const BURSTS: usize = 20;
    // The token comes from another server, so that only calls are counted.
    let servers = Servers {
        api: slow.url(),
        login: servers.login.clone(),
        ca_pem: format!("{}{}", servers.ca_pem, slow.ca_pem()),
    };
    println!("## {BURSTS} bursts of {THREADS} threads against a server that takes 10 ms\n");
    println!("| | connections opened | ms per burst |");
    println!("| --- | ---: | ---: |");
    for kind in [
        ClientKind::Ureq,
        ClientKind::UreqLargePool,
        ClientKind::Autharmor,
        ClientKind::Reqwest,
    ] {
        let client = kind.start(&servers);
        let before = slow.opened();
        let gate = Barrier::new(THREADS + 1);
        let mut times = Vec::new();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let mut caller = client.caller(Call::ByName);
                let gate = &gate;
                scope.spawn(move || {
                    for _ in 0..BURSTS {
                        gate.wait();
                        caller();
                        gate.wait();
                    }
                });
            }
            for _ in 0..BURSTS {
                gate.wait();
                let began = Instant::now();
                gate.wait();
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        });
        let opened = slow.opened() - before;
        println!("| {} | {opened} | {:.1} |", kind.name(), median(times));
        if kind == ClientKind::Autharmor {
            bounds.push((
                opened <= THREADS,
                "bursts of 64 against a server that takes 10 ms open at most 64 connections"
                    .to_owned(),
                opened.to_string(),
            ));
        }
    }
    println!();
}
