//! An enrolment from its start to its end.

use serde_json::Value;
use uuid::Uuid;

use super::{
    auth::{Pairing, PasskeyCeremony},
    clock::Stamp,
    decisions::REVOKED_INVITE,
    routes::Version,
    state::{Method, Passkey},
};

pub(super) struct Registration {
    pub(super) id: Uuid,
    /// The version that started it, which decides how it ends.
    pub(super) version: Version,
    pub(super) method: Method,
    pub(super) purpose: Purpose,
    /// Of the user, or of the user to come.
    pub(super) user: Uuid,
    pub(super) username: String,
    pub(super) email: Option<String>,
    pub(super) expires: Stamp,
    pub(super) window: std::time::Duration,
    pub(super) token: String,
    pub(super) pairing: Pairing,
    pub(super) qr_code: Option<String>,
    pub(super) context: Option<Value>,
    pub(super) ceremony: Option<PasskeyCeremony>,
    /// The passkey, between finish and validate.
    pub(super) passkey: Option<Passkey>,
    /// Whether the user's older authenticators go when this one comes.
    pub(super) resets: bool,
    pub(super) progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    NewUser,
    NewEnrollment,
    ChangeEmail,
}

impl Purpose {
    /// The name in `magiclink_email_registration_type`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NewUser => "new_user",
            Self::NewEnrollment => "new_enrollment",
            Self::ChangeEmail => "change_email",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    /// The phone has accepted and is still enrolling.
    Accepted,
    /// Done by the person, at this time; to be validated.
    Enrolled(Stamp),
    Registered,
    Declined,
    Revoked,
    BadSignature,
    Mismatch,
}

impl Registration {
    /// `registration_status_code` and its name.
    pub(super) fn status(&self, now: Stamp) -> (i32, &'static str) {
        match self.progress {
            Progress::Waiting | Progress::Accepted if now >= self.expires => (5, "Timeout"),
            Progress::Waiting => (1, "PendingUserAcceptance"),
            Progress::Accepted => (6, "AcceptedPendingDeviceEnrollment"),
            Progress::Enrolled(at) if now >= at.plus(self.window) => (9, "ValidationTimeout"),
            Progress::Enrolled(_) => (8, "PendingValidation"),
            Progress::Registered => (2, "Registered"),
            Progress::Declined => (3, "Declined"),
            Progress::BadSignature => (4, "InvalidSignature"),
            Progress::Revoked => REVOKED_INVITE,
            Progress::Mismatch => (10, "SecurityException"),
        }
    }

    /// Whether the person can still do something about it.
    pub(super) fn is_open(&self, now: Stamp) -> bool {
        matches!(self.status(now).0, 1 | 6)
    }
}
