//! Warm calls, side by side in one run: a raw rustls socket, bare ureq, this
//! crate and `reqwest::blocking`, against one TLS server on this machine.
//!
//!     cargo bench --manifest-path benches/compare/Cargo.toml --bench compare
//!
//! See `USAGE` for what it does.

use std::env;
use std::net::Ipv4Addr;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use autharmor_compare::canned::Canned;
use autharmor_compare::contenders::{Call, Contender, Started};
use autharmor_compare::measure::{median, pin};
use autharmor_compare::{Place, verdict};

const USAGE: &str = "\
Warm calls, side by side in one run: a raw rustls socket, bare ureq, this crate
and reqwest::blocking, against one TLS server on this machine.

  cargo bench --manifest-path benches/compare/Cargo.toml --bench compare -- [OPTIONS]

All client threads run on one core, the server on another. The contenders take
turns in short slices, so that whatever else the machine does meets all of them;
the tables show medians of the slices, and of the ratios within each turn.
Instructions are those of the whole client process outside the kernel, counted
by valgrind's callgrind in a run of a program that does nothing else (a longer
run less a shorter one); allocations are counted by its allocator.

  --only LIST    a list such as counts,speed of: counts, speed, threads, bursts
  --turns N      turns of each contender in `speed` and `threads` [default: 40]
  --slice MS     length of a turn [default: 50]
  --strict       exit with 1 if a bound is not kept
";

struct Options {
    only: Vec<String>,
    turns: usize,
    slice: Duration,
    strict: bool,
}

impl Options {
    /// `None` after the usage was printed.
    fn read() -> Option<Self> {
        let mut options = Self {
            only: ["counts", "speed", "threads", "bursts"]
                .map(str::to_owned)
                .into(),
            turns: 40,
            slice: Duration::from_millis(50),
            strict: false,
        };
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().expect("a value");
            match &*arg {
                // Cargo's.
                "--bench" => {}
                "--only" => options.only = value().split(',').map(str::to_owned).collect(),
                "--turns" => options.turns = value().parse().expect("a number"),
                "--slice" => {
                    options.slice = Duration::from_millis(value().parse().expect("a number"));
                }
                "--strict" => options.strict = true,
                _ => {
                    print!("{USAGE}");
                    return None;
                }
            }
        }
        Some(options)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.iter().any(|wanted| wanted == part)
    }
}

fn main() -> ExitCode {
    let Some(options) = Options::read() else {
        return ExitCode::SUCCESS;
    };
    // Threads inherit the core of whoever starts them.
    let pinned = pin(1);
    let server = Canned::start();
    let slow = Canned::start_at(Ipv4Addr::LOCALHOST.into(), Duration::from_millis(10));
    if !(pinned && pin(0)) {
        println!("!!! NOT PINNED: this machine does not say which cores it has\n");
    }
    let place = Place::of(&server);
    let mut verdicts = Vec::new();
    if options.wants("counts") {
        counts(&place, &mut verdicts);
    }
    if options.wants("speed") {
        speed(&place, &options, &mut verdicts);
    }
    if options.wants("threads") {
        threads(&place, &options, &mut verdicts);
    }
    if options.wants("bursts") {
        bursts(&place, &slow, &mut verdicts);
    }
    println!("## Bounds\n");
    let mut all = true;
    for (holds, promise, found) in verdicts {
        all &= verdict(holds, promise, &found);
    }
    if all || !options.strict {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

type Verdicts = Vec<(bool, &'static str, String)>;

// ---- what does not depend on the machine's mood ----------------------------

struct Counts {
    instructions: Option<f64>,
    allocations: f64,
    bytes: f64,
}

impl Counts {
    fn of(place: &Place, contender: Contender, call: Call) -> Self {
        let output = Command::new(env!("CARGO_BIN_EXE_caller_counted"))
            .args([&contender.word(), &call.word(), "200"])
            .envs(place.to_env())
            .stderr(Stdio::inherit())
            .output()
            .expect("a program that was just built");
        let text = String::from_utf8(output.stdout).expect("numbers");
        let mut numbers = text
            .split_whitespace()
            .map(|n| n.parse().expect("a number"));
        let mut next = || numbers.next().expect("two numbers");
        Self {
            allocations: next(),
            bytes: next(),
            instructions: instructions(place, contender, call),
        }
    }
}

/// Those of one call. `None` where there is no valgrind.
fn instructions(place: &Place, contender: Contender, call: Call) -> Option<f64> {
    const FEW: u32 = 50;
    const MANY: u32 = 550;
    let collected = |count: u32| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env!("CARGO_BIN_EXE_caller"))
            .args([contender.word(), call.word(), count.to_string()])
            .envs(place.to_env())
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let Some((_, rest)) = text.split_once("Collected : ") else {
            panic!("valgrind did not count: {text}");
        };
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some((collected(MANY)? - collected(FEW)?) / f64::from(MANY - FEW))
}

fn counts(place: &Place, verdicts: &mut Verdicts) {
    println!("## Instructions, allocations and bytes allocated per warm call\n");
    for call in Call::ALL {
        println!(
            "| {} | instructions | ratio | allocations | ratio | bytes | ratio |",
            call.name()
        );
        println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        let mut contenders = Contender::MAIN.to_vec();
        if call == Call::ByName {
            contenders.extend(Contender::ROADS);
        }
        let rows: Vec<_> = contenders
            .into_iter()
            .map(|contender| (contender, Counts::of(place, contender, call)))
            .collect();
        let row_of = |wanted| {
            let row = rows.iter().find(|(contender, _)| *contender == wanted);
            &row.expect("a row").1
        };
        let bare = row_of(Contender::Ureq);
        let instructions = |counts: &Counts| counts.instructions.unwrap_or(f64::NAN);
        for (contender, counts) in &rows {
            println!(
                "| {} | {:.0} | {:.2} | {:.1} | {:.2} | {:.0} | {:.2} |",
                contender.name(),
                instructions(counts),
                instructions(counts) / instructions(bare),
                counts.allocations,
                counts.allocations / bare.allocations,
                counts.bytes,
                counts.bytes / bare.bytes,
            );
        }
        println!();
        if call == Call::ByName {
            let ours = row_of(Contender::Autharmor);
            match (ours.instructions, bare.instructions) {
                (Some(ours), Some(bare)) => verdicts.push((
                    ours / bare <= 1.10,
                    "warm call by name, at most 1.10 times the instructions of bare ureq",
                    format!("{:.2}", ours / bare),
                )),
                _ => verdicts.push((
                    false,
                    "warm call by name, at most 1.10 times the instructions of bare ureq",
                    "NOT COUNTED, there is no valgrind here".to_owned(),
                )),
            }
            let ratio = ours.allocations / bare.allocations;
            verdicts.push((
                ratio <= 1.10,
                "warm call by name, at most 1.10 times the allocations of bare ureq",
                format!("{ratio:.2}"),
            ));
        }
    }
}

// ---- what does -------------------------------------------------------------

/// Calls a second of each contender in each turn.
struct Turns(Vec<(Contender, Vec<f64>)>);

impl Turns {
    fn take(contenders: &[Contender], turns: usize, mut slice: impl FnMut(usize) -> f64) -> Self {
        let mut taken: Vec<_> = contenders.iter().map(|c| (*c, Vec::new())).collect();
        for _ in 0..turns {
            for (at, (_, rates)) in taken.iter_mut().enumerate() {
                rates.push(slice(at));
            }
        }
        Self(taken)
    }

    fn rates(&self, wanted: Contender) -> &[f64] {
        let found = self.0.iter().find(|(contender, _)| *contender == wanted);
        &found.expect("a contender that took part").1
    }

    fn rate(&self, of: Contender) -> f64 {
        median(self.rates(of).iter().copied())
    }

    /// How much faster `a` is than `b`.
    fn ratio(&self, a: Contender, b: Contender) -> f64 {
        median(self.rates(a).iter().zip(self.rates(b)).map(|(a, b)| a / b))
    }
}

/// On this thread.
fn slice(caller: &mut dyn FnMut(), length: Duration) -> f64 {
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

fn speed(place: &Place, options: &Options, verdicts: &mut Verdicts) {
    println!("## Warm calls, one thread\n");
    for call in Call::ALL {
        let mut contenders = Contender::MAIN.to_vec();
        if call == Call::ByName {
            contenders.extend(Contender::ROADS);
        }
        let clients: Vec<_> = contenders.iter().map(|c| c.start(place)).collect();
        let mut callers: Vec<_> = clients.iter().map(|client| client.caller(call)).collect();
        for caller in &mut callers {
            slice(&mut **caller, options.slice);
        }
        let turns = Turns::take(&contenders, options.turns, |at| {
            slice(&mut *callers[at], options.slice)
        });
        println!(
            "| {} | calls/s | µs a call | time to bare ureq's | time to reqwest's |",
            call.name()
        );
        println!("| --- | ---: | ---: | ---: | ---: |");
        for contender in &contenders {
            let rate = turns.rate(*contender);
            println!(
                "| {} | {rate:.0} | {:.1} | {:.2} | {:.2} |",
                contender.name(),
                1e6 / rate,
                1.0 / turns.ratio(*contender, Contender::Ureq),
                1.0 / turns.ratio(*contender, Contender::Reqwest),
            );
        }
        println!();
        if call == Call::ByName {
            let time = 1.0 / turns.ratio(Contender::Autharmor, Contender::Reqwest);
            verdicts.push((
                time <= 0.65,
                "warm call by name, at most 0.65 times the time of reqwest::blocking",
                format!("{time:.2}"),
            ));
        }
    }
}

/// Threads that make calls by name, all with one client, in turns.
struct Crowd {
    gate: Arc<Barrier>,
    stop: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    calls: Arc<std::sync::Mutex<u32>>,
}

impl Crowd {
    fn gather(client: &Started, count: usize) -> Self {
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

    fn dismiss(self) {
        self.end.store(true, Ordering::Relaxed);
        self.gate.wait();
        for thread in self.threads {
            thread.join().expect("no panic");
        }
    }
}

fn threads(place: &Place, options: &Options, verdicts: &mut Verdicts) {
    const CONTENDERS: [Contender; 5] = [
        Contender::Raw,
        Contender::Ureq,
        Contender::UreqLargePool,
        Contender::Autharmor,
        Contender::Reqwest,
    ];
    println!("## Calls by name per second, all threads on one client (raw: a socket each)\n");
    print!("| threads |");
    for contender in CONTENDERS {
        print!(" {} |", contender.name());
    }
    println!(" autharmor to large pool |");
    println!("| ---: |{} ---: |", " ---: |".repeat(CONTENDERS.len()));
    for count in [1, 2, 8, 64] {
        let clients: Vec<_> = CONTENDERS.iter().map(|c| c.start(place)).collect();
        let crowds: Vec<_> = clients
            .iter()
            .map(|client| Crowd::gather(client, count))
            .collect();
        // Many threads want more time to take turns themselves.
        let length = if count > 2 {
            options.slice * 4
        } else {
            options.slice
        };
        let turns = if count > 2 {
            options.turns / 2
        } else {
            options.turns
        }
        .max(1);
        for crowd in &crowds {
            crowd.slice(length);
        }
        let taken = Turns::take(&CONTENDERS, turns, |at| crowds[at].slice(length));
        crowds.into_iter().for_each(Crowd::dismiss);
        print!("| {count} |");
        for contender in CONTENDERS {
            print!(" {:.0} |", taken.rate(contender));
        }
        let ratio = taken.ratio(Contender::Autharmor, Contender::UreqLargePool);
        println!(" {ratio:.2} |");
        if count == 64 {
            verdicts.push((
                ratio >= 0.95,
                "64 threads, at least 0.95 times the throughput of bare ureq with a large pool",
                format!("{ratio:.2}"),
            ));
        }
    }
    println!();
}

fn bursts(place: &Place, slow: &Canned, verdicts: &mut Verdicts) {
    const THREADS: usize = 64;
    const BURSTS: usize = 20;
    // The token is fetched elsewhere, so that only calls are counted.
    let place = Place {
        api: slow.url(),
        login: place.login.clone(),
        ca_pem: format!("{}{}", place.ca_pem, slow.ca_pem()),
    };
    println!("## {BURSTS} bursts of {THREADS} threads against a server that takes 10 ms\n");
    println!("| | connections opened | ms a burst |");
    println!("| --- | ---: | ---: |");
    for contender in [
        Contender::Ureq,
        Contender::UreqLargePool,
        Contender::Autharmor,
        Contender::Reqwest,
    ] {
        let client = contender.start(&place);
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
        println!("| {} | {opened} | {:.1} |", contender.name(), median(times));
        if contender == Contender::Autharmor {
            verdicts.push((
                opened <= THREADS,
                "bursts of 64 against a server that takes 10 ms open at most 64 connections",
                opened.to_string(),
            ));
        }
    }
    println!();
}
