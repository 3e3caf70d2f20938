//! `TABLE.md`: what a program sees of each row.
//!
//! Each row compares its line with the file. With `FAULT_TABLE=update` it
//! writes the line instead.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{env, fs};

const INTRODUCTION: &str = "\
# The fault list, and what was seen

The tests write this file: the test of a row compares its line with the file
and fails if they differ. `FAULT_TABLE=update cargo test --test faults` writes
the lines again.

*read* is `get_user`, *start* is `start_authenticator_auth`, *validate* is
`validate_authenticator_auth` through the flow that judges it. The numbers after
a result are the requests that reached the API and those that reached the token
endpoint. Most faults are tried at both; those at the token endpoint are the
results with token requests. Every row asserts the nine invariants of
`harness.rs`.

| | fault | what was seen | test |
| --- | --- | --- | --- |
";

pub(super) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/TABLE.md")
}

pub(super) fn enter(id: &str, fault: &str, seen: &str, file: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let line = format!("| {id} | {fault} | {seen} | `{file}` |");
    let mut lines = rows();
    if env::var("FAULT_TABLE").as_deref() != Ok("update") {
        assert!(
            lines.contains(&line),
            "the table is not up to date (FAULT_TABLE=update makes it so); seen:\n{line}"
        );
        return;
    }
    lines.retain(|known| id_of(known) != id);
    lines.push(line);
    lines.sort_by(|one, other| in_order(id_of(one), id_of(other)));
    let mut text = INTRODUCTION.to_owned();
    for line in lines {
        writeln!(text, "{line}").unwrap();
    }
    fs::write(path(), text).unwrap();
}

/// The lines of the table.
pub(super) fn rows() -> Vec<String> {
    let text = fs::read_to_string(path()).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |") && !line.contains("---"))
        .map(ToOwned::to_owned)
        .collect()
}

pub(super) fn id_of(line: &str) -> &str {
    line.split('|').nth(1).unwrap_or_default().trim()
}

/// In the order of the list: by chapter, then by number.
fn in_order(one: &str, other: &str) -> Ordering {
    const CHAPTERS: &str = "TALNHJCKMWSPRF";
    let key = |id: &str| {
        let chapter = id.chars().next().and_then(|letter| CHAPTERS.find(letter));
        (
            chapter,
            id.get(1..).and_then(|number| number.parse::<u32>().ok()),
        )
    };
    key(one).cmp(&key(other))
}
