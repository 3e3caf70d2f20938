//! Signing in by magic link.

use serde_json::{Value, json};

use super::{
    super::{
        call::Call,
        decisions::MAGICLINK_TIMEOUT,
        redirect::{redirect, send_mail},
        refusal::{Refusal, Result},
    },
    begin, require_enrolled,
};
use crate::emulator::model::{
    mail::{LinkPurpose, MailKind},
    state::State,
    user::Method,
};

pub(super) fn start(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let user = call
        .body_user(state)?
        .ok_or_else(|| Refusal::bad("user_id or username is required"))?;
    let credential = require_enrolled(user, Method::Magiclink)?;
    let (address, credential) = (credential.name.clone(), credential.id);
    let user = user.id;
    let redirect = redirect(call, "auth_redirect_url", &call.model.config.auth_redirects)?;
    let timeout = call.timeout(MAGICLINK_TIMEOUT);
    let request = begin(call, state, Method::Magiclink, Some(user), timeout);
    let response = json!({
        "auth_request_id": request.id,
        "user_id": user,
        "timeout_in_seconds": timeout,
        "timeout_utc_datetime": request.expires.iso(),
    });
    let id = request.id;
    state.insert_auth(request);
    state.use_credential(id, credential);
    send_mail(
        call,
        state,
        MailKind::SignIn,
        LinkPurpose::SignIn(id),
        &address,
        redirect,
    );
    Ok(response)
}
