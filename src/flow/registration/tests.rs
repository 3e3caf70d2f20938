mod magiclink;
mod webauthn;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;
use crate::flow::testing::{Service, VERSIONS, restored};
use crate::flow::wait::WaitPolicy;
use crate::http::ApiVersion;
use crate::registrations::StartAuthenticatorRegistration;
use crate::testing::{respond, seconds};

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const ADA: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);
const EVE: Uuid = Uuid::from_u128(0xe0e0_0000_0000_4000_8000_0000_0000_0002);
const CREDENTIAL: Uuid = Uuid::from_u128(0xcccc_0000_0000_4000_8000_0000_0000_0003);
const NAME: &str = "ada@example.com";
const TOKEN: &str = "t0k3n-of-the-start-response";
const FINISH_TOKEN: &str = "t0k3n-of-the-finish-response";
const LINK_TOKEN: &str = "t0k3n-of-the-link";
const AA_SIG: &str = "aa-s1g";
const QR: &str = "https://qr.example/s3cr3t";

/// A service whose routes are those below `users/`. The phone is enrolled as
/// soon as it is started. `changes` are fields that differ from the regular
/// response of a route.
fn serve(
    version: ApiVersion,
    changes: impl Fn(&str) -> Option<Value> + Send + Sync + 'static,
) -> Service {
    let is_started = AtomicBool::new(false);
    Service::new(version, "users/", move |route, _| {
        if route.ends_with("start") {
            is_started.store(true, Ordering::Relaxed);
        }
        let mut json = regular(route, is_started.load(Ordering::Relaxed));
        if let Some(Value::Object(changes)) = changes(route) {
            json.as_object_mut().unwrap().extend(changes);
        }
        respond(200, json.to_string())
    })
}

/// The regular service, but for these fields of the routes with this end.
fn serve_with(version: ApiVersion, route: &'static str, fields: Value) -> Service {
    serve(version, move |at| {
        at.ends_with(route).then(|| fields.clone())
    })
}

fn regular(route: &str, is_started: bool) -> Value {
    let is_magiclink = route.contains("magiclink");
    if route.ends_with("start") {
        return json!({
            "registration_id": ID,
            "user_id": ADA,
            "qr_code_data": QR,
            "registration_validation_token": TOKEN,
            "aa_sig": AA_SIG,
            "fido2_json_options": "{\"challenge\":\"AA\"}",
        });
    }
    if route.ends_with("finish") {
        return json!({
            "user_id": ADA,
            "username": NAME,
            "registration_validation_token": FINISH_TOKEN,
        });
    }
    if route.ends_with("validate") && is_magiclink {
        return json!({
            "magiclink_email_registration_type": "new_user",
            "user_id": ADA,
            "username": NAME,
            "email_address": NAME,
            "context_data": {"plan": "free"},
        });
    }
    if route.ends_with("validate") {
        return json!({"credential_id": CREDENTIAL, "user_id": ADA, "username": NAME});
    }
    if route.starts_with("registrations/") {
        return json!({"registration_status_code": 8});
    }
    let phone = json!({"auth_method_id": 4, "auth_method_masked_info": "Pixel"});
    let methods = if is_started {
        json!([phone])
    } else {
        json!([])
    };
    json!({"user_id": ADA, "username": NAME, "enrolled_auth_methods": methods})
}

fn begin_phone(service: &Service) -> PendingAuthenticatorRegistration {
    let request = StartAuthenticatorRegistration::new(NAME).timeout_in_seconds(60);
    let started = service.client().begin_authenticator_registration(&request);
    restored(started.unwrap().pending)
}

fn begin_phone_for_ada(service: &Service) -> PendingAuthenticatorRegistration {
    let started = service
        .client()
        .begin_authenticator_registration_for_user(ADA);
    restored(started.unwrap().pending)
}

type BeginPhone = fn(&Service) -> PendingAuthenticatorRegistration;

const BEGIN_PHONE: [BeginPhone; 2] = [begin_phone, begin_phone_for_ada];

fn wait(service: &Service, begin: BeginPhone) -> Result<Registration, Error> {
    begin(service).wait(service.client(), &WaitPolicy::new())
}

#[track_caller]
fn assert_ada(end: Result<Registration, Error>) -> RegisteredUser {
    let end = end.unwrap();
    let user = end.user().unwrap();
    assert_eq!(user.user_id(), ADA);
    assert_eq!(user.username(), Some(NAME));
    user.clone()
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(end: Result<T, Error>, kind: ErrorKind) -> Error {
    let error = end.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = format!("{error} {error:?}");
    for secret in [NAME, TOKEN, FINISH_TOKEN, LINK_TOKEN, AA_SIG] {
        assert!(!text.contains(secret), "{text}");
    }
    error
}

#[track_caller]
fn assert_missing<T: std::fmt::Debug>(end: Result<T, Error>, endpoint: &str) {
    let error = assert_kind(end, ErrorKind::Decode);
    assert!(error.may_have_been_sent());
    let text = error.to_string();
    assert!(text.starts_with(&format!("{endpoint}: ")), "{text}");
}

#[test]
fn a_phone_is_validated_under_v4_with_the_token_of_the_start() {
    for (begin, start) in [
        (
            begin_phone as BeginPhone,
            "registrations/authenticator/start".to_owned(),
        ),
        (
            begin_phone_for_ada,
            format!("{ADA}/registrations/authenticator/start"),
        ),
    ] {
        let service = serve(ApiVersion::V4, |_| None);
        let user = assert_ada(wait(&service, begin));
        assert!(user.is_validated());
        assert_eq!(user.credential_id(), Some(&CREDENTIAL.into()));
        assert_eq!(user.email_address(), None);
        assert!(user.context_data().is_empty());
        let poll = format!("registrations/{ID}");
        let validate = format!("registrations/authenticator/{ID}/validate");
        assert_eq!(service.routes(), [start, poll, validate.clone()]);
        assert_eq!(
            service.body(&validate),
            json!({"registration_validation_token": TOKEN})
        );
    }
}

#[test]
fn a_phone_is_watched_under_v3_and_the_user_is_read_by_the_id_of_the_start() {
    let (nil, ada) = (&*Uuid::nil().to_string(), &*ADA.to_string());
    for (begin, start, key) in [
        (
            begin_phone as BeginPhone,
            "authenticator/register/start".to_owned(),
            nil,
        ),
        (
            begin_phone_for_ada,
            format!("{ADA}/authenticator/register/start"),
            ada,
        ),
    ] {
        let service = serve(ApiVersion::V3, |_| None);
        let user = assert_ada(wait(&service, begin));
        assert!(!user.is_validated());
        assert_eq!(user.credential_id(), None);
        assert_eq!(service.routes(), [key, &start, key, ada]);
    }
    // A start response without an id: the name is used.
    for id in [json!(null), json!(Uuid::nil())] {
        let service = serve_with(ApiVersion::V3, "start", json!({"user_id": id}));
        assert_ada(wait(&service, begin_phone));
        let start = "authenticator/register/start";
        assert_eq!(service.routes(), [nil, start, nil, nil]);
    }
}

#[test]
fn the_qr_code_and_the_id_of_the_start_are_returned() {
    for version in VERSIONS {
        let service = serve(version, |_| None);
        let started = service
            .client()
            .begin_authenticator_registration_for_user(ADA)
            .unwrap();
        assert_eq!(started.qr_code_data.unwrap().expose(), QR);
        assert_eq!(started.pending.registration_id(), ID);
    }
}

#[test]
fn bad_input_costs_no_request() {
    for version in VERSIONS {
        let service = serve(version, |_| None);
        let client = service.client();
        let short = StartAuthenticatorRegistration::new("x");
        let end = client.begin_authenticator_registration(&short);
        assert_kind(end, ErrorKind::InvalidInput);
        let end = client.begin_authenticator_registration_for_user(Uuid::nil());
        assert_kind(end, ErrorKind::InvalidInput);
        assert!(service.test.seen().is_empty());
    }
}

#[test]
fn a_phone_is_not_started_under_v3_if_the_user_cannot_be_read() {
    let service = Service::new(ApiVersion::V3, "users/", |_, _| respond(403, ""));
    let end = service
        .client()
        .begin_authenticator_registration_for_user(ADA);
    assert_kind(end, ErrorKind::Forbidden);
    assert_eq!(service.routes(), [ADA.to_string()]);
}

#[test]
fn v4_needs_the_token_of_the_start_and_v3_does_not() {
    for token in [json!(null), json!("")] {
        let fields = json!({"registration_validation_token": token});
        let new_user = StartAuthenticatorRegistration::new(NAME);
        let v4 = serve_with(ApiVersion::V4, "start", fields.clone());
        let end = v4.client().begin_authenticator_registration(&new_user);
        assert_missing(end, "start_authenticator_registration");
        let end = v4.client().begin_authenticator_registration_for_user(ADA);
        assert_missing(end, "start_authenticator_registration_for_user");
        let v3 = serve_with(ApiVersion::V3, "start", fields);
        assert_ada(wait(&v3, begin_phone));
    }
}

#[test]
fn a_phone_must_be_registered_for_the_user_of_the_start() {
    let upper = NAME.to_uppercase();
    for (start_id, fields, begin, is_ada) in [
        (json!(ADA), json!({}), begin_phone as BeginPhone, true),
        (json!(ADA), json!({"user_id": EVE}), begin_phone, false),
        (
            json!(ADA),
            json!({"user_id": EVE}),
            begin_phone_for_ada,
            false,
        ),
        (
            json!(ADA),
            json!({"user_id": Uuid::nil()}),
            begin_phone,
            false,
        ),
        (json!(EVE), json!({}), begin_phone, false),
        (json!(EVE), json!({}), begin_phone_for_ada, false),
        (
            json!(null),
            json!({"user_id": EVE}),
            begin_phone_for_ada,
            false,
        ),
        // The name counts if it is all that is known, whatever its case.
        (json!(null), json!({"username": "eve"}), begin_phone, false),
        (json!(null), json!({"username": null}), begin_phone, false),
        (json!(null), json!({"username": ""}), begin_phone, false),
        (json!(null), json!({"username": upper}), begin_phone, true),
        (
            json!(Uuid::nil()),
            json!({"username": "eve"}),
            begin_phone,
            false,
        ),
        (json!(ADA), json!({"username": "eve"}), begin_phone, true),
        (
            json!(null),
            json!({"username": "eve"}),
            begin_phone_for_ada,
            true,
        ),
    ] {
        for version in VERSIONS {
            let (start_id, fields) = (start_id.clone(), fields.clone());
            let case = format!("{version:?} {start_id} {fields}");
            let service = serve(version, move |route| {
                if route.ends_with("start") {
                    Some(json!({"user_id": start_id}))
                } else {
                    Some(fields.clone())
                }
            });
            let end = wait(&service, begin);
            if is_ada {
                assert_eq!(end.unwrap().user().unwrap().user_id(), ADA, "{case}");
            } else {
                let error = assert_kind(end, ErrorKind::Mismatch);
                assert!(error.to_string().starts_with("flow: "), "{case}");
                assert!(error.may_have_been_sent(), "{case}");
            }
        }
    }
    // v4 may leave the id out.
    let service = serve_with(ApiVersion::V4, "validate", json!({"user_id": null}));
    assert_kind(wait(&service, begin_phone), ErrorKind::Mismatch);
}

#[test]
fn an_empty_name_is_unknown() {
    for version in VERSIONS {
        let service = serve(version, |_| Some(json!({"username": ""})));
        let end = wait(&service, begin_phone).unwrap();
        assert_eq!(end.user().unwrap().username(), None);
    }
}

#[test]
fn each_status_that_ends_a_wait_is_an_outcome_and_validates_nothing() {
    for (status, expected) in [
        (3, "Declined"),
        (4, "FailedSignature"),
        (5, "TimedOut"),
        (9, "ValidatedTooLate"),
        (10, "RefusedForSecurity"),
    ] {
        for begin in BEGIN_PHONE {
            let fields = json!({"registration_status_code": status});
            let service = serve(ApiVersion::V4, move |_| Some(fields.clone()));
            let end = wait(&service, begin).unwrap();
            assert_eq!(format!("{end:?}"), expected);
            assert!(end.user().is_none());
            assert_eq!(service.routes().len(), 2);
        }
    }
    // No other status ends a wait.
    for status in [0, 1, 2, 6, 7, 8, 77] {
        let end = failed(RegistrationStatus::from(status));
        assert!(matches!(end, Registration::StillPending), "{status}");
    }
}

#[test]
fn a_wait_that_was_cancelled_can_be_repeated() {
    for version in VERSIONS {
        let service = serve(version, |_| None);
        let pending = begin_phone(&service);
        let requests = service.routes().len();
        let cancel = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
        let end = pending.wait(service.client(), &cancel).unwrap();
        assert!(matches!(end, Registration::Cancelled));
        assert_eq!(service.routes().len(), requests);
        assert_ada(pending.wait(service.client(), &WaitPolicy::new()));
    }
}

#[test]
fn a_wait_lasts_as_long_as_the_registration() {
    for (begin, expected) in [(begin_phone as BeginPhone, 60), (begin_phone_for_ada, 300)] {
        for version in VERSIONS {
            let service = serve(version, |_| {
                Some(json!({"registration_status_code": 1, "enrolled_auth_methods": []}))
            });
            let end = wait(&service, begin).unwrap();
            assert!(matches!(end, Registration::StillPending));
            let slept: Duration = service.test.clock.slept().iter().sum();
            assert_eq!(slept, seconds(expected));
        }
    }
}

#[test]
fn a_client_of_another_version_cannot_wait() {
    for (began, ends) in [
        (ApiVersion::V3, ApiVersion::V4),
        (ApiVersion::V4, ApiVersion::V3),
    ] {
        let first = serve(began, |_| None);
        let second = serve(ends, |_| None);
        for begin in BEGIN_PHONE {
            let end = begin(&first).wait(second.client(), &WaitPolicy::new());
            let error = assert_kind(end, ErrorKind::InvalidInput);
            assert!(!error.may_have_been_sent());
        }
        assert!(second.test.seen().is_empty());
    }
}
