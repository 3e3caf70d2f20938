//! Runs cargo as a person would run it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of the package autharmor.
pub(crate) fn package() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap()
}

/// Runs cargo on the package autharmor and returns what it prints.
pub fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Cargo tells a test about its package by variables. To build scripts
    // they would be a change, so that these would run again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .current_dir(package())
        .arg("--offline")
        .args(arguments)
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Returns the target folder of the running test, so that nothing is built
/// twice.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}
