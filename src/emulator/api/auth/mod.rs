//! Signing in: start, finish, validate and the state of a request.

mod authenticator;
pub(super) mod info;
mod magiclink;
mod webauthn;

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{
    call::{Call, uuid_of},
    decisions::{
        HISTORY_HAS_OWN_IDS, NOT_ENROLLED, REPLAYED_TOKEN, WRONG_TOKEN,
        approved_by_a_disabled_credential, client_ids_agree, pair_agrees, validation_is_refused,
    },
    refusal::{Refusal, Result},
};
use crate::{
    Endpoint,
    emulator::model::{
        auth_request::{AuthRequest, Pairing, PasskeyCeremony, Phase, Progress},
        ids::Kind,
        state::State,
        user::{Credential, Method, User},
    },
};

pub(super) fn respond(call: &Call<'_>, state: &mut State) -> Result<Value> {
    match call.endpoint {
        Endpoint::StartAuthenticatorAuth => authenticator::start(call, state),
        Endpoint::StartWebauthnAuth => webauthn::start(call, state),
        Endpoint::StartMagiclinkEmailAuth => magiclink::start(call, state),
        Endpoint::FinishWebauthnAuth => webauthn::finish(call, state),
        Endpoint::ValidateAuthenticatorAuth => validate(call, state, Method::Authenticator),
        Endpoint::ValidateWebauthnAuth => validate(call, state, Method::Webauthn),
        Endpoint::ValidateMagiclinkEmailAuth => validate(call, state, Method::Magiclink),
        _ => info::get(call, state),
    }
}

fn require_enrolled(user: &User, method: Method) -> Result<&Credential> {
    user.credential(method).ok_or_else(|| {
        Refusal::new(
            NOT_ENROLLED,
            format!("the user has not enrolled {}", method.name()),
        )
    })
}

/// An auth request with the fields that all methods have.
fn begin(
    call: &Call<'_>,
    state: &mut State,
    method: Method,
    user: Option<Uuid>,
    timeout: u32,
) -> AuthRequest {
    let now = state.clock.now();
    let id = state.ids.uuid(Kind::AuthRequest);
    AuthRequest {
        id,
        history_id: if HISTORY_HAS_OWN_IDS {
            state.ids.uuid(Kind::History)
        } else {
            id
        },
        method,
        user,
        targeted: user.is_some(),
        created: now,
        expires: now.plus(Duration::from_secs(timeout.into())),
        window: call.model.config.validation_window,
        token: state.ids.token(Kind::ValidationToken),
        pairing: Pairing {
            nonce: call.owned("nonce"),
            ip_address: call.owned("ip_address"),
            user_agent: call.owned("user_agent"),
        },
        location: call
            .body
            .get("origin_location_data")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        action_name: call.owned("action_name"),
        short_msg: call.owned("short_msg"),
        visual_verify: None,
        qr_code: None,
        context: call
            .body
            .get("context_data")
            .filter(|context| context.is_object())
            .cloned(),
        passkey: None,
        progress: Progress::Waiting,
        signed: None,
    }
}

fn validate(call: &Call<'_>, state: &mut State, method: Method) -> Result<Value> {
    let id = uuid_of(call.required("auth_request_id")?, "auth_request_id")?;
    let token = call.required("auth_validation_token")?;
    let now = state.clock.now();
    let request = state
        .auth
        .get(&id)
        .filter(|request| request.method == method)
        .ok_or_else(|| Refusal::not_found("auth request"))?;
    if request.token != token {
        return Err(Refusal::new(WRONG_TOKEN, "auth_validation_token is wrong"));
    }
    let phase = request.phase(now);
    if validation_is_refused(phase) {
        let message = "auth_validation_token was used before";
        return Err(Refusal::new(REPLAYED_TOKEN, message));
    }
    if phase == Phase::Approved {
        let progress = if state.credential_is_disabled(request) {
            approved_by_a_disabled_credential(now)
        } else if agrees(&request.pairing, call) {
            Progress::Validated(now)
        } else {
            Progress::Mismatch(now)
        };
        if let Some(request) = state.auth.get_mut(&id) {
            request.progress = progress;
        }
    }
    let request = state
        .auth
        .get(&id)
        .ok_or_else(|| Refusal::not_found("auth request"))?;
    Ok(info::validated(state, request, call.version))
}

/// Whether the pairing is that of the start.
pub(super) fn agrees(pairing: &Pairing, call: &Call<'_>) -> bool {
    pair_agrees(pairing.nonce.as_deref(), call.text("nonce"))
        && pair_agrees(pairing.ip_address.as_deref(), call.text("ip_address"))
        && pair_agrees(pairing.user_agent.as_deref(), call.text("user_agent"))
}

/// Checks that the client id is that of the start.
pub(super) fn check_client(ceremony: &PasskeyCeremony, call: &Call<'_>) -> Result<()> {
    let now = call.text("webauthn_client_id");
    if client_ids_agree(ceremony.client_id.as_deref(), now) {
        Ok(())
    } else {
        let message = "webauthn_client_id is not the one of the start";
        Err(Refusal::bad(message))
    }
}
