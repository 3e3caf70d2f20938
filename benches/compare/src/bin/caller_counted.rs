//! Makes calls and counts what they take from the heap, on all threads:
//! `caller_counted CONTENDER CALL COUNT` prints allocations and bytes a call;
//! `caller_counted CONTENDER connections COUNT` prints the bytes that an idle
//! connection keeps, on the heap and as the system sees it.

use std::alloc::System;
use std::sync::{Arc, Barrier};
use std::{env, process, thread};

use autharmor_compare::Place;
use autharmor_compare::contenders::{Call, Contender, Started, from_args};
use autharmor_compare::measure::status_kib;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let args: Vec<_> = env::args().collect();
    if args.get(2).is_some_and(|call| call == "connections") {
        return connections(&args[1], args[3].parse().expect("a count"));
    }
    let (mut caller, count) = from_args();
    let region = Region::new(HEAP);
    for _ in 0..count {
        caller();
    }
    let change = region.change();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let per_call = |total: usize| total as f64 / count as f64;
    println!(
        "{} {}",
        per_call(change.allocations + change.reallocations),
        per_call(change.bytes_allocated)
    );
}

/// One connection first, then as many at once as were asked for.
fn connections(contender: &str, count: usize) {
    let client = Contender::from_word(contender).start(&Place::from_env());
    let rss = || status_kib(process::id(), "VmRSS").unwrap_or(0) * 1024;
    // The threads' own memory is not the connections'.
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

fn burst(client: &Started, count: usize) {
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
