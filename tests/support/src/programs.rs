//! Programs that a test needs and a machine may lack.

use std::path::PathBuf;

/// Finds a program in `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
