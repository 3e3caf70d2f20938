//! A sign-in from its start to its end.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    clock::Stamp,
    decisions::{
        AUTHORIZED_BEFORE_VALIDATION, NO_DATE, NOBODY, PASSKEY_SIGNING_METHOD, WAITING_RESULT,
        context_comes_back, status_name, waits_with_details,
    },
    routes::Version,
    state::{Method, State, User},
};

pub(super) struct AuthRequest {
    pub(super) id: Uuid,
    pub(super) history_id: Uuid,
    pub(super) method: Method,
    pub(super) user: Option<Uuid>,
    /// Whether the request was made for one user, so that nobody else may
    /// answer it.
    pub(super) targeted: bool,
    pub(super) created: Stamp,
    pub(super) expires: Stamp,
    /// How long after the approval it may be validated.
    pub(super) window: std::time::Duration,
    pub(super) token: String,
    pub(super) pairing: Pairing,
    pub(super) location: Map<String, Value>,
    pub(super) action_name: Option<String>,
    pub(super) short_msg: Option<String>,
    pub(super) visual_verify: Option<String>,
    pub(super) qr_code: Option<String>,
    pub(super) context: Option<Value>,
    pub(super) passkey: Option<PasskeyCeremony>,
    pub(super) progress: Progress,
    /// `secure_signed_message` of an answer.
    pub(super) signed: Option<Value>,
}

/// Values that a start and its validate call have to agree on.
#[derive(Clone, Default)]
pub(super) struct Pairing {
    pub(super) nonce: Option<String>,
    pub(super) ip_address: Option<String>,
    pub(super) user_agent: Option<String>,
}

/// What a finish call has to fit.
#[derive(Clone)]
pub(super) struct PasskeyCeremony {
    pub(super) challenge: Vec<u8>,
    /// `aa_guid` of a sign-in, `aa_sig` of a registration.
    pub(super) secret: String,
    pub(super) client_id: Option<String>,
    pub(super) options: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Approved(Stamp),
    Declined(Stamp),
    Validated(Stamp),
    BadSignature(Stamp),
    /// The pairing did not agree.
    Mismatch(Stamp),
}

/// What a request looks like from outside, at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    Approved,
    Success,
    Declined,
    BadSignature,
    Timeout,
    ValidatedTooLate,
    Mismatch,
}

impl Phase {
    pub(super) const fn status_id(self) -> i32 {
        match self {
            Self::Waiting => 3,
            Self::Approved => 4,
            _ => 2,
        }
    }

    const fn status_name(self) -> &'static str {
        status_name(self.status_id())
    }

    pub(super) const fn result(self) -> (i32, &'static str) {
        match self {
            Self::Waiting => (WAITING_RESULT, "Pending Approval"),
            Self::Success => (2, "Success"),
            Self::Declined => (3, "Declined"),
            Self::BadSignature => (4, "Invalid Signature"),
            Self::Timeout => (5, "Timeout"),
            Self::Approved => (8, "Pending Validation"),
            Self::ValidatedTooLate => (9, "Validation Timeout"),
            Self::Mismatch => (10, "Security Exception"),
        }
    }

    const fn authorized(self) -> bool {
        match self {
            Self::Success => true,
            Self::Approved => AUTHORIZED_BEFORE_VALIDATION,
            _ => false,
        }
    }
}

impl AuthRequest {
    pub(super) fn phase(&self, now: Stamp) -> Phase {
        match self.progress {
            Progress::Waiting if now >= self.expires => Phase::Timeout,
            Progress::Waiting => Phase::Waiting,
            Progress::Approved(at) if now >= at.plus(self.window) => Phase::ValidatedTooLate,
            Progress::Approved(_) => Phase::Approved,
            Progress::Declined(_) => Phase::Declined,
            Progress::Validated(_) => Phase::Success,
            Progress::BadSignature(_) => Phase::BadSignature,
            Progress::Mismatch(_) => Phase::Mismatch,
        }
    }

    /// When the person answered.
    fn answered(&self) -> Option<Stamp> {
        match self.progress {
            Progress::Waiting => None,
            Progress::Approved(at)
            | Progress::Declined(at)
            | Progress::Validated(at)
            | Progress::BadSignature(at)
            | Progress::Mismatch(at) => Some(at),
        }
    }
}

/// `get_auth_request_response`.
pub(super) fn info(state: &State, request: &AuthRequest, version: Version) -> Value {
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
pub(super) fn validated(state: &State, request: &AuthRequest, version: Version) -> Value {
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

fn details(state: &State, request: &AuthRequest, version: Version, phase: Phase) -> Value {
    let (code, message) = phase.result();
    let user = request.user.and_then(|id| state.user(&id));
    let place = |name: &str| request.location.get(name).cloned().unwrap_or(Value::Null);
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
                    "latitude": place("latitude"),
                    "longitude": place("longitude"),
                    "ip_address": place("ip_address"),
                },
                "auth_method": request.method.name(),
            },
            "response_details": response_details(request, user, version),
        },
    })
}

/// Nobody is the zero UUID where there has to be one.
fn profile(user: Option<&User>) -> Value {
    json!({
        "user_id": user.map_or(NOBODY, |user| user.id),
        "username": user.map(|user| user.username.as_str()),
    })
}

fn response_details(request: &AuthRequest, user: Option<&User>, version: Version) -> Value {
    let answered = request.answered();
    if answered.is_none() && !waits_with_details(version) {
        return Value::Null;
    }
    let (platform, model) = match request.method {
        Method::Authenticator if answered.is_some() => (Some("Android"), Some("Emulated Phone")),
        _ => (None, None),
    };
    let user = user.filter(|_| answered.is_some());
    json!({
        "date": answered.map_or_else(|| NO_DATE.to_owned(), Stamp::iso),
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

pub(super) const fn use_type(method: Method) -> &'static str {
    match method {
        Method::Authenticator => "biometric",
        Method::Magiclink => "magiclink_email",
        Method::Webauthn => "fido2",
    }
}

pub(super) const fn signing_method(method: Method) -> &'static str {
    match method {
        Method::Authenticator | Method::Magiclink => "AuthArmor_ECDsa",
        Method::Webauthn => PASSKEY_SIGNING_METHOD,
    }
}

/// The signed message of an answer that has none.
fn unsigned(method: Method) -> Value {
    json!({
        "signed_data": null,
        "signed_data_type": "AuthResponse",
        "signature_data": {
            "hash_value": null,
            "hash_method": "Sha256",
            "signature_data": null,
            "auth_method": method.name(),
            "auth_method_usetype": use_type(method),
            "signing_method": signing_method(method),
        },
        "signature_validation_details": null,
    })
}
