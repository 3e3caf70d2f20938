//! Registering new users, and new methods for existing users.

mod authenticator;
mod magiclink;
mod webauthn;

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    call::{Call, uuid_of},
    decisions::{EARLY_VALIDATION, ENDED_REGISTRATION, REPLAYED_TOKEN, WRONG_TOKEN},
    refusal::{Refusal, Result},
};
use crate::{
    Endpoint,
    emulator::model::{
        auth_request::Pairing,
        ids::Kind,
        mail::is_address,
        registration::{Progress, Purpose, Registration},
        state::State,
        user::{Method, User},
    },
};

pub(super) fn respond(call: &Call<'_>, state: &mut State) -> Result<Value> {
    match call.endpoint {
        Endpoint::StartAuthenticatorRegistration => authenticator::start(call, state),
        Endpoint::StartAuthenticatorRegistrationForUser => {
            let target = Target::existing(call.user(state)?);
            Ok(authenticator::begin(call, state, target, false))
        }
        Endpoint::StartWebauthnRegistration => webauthn::start(call, state),
        Endpoint::StartWebauthnRegistrationForUser => {
            let target = Target::existing(call.user(state)?);
            Ok(webauthn::begin(call, state, target))
        }
        Endpoint::FinishWebauthnRegistration | Endpoint::FinishWebauthnRegistrationForUser => {
            webauthn::finish(call, state)
        }
        Endpoint::ValidateAuthenticatorRegistration => {
            validate_device(call, state, Method::Authenticator)
        }
        Endpoint::ValidateWebauthnRegistration => validate_device(call, state, Method::Webauthn),
        Endpoint::StartMagiclinkEmailRegistration => magiclink::start(call, state),
        Endpoint::StartMagiclinkEmailRegistrationForUser => magiclink::start_for_user(call, state),
        Endpoint::StartChangeMagiclinkEmail => magiclink::start_change(call, state),
        Endpoint::ValidateMagiclinkEmailRegistration => magiclink::validate(call, state),
        _ => info(call, state),
    }
}

/// The user of a registration.
struct Target {
    purpose: Purpose,
    user: Uuid,
    username: String,
    email: Option<String>,
}

impl Target {
    fn existing(user: &User) -> Self {
        Self {
            purpose: Purpose::NewEnrollment,
            user: user.id,
            username: user.username.clone(),
            email: None,
        }
    }

    fn new_user(state: &mut State, username: &str, email: Option<&str>) -> Self {
        Self {
            purpose: Purpose::NewUser,
            user: state.ids.uuid(Kind::User),
            username: username.to_owned(),
            email: email.map(str::to_owned),
        }
    }
}

/// A registration with the fields that all methods have.
fn registration(
    call: &Call<'_>,
    state: &mut State,
    method: Method,
    target: Target,
    timeout: u32,
) -> Registration {
    Registration {
        id: state.ids.uuid(Kind::Registration),
        version: call.version,
        method,
        purpose: target.purpose,
        user: target.user,
        username: target.username,
        email: target.email,
        expires: state.clock.now().plus(Duration::from_secs(timeout.into())),
        window: call.model.config.validation_window,
        token: state.ids.token(Kind::RegistrationToken),
        pairing: Pairing {
            nonce: None,
            ip_address: call.owned("ip_address"),
            user_agent: call.owned("user_agent"),
        },
        qr_code: None,
        context: call
            .body
            .get("context_data")
            .filter(|context| context.is_object())
            .cloned(),
        ceremony: None,
        passkey: None,
        resets: false,
        progress: Progress::Waiting,
    }
}

fn add(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}

/// The id of a registration: in the route, or under v3 in the body.
fn registration_id(call: &Call<'_>) -> Result<Uuid> {
    let text = match &call.ids.registration {
        Some(id) => id.as_str(),
        None => call.required("registration_id")?,
    };
    uuid_of(text, "registration_id")
}

/// Checks that an address is well-formed and free.
fn check_address(state: &State, name: &str, address: &str) -> Result<()> {
    if !is_address(address) {
        return Err(Refusal::bad(format!("{name} is not an address")));
    }
    if state.address_owner(address).is_some() {
        return Err(Refusal::conflict("the address is in use"));
    }
    Ok(())
}

fn taken() -> Refusal {
    Refusal::conflict("the username or address is in use by now")
}

/// Checks the token of a registration and that it can be validated now.
fn check_validation(call: &Call<'_>, state: &State, id: Uuid) -> Result<()> {
    let registration = state
        .registrations
        .get(&id)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    if registration.token != call.required("registration_validation_token")? {
        let message = "registration_validation_token is wrong";
        return Err(Refusal::new(WRONG_TOKEN, message));
    }
    match registration.status(state.clock.now()).0 {
        8 => Ok(()),
        2 => Err(Refusal::new(
            REPLAYED_TOKEN,
            "registration_validation_token was used before",
        )),
        1 | 6 => Err(Refusal::new(
            EARLY_VALIDATION,
            "the person has not accepted yet",
        )),
        _ => Err(Refusal::new(ENDED_REGISTRATION, "the registration is over")),
    }
}

fn validate_device(call: &Call<'_>, state: &mut State, method: Method) -> Result<Value> {
    let id = registration_id(call)?;
    let registration = state
        .registrations
        .get(&id)
        .filter(|registration| registration.method == method)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    let (user, username) = (registration.user, registration.username.clone());
    check_validation(call, state, id)?;
    let credential = state.complete(id).ok_or_else(taken)?;
    Ok(json!({
        "credential_id": credential,
        "user_id": user,
        "username": username,
    }))
}

fn info(call: &Call<'_>, state: &State) -> Result<Value> {
    let id = registration_id(call)?;
    let registration = state
        .registrations
        .get(&id)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    let (code, name) = registration.status(state.clock.now());
    Ok(json!({
        "registration_status_code": code,
        "registration_status_name": name,
        "auth_method": registration.method.name(),
    }))
}
