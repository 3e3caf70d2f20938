//! Registering: new users and new methods for those there are.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        auth::{Pairing, PasskeyCeremony},
        decisions::{
            BAD_SIGNATURE, EARLY_VALIDATION, ENDED_REGISTRATION, MAGICLINK_TIMEOUT, NOT_ENROLLED,
            REGISTRATION_TIMEOUT, REPLAYED_TOKEN, V3_OPTIONS_ARE_TEXT, V3_REGISTRATION_HAS_USER,
            WRONG_TOKEN, enrolling_completes, passkey_username,
        },
        ids::Kind,
        mail::{LinkPurpose, MailKind, is_address},
        passkey,
        registration::{Progress, Purpose, Registration},
        routes::Endpoint,
        signed::base64url,
        state::{Method, Passkey, State, User},
    },
    Call, Refusal, Result, auth, check_name, uuid_of,
};

pub(super) fn answer(call: &Call<'_>, state: &mut State) -> Result<Value> {
    match call.endpoint {
        Endpoint::StartAuthenticatorRegistration => start_authenticator(call, state),
        Endpoint::StartAuthenticatorRegistrationForUser => {
            let target = Target::existing(call.user(state)?);
            Ok(begin_authenticator(call, state, target, false))
        }
        Endpoint::StartWebauthnRegistration => start_webauthn(call, state),
        Endpoint::StartWebauthnRegistrationForUser => {
            let target = Target::existing(call.user(state)?);
            Ok(begin_webauthn(call, state, target))
        }
        Endpoint::FinishWebauthnRegistration | Endpoint::FinishWebauthnRegistrationForUser => {
            finish_webauthn(call, state)
        }
        Endpoint::ValidateAuthenticatorRegistration => {
            validate_device(call, state, Method::Authenticator)
        }
        Endpoint::ValidateWebauthnRegistration => validate_device(call, state, Method::Webauthn),
        Endpoint::StartMagiclinkRegistration => start_magiclink(call, state),
        Endpoint::StartMagiclinkRegistrationForUser => start_magiclink_for_user(call, state),
        Endpoint::StartChangeMagiclinkEmail => start_change(call, state),
        Endpoint::ValidateMagiclinkRegistration => validate_magiclink(call, state),
        _ => info(call, state),
    }
}

/// Whom a registration is for.
struct Target {
    purpose: Purpose,
    user: Uuid,
    username: String,
    email: Option<String>,
}

impl Target {
    fn existing(user: &User) -> Self {
        Self {
            purpose: Purpose::NewEnrollment,
            user: user.id,
            username: user.username.clone(),
            email: None,
        }
    }

    fn new_user(state: &mut State, username: &str, email: Option<&str>) -> Self {
        Self {
            purpose: Purpose::NewUser,
            user: state.ids.uuid(Kind::User),
            username: username.to_owned(),
            email: email.map(str::to_owned),
        }
    }
}

/// A registration with everything that the methods have in common.
fn begin(
    call: &Call<'_>,
    state: &mut State,
    method: Method,
    target: Target,
    timeout: u32,
) -> Registration {
    Registration {
        id: state.ids.uuid(Kind::Registration),
        version: call.version,
        method,
        purpose: target.purpose,
        user: target.user,
        username: target.username,
        email: target.email,
        expires: state.clock.now().plus(Duration::from_secs(timeout.into())),
        window: call.app.config.validation_window,
        token: state.ids.token(Kind::RegistrationToken),
        pairing: Pairing {
            nonce: None,
            ip_address: call.owned("ip_address"),
            user_agent: call.owned("user_agent"),
        },
        qr_code: None,
        context: call
            .body
            .get("context_data")
            .filter(|context| context.is_object())
            .cloned(),
        ceremony: None,
        passkey: None,
        resets: false,
        progress: Progress::Waiting,
    }
}

fn start_authenticator(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let username = call.required("username")?;
    check_name("username", username)?;
    let resets = call.flag("reset_and_reinvite");
    let target = match state.user_by_name(username) {
        Some(user) if resets => Target::existing(user),
        Some(_) => return Err(Refusal::conflict("the username is in use")),
        None => Target::new_user(state, username, None),
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
    Ok(begin_authenticator(call, state, target, resets))
}

fn begin_authenticator(call: &Call<'_>, state: &mut State, target: Target, resets: bool) -> Value {
    let timeout = call.timeout(REGISTRATION_TIMEOUT);
    let mut registration = begin(call, state, Method::Authenticator, target, timeout);
    let qr_code = format!(
        "{}/_emulator/qr/{}",
        call.app.base_url,
        state.ids.token(Kind::QrCode)
    );
    registration.qr_code = Some(qr_code.clone());
    registration.resets = resets;
    let mut answer = json!({
        "registration_id": registration.id,
        "username": registration.username,
        "date_expires": registration.expires.iso(),
        "auth_method": registration.method.name(),
        "qr_code_data": qr_code,
    });
    if !call.v3() || V3_REGISTRATION_HAS_USER {
        add(&mut answer, "user_id", json!(registration.user));
    }
    if !call.v3() {
        let token = json!(registration.token);
        add(&mut answer, "registration_validation_token", token);
    }
    state.registrations.insert(registration.id, registration);
    answer
}

fn add(answer: &mut Value, name: &str, value: Value) {
    if let Value::Object(answer) = answer {
        answer.insert(name.to_owned(), value);
    }
}

fn start_webauthn(call: &Call<'_>, state: &mut State) -> Result<Value> {
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
    Ok(begin_webauthn(call, state, target))
}

fn begin_webauthn(call: &Call<'_>, state: &mut State, target: Target) -> Value {
    let timeout = call.timeout(REGISTRATION_TIMEOUT);
    let challenge = state.ids.secret_bytes(Kind::Challenge);
    let secret = state.ids.token(Kind::Signature);
    let options = creation_options(call, state, &target, &challenge, timeout);
    let mut registration = begin(call, state, Method::Webauthn, target, timeout);
    registration.ceremony = Some(PasskeyCeremony {
        challenge,
        secret: secret.clone(),
        client_id: call.owned("webauthn_client_id"),
        options: options.to_string(),
    });
    let shown = if call.v3() && !V3_OPTIONS_ARE_TEXT {
        options
    } else {
        Value::String(options.to_string())
    };
    let mut answer = json!({
        "registration_id": registration.id,
        "aa_sig": secret,
        "fido2_json_options": shown,
    });
    if !call.v3() && registration.purpose != Purpose::NewUser {
        add(&mut answer, "user_id", json!(registration.user));
    }
    state.registrations.insert(registration.id, registration);
    answer
}

fn creation_options(
    call: &Call<'_>,
    state: &State,
    target: &Target,
    challenge: &[u8],
    timeout: u32,
) -> Value {
    let excluded: Vec<Value> = state
        .user(&target.user)
        .iter()
        .flat_map(|user| &user.credentials)
        .filter(|credential| credential.enabled)
        .filter_map(|credential| credential.passkey.as_ref())
        .map(|passkey| json!({ "id": passkey.credential_id, "type": "public-key" }))
        .collect();
    let resident_key = call
        .text("resident_key_requirement_type")
        .unwrap_or("required");
    let mut selection = json!({
        "requireResidentKey": resident_key == "required",
        "residentKey": resident_key,
        "userVerification": call
            .text("user_verification_requirement_type")
            .unwrap_or("required"),
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
        "challenge": base64url(challenge),
        "rp": { "id": call.app.config.rp_id, "name": call.app.config.project_name },
        "user": {
            "id": base64url(target.user.as_bytes()),
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

/// The id of a registration: in the route, or under v3 in the body.
fn registration_id(call: &Call<'_>) -> Result<Uuid> {
    let text = match &call.ids.registration {
        Some(id) => id.as_str(),
        None => call.required("registration_id")?,
    };
    uuid_of(text, "registration_id")
}

fn finish_webauthn(call: &Call<'_>, state: &mut State) -> Result<Value> {
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
            registration.progress = Progress::BadSignature;
            return Err(refused);
        }
    }
    let mut answer = json!({
        "user_id": registration.user,
        "username": registration.username,
    });
    if enrolling_completes(call.version) {
        state.complete(id).ok_or_else(taken)?;
    } else {
        let token = json!(registration.token);
        add(&mut answer, "registration_validation_token", token);
    }
    Ok(answer)
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
        &call.app.config.origin,
        &call.app.config.rp_id,
        text("id"),
        attestation,
        client_data,
    )
    .map_err(|error| Refusal::new(BAD_SIGNATURE, error.to_string()))?;
    if state.passkey_owner(&verified.credential_id).is_some() {
        return Err(Refusal::conflict("the passkey is registered already"));
    }
    Ok(Passkey {
        credential_id: verified.credential_id,
        public_key: verified.public_key,
        counter: verified.counter,
        attestation: attestation.to_owned(),
        client_data: client_data.to_owned(),
    })
}

fn taken() -> Refusal {
    Refusal::conflict("the username or address was taken in the meantime")
}

/// Checks the token of a registration and that it is time to validate it.
fn check_validation(call: &Call<'_>, state: &State, id: Uuid) -> Result<()> {
    let registration = state
        .registrations
        .get(&id)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    if registration.token != call.required("registration_validation_token")? {
        let message = "registration_validation_token is wrong";
        return Err(Refusal::new(WRONG_TOKEN, message));
    }
    match registration.status(state.clock.now()).0 {
        8 => Ok(()),
        2 => Err(Refusal::new(
            REPLAYED_TOKEN,
            "registration_validation_token was used before",
        )),
        1 | 6 => Err(Refusal::new(
            EARLY_VALIDATION,
            "the person has not accepted yet",
        )),
        _ => Err(Refusal::new(ENDED_REGISTRATION, "the registration is over")),
    }
}

fn validate_device(call: &Call<'_>, state: &mut State, method: Method) -> Result<Value> {
    let id = registration_id(call)?;
    let registration = state
        .registrations
        .get(&id)
        .filter(|registration| registration.method == method)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    let (user, username) = (registration.user, registration.username.clone());
    check_validation(call, state, id)?;
    let credential = state.complete(id).ok_or_else(taken)?;
    Ok(json!({
        "credential_id": credential,
        "user_id": user,
        "username": username,
    }))
}

/// Whether an address is one, and free.
fn check_address(state: &State, name: &str, address: &str) -> Result<()> {
    if !is_address(address) {
        return Err(Refusal::bad(format!("{name} is not an address")));
    }
    if state.address_owner(address).is_some() {
        return Err(Refusal::conflict("the address is in use"));
    }
    Ok(())
}

fn start_magiclink(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let address = call.required("email_address")?;
    check_address(state, "email_address", address)?;
    let target = Target::new_user(state, address, Some(address));
    begin_magiclink(call, state, target, MailKind::NewUser)
}

fn start_magiclink_for_user(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let mut target = Target::existing(call.user(state)?);
    let address = call.required("email_address")?;
    let own = state
        .address_owner(address)
        .is_some_and(|owner| owner.id == target.user);
    if !own {
        check_address(state, "email_address", address)?;
    }
    target.email = Some(address.to_owned());
    begin_magiclink(call, state, target, MailKind::NewEnrollment)
}

fn start_change(call: &Call<'_>, state: &mut State) -> Result<Value> {
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
    begin_magiclink(call, state, target, MailKind::ChangeEmail)
}

fn begin_magiclink(
    call: &Call<'_>,
    state: &mut State,
    target: Target,
    kind: MailKind,
) -> Result<Value> {
    let list = &call.app.config.registration_redirects;
    let redirect = auth::redirect(call, "registration_redirect_url", list)?;
    let timeout = call.timeout(MAGICLINK_TIMEOUT);
    let address = target.email.clone().unwrap_or_default();
    let registration = begin(call, state, Method::Magiclink, target, timeout);
    let answer = json!({
        "timeout_in_seconds": timeout,
        "timeout_utc_datetime": registration.expires.iso(),
    });
    let purpose = LinkPurpose::Registration(registration.id);
    state.registrations.insert(registration.id, registration);
    auth::send_mail(call, state, kind, purpose, &address, redirect);
    Ok(answer)
}

fn validate_magiclink(call: &Call<'_>, state: &mut State) -> Result<Value> {
    let id = if call.v3() {
        // The token alone says which one it is; the newest are asked about.
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
    // The user's name of today: it may have changed since the start.
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

fn info(call: &Call<'_>, state: &State) -> Result<Value> {
    let id = registration_id(call)?;
    let registration = state
        .registrations
        .get(&id)
        .ok_or_else(|| Refusal::not_found("registration"))?;
    let (code, name) = registration.status(state.clock.now());
    Ok(json!({
        "registration_status_code": code,
        "registration_status_name": name,
        "auth_method": registration.method.name(),
    }))
}
