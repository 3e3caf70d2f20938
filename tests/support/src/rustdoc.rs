//! rustdoc's description of the public API.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::cargo::package;

/// Returns rustdoc's own description of the public API, with every feature.
/// It is as complete as the compiler's knowledge, macros and re-exports
/// included. `folder` is for the build, usually `CARGO_TARGET_TMPDIR`.
pub fn rustdoc_json(folder: &str) -> Value {
    let target = Path::new(folder).join("public-api");
    let output = Command::new(env!("CARGO"))
        .args(["rustdoc", "--lib", "--all-features", "--target-dir"])
        .arg(&target)
        .args([
            "--",
            "-Zunstable-options",
            "--output-format=json",
            "--document-hidden-items",
        ])
        .current_dir(package())
        // The format is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTDOCFLAGS")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json = fs::read(target.join("doc/autharmor.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}
