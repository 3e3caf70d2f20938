//! [`Interrupts`]: signals, a closed terminal, and the end of the program that
//! asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getppid};

use super::terminal;
use crate::failure::Failure;

const SIGNALS: [(Signal, &str); 3] = [
    (Signal::SIGINT, "SIGINT"),
    (Signal::SIGTERM, "SIGTERM"),
    (Signal::SIGHUP, "SIGHUP"),
];

/// Tells whether something has ended the wait.
pub(crate) struct Interrupts {
    signal: Arc<AtomicUsize>,
    /// The parent, if its end shall count.
    parent: Option<Pid>,
}

impl Interrupts {
    /// Begins to watch. `with_parent` is for a parent that waits for the
    /// decision: `pam_exec` starts a session of its own, which no signal of the
    /// terminal reaches.
    pub(crate) fn watch(with_parent: bool) -> Result<Self, Failure> {
        let signal = Arc::new(AtomicUsize::new(0));
        let mut all = SigSet::empty();
        for (number, _) in SIGNALS {
            signal_hook::flag::register_usize(number as i32, signal.clone(), number as usize)
                .map_err(|error| Failure::Failed(error.to_string()))?;
            all.add(number);
        }
        // The parent may have blocked them.
        all.thread_unblock()
            .map_err(|error| Failure::Failed(error.to_string()))?;
        Ok(Self {
            signal,
            parent: with_parent.then(getppid),
        })
    }

    /// Returns what has ended the wait, if something has.
    pub(crate) fn pending(&self) -> Option<&'static str> {
        let signal = self.signal.load(Ordering::SeqCst);
        let is_it = |(number, _): &&(Signal, _)| *number as usize == signal;
        if let Some((_, name)) = SIGNALS.iter().find(is_it) {
            return Some(name);
        }
        if self.parent.is_some_and(|parent| getppid() != parent) {
            return Some("the parent process has ended");
        }
        terminal::is_closed().then_some("the terminal is closed")
    }
}
