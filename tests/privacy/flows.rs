//! Calls everything that a client can do for a user, against the emulator.

use autharmor::auth::{
    StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth, ValidateAuth,
};
use autharmor::emulator::{Emulator, NewUser};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn, WaitPolicy};
use autharmor::registrations::{
    Fido2RegistrationData, FinishWebauthnRegistration, StartAuthenticatorRegistration,
    StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration, StartWebauthnRegistration,
    StartWebauthnRegistrationForUser,
};
use autharmor::users::{UpdateUser, UserQuery};
use autharmor::{ApiVersion, Client, Endpoint, Error, PageQuery, Secret, UserKey};
use serde_json::Value;
use uuid::Uuid;

use crate::canaries::{CLIENT_ID, Canaries, NEW_NAME, SECRET};

pub(crate) const REDIRECT: &str = "https://app.example/in";

/// Starts an emulator with one user, who can sign in by phone and by mail.
pub(crate) fn emulator(name: &str) -> Emulator {
    Emulator::builder()
        .client(CLIENT_ID, SECRET)
        .user(NewUser::new(name).email(NEW_NAME))
        .start()
        .unwrap()
}

/// Calls all endpoints with a user in the path, and the list with a filter.
pub(crate) fn call_by_name(
    client: &Client,
    emulator: &Emulator,
    name: &str,
) -> Vec<(Endpoint, Result<(), Error>)> {
    let page = PageQuery::new();
    let filter = UserQuery::new().username(name);
    let mut calls = vec![
        (
            Endpoint::ListUsers,
            client.list_users(&filter).map(|page| {
                assert_eq!(page.records.len(), 1);
            }),
        ),
        (
            Endpoint::ListUsers,
            client.users(&filter).try_for_each(|user| user.map(drop)),
        ),
        (Endpoint::GetUser, client.get_user(name).map(drop)),
        (
            Endpoint::GetUserAuthHistory,
            client.get_user_auth_history(name, &page).map(drop),
        ),
        (
            Endpoint::GetUserAuthHistory,
            client
                .auth_history(name, &page)
                .try_for_each(|record| record.map(drop)),
        ),
        (
            Endpoint::StartAuthenticatorRegistrationForUser,
            client
                .start_authenticator_registration_for_user(name)
                .map(drop),
        ),
        (
            Endpoint::StartMagiclinkEmailRegistrationForUser,
            client
                .start_magiclink_email_registration_for_user(
                    name,
                    &StartMagiclinkEmailRegistration::new("second@address.example", REDIRECT),
                )
                .map(drop),
        ),
        (
            Endpoint::StartChangeMagiclinkEmail,
            client
                .start_change_magiclink_email(
                    name,
                    &StartChangeMagiclinkEmail::new("third@address.example", REDIRECT),
                )
                .map(drop),
        ),
    ];
    call_passkeys(client, emulator, name, &mut calls);
    call_credentials(client, name, &mut calls);
    let there = client.update_user(name, &UpdateUser::new("somebody else"));
    let renamed = there.is_ok();
    calls.push((Endpoint::UpdateUser, there.map(drop)));
    if renamed {
        client
            .update_user("somebody else", &UpdateUser::new(name))
            .unwrap();
    }
    calls
}

fn call_passkeys(
    client: &Client,
    emulator: &Emulator,
    name: &str,
    calls: &mut Vec<(Endpoint, Result<(), Error>)>,
) {
    let request = StartWebauthnRegistrationForUser::new();
    let started = client.start_webauthn_registration_for_user(name, &request);
    let (id, sig, data) = match &started {
        Ok(started) => {
            let options = started.fido2_json_options.as_deref().unwrap();
            let page = emulator.create_passkey(options, emulator.origin()).unwrap();
            let page: Value = serde_json::from_str(&page).unwrap();
            let member = |name: &str| page[name].as_str().unwrap().to_owned();
            let data = Fido2RegistrationData::new(
                member("id"),
                member("attestation_object"),
                member("client_data"),
            );
            (
                started.registration_id,
                started.aa_sig.clone().unwrap(),
                data,
            )
        }
        Err(_) => (
            Uuid::from_u128(7),
            Secret::from("sig"),
            Fido2RegistrationData::new("id", "attestation", "data"),
        ),
    };
    let finish = FinishWebauthnRegistration::new(sig, data);
    calls.push((
        Endpoint::StartWebauthnRegistrationForUser,
        started.map(drop),
    ));
    calls.push((
        Endpoint::FinishWebauthnRegistrationForUser,
        client
            .finish_webauthn_registration_for_user(name, id, &finish)
            .map(drop),
    ));
}

fn call_credentials(client: &Client, name: &str, calls: &mut Vec<(Endpoint, Result<(), Error>)>) {
    let page = PageQuery::new();
    let listed = client.list_user_credentials(name, &page);
    let credential = match &listed {
        Ok(page) => page.records.last().unwrap().credential_id.clone(),
        Err(_) => Uuid::from_u128(7).into(),
    };
    calls.extend([
        (Endpoint::ListUserCredentials, listed.map(drop)),
        (
            Endpoint::ListUserCredentials,
            client
                .credentials(name, &page)
                .try_for_each(|credential| credential.map(drop)),
        ),
        (
            Endpoint::ListUserAuthenticatorCredentials,
            client
                .list_user_authenticator_credentials(name, &page)
                .map(drop),
        ),
        (
            Endpoint::ListUserWebauthnCredentials,
            client.list_user_webauthn_credentials(name, &page).map(drop),
        ),
        (
            Endpoint::ListUserMagiclinkEmailCredentials,
            client
                .list_user_magiclink_email_credentials(name, &page)
                .map(drop),
        ),
        (
            Endpoint::GetUserCredential,
            client.get_user_credential(name, &credential).map(drop),
        ),
        (
            Endpoint::DisableUserCredential,
            client.disable_user_credential(name, &credential).map(drop),
        ),
    ]);
}

/// Runs all flows, with the name in bodies and `key` in paths. Adds the secrets
/// that were issued to `canaries`.
pub(crate) fn run(
    client: &Client,
    emulator: &Emulator,
    name: &str,
    key: &UserKey,
    canaries: &mut Canaries,
) {
    let known = canaries.len();
    sign_in_by_phone(client, emulator, name, canaries);
    sign_in_by_mail(client, emulator, name);
    sign_in_by_passkey(client, emulator, name, key);
    sign_in_from_page(client, emulator, name);
    register(client, emulator, canaries);
    register_more(client, emulator, key, canaries);
    collect_secrets(emulator, canaries);
    assert!(canaries.len() > known + 10, "few secrets were issued");
}

fn signed_in(end: &SignIn, name: &str) {
    assert_eq!(end.user().unwrap().username(), Some(name));
}

fn sign_in_by_phone(client: &Client, emulator: &Emulator, name: &str, canaries: &mut Canaries) {
    let request = StartAuthenticatorAuth::new()
        .user(name)
        .action_name("Sign in")
        .short_msg("It is you")
        .use_visual_verify(true);
    let started = client.begin_authenticator_sign_in(&request).unwrap();
    canaries.add("QR data", started.qr_code_data.as_ref().unwrap().expose());
    let id = started.pending.auth_request_id();
    emulator.approve(id).unwrap();
    client.get_auth_info(id).unwrap();
    let end = started.pending.wait(client, &WaitPolicy::new()).unwrap();
    signed_in(&end, name);
    client
        .get_user_auth_history(
            emulator.users().first().map(|(id, _)| *id).unwrap(),
            PageQuery::new(),
        )
        .unwrap();
}

fn sign_in_by_mail(client: &Client, emulator: &Emulator, name: &str) {
    let request = StartMagiclinkEmailAuth::new(name, REDIRECT).action_name("Sign in");
    let pending = client.begin_magiclink_sign_in(&request).unwrap();
    let end = pending.complete(client, &click(emulator)).unwrap();
    signed_in(&end, name);
}

/// Opens the link of the last mail. Returns the URL that it redirects to.
fn click(emulator: &Emulator) -> String {
    let mail = emulator.outbox().pop().unwrap();
    emulator.click(&mail.link).unwrap()
}

fn sign_in_by_passkey(client: &Client, emulator: &Emulator, name: &str, key: &UserKey) {
    let request = StartWebauthnRegistrationForUser::new();
    let started = client
        .begin_webauthn_registration_for_user(key, &request)
        .unwrap();
    let page = emulator
        .create_passkey(&started.fido2_json_options, emulator.origin())
        .unwrap();
    let end = started.pending.complete(client, &page).unwrap();
    assert!(end.user().is_some());

    let request = StartWebauthnAuth::new().user(name).action_name("Sign in");
    let started = client.begin_webauthn_sign_in(&request).unwrap();
    let page = emulator
        .use_passkey(&started.fido2_json_options, emulator.origin())
        .unwrap();
    let end = started.pending.complete(client, &page).unwrap();
    signed_in(&end, name);
}

fn sign_in_from_page(client: &Client, emulator: &Emulator, name: &str) {
    let request = StartAuthenticatorAuth::new().user(name);
    let started = client.start_authenticator_auth(&request).unwrap();
    emulator.approve(started.auth_request_id).unwrap();
    let from_page = BrowserSignIn::new(
        Method::Authenticator,
        started.auth_request_id,
        started.auth_validation_token.clone().unwrap(),
        ExpectedUser::Is(name.into()),
    );
    let end = client.complete_browser_sign_in(&from_page).unwrap();
    signed_in(&end, name);
    // The token is used up.
    let again = ValidateAuth::new(
        started.auth_request_id,
        started.auth_validation_token.unwrap(),
    );
    client.validate_authenticator_auth(&again).unwrap_err();
}

/// Registers new users, by every method.
fn register(client: &Client, emulator: &Emulator, canaries: &mut Canaries) {
    canaries.add("new user", "grace+h0pper@example.com");
    let request = StartAuthenticatorRegistration::new("grace+h0pper@example.com");
    let started = client.begin_authenticator_registration(&request).unwrap();
    let code = started.qr_code_data.unwrap();
    canaries.add("QR data", code.expose());
    emulator.scan_qr(code.expose(), None).unwrap();
    let end = started.pending.wait(client, &WaitPolicy::new()).unwrap();
    assert!(end.user().is_some());

    canaries.add("new user", "hedy+lamarr@example.com");
    let request = StartWebauthnRegistration::new("hedy+lamarr@example.com");
    let started = client.begin_webauthn_registration(&request).unwrap();
    let page = emulator
        .create_passkey(&started.fido2_json_options, emulator.origin())
        .unwrap();
    let end = started.pending.complete(client, &page).unwrap();
    assert!(end.user().is_some());

    canaries.add("new user", "mary+s0merville@example.com");
    let request = StartMagiclinkEmailRegistration::new("mary+s0merville@example.com", REDIRECT);
    let pending = client.begin_magiclink_registration(&request).unwrap();
    let end = pending.complete(client, &click(emulator)).unwrap();
    assert!(end.user().is_some());
}

/// Registers more methods for a user, and changes the address.
fn register_more(client: &Client, emulator: &Emulator, key: &UserKey, canaries: &mut Canaries) {
    let started = client
        .begin_authenticator_registration_for_user(key)
        .unwrap();
    let code = started.qr_code_data.unwrap();
    canaries.add("QR data", code.expose());
    emulator.scan_qr(code.expose(), None).unwrap();
    if client.api_version() == ApiVersion::V4 {
        let end = started.pending.wait(client, &WaitPolicy::new()).unwrap();
        assert!(end.user().is_some());
    }

    canaries.add("new address", "ada+sec0nd@example.com");
    let request = StartMagiclinkEmailRegistration::new("ada+sec0nd@example.com", REDIRECT);
    let pending = client
        .begin_magiclink_registration_for_user(key, &request)
        .unwrap();
    let end = pending.complete(client, &click(emulator)).unwrap();
    assert!(end.user().is_some());

    canaries.add("new address", "ada+th1rd@example.com");
    let request = StartChangeMagiclinkEmail::new("ada+th1rd@example.com", REDIRECT);
    let pending = client.begin_magiclink_change(key, &request).unwrap();
    let end = pending.complete(client, &click(emulator)).unwrap();
    assert!(end.user().is_some());
}

/// Adds the secrets that the emulator received: access tokens, and secrets in
/// bodies.
pub(crate) fn collect_secrets(emulator: &Emulator, canaries: &mut Canaries) {
    for request in emulator.requests() {
        let bearer = request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        if let Some(token) = bearer {
            canaries.add("access token", token);
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        for field in [
            "nonce",
            "aa_sig",
            "auth_validation_token",
            "registration_validation_token",
        ] {
            if let Some(secret) = body[field].as_str() {
                canaries.add(field, secret);
            }
        }
    }
}
