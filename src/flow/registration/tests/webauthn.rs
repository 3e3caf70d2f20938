//! Registration of a passkey.

use super::*;
use crate::registrations::{StartWebauthnRegistration, StartWebauthnRegistrationForUser};

/// With the client data `{"type":"webauthn.create"}`.
const PAGE: &str = r#"{"attestation_object":"BAUG","client_data":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0","id":"AQID"}"#;

fn started(service: &Service) -> Result<WebauthnRegistrationStarted, Error> {
    let request = StartWebauthnRegistration::new(NAME).webauthn_client_id("wc");
    service.client().begin_webauthn_registration(&request)
}

fn started_for_ada(service: &Service) -> Result<WebauthnRegistrationStarted, Error> {
    let request = StartWebauthnRegistrationForUser::new().webauthn_client_id("wc");
    service
        .client()
        .begin_webauthn_registration_for_user(ADA, &request)
}

type Start = fn(&Service) -> Result<WebauthnRegistrationStarted, Error>;

const STARTS: [Start; 2] = [started, started_for_ada];

fn complete(service: &Service, start: Start, page: &str) -> Result<Registration, Error> {
    let pending = restored(start(service).unwrap().pending);
    pending.complete(service.client(), page)
}

#[test]
fn a_passkey_is_finished_and_under_v4_validated() {
    let ada = ADA.to_string();
    for (start, user) in [
        (started as Start, ""),
        (started_for_ada, &*format!("{ada}/")),
    ] {
        for version in VERSIONS {
            let service = serve(version, |_| None);
            let started = start(&service).unwrap();
            assert_eq!(started.fido2_json_options, r#"{"challenge":"AA"}"#);
            assert_eq!(started.pending.registration_id(), ID);
            let pending = restored(started.pending);
            let user_found = assert_ada(pending.complete(service.client(), PAGE));
            let is_v4 = version == ApiVersion::V4;
            assert_eq!(user_found.is_validated(), is_v4);
            assert_eq!(
                user_found.credential_id(),
                is_v4.then(|| CREDENTIAL.into()).as_ref()
            );

            let (finish, mut routes) = match version {
                ApiVersion::V3 => (
                    format!("{user}webauthn/register/finish"),
                    vec![format!("{user}webauthn/register/start")],
                ),
                ApiVersion::V4 => (
                    format!("{user}registrations/webauthn/{ID}/finish"),
                    vec![format!("{user}registrations/webauthn/start")],
                ),
            };
            routes.push(finish.clone());
            if is_v4 {
                let validate = format!("registrations/webauthn/{ID}/validate");
                assert_eq!(
                    service.body(&validate),
                    json!({"registration_validation_token": FINISH_TOKEN})
                );
                routes.push(validate);
            }
            assert_eq!(service.routes(), routes);
            let body = service.body(&finish);
            assert_eq!(body["aa_sig"], AA_SIG);
            assert_eq!(body["webauthn_client_id"], "wc");
            let page: Value = serde_json::from_str(PAGE).unwrap();
            assert_eq!(body["authenticator_response_data"], page);
        }
    }
}

#[test]
fn a_client_id_that_is_not_set_is_not_sent() {
    let service = serve(ApiVersion::V4, |_| None);
    let client = service.client();
    let new_user = StartWebauthnRegistration::new(NAME);
    let started = client.begin_webauthn_registration(&new_user).unwrap();
    assert_ada(restored(started.pending).complete(client, PAGE));
    let finish = service.body(&format!("registrations/webauthn/{ID}/finish"));
    assert_eq!(finish.get("webauthn_client_id"), None);
}

#[test]
fn a_start_response_without_a_required_part_is_an_error() {
    for version in VERSIONS {
        for field in ["aa_sig", "fido2_json_options"] {
            let service = serve_with(version, "start", json!({field: null}));
            assert_missing(started(&service), "start_webauthn_registration");
            assert_missing(
                started_for_ada(&service),
                "start_webauthn_registration_for_user",
            );
        }
    }
}

#[test]
fn v4_needs_the_token_of_the_finish_response_and_v3_does_not() {
    for token in [json!(null), json!("")] {
        let fields = json!({"registration_validation_token": token});
        for (start, endpoint) in [
            (started as Start, "finish_webauthn_registration"),
            (started_for_ada, "finish_webauthn_registration_for_user"),
        ] {
            let v4 = serve_with(ApiVersion::V4, "finish", fields.clone());
            assert_missing(complete(&v4, start, PAGE), endpoint);
            assert_eq!(v4.routes().len(), 2);
            let v3 = serve_with(ApiVersion::V3, "finish", fields.clone());
            assert_ada(complete(&v3, start, PAGE));
        }
    }
}

#[test]
fn a_passkey_must_be_registered_for_the_user_of_the_start() {
    for (version, last) in [(ApiVersion::V3, "finish"), (ApiVersion::V4, "validate")] {
        for (start_id, fields, start, is_ada) in [
            (json!(ADA), json!({"user_id": EVE}), started as Start, false),
            (json!(ADA), json!({"user_id": EVE}), started_for_ada, false),
            (json!(ADA), json!({"user_id": null}), started, false),
            (json!(ADA), json!({"user_id": Uuid::nil()}), started, false),
            (json!(EVE), json!({}), started, false),
            (json!(null), json!({"user_id": EVE}), started_for_ada, false),
            (json!(null), json!({"username": "eve"}), started, false),
            (json!(null), json!({"username": null}), started, false),
            (json!(null), json!({}), started, true),
            (json!(ADA), json!({"username": "eve"}), started, true),
            (
                json!(null),
                json!({"username": "eve"}),
                started_for_ada,
                true,
            ),
        ] {
            let (start_id, fields) = (start_id.clone(), fields.clone());
            let case = format!("{version:?} {start_id} {fields}");
            let service = serve(version, move |route| {
                if route.ends_with("start") {
                    Some(json!({"user_id": start_id}))
                } else {
                    route.ends_with(last).then(|| fields.clone())
                }
            });
            let end = complete(&service, start, PAGE);
            if is_ada {
                assert_eq!(end.unwrap().user().unwrap().user_id(), ADA, "{case}");
            } else {
                assert_kind(end, ErrorKind::Mismatch);
            }
        }
    }
}

#[test]
fn page_json_without_a_member_is_not_sent() {
    let service = serve(ApiVersion::V4, |_| None);
    let pending = started(&service).unwrap().pending;
    let mut pages = vec![String::new(), "null".to_owned(), "[]".to_owned()];
    for member in ["id", "attestation_object", "client_data"] {
        for value in [None, Some(json!(null)), Some(json!(7)), Some(json!({}))] {
            let mut page: Value = serde_json::from_str(PAGE).unwrap();
            match value {
                Some(value) => page[member] = value,
                None => drop(page.as_object_mut().unwrap().remove(member)),
            }
            let end = pending.complete(service.client(), &page.to_string());
            let error = assert_kind(end, ErrorKind::InvalidInput);
            assert!(
                error.to_string().ends_with(&format!("no valid {member}")),
                "{error}"
            );
            pages.push(page.to_string());
        }
    }
    for page in pages {
        let error = assert_kind(
            pending.complete(service.client(), &page),
            ErrorKind::InvalidInput,
        );
        assert!(!error.may_have_been_sent());
    }
    assert_eq!(service.routes().len(), 1);
    // The pending state still works, also with a string that holds the object.
    assert_ada(pending.complete(service.client(), &json!(PAGE).to_string()));
}

#[test]
fn a_client_of_another_version_cannot_complete() {
    for (began, ends) in [
        (ApiVersion::V3, ApiVersion::V4),
        (ApiVersion::V4, ApiVersion::V3),
    ] {
        let first = serve(began, |_| None);
        let second = serve(ends, |_| None);
        for start in STARTS {
            let pending = restored(start(&first).unwrap().pending);
            let error = assert_kind(
                pending.complete(second.client(), PAGE),
                ErrorKind::InvalidInput,
            );
            assert!(!error.may_have_been_sent());
        }
        assert!(second.test.seen().is_empty());
    }
}
