//! What no public source proves about the service, and what the emulator does
//! instead of guessing in a hundred places.
//!
//! Every constant here is a decision, not a fact. A program should not depend
//! on any of them; where the service turns out to differ, this is the file to
//! change.

/// A failed validate call with the wrong token is refused with this status.
pub(super) const WRONG_TOKEN: u16 = 401;

/// A validation token that has done its work is refused with this status.
/// It is not the answer to a request that ended otherwise: that one is a 200
/// whose `authorized` is false, however often it is asked.
pub(super) const REPLAYED_TOKEN: u16 = 403;

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

/// Ids in a route that are not UUIDs are refused with this status; UUIDs that
/// name nothing are 404.
pub(super) const MALFORMED_ID: u16 = 400;

/// Result code of a sign-in that waits for the person (0 and 1 are both
/// known).
pub(super) const WAITING_RESULT: i32 = 1;

/// `authorized` before the validate call, in what `get_auth_info` shows of an
/// approved request. Only after a validate call that succeeded is it true.
pub(super) const AUTHORIZED_BEFORE_VALIDATION: bool = false;

/// Dates that v4's nested objects have to hold before there is one. v3 leaves
/// the objects null instead.
pub(super) const NO_DATE: &str = "0001-01-01T00:00:00Z";

/// How long an approved request may wait for its validate call, in seconds.
pub(super) const VALIDATION_WINDOW: u64 = 60;

/// Seconds that a person has where the request does not say: sign-in by
/// authenticator or passkey, sign-in by mail, and the registrations.
pub(super) const AUTH_TIMEOUT: u32 = 60;
/// See [`AUTH_TIMEOUT`].
pub(super) const MAGICLINK_TIMEOUT: u32 = 300;
/// See [`AUTH_TIMEOUT`].
pub(super) const REGISTRATION_TIMEOUT: u32 = 120;
/// Accepted `timeout_in_seconds` of registrations.
pub(super) const REGISTRATION_TIMEOUTS: (i64, i64) = (1, 86_400);

/// The first page.
pub(super) const FIRST_PAGE: i64 = 1;
/// Records on a page where the request does not say.
pub(super) const PAGE_SIZE: i64 = 20;
/// The largest page; more is refused.
pub(super) const LARGEST_PAGE: i64 = 100;

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

/// The status of `invalid_client`, by whether HTTP Basic was used; all other
/// refusals of the token endpoint are 400.
pub(super) const fn invalid_client_status(basic: bool) -> u16 {
    if basic { 401 } else { 400 }
}

/// Whether v3 gives `fido2_json_options` of a registration as text, as v4 and
/// the sign-in do, or as an object.
pub(super) const V3_OPTIONS_ARE_TEXT: bool = false;

/// How passkey answers name their signing method: the known names are those
/// of older methods.
pub(super) const PASSKEY_SIGNING_METHOD: &str = "FIDO_U2F";
