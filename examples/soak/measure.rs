//! What this process holds: threads, sockets, memory.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::heap;

/// The kernel's part is known on Linux only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holdings {
    pub(crate) heap: usize,
    pub(crate) kernel: Option<Kernel>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel {
    pub(crate) threads: usize,
    pub(crate) sockets: usize,
    pub(crate) rss_kib: usize,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        Self {
            heap: heap::in_use(),
            kernel: Kernel::now(),
        }
    }

    /// Once there are so many threads, or a second later: a thread that has
    /// been joined is counted for a moment more.
    pub(crate) fn settled(threads: usize) -> Self {
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            let now = Self::now();
            let lingering = now.kernel.is_some_and(|kernel| kernel.threads > threads);
            if !lingering || Instant::now() > until {
                return now;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Kernel {
    pub(crate) fn now() -> Option<Self> {
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

fn is_socket(descriptor: &std::path::Path) -> bool {
    fs::read_link(descriptor).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
}
