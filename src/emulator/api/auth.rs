//! Signing in: start, finish, validate, and a look at a request.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    super::{
        auth::{self, AuthRequest, Pairing, PasskeyCeremony, Phase, Progress},
        decisions::{
            AUTH_TIMEOUT, BAD_SIGNATURE, HISTORY_HAS_OWN_IDS, MAGICLINK_TIMEOUT, NOBODY,
            NOT_ENROLLED, REDIRECT_REFUSED, REPLAYED_TOKEN, START_RESPONSE, WRONG_TOKEN,
            approved_by_a_disabled_credential, client_ids_agree, pair_agrees,
            validation_is_refused,
        },
        ids::Kind,
        mail::{LinkPurpose, MailKind, redirect_is_allowed},
        passkey::{self, StoredCredential},
        person,
        routes::Endpoint,
        signed::{self, Assertion, base64url},
        state::{Credential, Method, State, User},
    },
    Call, Refusal, Result, uuid_of,
};

pub(super) fn answer(call: &Call<'_>, state: &mut State) -> Result<Value> {
    match call.endpoint {
        Endpoint::StartAuthenticatorAuth => start_authenticator(call, state),
        Endpoint::StartWebauthnAuth => start_webauthn(call, state),
        Endpoint::StartMagiclinkAuth => start_magiclink(call, state),
        Endpoint::FinishWebauthnAuth => finish_webauthn(call, state),
        Endpoint::ValidateAuthenticatorAuth => validate(call, state, Method::Authenticator),
        Endpoint::ValidateWebauthnAuth => validate(call, state, Method::Webauthn),
        Endpoint::ValidateMagiclinkAuth => validate(call, state, Method::Magiclink),
        _ => info(call, state),
    }
}

fn info(call: &Call<'_>, state: &State) -> Result<Value> {
    let id = uuid_of(
        call.ids.auth_request.as_deref().unwrap_or_default(),
        "auth_request_id",
    )?;
    let request = state
        .auth
        .get(&id)
        .ok_or_else(|| Refusal::not_found("auth request"))?;
    Ok(auth::info(state, request, call.version))
}

fn require_enrolled(user: &User, method: Method) -> Result<&Credential> {
    user.credential(method).ok_or_else(|| {
        Refusal::new(
            NOT_ENROLLED,
            format!("the user has not enrolled {}", method.name()),
        )
    })
}

/// A request with everything that the methods have in common.
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
        window: call.app.config.validation_window,
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

fn start_authenticator(call: &Call<'_>, state: &mut State) -> Result<Value> {
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
        call.app.base_url,
        state.ids.token(Kind::QrCode)
    );
    request.qr_code = Some(qr_code.clone());
    let (code, message) = START_RESPONSE;
    let answer = json!({
        "auth_request_id": request.id,
        "user_id": user.unwrap_or(NOBODY),
        "auth_validation_token": request.token,
        "visual_verify_value": request.visual_verify.as_deref().unwrap_or_default(),
        "qr_code_data": qr_code,
        "push_message_sent": push,
        "response_code": code,
        "response_message": message,
        "timeout_in_seconds": timeout,
        "timeout_utc_datetime": request.expires.iso(),
    });
    state.insert_auth(request);
    Ok(answer)
}

fn start_webauthn(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let user = call.body_user(state)?;
    if let Some(user) = user {
        require_enrolled(user, Method::Webauthn)?;
    }
    let allowed: Vec<Value> = user
        .iter()
        .flat_map(|user| &user.credentials)
        .filter(|credential| credential.enabled)
        .filter_map(|credential| credential.passkey.as_ref())
        .map(|passkey| json!({ "id": passkey.credential_id, "type": "public-key" }))
        .collect();
    let user = user.map(|user| user.id);
    let timeout = call.timeout(AUTH_TIMEOUT);
    let mut request = begin(call, state, Method::Webauthn, user, timeout);
    let challenge = state.ids.secret_bytes(Kind::Challenge);
    let secret = state.ids.token(Kind::Signature);
    let options = json!({
        "challenge": base64url(&challenge),
        "timeout": u64::from(timeout) * 1000,
        "rpId": call.app.config.rp_id,
        "allowCredentials": allowed,
        "userVerification": "required",
        "extensions": {},
        "status": "ok",
        "errorMessage": "",
    })
    .to_string();
    let answer = json!({
        "auth_request_id": request.id,
        "aa_guid": secret,
        "fido2_json_options": options,
    });
    request.passkey = Some(PasskeyCeremony {
        challenge,
        secret,
        client_id: call.owned("webauthn_client_id"),
        options,
    });
    state.insert_auth(request);
    Ok(answer)
}

fn finish_webauthn(call: &Call<'_>, state: &mut State) -> Result<Value> {
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
    match assert(call, state, request, ceremony, &data) {
        Ok((user, credential, signed)) => approve_passkey(state, id, user, &credential, signed),
        Err(refused) => {
            if let Some(request) = state.auth.get_mut(&id) {
                request.progress = Progress::BadSignature(now);
            }
            Err(refused)
        }
    }
}

/// Whether the client id is that of the start.
pub(super) fn check_client(ceremony: &PasskeyCeremony, call: &Call<'_>) -> Result<()> {
    let now = call.text("webauthn_client_id");
    if client_ids_agree(ceremony.client_id.as_deref(), now) {
        Ok(())
    } else {
        let message = "webauthn_client_id is not the one of the start";
        Err(Refusal::bad(message))
    }
}

/// Verifies an assertion: who it is of, the credential as it is after this
/// use, and the signed message.
fn assert(
    call: &Call<'_>,
    state: &State,
    request: &AuthRequest,
    ceremony: &PasskeyCeremony,
    data: &Map<String, Value>,
) -> Result<(Uuid, Credential, Value)> {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let assertion = Assertion {
        id: text("id"),
        // Pages put it under the one name or the other.
        authenticator_data: match text("authenticator_data") {
            "" => text("attestation_object"),
            data => data,
        },
        client_data: text("client_data"),
        signature: text("signature"),
    };
    let failed = || Refusal::new(BAD_SIGNATURE, "the assertion does not verify");
    let wanted = assertion.id.trim_end_matches('=');
    let owner = match request.user {
        Some(id) => state.user(&id),
        None => state.passkey_owner(wanted),
    }
    .ok_or_else(failed)?;
    let user = owner.id;
    let (credential, passkey) = owner
        .credentials
        .iter()
        .filter(|credential| credential.enabled)
        .find_map(|credential| {
            let passkey = credential.passkey.as_ref()?;
            (passkey.credential_id == wanted).then_some((credential, passkey))
        })
        .ok_or_else(failed)?;
    let site = (
        call.app.config.origin.as_str(),
        call.app.config.rp_id.as_str(),
    );
    let counter = passkey::verify_assertion(
        &ceremony.challenge,
        site.0,
        site.1,
        &StoredCredential {
            credential_id: &passkey.credential_id,
            public_key: &passkey.public_key,
            counter: passkey.counter,
        },
        assertion.id,
        assertion.authenticator_data,
        assertion.client_data,
        assertion.signature,
    )
    .map_err(|error| Refusal::new(BAD_SIGNATURE, error.to_string()))?;
    let mut passkey = passkey.clone();
    passkey.counter = counter;
    let signed = signed::passkey_message(
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

fn approve_passkey(
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
    let answer = json!({
        "auth_validation_token": request.token,
        "auth_request_id": id,
        "user_id": user_id,
        "username": username,
    });
    state.answered_with(id, credential.id);
    if found_now {
        state.remember(&user_id, id);
    }
    Ok(answer)
}

fn start_magiclink(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let user = call
        .body_user(state)?
        .ok_or_else(|| Refusal::bad("user_id or username is required"))?;
    let credential = require_enrolled(user, Method::Magiclink)?;
    let (address, credential) = (credential.name.clone(), credential.id);
    let user = user.id;
    let redirect = redirect(call, "auth_redirect_url", &call.app.config.auth_redirects)?;
    let timeout = call.timeout(MAGICLINK_TIMEOUT);
    let request = begin(call, state, Method::Magiclink, Some(user), timeout);
    let answer = json!({
        "auth_request_id": request.id,
        "user_id": user,
        "timeout_in_seconds": timeout,
        "timeout_utc_datetime": request.expires.iso(),
    });
    let id = request.id;
    state.insert_auth(request);
    state.answered_with(id, credential);
    send_mail(
        call,
        state,
        MailKind::SignIn,
        LinkPurpose::SignIn(id),
        &address,
        redirect,
    );
    Ok(answer)
}

/// A redirect from the body that is on its list.
pub(super) fn redirect<'c>(call: &'c Call<'_>, name: &str, list: &[String]) -> Result<&'c str> {
    let url = call.required(name)?;
    if redirect_is_allowed(url, list) {
        Ok(url)
    } else {
        Err(Refusal::new(
            REDIRECT_REFUSED,
            format!("{name} is not an allowed redirect"),
        ))
    }
}

pub(super) fn send_mail(
    call: &Call<'_>,
    state: &mut State,
    kind: MailKind,
    purpose: LinkPurpose,
    address: &str,
    redirect: &str,
) {
    let action = call.non_empty("action_name").unwrap_or(match kind {
        MailKind::SignIn => "Sign in",
        MailKind::ChangeEmail => "Change address",
        _ => "Register",
    });
    let subject = format!("{action} at {}", call.app.config.project_name);
    person::send_mail(
        state,
        &call.app.base_url,
        person::Draft {
            kind,
            purpose,
            to: address,
            subject,
            short_msg: call.owned("short_msg"),
            redirect,
        },
    );
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
    Ok(auth::validated(state, request, call.version))
}

/// Whether nonce, address and agent are those of the start.
pub(super) fn agrees(pairing: &Pairing, call: &Call<'_>) -> bool {
    pair_agrees(pairing.nonce.as_deref(), call.text("nonce"))
        && pair_agrees(pairing.ip_address.as_deref(), call.text("ip_address"))
        && pair_agrees(pairing.user_agent.as_deref(), call.text("user_agent"))
}
