//! What rustdoc knows of this crate.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

/// rustdoc's own description of the public API, with every feature. It is as
/// complete as the compiler's knowledge, macros and re-exports included. The
/// format is not stable yet, hence the variable.
pub(crate) fn rustdoc_json() -> Value {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("public-api");
    let output = Command::new(env!("CARGO"))
        .args(["rustdoc", "--lib", "--all-features", "--target-dir"])
        .arg(&target)
        .args([
            "--",
            "-Zunstable-options",
            "--output-format=json",
            "--document-hidden-items",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
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
