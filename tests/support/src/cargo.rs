//! Runs cargo as a person would run it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Runs cargo on the package autharmor and returns what it prints.
pub fn cargo(arguments: &[&str]) -> String {
    run(command().args(arguments))
}

/// Runs `cargo check` or `cargo rustdoc`, in a folder below `folder`, usually
/// `CARGO_TARGET_TMPDIR`. All tests use the same folder and the same variables,
/// so that dependencies are checked once. Unstable options are allowed.
pub fn check(folder: &str, arguments: &[&str]) -> String {
    let mut command = command();
    command
        .args(arguments)
        .env("CARGO_TARGET_DIR", checked(folder))
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTDOCFLAGS");
    run(&mut command)
}

/// The target folder of `check`.
pub(crate) fn checked(folder: &str) -> PathBuf {
    Path::new(folder).join("checked")
}

/// The features of the package autharmor.
pub fn features() -> BTreeSet<String> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let features = metadata["packages"][0]["features"].as_object().unwrap();
    let names = features.keys().filter(|name| *name != "default");
    names.cloned().collect()
}

fn command() -> Command {
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
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = here.ancestors().nth(2).unwrap();
    command.current_dir(package).arg("--offline");
    command
}

fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Returns the target folder of the running test, so that nothing is built
/// twice.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).unwrap().to_owned()
}
