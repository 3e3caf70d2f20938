//! Without its feature, the emulator adds no crates and no code to a build.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use autharmor_test_support::cargo::{cargo, check};
use serde_json::Value;

/// Crates that only the emulator needs.
const CRATES: [&str; 3] = ["minicbor", "rcgen", "time"];

/// The crates of the library with these features, each with its own features.
fn tree(features: &str) -> BTreeSet<String> {
    let format = "{p} {f}";
    let arguments = ["tree", "-e", "normal", "--no-dedupe", "--prefix", "none"];
    let more = ["--format", format, "--features", features];
    let tree = cargo(&[&arguments[..], &more].concat());
    tree.lines().map(str::to_owned).collect()
}

fn has(tree: &BTreeSet<String>, name: &str) -> bool {
    tree.iter().any(|line| line.split(' ').next() == Some(name))
}

#[test]
fn the_default_build_has_no_crates_of_the_emulator() {
    let (without, with) = (tree(""), tree("emulator"));
    for name in CRATES {
        assert!(!has(&without, name), "{name}");
        assert!(has(&with, name), "{name}");
    }
    assert!(without.len() < with.len());
}

#[test]
fn the_default_build_reads_no_files_of_the_emulator() {
    let sources = |features: &str| {
        let messages = check(
            env!("CARGO_TARGET_TMPDIR"),
            &[
                "check",
                "--lib",
                "--message-format=json",
                "--features",
                features,
            ],
        );
        let library = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == "autharmor")
            .filter(|message| message["target"]["kind"][0] == "lib")
            .find_map(|message| {
                let files = message["filenames"].as_array()?.clone();
                files
                    .iter()
                    .filter_map(Value::as_str)
                    .map(PathBuf::from)
                    .find(|file| file.extension().is_some_and(|kind| kind == "rmeta"))
            })
            .expect("a library");
        read_by(&library)
    };
    let (without, with) = (sources(""), sources("emulator"));
    // The emulator shares the parsers of passkeys with the feature `proof`.
    let own = |file: &&String| file.contains("src/emulator/") || file.ends_with("src/webauthn.rs");
    assert!(without.iter().any(|file| file.ends_with("lib.rs")));
    assert_eq!(without.iter().filter(own).collect::<Vec<_>>(), [""; 0]);
    assert!(with.iter().filter(own).count() > 20);
    // Nothing else differs.
    let rest: BTreeSet<String> = with.into_iter().filter(|file| !own(&file)).collect();
    assert_eq!(without, rest);
}

/// The files of this package that the compiler read for a library, from the
/// dependency file beside it.
fn read_by(library: &Path) -> BTreeSet<String> {
    let name = library.file_stem().unwrap().to_str().unwrap();
    let name = format!("{}.d", name.strip_prefix("lib").unwrap());
    let dependencies = fs::read_to_string(library.with_file_name(name)).unwrap();
    let first = dependencies
        .lines()
        .find(|line| line.contains(".rmeta:"))
        .unwrap();
    let (_, files) = first.split_once(".rmeta: ").unwrap();
    let files = files.split_whitespace().map(str::to_owned);
    // The manual has another chapter with the emulator.
    files.filter(|file| !file.contains("src/guide/")).collect()
}
