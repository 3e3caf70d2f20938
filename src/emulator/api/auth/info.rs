//! `get_auth_info`, and the response of validate calls.

use serde_json::{Value, json};

use super::super::{
    call::{Call, uuid_of},
    decisions::{NO_DATE, NOBODY, context_comes_back, waits_with_details},
    refusal::{Refusal, Result},
};
use crate::{
    ApiVersion,
    emulator::model::{
        auth_request::{AuthRequest, Phase},
        clock::Stamp,
        signed_message::{unsigned, use_type},
        state::State,
        user::{Method, User},
    },
};

pub(super) fn get(call: &Call<'_>, state: &State) -> Result<Value> {
    let id = uuid_of(
        call.ids.auth_request.as_deref().unwrap_or_default(),
        "auth_request_id",
    )?;
    let request = state
        .auth
        .get(&id)
        .ok_or_else(|| Refusal::not_found("auth request"))?;
    Ok(info(state, request, call.version))
}

/// `get_auth_request_response`.
pub(in super::super) fn info(state: &State, request: &AuthRequest, version: ApiVersion) -> Value {
    let phase = request.phase(state.clock.now());
    let details = if phase == Phase::Waiting && !waits_with_details(version) {
        Value::Null
    } else {
        details(state, request, version, phase)
    };
    json!({
        "auth_request_status_id": phase.status_id(),
        "auth_request_status_name": phase.status_name(),
        "auth_response": details,
    })
}

/// `validate_auth_response`.
pub(super) fn validated(state: &State, request: &AuthRequest, version: ApiVersion) -> Value {
    let phase = request.phase(state.clock.now());
    let mut details = details(state, request, version, phase);
    if let Value::Object(details) = &mut details {
        let context = request
            .context
            .clone()
            .filter(|_| context_comes_back(phase));
        details.insert("context_data".to_owned(), context.unwrap_or(Value::Null));
    }
    json!({
        "auth_request_status_id": phase.status_id(),
        "auth_request_status_name": phase.status_name(),
        "validate_auth_response_details": details,
    })
}

fn details(state: &State, request: &AuthRequest, version: ApiVersion, phase: Phase) -> Value {
    let (code, message) = phase.result();
    let user = request.user.and_then(|id| state.user(&id));
    let location = |name: &str| request.location.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "auth_history_id": request.history_id,
        "result_code": code,
        "result_message": message,
        "authorized": phase.authorized(),
        "auth_details": {
            "request_details": {
                "date": request.created.iso(),
                "auth_profile_details": profile(user),
                "origin_location_data": {
                    "latitude": location("latitude"),
                    "longitude": location("longitude"),
                    "ip_address": location("ip_address"),
                },
                "auth_method": request.method.name(),
            },
            "response_details": response_details(request, user, version),
        },
    })
}

/// `auth_profile_details`; the nil UUID if there is no user.
fn profile(user: Option<&User>) -> Value {
    json!({
        "user_id": user.map_or(NOBODY, |user| user.id),
        "username": user.map(|user| user.username.as_str()),
    })
}

fn response_details(request: &AuthRequest, user: Option<&User>, version: ApiVersion) -> Value {
    let decided = request.decided();
    if decided.is_none() && !waits_with_details(version) {
        return Value::Null;
    }
    let (platform, model) = match request.method {
        Method::Authenticator if decided.is_some() => (Some("Android"), Some("Emulated Phone")),
        _ => (None, None),
    };
    let user = user.filter(|_| decided.is_some());
    json!({
        "date": decided.map_or_else(|| NO_DATE.to_owned(), Stamp::iso),
        "auth_method": {
            "name": request.method.name(),
            "usetype": use_type(request.method),
        },
        "secure_signed_message": request
            .signed
            .clone()
            .unwrap_or_else(|| unsigned(request.method)),
        "mobile_device_details": { "platform": platform, "model": model },
        "auth_profile_details": profile(user),
    })
}
