//! Pending states: read or refused, written as they were read, and completed
//! only for the user in them.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use autharmor::flow::{
    PendingAuthenticator, PendingAuthenticatorRegistration, PendingMagiclink,
    PendingMagiclinkRegistration, PendingWebauthn, PendingWebauthnRegistration, Registration,
    SignIn,
};
use autharmor::{Client, Error, ErrorKind};
use autharmor_fuzz::{
    REQUEST, Response, SECRETS, Service, USER, USERNAME, VALIDATION_TOKEN, alloc, assert_absent,
    assert_no_secrets, debug, split_selector,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| SERVICE.clients());

/// Responses that match a sign-in or a registration of [`USER`].
static GOOD: LazyLock<[Response; 2]> = LazyLock::new(|| {
    let finish = json!({
        "auth_request_id": REQUEST,
        "auth_validation_token": VALIDATION_TOKEN,
        "registration_validation_token": VALIDATION_TOKEN,
        "user_id": USER,
        "username": USERNAME,
    });
    let mut validate = finish.clone();
    validate["validate_auth_response_details"] = json!({
        "authorized": true,
        "auth_details": {"response_details": {
            "auth_profile_details": {"user_id": USER, "username": USERNAME},
        }},
    });
    [finish, validate].map(|json| Response::ok(json.to_string().as_bytes()))
});

fuzz_target!(|data: &[u8]| {
    let Some((bits, state)) = split_selector(data) else {
        return;
    };
    let client = &CLIENTS[bits / 6 & 1];
    let [finish, validate] = GOOD.clone();
    SERVICE.respond_with([validate]);
    alloc::bounded(|| match bits % 6 {
        0 => check(
            state,
            "authenticator_sign_in",
            |pending: &PendingAuthenticator| signed_in(pending.complete(client)),
        ),
        1 => check(state, "webauthn_sign_in", |pending: &PendingWebauthn| {
            SERVICE.respond_with(GOOD.clone());
            signed_in(pending.complete(client, "{}"))
        }),
        2 => check(state, "magiclink_sign_in", |pending: &PendingMagiclink| {
            let link = format!(
                "?auth_request_id={}&auth_validation_token={VALIDATION_TOKEN}",
                pending.auth_request_id()
            );
            signed_in(pending.complete(client, &link))
        }),
        // Completing it needs a wait, which takes time.
        3 => check(
            state,
            "authenticator_registration",
            |pending: &PendingAuthenticatorRegistration| {
                let _ = pending.registration_id();
                None
            },
        ),
        4 => check(
            state,
            "webauthn_registration",
            |pending: &PendingWebauthnRegistration| {
                SERVICE.respond_with([finish.clone()]);
                let page = r#"{"id":"a","attestation_object":"b","client_data":"c"}"#;
                registered(pending.complete(client, page))
            },
        ),
        _ => check(
            state,
            "magiclink_registration",
            |pending: &PendingMagiclinkRegistration| {
                let link = format!(
                    "?registration_id={REQUEST}&registration_validation_token={VALIDATION_TOKEN}"
                );
                registered(pending.complete(client, &link))
            },
        ),
    });
});

fn check<T>(state: &[u8], flow: &str, end: impl FnOnce(&T) -> Option<bool>)
where
    T: DeserializeOwned + Serialize + Debug,
{
    let pending: T = match serde_json::from_slice(state) {
        Ok(pending) => pending,
        Err(error) => return drop(error.to_string()),
    };
    assert_absent(&debug(&pending), &SECRETS);
    let written = serde_json::to_value(&pending).unwrap();
    let again: T = serde_json::from_str(&written.to_string()).expect("it can be read again");
    assert_eq!(serde_json::to_value(&again).unwrap(), written);
    assert_eq!(written["v"], 1);
    assert_eq!(written["flow"], flow);

    // The user at the end is the one in the state.
    let Some(is_sign_in) = end(&pending) else {
        return;
    };
    let id = |value: &Value| {
        value
            .as_str()
            .map(|text| text.parse::<uuid::Uuid>().unwrap())
    };
    let started_for = id(&written["user_id"]).filter(|id| !id.is_nil());
    let asked_for = id(&written["user"]["user_id"]);
    assert!(started_for.is_none_or(|id| id == USER));
    assert!(asked_for.is_none_or(|id| id == USER));
    if let (None, Some(name)) = (started_for, written["user"]["username"].as_str()) {
        let name = match written["ignore_case"] == true || !is_sign_in {
            true => name.to_ascii_lowercase(),
            false => name.to_owned(),
        };
        assert_eq!(name, USERNAME);
    }
}

fn signed_in(end: Result<SignIn, Error>) -> Option<bool> {
    match refused(end)? {
        SignIn::SignedIn(_) => Some(true),
        other => panic!("{other:?} from a good response"),
    }
}

fn registered(end: Result<Registration, Error>) -> Option<bool> {
    match refused(end)? {
        Registration::Registered(_) => Some(false),
        other => panic!("{other:?} from a good response"),
    }
}

fn refused<T>(end: Result<T, Error>) -> Option<T> {
    let error = match end {
        Ok(end) => return Some(end),
        Err(error) => error,
    };
    assert_no_secrets(&error, &[]);
    match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::UsernameInUrl | ErrorKind::Mismatch => {}
        // A registration under v4 needs another response than under v3.
        ErrorKind::Decode => {}
        other => panic!("{other:?}"),
    }
    None
}
