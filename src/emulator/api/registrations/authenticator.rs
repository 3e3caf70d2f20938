//! Registering a phone.

use serde_json::{Value, json};

use super::{
    super::{
        call::{Call, check_name},
        decisions::{REGISTRATION_TIMEOUT, V3_REGISTRATION_HAS_USER},
        refusal::{Refusal, Result},
    },
    Target, add, registration,
};
use crate::emulator::model::{ids::Kind, registration::Progress, state::State, user::Method};

pub(super) fn start(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let username = call.required("username")?;
    check_name("username", username)?;
    let resets = call.flag("reset_and_reinvite");
    let target = match state.user_by_name(username) {
        Some(user) if resets => Target::existing(user),
        None if !state.name_is_taken(username) => Target::new_user(state, username, None),
        _ => return Err(Refusal::conflict("the username is in use")),
    };
    if call.flag("revoke_previous_invites") {
        let now = state.clock.now();
        for older in state.registrations.values_mut() {
            let same = older.method == Method::Authenticator
                && older.username.eq_ignore_ascii_case(username);
            if same && older.is_open(now) {
                older.progress = Progress::Revoked;
            }
        }
    }
    Ok(begin(call, state, target, resets))
}

pub(super) fn begin(call: &Call<'_>, state: &mut State, target: Target, resets: bool) -> Value {
    let timeout = call.timeout(REGISTRATION_TIMEOUT);
    let mut registration = registration(call, state, Method::Authenticator, target, timeout);
    let qr_code = format!(
        "{}/_emulator/qr/{}",
        call.model.base_url,
        state.ids.token(Kind::QrCode)
    );
    registration.qr_code = Some(qr_code.clone());
    registration.resets = resets;
    let mut response = json!({
        "registration_id": registration.id,
        "username": registration.username,
        "date_expires": registration.expires.iso(),
        "auth_method": registration.method.name(),
        "qr_code_data": qr_code,
    });
    if !call.v3() || V3_REGISTRATION_HAS_USER {
        add(&mut response, "user_id", json!(registration.user));
    }
    if !call.v3() {
        let token = json!(registration.token);
        add(&mut response, "registration_validation_token", token);
    }
    state.registrations.insert(registration.id, registration);
    response
}
