//! Open points that need the consent to a sign-in or a registration.

use autharmor::auth::get_auth_info;
use autharmor::credentials::{disable_user_credential, list_user_credentials};
use autharmor::registrations::{
    StartWebauthnRegistrationForUser, start_authenticator_registration_for_user,
    start_webauthn_registration_for_user,
};
use autharmor::{ApiVersion, PageQuery};
use serde_json::Value;
use uuid::Uuid;

use super::points::{Open, Reading, Settled, authorized, no_response, verdict};
use super::session::{Seen, Session, SignIn};
use super::signature;

/// The `result_code` of a sign-in that was declined.
const DECLINED: u8 = 3;

/// Returns the sign-in, or the reading without one.
fn sign_in(session: &mut Session) -> Result<SignIn, Reading> {
    if session.pushed_user.is_none() {
        return Err(Open("needs --sign-in USER".to_owned()));
    }
    let refused = || Open("the sign-in could not be started".to_owned());
    session.sign_in().ok_or_else(refused)
}

/// Returns the response of a validate call that signed the user in.
fn approved(session: &mut Session) -> Result<(SignIn, Seen), Reading> {
    let made = sign_in(session)?;
    match made.validated[0].clone() {
        Some(seen) if authorized(&seen.body) == Some(true) => Ok((made, seen)),
        _ => Err(Open("the sign-in was not approved".to_owned())),
    }
}

pub(super) fn second_validate(session: &mut Session) -> Reading {
    match approved(session) {
        Err(reading) => reading,
        Ok((made, _)) => match &made.validated[1] {
            None => no_response(),
            Some(seen) => Settled(verdict(seen)),
        },
    }
}

pub(super) fn response_code(session: &mut Session) -> Reading {
    let start = match sign_in(session) {
        Err(reading) => return reading,
        Ok(made) => made.start,
    };
    let code = match start.body["response_code"].as_u64() {
        Some(code) if code == u64::from(start.status) => "response_code is the HTTP status",
        Some(_) => "response_code is not the HTTP status",
        None => "there is no response_code",
    };
    let message = match &start.body["response_message"] {
        Value::String(text) if text.is_empty() => "response_message is empty",
        Value::String(text) if text.eq_ignore_ascii_case("success") => {
            "response_message says success"
        }
        Value::String(_) => "response_message is another text",
        _ => "there is no response_message",
    };
    Settled(format!("{code}, {message}"))
}

pub(super) fn disable_twice(session: &mut Session) -> Reading {
    let user = match sign_in(session) {
        Err(reading) => return reading,
        Ok(made) => made.user_id,
    };
    let Some(user) = user else {
        return Open("the sign-in did not name the user's id".to_owned());
    };
    let page = PageQuery::new().page_size(50);
    let Some(list) = session.call(ApiVersion::V4, &list_user_credentials(user, page)) else {
        return no_response();
    };
    let records = list.body["credential_records"].as_array();
    let disabled = records
        .into_iter()
        .flatten()
        .find(|it| it["enabled"] == false)
        .and_then(|it| it["credential_id"].as_str()?.parse::<Uuid>().ok());
    let Some(credential) = disabled else {
        return Open("the user has no disabled credential".to_owned());
    };
    match session.call(ApiVersion::V4, &disable_user_credential(user, credential)) {
        Some(seen) if seen.is_ok() => Settled("it is no error".to_owned()),
        Some(seen) => Settled(format!("it is an error, status {}", seen.status)),
        None => no_response(),
    }
}

pub(super) fn signed_bytes(session: &mut Session) -> Reading {
    let (made, validated) = match approved(session) {
        Err(reading) => return reading,
        Ok(approved) => approved,
    };
    if let Some(reading) = signature::read(&validated.body) {
        return reading;
    }
    match session.call(session.reads, &get_auth_info(made.id)) {
        None => no_response(),
        Some(seen) => signature::read(&seen.body)
            .unwrap_or_else(|| Open("there is no signed message".to_owned())),
    }
}

pub(super) fn signed_decline(session: &mut Session) -> Reading {
    let made = match sign_in(session) {
        Err(reading) => return reading,
        Ok(made) => made,
    };
    match session.call(session.reads, &get_auth_info(made.id)) {
        None => no_response(),
        Some(seen) if seen.body["auth_response"]["result_code"] != DECLINED => {
            Open("the sign-in was not declined".to_owned())
        }
        Some(seen) => Settled(if signature::find(&seen.body).is_some() {
            "yes".to_owned()
        } else {
            "no".to_owned()
        }),
    }
}

pub(super) fn v3_registration_token(session: &mut Session) -> Reading {
    let Some(user) = session.register_user else {
        return Open("needs --register USER".to_owned());
    };
    let request = start_authenticator_registration_for_user(user);
    match session.call(ApiVersion::V3, &request) {
        None => no_response(),
        Some(seen) if !seen.is_ok() => Open(format!("it is refused (status {})", seen.status)),
        Some(seen) => Settled(match &seen.body["registration_validation_token"] {
            Value::String(token) if !token.is_empty() => "yes, at the start".to_owned(),
            _ => "no, not at the start".to_owned(),
        }),
    }
}

pub(super) fn attachment_type(session: &mut Session) -> Reading {
    let Some(user) = session.register_user else {
        return Open("needs --register USER".to_owned());
    };
    let options = StartWebauthnRegistrationForUser::new();
    let request = start_webauthn_registration_for_user(user, &options);
    let Some(seen) = session.call(ApiVersion::V3, &request) else {
        return no_response();
    };
    let options = match &seen.body["fido2_json_options"] {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        options => options.clone(),
    };
    if !seen.is_ok() || !options.is_object() {
        return Open(format!("it is refused (status {})", seen.status));
    }
    let attachment = &options["authenticatorSelection"]["authenticatorAttachment"];
    Settled(match attachment.as_str() {
        None => "none: any authenticator".to_owned(),
        Some(known @ ("platform" | "cross-platform")) => known.to_owned(),
        Some(_) => "another text".to_owned(),
    })
}
