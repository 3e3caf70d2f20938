//! [`AuthRequest`]: a sign-in from its start to its end.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    clock::Stamp,
    decisions::{AUTHORIZED_BEFORE_VALIDATION, WAITING_RESULT, status_name},
    user::Method,
};

pub(crate) struct AuthRequest {
    pub(crate) id: Uuid,
    pub(crate) history_id: Uuid,
    pub(crate) method: Method,
    pub(crate) user: Option<Uuid>,
    /// Whether the request was made for one user, so that no other user may
    /// approve or decline it.
    pub(crate) targeted: bool,
    pub(crate) created: Stamp,
    pub(crate) expires: Stamp,
    /// The time after its approval in which the request may be validated.
    pub(crate) window: Duration,
    pub(crate) token: String,
    pub(crate) pairing: Pairing,
    pub(crate) location: Map<String, Value>,
    pub(crate) action_name: Option<String>,
    pub(crate) short_msg: Option<String>,
    pub(crate) visual_verify: Option<String>,
    pub(crate) qr_code: Option<String>,
    pub(crate) context: Option<Value>,
    pub(crate) passkey: Option<PasskeyCeremony>,
    pub(crate) progress: Progress,
    /// `secure_signed_message`, made when the person decides.
    pub(crate) signed: Option<Value>,
}

/// A decision about a sign-in on a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Approves it.
    Approve,
    /// Declines it.
    Decline,
    /// Leaves it pending.
    Ignore,
}

/// Values that have to be the same at start and validation.
#[derive(Clone, Default)]
pub(crate) struct Pairing {
    pub(crate) nonce: Option<String>,
    pub(crate) ip_address: Option<String>,
    pub(crate) user_agent: Option<String>,
}

/// The values that a finish call is checked against.
#[derive(Clone)]
pub(crate) struct PasskeyCeremony {
    pub(crate) challenge: Vec<u8>,
    /// `aa_guid` of a sign-in, `aa_sig` of a registration.
    pub(crate) secret: String,
    pub(crate) client_id: Option<String>,
    /// `userVerification` of the options.
    pub(crate) verification: String,
    pub(crate) options: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Approved(Stamp),
    Declined(Stamp),
    Validated(Stamp),
    BadSignature(Stamp),
    /// The pairing was not that of the start.
    Mismatch(Stamp),
}

/// The state of a request at some time, as the API shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
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
    pub(crate) const fn status_id(self) -> i32 {
        match self {
            Self::Waiting => 3,
            Self::Approved => 4,
            _ => 2,
        }
    }

    pub(crate) const fn status_name(self) -> &'static str {
        status_name(self.status_id())
    }

    pub(crate) const fn result(self) -> (i32, &'static str) {
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

    pub(crate) const fn authorized(self) -> bool {
        match self {
            Self::Success => true,
            Self::Approved => AUTHORIZED_BEFORE_VALIDATION,
            _ => false,
        }
    }
}

impl AuthRequest {
    pub(crate) fn phase(&self, now: Stamp) -> Phase {
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

    /// Returns the time of the person's decision.
    pub(crate) fn decided(&self) -> Option<Stamp> {
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
