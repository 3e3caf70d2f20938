//! What this process holds of the machine.

use std::fs;

use crate::tally::Checks;

/// How much more memory the last three quarters of the calls may take: what an
/// allocator loses in gaps. A leak of 32 bytes a call would show.
const SLACK_KIB: usize = 24 * 1024;

/// `None` where there is no `/proc` to read it from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(Option<Held>);

#[derive(Clone, Copy, Debug)]
struct Held {
    threads: usize,
    sockets: usize,
    memory_kib: usize,
}

impl Process {
    pub(crate) fn now() -> Self {
        Self(Held::read())
    }

    pub(crate) fn check(before: Self, warm: Self, end: Self, after: Self, checks: &mut Checks) {
        let (Some(before), Some(warm), Some(end), Some(after)) = (before.0, warm.0, end.0, after.0)
        else {
            println!("!!! NOT CHECKED: threads, sockets and memory, as there is no /proc");
            return;
        };
        checks.expect(
            after.threads == before.threads,
            &format!(
                "threads: {} before, {} with emulator and idle connections, {} after",
                before.threads, end.threads, after.threads
            ),
        );
        checks.expect(
            after.sockets == before.sockets,
            &format!(
                "sockets: {} before, {} with emulator and idle connections, {} after",
                before.sockets, end.sockets, after.sockets
            ),
        );
        checks.expect(
            end.memory_kib <= warm.memory_kib + SLACK_KIB,
            &format!(
                "memory: {} KiB after a quarter of the calls, {} KiB at the end, at most {SLACK_KIB} more",
                warm.memory_kib, end.memory_kib
            ),
        );
    }
}

impl Held {
    fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let sockets = fs::read_dir("/proc/self/fd")
            .ok()?
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"));
        Some(Self {
            threads: field("Threads:")?,
            sockets: sockets.count(),
            memory_kib: field("VmRSS:")?,
        })
    }
}
