//! Runs cargo.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// Runs cargo on this package and returns its output.
pub(crate) fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // With these variables, which cargo set for this test, build scripts would
    // run again.
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
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg("--offline")
        .args(arguments)
        .output()
        .unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The target folder of this test, so that nothing is built twice.
pub(crate) fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}
