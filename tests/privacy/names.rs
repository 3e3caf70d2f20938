//! Tests that no URL holds a username, unless the program allows that.

use std::collections::BTreeSet;

use autharmor::emulator::RecordedRequest;
use autharmor::{ApiVersion, Endpoint, ErrorKind, UserKey};

use crate::canaries::{Canaries, NAME, ODD_NAME, percent};
use crate::flows::{self, call_by_name, emulator};

/// Returns all endpoints with a user in the path, and the list with its filter.
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

        let mut canaries = Canaries::new().with("name", name);
        flows::run(
            &client,
            &emulator,
            name,
            &UserKey::from(name),
            &mut canaries,
        );
        let requests = emulator.requests();
        let seen: BTreeSet<_> = requests
            .iter()
            .filter_map(RecordedRequest::endpoint)
            .collect();
        assert!(user_keyed().is_subset(&seen), "{seen:?}");
        // The name was sent in the headers.
        let in_header = |header: &str| requests.iter().any(|it| it.header(header) == Some(name));
        assert!(in_header("X-AuthArmor-UsernameValue"));
        assert!(in_header("X-AuthArmor-UserFilterString"));
        for request in requests {
            canaries.check(request.path_and_query(), "the URL");
            canaries.check(&request.request_line(), "the request line");
        }
    }
}

#[test]
fn v4_sends_no_name_by_default() {
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
fn v4_sends_names_in_the_query_if_allowed() {
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
        let canaries = Canaries::new().with("name", name);
        let in_query = |name: &'static str| {
            emulator.requests().iter().any(|request| {
                canaries.check(request.path(), "the path");
                request.endpoint() == Some(name)
                    && canaries.find(request.path_and_query()).is_some()
            })
        };
        for endpoint in user_keyed() {
            assert!(in_query(endpoint), "{endpoint}");
        }
        // The query holds the complete name and nothing else.
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
