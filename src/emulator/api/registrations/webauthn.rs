//! Registering a passkey.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{
    super::{
        auth,
        call::{Call, check_name},
        decisions::{
            BAD_SIGNATURE, ENDED_REGISTRATION, REGISTRATION_TIMEOUT, V3_OPTIONS_ARE_TEXT,
            WRONG_TOKEN, passkey_username,
        },
        refusal::{Refusal, Result},
    },
    Target, add, check_address, registration, registration_id, taken,
};
use crate::{
    Endpoint,
    emulator::model::{
        auth_request::PasskeyCeremony,
        decisions::enrolling_completes,
        ids::Kind,
        passkey::{self, BASE64URL},
        registration::{Progress, Purpose},
        state::State,
        user::{Method, Passkey},
    },
};

pub(super) fn start(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let email = call.non_empty("email_address");
    let username = passkey_username(call.non_empty("username"), email)
        .ok_or_else(|| Refusal::bad("username or email_address is required"))?;
    check_name("username", username)?;
    if state.name_is_taken(username) {
        return Err(Refusal::conflict("the username is in use"));
    }
    if let Some(email) = email {
        check_address(state, "email_address", email)?;
    }
    let target = Target::new_user(state, username, email);
    Ok(begin(call, state, target))
}

pub(super) fn begin(call: &Call<'_>, state: &mut State, target: Target) -> Value {
    let timeout = call.timeout(REGISTRATION_TIMEOUT);
    let challenge = state.ids.secret_bytes(Kind::Challenge);
    let secret = state.ids.token(Kind::Signature);
    let verification = call
        .text("user_verification_requirement_type")
        .unwrap_or("required");
    let options = creation_options(call, state, &target, &challenge, timeout, verification);
    let mut registration = registration(call, state, Method::Webauthn, target, timeout);
    registration.ceremony = Some(PasskeyCeremony {
        challenge,
        secret: secret.clone(),
        client_id: call.owned("webauthn_client_id"),
        verification: verification.to_owned(),
        options: options.to_string(),
    });
    let given = if call.v3() && !V3_OPTIONS_ARE_TEXT {
        options
    } else {
        Value::String(options.to_string())
    };
    let mut response = json!({
        "registration_id": registration.id,
        "aa_sig": secret,
        "fido2_json_options": given,
    });
    if !call.v3() && registration.purpose != Purpose::NewUser {
        add(&mut response, "user_id", json!(registration.user));
    }
    state.registrations.insert(registration.id, registration);
    response
}

fn creation_options(
    call: &Call<'_>,
    state: &State,
    target: &Target,
    challenge: &[u8],
    timeout: u32,
    verification: &str,
) -> Value {
    let excluded: Vec<Value> = state
        .user(&target.user)
        .iter()
        .flat_map(|user| user.passkeys())
        .map(|passkey| json!({ "id": passkey.credential_id, "type": "public-key" }))
        .collect();
    let resident_key = call
        .text("resident_key_requirement_type")
        .unwrap_or("required");
    let mut selection = json!({
        "requireResidentKey": resident_key == "required",
        "residentKey": resident_key,
        "userVerification": verification,
    });
    match call.text("attachment_type") {
        Some("CrossPlatform") => {
            add(
                &mut selection,
                "authenticatorAttachment",
                json!("cross-platform"),
            );
        }
        Some("Platform") => add(&mut selection, "authenticatorAttachment", json!("platform")),
        _ => {}
    }
    json!({
        "challenge": BASE64URL.encode(challenge),
        "rp": { "id": call.model.config.rp_id, "name": call.model.config.project_name },
        "user": {
            "id": BASE64URL.encode(target.user.as_bytes()),
            "name": target.username,
            "displayName": target.username,
        },
        "pubKeyCredParams": [{ "type": "public-key", "alg": -7 }],
        "timeout": u64::from(timeout) * 1000,
        "attestation": "none",
        "authenticatorSelection": selection,
        "excludeCredentials": excluded,
        "extensions": {},
        "status": "ok",
        "errorMessage": "",
    })
}

pub(super) fn finish(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let id = registration_id(call)?;
    let for_user = call.endpoint == Endpoint::FinishWebauthnRegistrationForUser;
    let user = if for_user {
        Some(call.user(state)?.id)
    } else {
        None
    };
    let now = state.clock.now();
    let registration = state
        .registrations
        .get(&id)
        .filter(|registration| registration.method == Method::Webauthn)
        .filter(|registration| match user {
            Some(user) => registration.user == user,
            None => registration.purpose == Purpose::NewUser,
        })
        .ok_or_else(|| Refusal::not_found("registration"))?;
    let ceremony = registration
        .ceremony
        .as_ref()
        .ok_or_else(|| Refusal::not_found("registration"))?;
    if ceremony.secret != call.required("aa_sig")? {
        return Err(Refusal::new(WRONG_TOKEN, "aa_sig is wrong"));
    }
    auth::check_client(ceremony, call)?;
    if !registration.is_open(now) {
        return Err(Refusal::new(ENDED_REGISTRATION, "the registration is over"));
    }
    let attested = attest(call, state, ceremony);
    let registration = state
        .registrations
        .get_mut(&id)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    match attested {
        Ok(passkey) => {
            registration.passkey = Some(passkey);
            registration.progress = Progress::Enrolled(now);
        }
        Err(refused) => {
            if refused.status == BAD_SIGNATURE {
                registration.progress = Progress::BadSignature;
            }
            return Err(refused);
        }
    }
    let mut response = json!({
        "user_id": registration.user,
        "username": registration.username,
    });
    if enrolling_completes(call.version) {
        state.complete(id).ok_or_else(taken)?;
    } else {
        let token = json!(registration.token);
        add(&mut response, "registration_validation_token", token);
    }
    Ok(response)
}

fn attest(call: &Call<'_>, state: &State, ceremony: &PasskeyCeremony) -> Result<Passkey> {
    let data = call.body.get("authenticator_response_data");
    let text = |name: &str| {
        data.and_then(|data| data.get(name))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (attestation, client_data) = (text("attestation_object"), text("client_data"));
    let verified = passkey::verify_registration(
        &ceremony.challenge,
        &call.model.config.origin,
        &call.model.config.rp_id,
        text("id"),
        attestation,
        client_data,
        ceremony.verification == "required",
    )
    .map_err(|error| Refusal::new(BAD_SIGNATURE, error.to_string()))?;
    if state.passkey_owner(&verified.credential_id).is_some() {
        return Err(Refusal::conflict("the passkey is registered already"));
    }
    Ok(Passkey {
        credential_id: verified.credential_id,
        public_key: verified.public_key,
        counter: verified.counter,
        verification: ceremony.verification.clone(),
        attestation: attestation.to_owned(),
        client_data: client_data.to_owned(),
    })
}
