//! Tests that README and changelog agree with the code.

use autharmor::{ApiVersion, Endpoint};

const README: &str = include_str!("../README.md");
const CHANGELOG: &str = include_str!("../CHANGELOG.md");

#[test]
fn the_readme_lists_every_endpoint() {
    let listed: Vec<String> = README
        .lines()
        .skip_while(|line| *line != "## Endpoints")
        .filter(|line| line.starts_with("| `"))
        .map_while(|line| {
            let (row, notes) = line.trim_end_matches('|').rsplit_once('|')?;
            // The tables of other chapters have fewer columns.
            (row.matches('|').count() == 4).then(|| format!("{row}|{}", about_users(notes)))
        })
        .collect();
    let actual: Vec<String> = Endpoint::ALL.iter().copied().map(row).collect();
    assert_eq!(listed, actual);
}

fn about_users(notes: &str) -> &'static str {
    if notes.contains("user") { "user" } else { "" }
}

fn row(endpoint: Endpoint) -> String {
    let v3 = (endpoint.version(ApiVersion::V3) == ApiVersion::V3)
        .then(|| endpoint.route(ApiVersion::V3));
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
    assert!(README.contains(&format!("Needs Rust {version} or newer")));
}
