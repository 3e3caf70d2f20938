//! rustdoc's description of the public API.

use std::fs;

use serde_json::Value;

use crate::cargo::{check, checked, features};

/// Returns rustdoc's own description of the public API, with every feature of
/// the library. It is as complete as the compiler's knowledge, macros and
/// re-exports included. `folder` is for the build, usually `CARGO_TARGET_TMPDIR`.
pub fn rustdoc_json(folder: &str) -> Value {
    // `cli` adds the program and many crates, but nothing to the library.
    let features: Vec<String> = features()
        .into_iter()
        .filter(|name| name != "cli")
        .collect();
    check(
        folder,
        &[
            "rustdoc",
            "--lib",
            "--features",
            &features.join(","),
            "--",
            "-Zunstable-options",
            "--output-format=json",
            "--document-hidden-items",
        ],
    );
    let json = fs::read(checked(folder).join("doc/autharmor.json")).unwrap();
    serde_json::from_slice(&json).unwrap()
}
