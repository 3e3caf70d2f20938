//! Programs that a test needs and a machine may lack.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Once;

pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Says once what was not tested. Not by `eprintln!`, whose output is hidden
/// while tests pass.
pub(crate) fn say_skipped(why: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: {why}");
    });
}
