//! Short-lived threads, for work that blocks and cannot be stopped.

use std::io;
use std::thread;

/// Runs `work` in a thread of its own. Fails if the system has no thread left;
/// `work` is then dropped.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    #[cfg(test)]
    if tests::NONE_LEFT.get() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    // Boxed, so that starting a thread is compiled once and not for each work.
    let work: Box<dyn FnOnce() + Send> = Box::new(work);
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Whether the system has no thread left, as far as this thread can
        /// tell.
        pub(in super::super) static NONE_LEFT: Cell<bool> = const { Cell::new(false) };
    }
}
