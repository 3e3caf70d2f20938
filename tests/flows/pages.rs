//! Lists that are longer than a page.

use std::collections::HashSet;

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::{Emulator, NewUser};
use autharmor::users::UserQuery;
use autharmor::{ApiVersion, Client, PageQuery};
use uuid::Uuid;

use crate::scenario::{By, NAMED, Scenario, VERSIONS};

fn start(version: ApiVersion, users: usize) -> (Emulator, Client) {
    let emulator = Emulator::start().unwrap();
    for number in 0..users {
        let user = NewUser::new(format!("user {number}")).without_methods();
        emulator.add_user(user).unwrap();
    }
    let builder = emulator.client_builder().api_version(version);
    (emulator, builder.build().unwrap())
}

fn ids(users: &[(Uuid, String)]) -> Vec<Uuid> {
    users.iter().map(|(id, _)| *id).collect()
}

#[test]
fn users_arrive_once_each_and_in_order() {
    for version in VERSIONS {
        // The last page is short, full, or all there is.
        for (users, page_size) in [(335, 7), (336, 7), (5, 100), (1, 1), (0, 10)] {
            let (emulator, client) = start(version, users);
            let mut records = client.users(PageQuery::new().page_size(page_size));
            assert_eq!(records.total(), None);
            let found: Vec<Uuid> = records.by_ref().map(|user| user.unwrap().user_id).collect();
            assert_eq!(found, ids(&emulator.users()));
            assert_eq!(records.total(), Some(users as u64));
            assert!(records.next().is_none());
            let pages = users.div_ceil(page_size as usize).max(1);
            assert_eq!(emulator.requests().len(), pages + 1, "with the token's");
        }
    }
}

#[test]
fn filtered_users_arrive_once_each_and_in_order() {
    for version in VERSIONS {
        let (emulator, _) = start(version, 120);
        let builder = emulator.client_builder().api_version(version);
        let client = builder.username_in_query(true).build().unwrap();
        let query = UserQuery::new()
            .username("1")
            .page(PageQuery::new().page_size(9));
        let found: Vec<Uuid> = client
            .users(query)
            .map(|user| user.unwrap().user_id)
            .collect();
        let mut expected = emulator.users();
        expected.retain(|(_, name)| name.contains('1'));
        assert_eq!(found, ids(&expected));
        if version == ApiVersion::V3 {
            for request in emulator.requests() {
                assert!(!request.path_and_query().contains("username"));
            }
        }
    }
}

#[test]
fn ten_thousand_users_on_a_hundred_pages() {
    let (emulator, client) = start(ApiVersion::V4, 10_000);
    let mut records = client.users(PageQuery::new().page_size(100));
    let first = records.next().unwrap().unwrap().user_id;
    assert_eq!(records.size_hint(), (99, Some(9_999)));
    let mut found = vec![first];
    found.extend(records.map(|user| user.unwrap().user_id));
    assert_eq!(found, ids(&emulator.users()));
    let pages = emulator
        .requests()
        .iter()
        .filter(|request| request.endpoint() == Some("list_users"))
        .count();
    assert_eq!(pages, 100);
}

/// For a user by name and by id, under both versions. v4 has no place for a
/// name but the query.
fn for_ada(test: impl Fn(&Scenario)) {
    for version in VERSIONS {
        for by in NAMED {
            let scenario = Scenario::new(version, *by, |builder| builder, true);
            test(&scenario);
            scenario.check_lines();
        }
    }
}

#[test]
fn the_history_of_a_user() {
    for_ada(|scenario| {
        for number in 0..45 {
            let request = StartAuthenticatorAuth::new().user(scenario.ada);
            let started = scenario
                .client
                .begin_authenticator_sign_in(&request)
                .unwrap();
            let id = started.pending.auth_request_id();
            if number % 3 > 0 {
                scenario.emulator.approve(id).unwrap();
            } else {
                scenario.emulator.decline(id).unwrap();
            }
        }
        let ids = |page_size| -> Vec<Uuid> {
            let page = PageQuery::new().page_size(page_size);
            scenario
                .client
                .auth_history(scenario.ada().unwrap(), &page)
                .map(|info| {
                    let response = info.unwrap().auth_response.unwrap();
                    response.auth_history_id.unwrap()
                })
                .collect()
        };
        let found = ids(7);
        assert_eq!(found.len(), 45);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 45);
        assert_eq!(scenario.count("get_user_auth_history"), 7);
        // In the order in which they stand on one page.
        assert_eq!(found, ids(100));
    });
}

#[test]
fn the_credentials_of_a_user() {
    for_ada(|scenario| {
        let v3 = scenario.emulator.client_builder().build().unwrap();
        for _ in 0..40 {
            let started = v3
                .begin_authenticator_registration_for_user(scenario.ada)
                .unwrap();
            let id = started.pending.registration_id();
            scenario.emulator.enrol_phone(id).unwrap();
        }
        let ids = |page_size| -> Vec<String> {
            let page = PageQuery::new().page_size(page_size);
            scenario
                .client
                .credentials(scenario.ada().unwrap(), &page)
                .map(|credential| credential.unwrap().credential_id.as_str().to_owned())
                .collect()
        };
        // With the phone and the address that she has from the beginning.
        let found = ids(8);
        assert_eq!(found.len(), 42);
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 42);
        assert_eq!(found, ids(100));
        if scenario.by == By::Id {
            assert_eq!(scenario.count("list_user_credentials"), 6 + 1);
        }
    });
}
