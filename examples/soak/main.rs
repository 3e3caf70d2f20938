//! A long run against the embedded emulator while things go wrong, and a look
//! at how long a call lasts when a network stalls.
//!
//!     cargo run --release --example soak
//!
//! It ends with 1 if anything is not as it should be. See `USAGE`.

mod calls;
mod faults;
mod process;
#[path = "../../tests/support/scripted.rs"]
mod scripted;
mod stalls;
mod tally;
mod world;

use std::process::ExitCode;
use std::str::FromStr;
use std::time::Instant;
use std::{env, thread};

use crate::process::Process;
use crate::tally::{Checks, Tally};
use crate::world::World;

const USAGE: &str = "\
Soak: many threads make mixed calls through one client for each version of the
API, against the embedded emulator, while faults of every kind strike. Checked
at the end: every call came back; whoever was said to have signed in did; no
start was sent twice without reason; threads, sockets and memory are where they
began. Then every way in which a network can stall meets a timeout of 2 s.

  cargo run --release --example soak -- [OPTIONS]

  --calls N      calls in all; 0 leaves this part out [default: 1000000]
  --threads N    [default: 64]
  --faults N     faults among 1000 calls [default: 50]
  --seed N       of what is called and what breaks [default: 1]
  --stalls N     calls for each stalling case; 0 leaves this part out [default: 5]
";

struct Options {
    calls: usize,
    threads: usize,
    faults: usize,
    seed: u64,
    stalls: usize,
}

impl Options {
    /// `None` if the usage is all that is wanted.
    fn read(args: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            calls: 1_000_000,
            threads: 64,
            faults: 50,
            seed: 1,
            stalls: 5,
        };
        let mut args = args.peekable();
        while let Some(name) = args.next() {
            let value = args.next()?;
            match &*name {
                "--calls" => options.calls = number(&value)?,
                "--threads" => options.threads = number(&value)?,
                "--faults" => options.faults = number(&value)?,
                "--seed" => options.seed = number(&value)?,
                "--stalls" => options.stalls = number(&value)?,
                _ => return None,
            }
        }
        Some(options)
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if let [flag, seconds] = &args[..] {
        if flag == stalls::UNNAMED {
            return stalls::look_a_name_up(seconds);
        }
    }
    let Some(options) = Options::read(args.into_iter()) else {
        print!("{USAGE}");
        return ExitCode::from(2);
    };
    let mut checks = Checks::default();
    if options.calls > 0 {
        soak(&options, &mut checks);
    }
    if options.stalls > 0 {
        stalls::measure(options.stalls, &mut checks);
    }
    checks.conclude()
}

fn soak(options: &Options, checks: &mut Checks) {
    println!(
        "{} calls by {} threads, seed {}, {} faults among 1000 calls",
        options.calls, options.threads, options.seed, options.faults
    );
    let before = Process::now();
    let began = Instant::now();
    let world = World::build(options.calls, options.threads);
    let mut tally = Tally::default();

    // Every cache and every list that is kept short is full after this.
    let warm_up = options.calls / 4;
    tally.add(run(&world, options, 0..warm_up));
    let warm = Process::now();
    tally.add(run(&world, options, warm_up..options.calls));
    let end = Process::now();
    println!("took {:.0} s\n", began.elapsed().as_secs_f64());

    tally.print();
    world.faults.print();
    tally.check(options.calls, checks);
    world.starts.check(checks);
    checks.expect(
        tally.signed_in == tally.confirmed,
        &format!(
            "{} sign-ins were reported, and the emulator had granted {} of them",
            tally.signed_in, tally.confirmed
        ),
    );
    checks.expect(
        tally.attacks > 0 && tally.let_in == 0,
        &format!("{} attacks, {} got in", tally.attacks, tally.let_in),
    );

    // One idle connection for each thread and client, and the emulator's end
    // of each, is what may be open.
    drop(world);
    let after = Process::now();
    Process::check(before, warm, end, after, checks);
}

/// The calls of this range, shared out among the threads.
fn run(world: &World, options: &Options, range: std::ops::Range<usize>) -> Tally {
    let mut all = Tally::default();
    thread::scope(|scope| {
        let share = range.len() / options.threads;
        let rest = range.len() % options.threads;
        let threads: Vec<_> = (0..options.threads)
            .map(|number| {
                let calls = share + usize::from(number < rest);
                let seed = options.seed ^ ((range.start + number) as u64) << 8;
                scope.spawn(move || calls::make(world, number, calls, options.faults, seed))
            })
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(tally) => all.add(tally),
                Err(_) => all.panics += 1,
            }
        }
    });
    all
}
