//! A username is in no URL, unless the program asked for that.

use std::collections::BTreeSet;

use autharmor::emulator::RecordedRequest;
use autharmor::{ApiVersion, Endpoint, ErrorKind, UserKey};

use crate::flows::{self, call_by_name, emulator};
use crate::marks::{Marks, NAME, ODD_NAME, percent};

/// Every endpoint that names a user in its route, and the list with its filter.
fn user_keyed() -> BTreeSet<&'static str> {
    let keyed = |endpoint: &&Endpoint| endpoint.route(ApiVersion::V4).contains("{user_id}");
    let names: BTreeSet<_> = Endpoint::ALL
        .iter()
        .filter(keyed)
        .chain([&Endpoint::ListUsers])
        .map(|endpoint| endpoint.name())
        .collect();
    assert_eq!(names.len(), 15);
    names
}

#[test]
fn v3_keeps_names_out_of_urls() {
    for name in [NAME, ODD_NAME] {
        let emulator = emulator(name);
        let client = emulator.client_builder().build().unwrap();
        let mut called = BTreeSet::new();
        for (endpoint, result) in call_by_name(&client, &emulator, name) {
            result.unwrap_or_else(|error| panic!("{}: {error:#}", endpoint.name()));
            called.insert(endpoint.name());
        }
        assert_eq!(called, user_keyed());

        let mut marks = Marks::new().with("name", name);
        flows::run(&client, &emulator, name, &UserKey::from(name), &mut marks);
        let requests = emulator.requests();
        let seen: BTreeSet<_> = requests
            .iter()
            .filter_map(RecordedRequest::endpoint)
            .collect();
        assert!(user_keyed().is_subset(&seen), "{seen:?}");
        // The name did travel, where it may.
        let in_header = |header: &str| requests.iter().any(|it| it.header(header) == Some(name));
        assert!(in_header("X-AuthArmor-UsernameValue"));
        assert!(in_header("X-AuthArmor-UserFilterString"));
        for request in requests {
            marks.check(request.path_and_query(), "the URL");
            marks.check(&request.request_line(), "the request line");
        }
    }
}

#[test]
fn v4_sends_no_name_unless_it_was_told_to() {
    let emulator = emulator(NAME);
    let client = emulator
        .client_builder()
        .api_version(ApiVersion::V4)
        .build()
        .unwrap();
    let mut called = BTreeSet::new();
    for (endpoint, result) in call_by_name(&client, &emulator, NAME) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UsernameInUrl, "{error:?}");
        assert!(!error.may_have_been_sent());
        assert!(error.to_string().contains("username_in_query"), "{error}");
        called.insert(endpoint.name());
    }
    assert_eq!(called, user_keyed());
    // Not even a token was fetched.
    assert_eq!(emulator.request_count(), 0);
}

#[test]
fn v4_sends_names_where_it_was_told_to() {
    for name in [NAME, ODD_NAME] {
        let emulator = emulator(name);
        let client = emulator
            .client_builder()
            .api_version(ApiVersion::V4)
            .username_in_query(true)
            .build()
            .unwrap();
        for (endpoint, result) in call_by_name(&client, &emulator, name) {
            result.unwrap_or_else(|error| panic!("{}: {error:#}", endpoint.name()));
        }
        let marks = Marks::new().with("name", name);
        let in_query = |name: &'static str| {
            emulator.requests().iter().any(|request| {
                marks.check(request.path(), "the path");
                request.endpoint() == Some(name) && marks.find(request.path_and_query()).is_some()
            })
        };
        for endpoint in user_keyed() {
            assert!(in_query(endpoint), "{endpoint}");
        }
        // What is in the query is the one value, whole.
        let looked_up = emulator
            .requests()
            .into_iter()
            .find(|request| request.endpoint() == Some("get_user"))
            .unwrap();
        let value = looked_up.query().unwrap().replace('+', "%20");
        let expected = percent(name).replace("%2E", ".").replace("%2D", "-");
        assert_eq!(value, format!("username={expected}"));
    }
}
