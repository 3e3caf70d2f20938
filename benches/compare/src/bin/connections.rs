//! Makes calls and counts heap allocations of all threads:
//! `caller_counted call CLIENT CALL COUNT` prints allocations and bytes per call;
//! `caller_counted connections CLIENT COUNT` prints the bytes that an idle
//! connection keeps, of the heap and of resident memory.

use std::alloc::System;
use std::sync::{Arc, Barrier};
use std::{process, thread};

use autharmor_compare::Servers;
use autharmor_compare::clients::{Call, CallArgs, ClientKind, RunningClient};
use autharmor_compare::measure::status_kib;
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Parser)]
enum Cli {
    Call(CallArgs),
    Connections { client: ClientKind, count: usize },
}

fn main() {
    match Cli::parse() {
        Cli::Call(args) => calls(&args),
        Cli::Connections { client, count } => connections(client, count),
    }
}

fn calls(args: &CallArgs) {
    let mut caller = args.warm_caller();
    let region = Region::new(HEAP);
    for _ in 0..args.count {
        caller();
    }
    let change = region.change();
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    let per_call = |total: usize| total as f64 / args.count as f64;
    println!(
        "{} {}",
        per_call(change.allocations + change.reallocations),
        per_call(change.bytes_allocated)
    );
}

/// Opens one connection, then `count` connections at the same time.
fn connections(client: ClientKind, count: usize) {
    let client = client.start(&Servers::from_env());
    let rss = || status_kib(process::id(), "VmRSS").unwrap_or(0) * 1024;
    // What the first call and its thread allocate is not counted.
    burst(&client, 1);
    let before = (HEAP.stats(), rss());
    burst(&client, count);
    let after = (HEAP.stats(), rss());
    let kept = |stats: stats_alloc::Stats| stats.bytes_allocated - stats.bytes_deallocated;
    let more = count - 1;
    println!(
        "{} {}",
        (kept(after.0) - kept(before.0)) / more,
        after.1.saturating_sub(before.1) as usize / more
    );
}

fn burst(client: &RunningClient, count: usize) {
    let barrier = Arc::new(Barrier::new(count));
    thread::scope(|scope| {
        for _ in 0..count {
            let mut caller = client.caller(Call::ByName);
            let barrier = barrier.clone();
            scope.spawn(move || {
                barrier.wait();
                caller();
            });
        }
    });
}
