//! The numbers of all rows. Each must have a test and a line in the table.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::table;

/// The chapters and the numbers of their rows.
const LIST: [(&str, &[u32]); 14] = [
    (
        "T",
        &[
            1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17, 18, 19, 21, 22,
        ],
    ),
    ("A", &[1, 2, 3, 4, 6, 7, 8]),
    ("L", &[1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
    ("N", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    (
        "H",
        &[1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 15, 16, 17, 18, 20],
    ),
    ("J", &[1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 14, 15, 16, 17]),
    ("C", &[1, 2, 3, 4, 5, 7, 8]),
    ("K", &[1, 3, 4, 6, 7, 8]),
    ("M", &[1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14]),
    ("W", &[1, 2, 3, 5, 6]),
    (
        "S",
        &[
            1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
        ],
    ),
    ("P", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("R", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    ("F", &[1, 2, 3, 4, 5, 6, 7]),
];

#[test]
fn every_row_of_the_list_is_in_the_table_and_has_its_test() {
    let rows = table::rows();
    let known: Vec<&str> = rows.iter().map(|line| table::id_of(line)).collect();
    let expected: Vec<String> = LIST
        .iter()
        .flat_map(|(chapter, numbers)| {
            numbers
                .iter()
                .map(move |number| format!("{chapter}{number}"))
        })
        .collect();
    let sources = sources();
    for id in &expected {
        let tests: usize = ["new", "all"]
            .iter()
            .map(|how| sources.matches(&format!("Row::{how}(\"{id}\",")).count())
            .sum();
        // The two forms of a test that depends on a feature count as one.
        let most = if id == "L11" { 2 } else { 1 };
        assert!((1..=most).contains(&tests), "{id} has {tests} tests");
    }
    let mut table = String::new();
    for line in &rows {
        table += line;
        table.push('\n');
    }
    // Not by `println!`, whose output the test harness captures.
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    assert_eq!(known, expected);
}

/// The sources of all tests, without white space.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for entry in fs::read_dir(root.join("tests/faults")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "rs") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    text.retain(|c| !c.is_whitespace());
    text
}
