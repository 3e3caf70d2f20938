//! Prints the bytes that an idle connection keeps, of the heap and of resident
//! memory: `connections CLIENT COUNT`.

use std::alloc::System;
use std::sync::{Arc, Barrier};
use std::{process, thread};

use autharmor_compare::Servers;
use autharmor_compare::clients::{Call, ClientKind, RunningClient};
use autharmor_compare::measure::status_kib;
use clap::Parser;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Parser)]
struct Cli {
    client: ClientKind,
    /// Calls at the same time, each on a connection of its own
    count: usize,
}

fn main() {
    let Cli { client, count } = Cli::parse();
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
