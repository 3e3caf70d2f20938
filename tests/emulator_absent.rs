//! Whoever does not ask for the emulator does not get it: the default build
//! has none of its crates and reads none of its files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use autharmor_test_support::cargo::{cargo, target};
use serde_json::Value;

/// The crates that come with the emulator alone.
const CRATES: [&str; 3] = ["minicbor", "rcgen", "time"];

/// The crates of the library with these features, and their own features.
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
fn the_default_build_depends_on_nothing_for_it() {
    let (without, with) = (tree(""), tree("emulator"));
    for name in CRATES {
        assert!(!has(&without, name), "{name}");
        assert!(has(&with, name), "{name}");
    }
    assert!(without.len() < with.len());
}

#[test]
fn the_default_build_reads_none_of_its_files() {
    let target = target();
    let sources = |features: &str| {
        let messages = cargo(&[
            "build",
            "--lib",
            "--message-format=json",
            "--features",
            features,
            "--target-dir",
            target.to_str().unwrap(),
        ]);
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
    let own = |file: &&String| file.contains("src/emulator/");
    assert!(without.iter().any(|file| file.ends_with("lib.rs")));
    assert_eq!(without.iter().filter(own).collect::<Vec<_>>(), [""; 0]);
    assert!(with.iter().filter(own).count() > 20);
    // And that is the whole difference.
    let rest: BTreeSet<String> = with.into_iter().filter(|file| !own(&file)).collect();
    assert_eq!(without, rest);
}

/// The files of this package that the compiler read for a library, by what it
/// noted beside it.
fn read_by(library: &Path) -> BTreeSet<String> {
    let name = library.file_stem().unwrap().to_str().unwrap();
    let name = format!("{}.d", name.strip_prefix("lib").unwrap());
    let notes = fs::read_to_string(library.with_file_name(name)).unwrap();
    let first = notes.lines().find(|line| line.contains(".rmeta:")).unwrap();
    let (_, files) = first.split_once(".rmeta: ").unwrap();
    let files = files.split_whitespace().map(str::to_owned);
    // The manual is no code, and has a chapter more with the emulator.
    files.filter(|file| !file.contains("src/guide/")).collect()
}
