//! Credentials of a user; v4 only.

use serde_json::{Value, json};

use super::{
    call::{Call, uuid_of},
    decisions::CREDENTIAL_COLUMNS,
    paging::Paging,
    refusal::{Refusal, Result},
};
use crate::{
    Endpoint,
    emulator::model::{
        state::State,
        user::{Credential, Method},
    },
};

pub(super) fn respond(call: &Call<'_>, state: &mut State) -> Result<Value> {
    match call.endpoint {
        Endpoint::GetUserCredential => one(call, state, false),
        Endpoint::DisableUserCredential => one(call, state, true),
        Endpoint::ListUserAuthenticatorCredentials => {
            list(call, state, Some(Method::Authenticator))
        }
        Endpoint::ListUserWebauthnCredentials => list(call, state, Some(Method::Webauthn)),
        Endpoint::ListUserMagiclinkEmailCredentials => list(call, state, Some(Method::Magiclink)),
        _ => list(call, state, None),
    }
}

/// `credential`.
fn record(credential: &Credential) -> Value {
    json!({
        "credential_id": credential.id,
        "name": credential.name,
        "device_type": credential.method.credential_type(),
        "date_created": credential.created.iso(),
        "enabled": credential.enabled,
    })
}

fn list(call: &Call<'_>, state: &State, method: Option<Method>) -> Result<Value> {
    let paging = Paging::of(call, &CREDENTIAL_COLUMNS)?;
    let user = call.user(state)?;
    let mut credentials: Vec<&Credential> = user
        .credentials
        .iter()
        .filter(|credential| method.is_none_or(|method| credential.method == method))
        .collect();
    paging.sort(&mut credentials, |credential, column| match column {
        "credential_id" => credential.id.to_string(),
        "device_type" => credential.method.credential_type().to_owned(),
        "date_created" => credential.created.iso(),
        "enabled" => credential.enabled.to_string(),
        _ => credential.name.clone(),
    });
    let (page, info) = paging.cut(&credentials);
    let records: Vec<Value> = page.iter().map(|credential| record(credential)).collect();
    Ok(json!({ "credential_records": records, "page_info": info }))
}

fn one(call: &Call<'_>, state: &mut State, disable: bool) -> Result<Value> {
    let user = call.user(state)?.id;
    let id = uuid_of(
        call.ids.credential.as_deref().unwrap_or_default(),
        "credential_id",
    )?;
    let credential = state
        .user_mut(&user)
        .and_then(|user| user.credentials.iter_mut().find(|have| have.id == id))
        .ok_or_else(|| Refusal::not_found("credential"))?;
    if disable {
        credential.enabled = false;
    }
    Ok(record(credential))
}
