//! Ctrl-C and termination as a flag.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::failure::Failure;

/// Returns a flag that becomes true when the program is asked to end. The second
/// time ends it at once.
#[cfg(unix)]
pub(crate) fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;

    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first time, the flag is still false.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&interrupted))
            .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
            .map_err(|error| Failure::Failed(format!("cannot handle signals: {error}")))?;
    }
    Ok(interrupted)
}

/// Returns a flag that stays false: here Ctrl-C ends the program.
#[cfg(not(unix))]
pub(crate) fn interrupted() -> Result<Arc<AtomicBool>, Failure> {
    Ok(Arc::default())
}
