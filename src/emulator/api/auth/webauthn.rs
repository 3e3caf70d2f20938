//! Signing in with a passkey.

use base64::Engine as _;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    super::{
        call::{Call, uuid_of},
        decisions::{AUTH_TIMEOUT, BAD_SIGNATURE, REPLAYED_TOKEN, WRONG_TOKEN, user_verification},
        refusal::{Refusal, Result},
    },
    begin, check_client, require_enrolled,
};
use crate::emulator::model::{
    auth_request::{AuthRequest, PasskeyCeremony, Phase, Progress},
    ids::Kind,
    passkey::{BASE64URL, StoredCredential, verify_assertion},
    signed_message::{Assertion, passkey_message},
    state::State,
    user::{Credential, Method, User},
};

pub(super) fn start(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let user = call.body_user(state)?;
    if let Some(user) = user {
        require_enrolled(user, Method::Webauthn)?;
    }
    let allowed: Vec<Value> = user
        .iter()
        .flat_map(|user| user.passkeys())
        .map(|passkey| json!({ "id": passkey.credential_id, "type": "public-key" }))
        .collect();
    let passkeys = user.into_iter().flat_map(User::passkeys);
    let verification =
        user_verification(passkeys.map(|passkey| passkey.verification.as_str())).to_owned();
    let user = user.map(|user| user.id);
    let timeout = call.timeout(AUTH_TIMEOUT);
    let mut request = begin(call, state, Method::Webauthn, user, timeout);
    let challenge = state.ids.secret_bytes(Kind::Challenge);
    let secret = state.ids.token(Kind::Signature);
    let options = json!({
        "challenge": BASE64URL.encode(&challenge),
        "timeout": u64::from(timeout) * 1000,
        "rpId": call.model.config.rp_id,
        "allowCredentials": allowed,
        "userVerification": verification,
        "extensions": {},
        "status": "ok",
        "errorMessage": "",
    })
    .to_string();
    let response = json!({
        "auth_request_id": request.id,
        "aa_guid": secret,
        "fido2_json_options": options,
    });
    request.passkey = Some(PasskeyCeremony {
        challenge,
        secret,
        client_id: call.owned("webauthn_client_id"),
        verification,
        options,
    });
    state.insert_auth(request);
    Ok(response)
}

pub(super) fn finish(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let id = uuid_of(call.required("auth_request_id")?, "auth_request_id")?;
    let secret = call.required("aa_sig")?;
    let Ok(Value::Object(data)) =
        serde_json::from_str(call.required("authenticator_response_data")?)
    else {
        return Err(Refusal::bad(
            "authenticator_response_data is not the text of a JSON object",
        ));
    };
    let now = state.clock.now();
    let request = state
        .auth
        .get(&id)
        .filter(|request| request.method == Method::Webauthn)
        .ok_or_else(|| Refusal::not_found("auth request"))?;
    let ceremony = request
        .passkey
        .as_ref()
        .ok_or_else(|| Refusal::not_found("auth request"))?;
    if ceremony.secret != secret {
        return Err(Refusal::new(WRONG_TOKEN, "aa_sig is wrong"));
    }
    check_client(ceremony, call)?;
    if request.phase(now) != Phase::Waiting {
        return Err(Refusal::new(REPLAYED_TOKEN, "the auth request is over"));
    }
    match verify(call, state, request, ceremony, &data) {
        Ok((user, credential, signed)) => approve(state, id, user, &credential, signed),
        Err(refused) => {
            if let Some(request) = state.auth.get_mut(&id) {
                request.progress = Progress::BadSignature(now);
            }
            Err(refused)
        }
    }
}

/// Verifies an assertion. Returns the user, the credential with its new counter
/// and the signed message.
fn verify(
    call: &Call<'_>,
    state: &State,
    request: &AuthRequest,
    ceremony: &PasskeyCeremony,
    data: &Map<String, Value>,
) -> Result<(Uuid, Credential, Value)> {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let assertion = Assertion {
        id: text("id"),
        // Pages use either name.
        authenticator_data: match text("authenticator_data") {
            "" => text("attestation_object"),
            data => data,
        },
        client_data: text("client_data"),
        signature: text("signature"),
    };
    let failed = || Refusal::new(BAD_SIGNATURE, "the assertion does not verify");
    let id = assertion.id.trim_end_matches('=');
    let owner = match request.user {
        Some(id) => state.user(&id),
        None => state.passkey_owner(id),
    }
    .ok_or_else(failed)?;
    let user = owner.id;
    let (credential, passkey) = owner
        .credentials
        .iter()
        .filter(|credential| credential.enabled)
        .find_map(|credential| {
            let passkey = credential.passkey.as_ref()?;
            (passkey.credential_id == id).then_some((credential, passkey))
        })
        .ok_or_else(failed)?;
    let site = (
        call.model.config.origin.as_str(),
        call.model.config.rp_id.as_str(),
    );
    let counter = verify_assertion(
        &ceremony.challenge,
        site.0,
        site.1,
        &StoredCredential {
            credential_id: &passkey.credential_id,
            public_key: &passkey.public_key,
            counter: passkey.counter,
            verify_user: passkey.verification == "required",
        },
        assertion.id,
        assertion.authenticator_data,
        assertion.client_data,
        assertion.signature,
    )
    .map_err(|error| Refusal::new(BAD_SIGNATURE, error.to_string()))?;
    let mut passkey = passkey.clone();
    passkey.counter = counter;
    let signed = passkey_message(
        request,
        user,
        state.project,
        credential,
        &passkey,
        &assertion,
        site,
        state.clock.now(),
    );
    let mut credential = credential.clone();
    credential.passkey = Some(passkey);
    Ok((user, credential, signed))
}

fn approve(
    state: &mut State,
    id: Uuid,
    user_id: Uuid,
    credential: &Credential,
    signed: Value,
) -> Result<Value> {
    let now = state.clock.now();
    let gone = || Refusal::not_found("auth request");
    let user = state.user_mut(&user_id).ok_or_else(gone)?;
    let username = user.username.clone();
    if let Some(stored) = user
        .credentials
        .iter_mut()
        .find(|stored| stored.id == credential.id)
    {
        stored.passkey.clone_from(&credential.passkey);
    }
    let request = state.auth.get_mut(&id).ok_or_else(gone)?;
    let found_now = request.user.is_none();
    request.user = Some(user_id);
    request.progress = Progress::Approved(now);
    request.signed = Some(signed);
    let response = json!({
        "auth_validation_token": request.token,
        "auth_request_id": id,
        "user_id": user_id,
        "username": username,
    });
    state.use_credential(id, credential.id);
    if found_now {
        state.add_to_history(&user_id, id);
    }
    Ok(response)
}
