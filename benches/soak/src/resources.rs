//! Measures the threads, sockets and memory of this process.

use std::alloc::System;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The resources in use at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// Bytes of the heap.
    pub heap: usize,
    /// `None` where there is no `/proc`.
    pub kernel: Option<KernelResources>,
}

/// What the kernel counts.
#[derive(Clone, Copy, Debug)]
pub struct KernelResources {
    pub threads: usize,
    pub sockets: usize,
    pub rss_kib: usize,
}

impl Resources {
    pub fn now() -> Self {
        let stats = HEAP.stats();
        Self {
            heap: stats.bytes_allocated - stats.bytes_deallocated,
            kernel: KernelResources::now(),
        }
    }

    /// Measures when at most `threads` threads are left, or after one second:
    /// the kernel counts a joined thread for a moment longer.
    pub fn when_threads_ended(threads: usize) -> Self {
        let deadline = Instant::now() + Duration::from_secs(1);
        loop {
            let now = Self::now();
            let has_more = now.kernel.is_some_and(|kernel| kernel.threads > threads);
            if !has_more || Instant::now() > deadline {
                return now;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl KernelResources {
    pub fn now() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let sockets = fs::read_dir("/proc/self/fd")
            .ok()?
            .filter(|entry| entry.as_ref().is_ok_and(|entry| is_socket(&entry.path())));
        Some(Self {
            threads: field("Threads:")?,
            sockets: sockets.count(),
            rss_kib: field("VmRSS:")?,
        })
    }
}

fn is_socket(descriptor: &Path) -> bool {
    fs::read_link(descriptor).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
}
