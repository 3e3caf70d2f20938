//! Registering an address for magic links, and changing it.

use serde_json::{Value, json};

use super::{
    super::{
        auth,
        call::Call,
        decisions::{ENDED_REGISTRATION, MAGICLINK_TIMEOUT, NOT_ENROLLED, WRONG_TOKEN},
        redirect::{redirect, send_mail},
        refusal::{Refusal, Result},
    },
    Target, check_address, check_validation, registration, registration_id, taken,
};
use crate::emulator::model::{
    mail::{LinkPurpose, MailKind},
    registration::{Progress, Purpose},
    state::State,
    user::Method,
};

pub(super) fn start(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let address = call.required("email_address")?;
    check_address(state, "email_address", address)?;
    let target = Target::new_user(state, address, Some(address));
    begin(call, state, target, MailKind::NewUser)
}

pub(super) fn start_for_user(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let mut target = Target::existing(call.user(state)?);
    let address = call.required("email_address")?;
    let own = state
        .address_owner(address)
        .is_some_and(|owner| owner.id == target.user);
    if !own {
        check_address(state, "email_address", address)?;
    }
    target.email = Some(address.to_owned());
    begin(call, state, target, MailKind::NewEnrollment)
}

pub(super) fn start_change(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let user = call.user(state)?;
    if user.credential(Method::Magiclink).is_none() {
        let message = "the user has not enrolled Magiclink_Email";
        return Err(Refusal::new(NOT_ENROLLED, message));
    }
    let mut target = Target::existing(user);
    let address = call.required("new_email_address")?;
    check_address(state, "new_email_address", address)?;
    target.purpose = Purpose::ChangeEmail;
    target.email = Some(address.to_owned());
    begin(call, state, target, MailKind::ChangeEmail)
}

fn begin(call: &Call<'_>, state: &mut State, target: Target, kind: MailKind) -> Result<Value> {
    let list = &call.model.config.registration_redirects;
    let redirect = redirect(call, "registration_redirect_url", list)?;
    let timeout = call.timeout(MAGICLINK_TIMEOUT);
    let address = target.email.clone().unwrap_or_default();
    let registration = registration(call, state, Method::Magiclink, target, timeout);
    let response = json!({
        "timeout_in_seconds": timeout,
        "timeout_utc_datetime": registration.expires.iso(),
    });
    let purpose = LinkPurpose::Registration(registration.id);
    state.registrations.insert(registration.id, registration);
    send_mail(call, state, kind, purpose, &address, redirect);
    Ok(response)
}

pub(super) fn validate(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let id = if call.v3() {
        // v3 has only the token. The newest registrations are searched first.
        let token = call.required("registration_validation_token")?;
        state
            .registrations
            .iter()
            .rev()
            .find(|registration| {
                registration.method == Method::Magiclink && registration.token == token
            })
            .map(|registration| registration.id)
            .ok_or_else(|| Refusal::new(WRONG_TOKEN, "registration_validation_token is wrong"))?
    } else {
        registration_id(call)?
    };
    let registration = state
        .registrations
        .get(&id)
        .filter(|registration| registration.method == Method::Magiclink)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    let agrees = auth::agrees(&registration.pairing, call);
    check_validation(call, state, id)?;
    if !agrees {
        if let Some(registration) = state.registrations.get_mut(&id) {
            registration.progress = Progress::Mismatch;
        }
        return Err(Refusal::new(
            ENDED_REGISTRATION,
            "ip_address or user_agent is not the one of the start",
        ));
    }
    state.complete(id).ok_or_else(taken)?;
    let registration = state
        .registrations
        .get(&id)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    // The current name: it may have changed since the start.
    let username = state
        .user(&registration.user)
        .map(|user| user.username.clone());
    Ok(json!({
        "magiclink_email_registration_type": registration.purpose.name(),
        "user_id": registration.user,
        "username": username,
        "email_address": registration.email,
        "context_data": registration.context,
    }))
}
