//! Registration and change of a mail address.

use super::*;
use crate::registrations::{StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration};

const REDIRECT: &str = "https://app.example/in";
const IP: &str = "203.0.113.7";
const AGENT: &str = "Firefox";

type Begin = fn(&Service) -> PendingMagiclinkRegistration;

fn start() -> StartMagiclinkEmailRegistration {
    StartMagiclinkEmailRegistration::new(NAME, REDIRECT)
        .ip_address(IP)
        .user_agent(AGENT)
}

fn new_user(service: &Service) -> PendingMagiclinkRegistration {
    let pending = service.client().begin_magiclink_registration(&start());
    restored(pending.unwrap())
}

fn for_ada(service: &Service) -> PendingMagiclinkRegistration {
    let client = service.client();
    let pending = client.begin_magiclink_registration_for_user(ADA, &start());
    restored(pending.unwrap())
}

fn change(service: &Service) -> PendingMagiclinkRegistration {
    let request = StartChangeMagiclinkEmail::new(NAME, REDIRECT);
    let pending = service.client().begin_magiclink_change(ADA, &request);
    restored(pending.unwrap())
}

/// The call that begins it, and the purpose of its link.
const FLOWS: [(Begin, &str); 3] = [
    (new_user, "new_user"),
    (for_ada, "new_enrollment"),
    (change, "change_email"),
];

fn link() -> String {
    format!("{REDIRECT}?registration_id={ID}&registration_validation_token={LINK_TOKEN}")
}

/// Completes with a validate response that has this purpose and these fields.
fn end(begin: Begin, purpose: &str, fields: &Value) -> Result<Registration, Error> {
    let mut changes = json!({"magiclink_email_registration_type": purpose});
    let object = changes.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    let service = serve_with(ApiVersion::V4, "validate", changes);
    begin(&service).complete(service.client(), &link())
}

#[test]
fn a_link_is_validated_with_what_was_given_at_the_start() {
    for (begin, purpose) in FLOWS {
        for version in VERSIONS {
            let fields = json!({"magiclink_email_registration_type": purpose});
            let service = serve_with(version, "validate", fields);
            let user = assert_ada(begin(&service).complete(service.client(), &link()));
            assert!(user.is_validated());
            assert_eq!(user.email_address(), Some(NAME));
            assert_eq!(user.credential_id(), None);
            assert_eq!(user.context_data()["plan"].as_deref(), Some("free"));

            let routes = service.routes();
            let [_, validate] = &routes[..] else {
                panic!("{routes:?}");
            };
            let mut body = json!({"registration_validation_token": LINK_TOKEN});
            if purpose != "change_email" {
                body["ip_address"] = json!(IP);
                body["user_agent"] = json!(AGENT);
            }
            assert_eq!(service.body(validate), body);
            let expected = match version {
                ApiVersion::V3 => "register/magiclink_email/validate".to_owned(),
                ApiVersion::V4 => format!("registrations/magiclink_email/{ID}/validate"),
            };
            assert_eq!(*validate, expected);
        }
    }
}

#[test]
fn a_link_without_a_parameter_is_not_validated() {
    let id = format!("registration_id={ID}");
    let token = format!("registration_validation_token={LINK_TOKEN}");
    for (begin, purpose) in FLOWS {
        let fields = json!({"magiclink_email_registration_type": purpose});
        let v4 = serve_with(ApiVersion::V4, "validate", fields.clone());
        let pending = begin(&v4);
        for query in ["", REDIRECT, &id, &token, &format!("{token}&{id}&{id}")] {
            let end = pending.complete(v4.client(), query);
            let error = assert_kind(end, ErrorKind::InvalidInput);
            assert!(!error.may_have_been_sent());
        }
        assert_eq!(v4.routes().len(), 1);
        // v3 needs no id.
        let v3 = serve_with(ApiVersion::V3, "validate", fields);
        let pending = begin(&v3);
        assert_kind(pending.complete(v3.client(), &id), ErrorKind::InvalidInput);
        assert_ada(pending.complete(v3.client(), &token));
    }
}

#[test]
fn a_link_must_be_for_the_same_purpose() {
    for (begin, purpose) in FLOWS {
        for found in ["new_user", "new_enrollment", "change_email", "another"] {
            let end = end(begin, found, &json!({}));
            if found == purpose {
                assert_ada(end);
            } else {
                assert_kind(end, ErrorKind::Mismatch);
            }
        }
        for unknown in [json!(null), json!("")] {
            let fields = json!({"magiclink_email_registration_type": unknown});
            assert_ada(end(begin, purpose, &fields));
        }
    }
}

#[test]
fn a_link_must_be_for_the_same_address() {
    for (begin, purpose) in FLOWS {
        let upper = json!({"email_address": NAME.to_uppercase()});
        let user = assert_ada(end(begin, purpose, &upper));
        assert_eq!(user.email_address(), Some(&*NAME.to_uppercase()));
        for other in ["eve@example.com", "ada@example.com ", "ada"] {
            let fields = json!({"email_address": other});
            assert_kind(end(begin, purpose, &fields), ErrorKind::Mismatch);
        }
    }
}

#[test]
fn a_response_without_an_address_needs_the_name_of_a_new_user_only() {
    for missing in [json!(null), json!("")] {
        for (begin, purpose) in FLOWS {
            let fields = json!({"email_address": missing});
            let user = assert_ada(end(begin, purpose, &fields));
            assert_eq!(user.email_address(), None);
            for name in [json!("eve"), json!(null), json!("")] {
                let fields = json!({"email_address": missing, "username": name});
                let end = end(begin, purpose, &fields);
                if purpose == "new_user" {
                    assert_kind(end, ErrorKind::Mismatch);
                } else {
                    // The user was named by id.
                    assert_eq!(end.unwrap().user().unwrap().user_id(), ADA);
                }
            }
        }
    }
}

#[test]
fn a_link_must_be_for_the_user_of_the_start() {
    for (begin, purpose) in FLOWS {
        for id in [json!(null), json!(Uuid::nil())] {
            let end = end(begin, purpose, &json!({"user_id": id}));
            assert_kind(end, ErrorKind::Mismatch);
        }
        let end = end(begin, purpose, &json!({"user_id": EVE}));
        if purpose == "new_user" {
            // Nobody knew the new user's id.
            assert_eq!(end.unwrap().user().unwrap().user_id(), EVE);
        } else {
            assert_kind(end, ErrorKind::Mismatch);
        }
    }
    // A user who is known by name.
    let named = |name: &str| {
        serve_with(
            ApiVersion::V3,
            "validate",
            json!({"magiclink_email_registration_type": null, "username": name}),
        )
    };
    for (name, is_ada) in [("ada", true), ("ADA", true), ("eve", false), ("", false)] {
        let service = named(name);
        let client = service.client();
        let request = StartChangeMagiclinkEmail::new(NAME, REDIRECT);
        for pending in [
            client.begin_magiclink_registration_for_user("ada", &start()),
            client.begin_magiclink_change("ada", &request),
        ] {
            let end = restored(pending.unwrap()).complete(client, &link());
            if is_ada {
                assert_eq!(end.unwrap().user().unwrap().username(), Some(name));
            } else {
                assert_kind(end, ErrorKind::Mismatch);
            }
        }
    }
}

#[test]
fn a_client_of_another_version_cannot_complete() {
    for (began, ends) in [
        (ApiVersion::V3, ApiVersion::V4),
        (ApiVersion::V4, ApiVersion::V3),
    ] {
        let first = serve(began, |_| None);
        let second = serve(ends, |_| None);
        for (begin, _) in FLOWS {
            let end = begin(&first).complete(second.client(), &link());
            let error = assert_kind(end, ErrorKind::InvalidInput);
            assert!(!error.may_have_been_sent());
        }
        assert!(second.test.seen().is_empty());
    }
}

#[test]
fn a_start_that_fails_is_an_error_and_not_repeated() {
    let service = Service::new(ApiVersion::V4, "users/", |_, _| respond(503, ""));
    let client = service.client();
    let request = StartChangeMagiclinkEmail::new(NAME, REDIRECT);
    for pending in [
        client.begin_magiclink_registration(&start()),
        client.begin_magiclink_registration_for_user(ADA, &start()),
        client.begin_magiclink_change(ADA, &request),
    ] {
        assert_kind(pending, ErrorKind::Unavailable);
    }
    assert_eq!(service.routes().len(), 3);
}
