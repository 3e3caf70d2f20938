//! Programs that a test needs and a machine may lack.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Once;

/// Finds a program in `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Prints once what was not tested. `eprintln!` would not do: its output is
/// hidden while tests pass.
pub fn say_skipped(why: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: {why}");
    });
}
