//! Tests that README, manual and the other documents agree with the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use autharmor::{ApiVersion, Endpoint};
use autharmor_test_support::cargo::{cargo, features, target};

const README: &str = include_str!("../README.md");
const LIB: &str = include_str!("../src/lib.rs");
const SECURITY: &str = include_str!("../SECURITY.md");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");
const MEASUREMENTS: &str = include_str!("../benches/README.md");
const FLEETS: &str = include_str!("../benches/fleet/README.md");
const PORTAL: &str = include_str!("../examples/portal/portal.rs");
const TESTED_LOGIN: &str = include_str!("../examples/tested_login.rs");

/// Words that a person reads in a minute.
const PACE: usize = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files below a folder whose name ends like this.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found
}

fn chapters() -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files("src/guide", ".md")
        .iter()
        .map(|path| (name(path), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Splits a row of a table.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split('|').map(str::trim).collect()
}

/// The part of a text between two markers.
fn part<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).expect(begin);
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

/// Counts the words that a reader reads, code included.
fn words(text: &str) -> usize {
    let has_letter = |word: &&str| word.contains(char::is_alphanumeric);
    text.split_whitespace().filter(has_letter).count()
}

/// Reads a file of the repository.
fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

#[test]
fn the_chapter_about_endpoints_lists_every_endpoint() {
    let chapters = chapters();
    let listed: Vec<String> = chapters["endpoints.md"]
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let (row, notes) = line.trim_end_matches('|').rsplit_once('|').unwrap();
            let notes = if notes.contains("user") { "user" } else { "" };
            format!("{row}|{notes}")
        })
        .collect();
    let actual: Vec<String> = Endpoint::ALL.iter().copied().map(row).collect();
    assert_eq!(listed, actual);
}

fn row(endpoint: Endpoint) -> String {
    let v3 = is_in_v3(endpoint).then(|| endpoint.route(ApiVersion::V3));
    let v4 = endpoint.route(ApiVersion::V4);
    format!(
        "| `{}` | {} | {} | {} |{}",
        endpoint.name(),
        endpoint.method(),
        v3.map_or("none".to_owned(), |route| format!("`{route}`")),
        if v3 == Some(v4) {
            "same".to_owned()
        } else {
            format!("`{v4}`")
        },
        if v4.contains("{user_id}") { "user" } else { "" },
    )
}

fn is_in_v3(endpoint: Endpoint) -> bool {
    endpoint.version(ApiVersion::V3) == ApiVersion::V3
}

#[test]
fn the_readme_counts_the_endpoints() {
    let v3 = Endpoint::ALL.iter().filter(|e| is_in_v3(**e)).count();
    let all = Endpoint::ALL.len();
    let claim = format!("{v3} endpoints of v3 and all {all} of v4");
    assert!(README.contains(&claim), "{claim}");
    assert!(LIB.contains(&format!("Each of the {all}\n//! endpoints")));
}

/// The crates in the dependency tree, this one excluded.
fn crates(features: &str) -> usize {
    let tree = cargo(&[
        "tree",
        "--edges=normal",
        "--prefix=none",
        "--no-dedupe",
        "--features",
        features,
    ]);
    let crates: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| {
            line.split_once(" (proc-macro)")
                .map_or(Some(line), |(name, _)| Some(name))
        })
        .collect();
    crates.len() - 1
}

#[test]
fn the_readme_counts_the_dependencies_of_every_feature() {
    let default = crates("");
    let claim = format!("{default} dependencies, no duplicates");
    assert!(README.contains(&claim), "{claim}");
    let listed: BTreeMap<&str, usize> = part(README, "| feature |", "\n\n")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .map(|cells| (cells[0].trim_matches('`'), cells[2].parse().unwrap()))
        .collect();
    let features = features();
    let actual: BTreeMap<&str, usize> = features
        .iter()
        .map(|feature| (&**feature, crates(feature) - default))
        .collect();
    assert_eq!(listed, actual);
}

#[test]
fn the_manual_lists_every_feature() {
    let listed: BTreeSet<String> = part(LIB, "//! # Features", "\n\n")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, features());
}

#[test]
fn every_chapter_is_in_the_table_of_contents() {
    let modules = read("src/guide/mod.rs");
    for file in chapters().keys() {
        assert!(modules.contains(&format!("\"{file}\"")), "{file}");
    }
    let names = modules
        .lines()
        .filter_map(|line| {
            let name = line.strip_prefix("pub mod ")?;
            name.split([' ', '{']).next()
        })
        .chain(
            part(&modules, "chapters! {\n", "}")
                .lines()
                .filter_map(|line| line.split_whitespace().next()),
        );
    for name in names {
        assert!(
            LIB.contains(&format!("](guide::{name})")),
            "{name} in lib.rs"
        );
        let linked =
            modules.contains(&format!("]({name})")) || modules.contains(&format!("[{name}]"));
        assert!(linked, "{name} in guide/mod.rs");
    }
}

#[test]
fn the_manual_is_read_in_minutes() {
    let front: Vec<_> = LIB
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect();
    let front = words(&front.join("\n"));
    assert!(front <= 10 * PACE, "front page: {front} words");
    let mut chapters = chapters();
    // The one chapter of several files, see guide/mod.rs.
    let rest = chapters.remove("testing-more.md").unwrap() + TESTED_LOGIN;
    chapters.get_mut("testing.md").unwrap().push_str(&rest);
    for (file, text) in chapters {
        assert!(words(&text) <= 5 * PACE, "{file}: {} words", words(&text));
    }
    assert!(README.lines().count() <= 150);
    assert!(words(README) <= 10 * PACE);
}

#[test]
fn relative_links_lead_to_files() {
    let mut documents = files("src/guide", ".md");
    documents.extend(
        [
            "README.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "benches/README.md",
            "examples/README.md",
        ]
        .map(|name| root().join(name)),
    );
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        for link in links {
            let is_path = link.contains(['/', '.']) && !link.contains("::");
            if is_path && !link.starts_with("https://") {
                let target = document.parent().unwrap().join(link);
                assert!(target.exists(), "{}: {link}", document.display());
            }
        }
    }
}

#[test]
fn links_to_the_published_manual_lead_to_chapters() {
    let modules = read("src/guide/mod.rs");
    let mut sources = files("src", ".md");
    sources.extend(files("src", ".rs"));
    sources.push(root().join("README.md"));
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        for rest in text.split("docs.rs/autharmor/latest/autharmor/").skip(1) {
            let chapter = rest
                .strip_prefix("guide/")
                .and_then(|rest| rest.split('/').next());
            let chapter = chapter.unwrap_or_else(|| panic!("{}: not a chapter", source.display()));
            assert!(modules.contains(&format!("{chapter} ")), "{chapter}");
        }
    }
}

/// rustdoc checks links to items, but not the part after `#`.
#[test]
fn links_into_a_page_lead_to_a_heading() {
    let mut sources = files("src", ".md");
    sources.extend(files("src", ".rs"));
    let mut found = 0;
    for source in sources {
        let text = fs::read_to_string(&source).unwrap();
        let links = text.split("](").skip(1);
        let links = links.filter_map(|rest| rest.split([')', ' ', '\n']).next()?.split_once('#'));
        let is_path = |c: char| c.is_alphanumeric() || "_:".contains(c);
        for (page, anchor) in links.filter(|(page, _)| page.chars().all(is_path)) {
            let page = match page.trim_start_matches("crate::") {
                "" => text.clone(),
                "crate" => LIB.to_owned(),
                page => match page.strip_prefix("guide::") {
                    Some(chapter) => read(&format!("src/guide/{}.md", chapter.replace('_', "-"))),
                    None => read(&format!("src/{page}/mod.rs")),
                },
            };
            let is_there = page.lines().filter_map(heading).any(|it| it == anchor);
            assert!(is_there, "{}: #{anchor}", source.display());
            found += 1;
        }
    }
    assert!(found > 5);
}

/// The anchor of a heading, as rustdoc makes it.
fn heading(line: &str) -> Option<String> {
    let text = line.trim_start_matches(['/', '!', ' ']).strip_prefix('#')?;
    let text = text.trim_start_matches('#').strip_prefix(' ')?;
    let letters = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    let anchor: String = letters.collect::<String>().to_lowercase();
    Some(anchor.replace(' ', "-"))
}

#[test]
fn each_promise_of_security_names_tests_that_exist() {
    let mut sources = String::new();
    for folder in ["src", "tests", "examples"] {
        for file in files(folder, ".rs") {
            let source = fs::read_to_string(file).unwrap();
            sources.extend(source.lines().flat_map(|line| [line.trim(), "\n"]));
        }
    }
    let promises = part(SECURITY, "## What is promised", "\n## ");
    for promise in promises.split("\n- ").skip(1) {
        let (_, tests) = promise.rsplit_once("(`").expect(promise);
        for test in tests.split('`').step_by(2) {
            let declared = format!("#[test]\nfn {test}(");
            assert!(sources.contains(&declared), "{test}");
        }
    }
}

#[test]
fn the_figures_of_the_readme_are_those_of_the_measurements() {
    let ratio = |what: &str, kind: &str| {
        let row = MEASUREMENTS
            .lines()
            .find(|line| line.starts_with(&format!("| {what}, {kind} |")))
            .unwrap_or_else(|| panic!("{what}, {kind}"));
        cells(row)[3].parse::<f64>().unwrap()
    };
    let rows: Vec<_> = part(README, "## Fast and small", "\n## ")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(cells)
        .collect();
    assert!(rows.len() >= 3);
    for row in rows {
        for (cell, kind) in [(row[1], "instructions"), (row[2], "allocations")] {
            let measured = ratio(row[0], kind);
            assert_eq!(
                cell,
                format!("{measured:.2}"),
                "{}, {kind}: {measured}",
                row[0]
            );
        }
    }
}

#[test]
fn the_figures_of_the_manual_about_fleets_are_those_of_the_simulation() {
    let chapters = chapters();
    let is_row = |line: &&str| line.starts_with("| 1") || line.starts_with("| 2");
    let shown: Vec<_> = chapters["fleet-costs.md"].lines().filter(is_row).collect();
    let simulated: Vec<_> = FLEETS.lines().collect();
    assert!(shown.len() >= 19);
    for row in shown {
        assert!(simulated.contains(&row), "{row}");
    }
}

#[test]
fn the_test_in_the_readme_is_one_that_runs() {
    let shown = part(README, "```rust,ignore\n", "```");
    let indented = shown.trim_end().replace('\n', "\n    ");
    assert!(TESTED_LOGIN.contains(&indented), "{shown}");
}

#[test]
fn the_web_chapter_shows_the_portal() {
    // Without indentation and line ends.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let portal = words(PORTAL);
    let chapters = chapters();
    let shown: Vec<_> = chapters["web.md"].split("```text\n").skip(1).collect();
    assert_eq!(shown.len(), 4);
    for code in shown {
        let code = words(code.split("```").next().unwrap());
        assert!(portal.contains(&code), "{code}");
    }
}

#[test]
fn the_quickstart_prints_what_the_readme_shows() {
    let target = target();
    let printed = cargo(&[
        "run",
        "--quiet",
        "--example=quickstart",
        "--target-dir",
        target.to_str().unwrap(),
    ]);
    let shown = part(README, "```text\n", "```");
    assert_eq!(without_ids(&printed), without_ids(shown));
}

/// Replaces ids and ports.
fn without_ids(text: &str) -> Vec<String> {
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')']);
        let last = word.rsplit(['/', ':']).next().unwrap_or_default();
        let is_id = |text: &str| text.len() == 36 && text.matches('-').count() == 4;
        let is_nil = |text: &str| text.starts_with("00000000-");
        if is_id(bare) || (is_id(last) && !is_nil(last)) {
            "ID".to_owned()
        } else {
            match word.strip_prefix("https://127.0.0.1:") {
                Some(_) => "URL".to_owned(),
                None => word.to_owned(),
            }
        }
    };
    text.lines()
        .map(|line| {
            line.split_whitespace()
                .map(word)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

#[test]
fn the_changelog_knows_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        CHANGELOG
            .lines()
            .any(|line| line.starts_with("## ") && line.contains(version)),
        "no heading of CHANGELOG.md names {version}"
    );
}

#[test]
fn the_readme_names_the_oldest_supported_compiler() {
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(README.contains(&format!("Rust {version} or newer")));
}
