//! [`Registration`]: an enrolment from its start to its end.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::{
    auth_request::{Pairing, PasskeyCeremony},
    clock::Stamp,
    decisions::REVOKED_INVITE,
    user::{Method, Passkey},
};
use crate::ApiVersion;

pub(crate) struct Registration {
    pub(crate) id: Uuid,
    /// The version of the start call, which decides how the registration
    /// completes.
    pub(crate) version: ApiVersion,
    pub(crate) method: Method,
    pub(crate) purpose: Purpose,
    /// The user's id, also if the user does not exist yet.
    pub(crate) user: Uuid,
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) expires: Stamp,
    pub(crate) window: Duration,
    pub(crate) token: String,
    pub(crate) pairing: Pairing,
    pub(crate) qr_code: Option<String>,
    pub(crate) context: Option<Value>,
    pub(crate) ceremony: Option<PasskeyCeremony>,
    /// The passkey that finish verified.
    pub(crate) passkey: Option<Passkey>,
    /// Whether enrolling disables the user's other authenticators.
    pub(crate) resets: bool,
    pub(crate) progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    NewUser,
    NewEnrollment,
    ChangeEmail,
}

impl Purpose {
    /// The name in `magiclink_email_registration_type`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NewUser => "new_user",
            Self::NewEnrollment => "new_enrollment",
            Self::ChangeEmail => "change_email",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    /// The phone has accepted and is still enrolling.
    Accepted,
    /// The person is done, at this time; the program has to validate.
    Enrolled(Stamp),
    Registered,
    Declined,
    Revoked,
    BadSignature,
    Mismatch,
}

impl Registration {
    /// `registration_status_code` and its name.
    pub(crate) fn status(&self, now: Stamp) -> (i32, &'static str) {
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

    /// Whether the person can still accept or decline it.
    pub(crate) fn is_open(&self, now: Stamp) -> bool {
        matches!(self.status(now).0, 1 | 6)
    }
}
