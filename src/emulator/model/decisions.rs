//! Behaviour of the service's data that no public source proves. See also the
//! decisions of `api`.
//!
//! The docs list the comments below, each with its value.

use crate::ApiVersion;

/// A user exists once a registration is complete: under v3 when the phone has
/// enrolled, finish was called or the magic link was validated; under v4 when
/// the registration is validated. The start response's `user_id` is reserved
/// for that user.
pub(crate) const fn enrolling_completes(version: ApiVersion) -> bool {
    matches!(version, ApiVersion::V3)
}

/// A magic link works only once.
pub(crate) const LINK_WORKS_ONCE: bool = true;

/// A user has only one address for magic links: a new one disables the
/// credential of the old one.
pub(crate) const ONE_ADDRESS: bool = true;

/// Usernames that differ only in ASCII case are the same. A name in a v3
/// header may be any UTF-8.
pub(crate) fn name_key(username: &str) -> String {
    username.to_ascii_lowercase()
}

/// Result code of a sign-in that waits for the person (0 and 1 are both
/// known).
pub(crate) const WAITING_RESULT: i32 = 1;

/// The texts of `auth_request_status_name` are "Pending Approval", "Pending
/// Validation" and "Completed".
pub(crate) const fn status_name(id: i32) -> &'static str {
    match id {
        3 => "Pending Approval",
        4 => "Pending Validation",
        _ => "Completed",
    }
}

/// `registration_status_code` and name of a revoked invite.
pub(crate) const REVOKED_INVITE: (i32, &str) = (5, "Timeout");

/// `authorized` before the validate call, in the response of `get_auth_info`
/// for an approved request. It is true only after a successful validate call.
pub(crate) const AUTHORIZED_BEFORE_VALIDATION: bool = false;

/// Seconds between the approval of a request and the last moment to validate
/// it.
pub(crate) const VALIDATION_WINDOW: u64 = 60;

/// `expires_in` of a token, in seconds.
pub(crate) const TOKEN_LIFETIME: u64 = 600;

/// The name of the signing method in passkey responses: the known names are
/// those of older methods.
pub(crate) const PASSKEY_SIGNING_METHOD: &str = "FIDO_U2F";
