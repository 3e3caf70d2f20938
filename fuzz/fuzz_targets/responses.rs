//! Success bodies of every type are decoded or refused. What is decoded can be
//! serialised and decoded again.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use autharmor::auth::{
    self, FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use autharmor::registrations::{
    self, Fido2RegistrationData, FinishWebauthnRegistration, StartAuthenticatorRegistration,
    StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration, StartWebauthnRegistration,
    ValidateMagiclinkEmailRegistration, ValidateRegistration,
};
use autharmor::users::{self, UpdateUser, UserQuery};
use autharmor::{Client, ErrorKind, PageQuery, Request, Timestamp, credentials};
use autharmor_fuzz::{
    REQUEST, Response, SIGNATURE, Service, USER, USERNAME, VALIDATION_TOKEN, alloc,
    assert_no_secrets, debug, json, split_selector,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| SERVICE.clients());

const URL: &str = "https://app.example/";

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = split_selector(data) else {
        return;
    };
    SERVICE.respond_with([Response::ok(body)]);
    alloc::bounded(|| match first % 25 {
        0 => check(&auth::start_authenticator_auth(
            &StartAuthenticatorAuth::new().user(USERNAME),
        )),
        1 => check(&auth::start_webauthn_auth(&StartWebauthnAuth::new())),
        2 => check(&auth::finish_webauthn_auth(&FinishWebauthnAuth::new(
            REQUEST, SIGNATURE, "{}",
        ))),
        3 => check(&auth::start_magiclink_email_auth(
            &StartMagiclinkEmailAuth::new(USERNAME, URL),
        )),
        4 => check(&auth::get_auth_info(REQUEST)),
        5 => check(&auth::validate_authenticator_auth(&validate())),
        6 => check(&auth::validate_webauthn_auth(&validate())),
        7 => check(&auth::validate_magiclink_email_auth(&validate())),
        8 => check(&registrations::start_authenticator_registration(
            &StartAuthenticatorRegistration::new(USERNAME),
        )),
        9 => check(&registrations::start_webauthn_registration(
            &StartWebauthnRegistration::new(USERNAME),
        )),
        10 => check(&registrations::finish_webauthn_registration(
            REQUEST,
            &FinishWebauthnRegistration::new(
                SIGNATURE,
                Fido2RegistrationData::new("id", "att", "cl"),
            ),
        )),
        11 => check(&registrations::validate_webauthn_registration(
            REQUEST,
            &ValidateRegistration::new(VALIDATION_TOKEN),
        )),
        12 => check(&registrations::start_magiclink_email_registration(
            &StartMagiclinkEmailRegistration::new(USERNAME, URL),
        )),
        13 => check(&registrations::validate_magiclink_email_registration(
            REQUEST,
            &ValidateMagiclinkEmailRegistration::new(VALIDATION_TOKEN),
        )),
        14 => check(&registrations::get_registration_info(REQUEST)),
        15 => check(&registrations::start_change_magiclink_email(
            USER,
            &StartChangeMagiclinkEmail::new(USERNAME, URL),
        )),
        16 => check(&users::list_users(UserQuery::new())),
        17 => check(&users::get_user(USER)),
        18 => check(&users::update_user(USER, &UpdateUser::new(USERNAME))),
        19 => check(&users::get_user_auth_history(USER, PageQuery::new())),
        20 => check(&credentials::list_user_credentials(USER, PageQuery::new())),
        21 => check(&credentials::get_user_credential(USER, "credential")),
        22 => check_look_up(body),
        24 => check(&credentials::disable_user_credential(USER, "credential")),
        _ => {
            if let Ok(text) = std::str::from_utf8(body) {
                let _ = Timestamp::from(text).to_jiff();
            }
        }
    });
});

fn validate() -> ValidateAuth {
    ValidateAuth::new(REQUEST, VALIDATION_TOKEN)
}

fn check<T>(request: &Request<T>)
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let [_, v4] = &*CLIENTS;
    let response = match v4.send(request) {
        Ok(response) => response,
        Err(error) => {
            assert_no_secrets(&error, &[]);
            // An error body under status 200 is an `Api` error.
            assert!(matches!(error.kind(), ErrorKind::Decode | ErrorKind::Api));
            assert!(error.may_have_been_sent());
            return;
        }
    };
    let shown = debug(&response);
    let written = serde_json::to_string(&response).expect("a response can be serialised");
    let again: T = serde_json::from_str(&written).expect("its JSON can be decoded");
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
    // Secrets are not serialised.
    if !shown.contains("Secret(..)") {
        assert_eq!(again, response);
    }
}

/// The id that a look-up by name finds is used only if the name matches.
fn check_look_up(body: &[u8]) {
    SERVICE.respond_with([Response::ok(body), Response::ok(b"{}")]);
    let [v3, _] = &*CLIENTS;
    let result = v3.list_user_credentials(USERNAME, PageQuery::new());
    let seen = SERVICE.requests();
    match result {
        Ok(page) => {
            assert!(page.records.is_empty() && seen.len() == 2);
            let name = json::at(body, &["username"]);
            assert!(name.as_str().unwrap().eq_ignore_ascii_case(USERNAME));
            let id = json::at(body, &["user_id"]);
            let id: uuid::Uuid = id.as_str().unwrap().parse().unwrap();
            assert!(!id.is_nil());
            let path = format!("/v4/users/{id}/credentials");
            assert!(seen[1].uri.ends_with(&path), "{}", seen[1].uri);
        }
        Err(error) => {
            assert_no_secrets(&error, &[]);
            assert!(matches!(
                error.kind(),
                ErrorKind::Decode | ErrorKind::Api | ErrorKind::Mismatch
            ));
            assert!(!error.may_have_been_sent() && seen.len() == 1);
        }
    }
}
