//! What no public source proves about the service, and what the emulator does
//! instead of guessing in a hundred places.
//!
//! Everything here is a decision, not a fact. A program should not depend on
//! any of it; where the service turns out to differ, this is the file to change.
//! The docs list the comments below, each with its value.

use uuid::Uuid;

use super::{
    auth::{Phase, Progress},
    clock::Stamp,
    routes::Version,
};

/// A failed validate call with the wrong token is refused with this status.
pub(super) const WRONG_TOKEN: u16 = 401;

/// A validation token that has done its work is refused with this status.
pub(super) const REPLAYED_TOKEN: u16 = 403;

/// Only a sign-in that succeeded before is refused when it is validated. One
/// that still waits, was declined or timed out answers 200 with `authorized`
/// false, however often it is asked, and is not changed by it.
pub(super) const fn validation_is_refused(phase: Phase) -> bool {
    matches!(phase, Phase::Success)
}

/// A credential that was disabled signs nobody in, not even with what was under
/// way: its links cannot be clicked any more, and a sign-in that it approved
/// before answers its validate call with 200, `authorized` false and result
/// code 10, "Security Exception". So it goes for the address that another one
/// replaced.
pub(super) const fn approved_by_a_disabled_credential(now: Stamp) -> Progress {
    Progress::Mismatch(now)
}

/// The context data comes back only to a sign-in that succeeded, not to one
/// that was declined or is not over.
pub(super) const fn context_comes_back(phase: Phase) -> bool {
    matches!(phase, Phase::Success)
}

/// A user exists once a registration is complete: under v3 when the phone has
/// enrolled, finish was called or the link validated, under v4 when it is
/// validated. The `user_id` of a start answer is kept for that moment.
pub(super) const fn enrolling_completes(version: Version) -> bool {
    matches!(version, Version::V3)
}

/// Starting a registration for a name or address in use, taking such a name,
/// or enrolling a passkey twice is refused with this status. A name is in use
/// also if it is another user's address. If two registrations race for a name,
/// the later one is refused with it at its end. The registration of a passkey
/// that is enrolled already stays open for another one.
pub(super) const IN_USE: u16 = 409;

/// A registration that timed out, was declined or broke the pairing of
/// address and agent is refused with this status when it is validated.
pub(super) const ENDED_REGISTRATION: u16 = 403;

/// A registration that the person has not accepted yet is refused with this
/// status when it is validated.
pub(super) const EARLY_VALIDATION: u16 = 400;

/// A finish call whose attestation or assertion does not verify is refused
/// with this status. A sign-in is then over, with result code 4.
pub(super) const BAD_SIGNATURE: u16 = 400;

/// A start call for a user who has no enabled credential of that method is
/// refused with this status.
pub(super) const NOT_ENROLLED: u16 = 400;

/// A redirect that is not on its allow list is refused with this status.
/// Without a list every absolute `http` and `https` URL is taken. An entry
/// allows the URLs that equal it up to the query.
pub(super) const REDIRECT_REFUSED: u16 = 400;

/// A missing, wrong or expired bearer token is answered with a 401 without a
/// body and with a `WWW-Authenticate` header, as a gateway in front of the
/// API would; a 401 of the API itself has the version's error body.
pub(super) const BEARER_CHALLENGE: &str = "Bearer error=\"invalid_token\"";

/// `error_code` in an error body repeats the HTTP status.
pub(super) const fn error_code(status: u16) -> u16 {
    status
}

/// Ids that are not UUIDs are refused with this status, in routes and in
/// bodies.
pub(super) const MALFORMED_ID: u16 = 400;

/// Ids and names that name nothing are refused with this status, also those of
/// a user for whom a sign-in is to start.
pub(super) const NOT_FOUND: u16 = 404;

/// Bodies and queries that do not fit are refused with this status: unknown
/// fields and query parameters, parameters given twice, values of the wrong
/// type or length, and a `send_push` for nobody.
pub(super) const MALFORMED: u16 = 400;

/// A body that is not JSON by its content type, or that is missing without
/// one, is refused with this status. JSON may be any of the four types that v4
/// lists, in UTF-8.
pub(super) const NOT_JSON: u16 = 415;

/// Whether a trailing slash is ignored. If not, it makes another route, which
/// the service does not have.
pub(super) const TRAILING_SLASH_IS_IGNORED: bool = false;

/// v4 takes a username in the query and does not look at the name headers; v3
/// takes the headers and refuses the query.
pub(super) const fn name_is_in_query(version: Version) -> bool {
    matches!(version, Version::V4)
}

/// A real id together with a username is refused with this status, in routes
/// and in bodies.
pub(super) const ID_AND_NAME: u16 = 400;

/// Explicit nulls count as missing, also where the description of v4 does not
/// call the field nullable.
pub(super) const fn is_missing(value: Option<&serde_json::Value>) -> bool {
    matches!(value, None | Some(serde_json::Value::Null))
}

/// Empty texts count as missing wherever one is needed or would name somebody.
pub(super) const fn is_given(text: &str) -> bool {
    !text.is_empty()
}

/// Names must not hold control characters, nor begin or end with white space.
pub(super) fn may_be_name(name: &str) -> bool {
    !name.chars().any(char::is_control) && name.trim() == name
}

/// Who registers a passkey and gives an address but no name is named by the
/// address.
pub(super) fn passkey_username<'a>(
    username: Option<&'a str>,
    address: Option<&'a str>,
) -> Option<&'a str> {
    username.or(address)
}

/// A `webauthn_client_id` may be any. One that was given at the start and comes
/// again at finish has to be the same; it may be left out.
pub(super) fn client_ids_agree(at_start: Option<&str>, at_finish: Option<&str>) -> bool {
    at_start.is_none() || at_finish.is_none() || at_start == at_finish
}

/// Result code of a sign-in that waits for the person (0 and 1 are both
/// known).
pub(super) const WAITING_RESULT: i32 = 1;

/// The texts of `auth_request_status_name` are "Pending Approval", "Pending
/// Validation" and "Completed".
pub(super) const fn status_name(id: i32) -> &'static str {
    match id {
        3 => "Pending Approval",
        4 => "Pending Validation",
        _ => "Completed",
    }
}

/// `registration_status_code` and name of an invite that was revoked.
pub(super) const REVOKED_INVITE: (i32, &str) = (5, "Timeout");

/// The user of a start answer that is for nobody in particular.
pub(super) const NOBODY: Uuid = Uuid::nil();

/// Whether v3's authenticator registration answers with `user_id`.
pub(super) const V3_REGISTRATION_HAS_USER: bool = false;

/// While a sign-in waits, v3 has null for `auth_response` and `response_details`;
/// v4 has objects with every declared field.
pub(super) const fn waits_with_details(version: Version) -> bool {
    matches!(version, Version::V4)
}

/// Whether a link works only once.
pub(super) const LINK_WORKS_ONCE: bool = true;

/// Whether only one address of a user is enrolled for links: a new one then
/// disables the credential of the old.
pub(super) const ONE_ADDRESS: bool = true;

/// `authorized` before the validate call, in what `get_auth_info` shows of an
/// approved request. Only after a validate call that succeeded is it true.
pub(super) const AUTHORIZED_BEFORE_VALIDATION: bool = false;

/// Dates that v4's nested objects have to hold before there is one. v3 leaves
/// the objects null instead.
pub(super) const NO_DATE: &str = "0001-01-01T00:00:00Z";

/// How long an approved request may wait for its validate call, in seconds.
pub(super) const VALIDATION_WINDOW: u64 = 60;

/// Seconds that a person has to sign in by authenticator or passkey, where the
/// request does not say.
pub(super) const AUTH_TIMEOUT: u32 = 60;

/// Seconds that a person has to click a link, where the request does not say.
pub(super) const MAGICLINK_TIMEOUT: u32 = 300;

/// Seconds that a person has to enrol a phone or a passkey, where the request
/// does not say.
pub(super) const REGISTRATION_TIMEOUT: u32 = 120;

/// Accepted `timeout_in_seconds` of registrations.
pub(super) const REGISTRATION_TIMEOUTS: (i64, i64) = (1, 86_400);

/// Number of the first page.
pub(super) const FIRST_PAGE: i64 = 1;

/// Records on a page, where the request does not say.
pub(super) const PAGE_SIZE: i64 = 20;

/// The largest page; more is refused.
pub(super) const LARGEST_PAGE: i64 = 100;

/// Whether the history comes newest first if no order is asked for. Users and
/// credentials come oldest first.
pub(super) const HISTORY_IS_NEWEST_FIRST: bool = true;

/// Columns by which users are sorted.
pub(super) const USER_COLUMNS: [&str; 4] = ["user_id", "username", "email_address", "date_created"];

/// Columns by which the history is sorted.
pub(super) const HISTORY_COLUMNS: [&str; 3] =
    ["auth_request_status_id", "auth_request_status_name", "date"];

/// Columns by which credentials are sorted.
pub(super) const CREDENTIAL_COLUMNS: [&str; 5] = [
    "credential_id",
    "name",
    "device_type",
    "date_created",
    "enabled",
];

/// The user filter matches parts of names, without regard to ASCII case.
pub(super) fn filter_matches(username: &str, filter: &str) -> bool {
    name_key(username).contains(&name_key(filter))
}

/// Two usernames are the same if this is: names differ by more than ASCII
/// case. A name in a v3 header may be any UTF-8.
pub(super) fn name_key(username: &str) -> String {
    username.to_ascii_lowercase()
}

/// Longest text in fields for which no limit is known, in characters.
pub(super) const LONGEST_TEXT: usize = 1024;

/// Longest binary text, such as an attestation.
pub(super) const LONGEST_BINARY: usize = 64 * 1024;

/// Longest redirect URL.
pub(super) const LONGEST_URL: usize = 2048;

/// Whether two values of a pairing (nonce, ip address, user agent) agree: a
/// value given at the start has to come again; one that was not given then is
/// not looked at later.
pub(super) fn pair_agrees(at_start: Option<&str>, at_validate: Option<&str>) -> bool {
    at_start.is_none() || at_start == at_validate
}

/// `auth_history_id` is an id of its own, not the auth request's.
pub(super) const HISTORY_HAS_OWN_IDS: bool = true;

/// `response_code` and `response_message` of an authenticator start.
pub(super) const START_RESPONSE: (i32, &str) = (0, "Success");

/// `expires_in` of a token, in seconds.
pub(super) const TOKEN_LIFETIME: u64 = 600;

/// Scopes of the client.
pub(super) const SCOPES: [&str; 2] = ["aarmor.api.request_auth", "aarmor.api.generate_invite_code"];

/// The status of `invalid_client` is 401 if HTTP Basic was used, otherwise 400.
/// All other refusals of the token endpoint are 400, or 415 for a body that is
/// no form.
pub(super) const fn invalid_client_status(basic: bool) -> u16 {
    if basic { 401 } else { 400 }
}

/// Whether v3 gives `fido2_json_options` of a registration as text, as v4 and
/// the sign-in do, or as an object.
pub(super) const V3_OPTIONS_ARE_TEXT: bool = false;

/// How passkey answers name their signing method: the known names are those
/// of older methods.
pub(super) const PASSKEY_SIGNING_METHOD: &str = "FIDO_U2F";
