//! What the machine has, and how a test is ignored where that is too little.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use autharmor_test_support::programs::in_path;
use libtest_mimic::{Completion, Trial};
use nix::unistd::geteuid;

/// The name and the function of each test.
macro_rules! tests {
    ($($test:ident),* $(,)?) => { vec![$((stringify!($test), $test as fn())),*] };
}
pub(crate) use tests;

/// Returns tests that are ignored if something is missing.
pub(crate) fn trials(
    group: &str,
    tests: Vec<(&'static str, fn())>,
    missing: fn() -> Option<String>,
) -> Vec<Trial> {
    let to_trial = |(name, test): (&str, fn())| {
        Trial::ignorable_test(format!("{group}::{name}"), move || {
            if let Some(what) = missing() {
                return Ok(Completion::ignored_with(what));
            }
            test();
            Ok(Completion::Completed)
        })
    };
    tests.into_iter().map(to_trial).collect()
}

/// Finds a program, also where only root looks for it.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
    in_path(name).or_else(|| {
        let mut paths = system.iter().map(|folder| Path::new(folder).join(name));
        paths.find(|path| path.is_file())
    })
}

/// Finds a file of a library in the folders of Debian and others.
pub(crate) fn find_library(name: &str) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for root in ["/usr/lib", "/lib", "/usr/lib64", "/lib64"] {
        folders.push(PathBuf::from(root));
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let triples = entries.filter(|it| it.file_name().to_string_lossy().contains("-linux-"));
        folders.extend(triples.map(|entry| entry.path()));
    }
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
}

/// Returns the first of these programs that is missing.
pub(crate) fn missing_program(names: &[&str]) -> Option<String> {
    let missing = names.iter().find(|name| find(name).is_none());
    missing.map(|name| format!("{name} is missing"))
}

/// Returns why this process cannot have users and folders of its own.
pub(crate) fn missing_namespace() -> Option<String> {
    if !geteuid().is_root() {
        return Some("needs root".to_owned());
    }
    let mut unshare = Command::new("unshare");
    let works = unshare.args(["--mount", "true"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        None
    } else {
        Some("unshare --mount does not work".to_owned())
    }
}

/// Waits until `done` returns something. Panics after 30 seconds.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the processes that have this path in their arguments, and run the
/// program itself.
pub(crate) fn processes_with(path: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has_path = |id: &i32| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|byte| *byte == 0);
        arguments
            .next()
            .is_some_and(|it| it.ends_with(b"/autharmor"))
            && arguments.any(|it| it == path.as_os_str().as_encoded_bytes())
    };
    ids.filter(has_path).collect()
}
