//! What other crates may rely on: which of their types the public API names,
//! and which of ours may move between threads.

use std::collections::{BTreeMap, BTreeSet};

use autharmor_test_support::rustdoc::rustdoc_json;
use serde_json::Value;

/// A type of any other crate in a signature would make that crate's next major
/// version a breaking change of this one.
const ALLOWED: [&str; 8] = [
    "alloc",
    "core",
    "std",
    "http",
    "jiff",
    "serde",
    "serde_core",
    "uuid",
];

#[test]
fn the_public_api_names_no_foreign_types() {
    let docs = rustdoc_json(env!("CARGO_TARGET_TMPDIR"));
    let mut named = BTreeMap::new();
    for item in docs["index"].as_object().unwrap().values() {
        if item["crate_id"] == 0 && !is_everybodys(item) {
            collect(item, item, &docs, &mut named);
        }
    }
    let crates: BTreeSet<_> = named.values().map(|(krate, _)| krate.as_str()).collect();
    // Else the walk has found nothing and proves nothing.
    for expected in ["core", "std", "http", "uuid", "jiff"] {
        assert!(crates.contains(expected), "{expected} is not in {crates:?}");
    }
    named.retain(|_, (krate, _)| !ALLOWED.contains(&krate.as_str()));
    assert!(named.is_empty(), "foreign types, and where: {named:#?}");
}

/// Implementations that every type in the world has, such as `Into` and `Send`.
fn is_everybodys(item: &Value) -> bool {
    let implementation = &item["inner"]["impl"];
    !implementation["blanket_impl"].is_null() || implementation["is_synthetic"] == true
}

/// Notes every path that stands anywhere below `value`, with its crate and the
/// item of ours that names it.
fn collect(
    value: &Value,
    item: &Value,
    docs: &Value,
    named: &mut BTreeMap<String, (String, String)>,
) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // Where the documentation links to and what a macro left
                // behind is no part of a signature.
                if name != "links" && name != "attrs" && name != "docs" {
                    collect(field, item, docs, named);
                }
            }
            let id = fields.get("id").and_then(Value::as_u64);
            let path = id.map(|id| &docs["paths"][id.to_string()]);
            if let Some(segments) = path.and_then(|path| path["path"].as_array()) {
                let segments: Vec<_> = segments.iter().filter_map(Value::as_str).collect();
                if path.unwrap()["crate_id"] != 0 {
                    named.insert(
                        segments.join("::"),
                        (segments[0].to_owned(), describe(item)),
                    );
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                collect(value, item, docs, named);
            }
        }
        _ => {}
    }
}

/// An item's name, or what an implementation is for, and its source file.
fn describe(item: &Value) -> String {
    let name = item["name"]
        .as_str()
        .or_else(|| item["inner"]["impl"]["for"]["resolved_path"]["path"].as_str())
        .unwrap_or("an item");
    let file = item["span"]["filename"].as_str().unwrap_or_default();
    format!("{name} in {file}")
}

#[test]
fn everything_may_be_shared_between_threads() {
    fn check<T: Send + Sync + ?Sized>() {}
    check::<autharmor::Client>();
    check::<autharmor::ClientBuilder>();
    check::<autharmor::Error>();
    check::<autharmor::Request<autharmor::users::User>>();
    check::<autharmor::HttpRequest>();
    check::<autharmor::HttpResponse>();
    check::<autharmor::Secret>();
    check::<autharmor::Target>();
    check::<autharmor::TransportError>();
    check::<autharmor::UserKey>();
    check::<dyn autharmor::Transport>();
}
