//! Signing in with a phone.

use serde_json::{Value, json};

use super::{
    super::{
        call::Call,
        decisions::{AUTH_TIMEOUT, NOBODY, START_MESSAGE},
        refusal::{Refusal, Result},
    },
    begin, require_enrolled,
};
use crate::emulator::model::{ids::Kind, state::State, user::Method};

pub(super) fn start(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let user = call.body_user(state)?;
    if let Some(user) = user {
        require_enrolled(user, Method::Authenticator)?;
    }
    let user = user.map(|user| user.id);
    let push = call.flag("send_push");
    if push && user.is_none() {
        return Err(Refusal::bad("send_push needs a user"));
    }
    let timeout = call.timeout(AUTH_TIMEOUT);
    let mut request = begin(call, state, Method::Authenticator, user, timeout);
    if call.flag("use_visual_verify") {
        request.visual_verify = Some(state.ids.two_digits());
    }
    let qr_code = format!(
        "{}/_emulator/qr/{}",
        call.model.base_url,
        state.ids.token(Kind::QrCode)
    );
    request.qr_code = Some(qr_code.clone());
    let response = json!({
        "auth_request_id": request.id,
        "user_id": user.unwrap_or(NOBODY),
        "auth_validation_token": request.token,
        "visual_verify_value": request.visual_verify.as_deref().unwrap_or_default(),
        "qr_code_data": qr_code,
        "push_message_sent": push,
        "response_code": 200,
        "response_message": START_MESSAGE,
        "timeout_in_seconds": timeout,
        "timeout_utc_datetime": request.expires.iso(),
    });
    state.insert_auth(request);
    Ok(response)
}
