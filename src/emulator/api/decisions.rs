//! Behaviour of the API that no public source proves.
//!
//! Everything here is a decision of the emulator, not a fact about the service.
//! Where the service turns out to differ, this is the file to change. The docs
//! list the comments below, each with its value.

use uuid::Uuid;

use crate::{
    ApiVersion, Endpoint,
    emulator::model::{
        auth_request::{Phase, Progress},
        clock::Stamp,
        decisions::name_key,
    },
};

/// A validate call with the wrong token is refused with this status.
pub(crate) const WRONG_TOKEN: u16 = 401;

/// A validation token that was used successfully is refused with this status.
pub(crate) const REPLAYED_TOKEN: u16 = 403;

/// A validate call is refused only after a successful one. The response for a
/// sign-in that is pending, declined or timed out is 200 with `authorized`
/// false, for any number of calls, which change nothing.
pub(crate) const fn validation_is_refused(phase: Phase) -> bool {
    matches!(phase, Phase::Success)
}

/// A disabled credential cannot complete a sign-in that was started before: its
/// magic links cannot be opened any more, and if it has approved a sign-in, the
/// validate call gets 200 with `authorized` false and result code 10, "Security
/// Exception". The same holds for an address that was replaced.
pub(crate) const fn approved_by_a_disabled_credential(now: Stamp) -> Progress {
    Progress::Mismatch(now)
}

/// The context data is returned only for a successful sign-in, not for one that
/// was declined or has not ended.
pub(crate) const fn context_comes_back(phase: Phase) -> bool {
    matches!(phase, Phase::Success)
}

/// Starting a registration for a name or address in use, renaming a user to
/// such a name, and registering a passkey twice are refused with this status. A
/// name is in use also if it is another user's address. If two registrations
/// for one name are started, the later one to complete is refused. After a
/// passkey that is already registered, the registration remains open.
pub(crate) const IN_USE: u16 = 409;

/// Validating a registration that timed out, was declined or had another
/// address or agent is refused with this status.
pub(crate) const ENDED_REGISTRATION: u16 = 403;

/// Validating a registration that the person has not accepted yet is refused
/// with this status.
pub(crate) const EARLY_VALIDATION: u16 = 400;

/// A finish call whose attestation or assertion does not verify is refused with
/// this status. A sign-in then ends with result code 4.
pub(crate) const BAD_SIGNATURE: u16 = 400;

/// A start call for a user who has no enabled credential of that method is
/// refused with this status.
pub(crate) const NOT_ENROLLED: u16 = 400;

/// A redirect that is not on its allow list is refused with this status.
/// Without a list every absolute `http` and `https` URL is allowed. An entry
/// allows the URLs that equal it up to the query.
pub(crate) const REDIRECT_REFUSED: u16 = 400;

/// The response to a missing, wrong or expired bearer token is a 401 without a
/// body and with a `WWW-Authenticate` header, as from a gateway in front of the
/// API. A 401 of the API itself has the version's error body.
pub(crate) const BEARER_CHALLENGE: &str = "Bearer error=\"invalid_token\"";

/// `error_code` in an error body is the HTTP status.
pub(crate) const fn error_code(status: u16) -> u16 {
    status
}

/// Ids that are not UUIDs are refused with this status, in routes and in
/// bodies.
pub(crate) const MALFORMED_ID: u16 = 400;

/// Unknown ids and names are refused with this status, also the user of a start
/// call.
pub(crate) const NOT_FOUND: u16 = 404;

/// Malformed bodies and queries are refused with this status: unknown fields
/// and parameters, parameters given twice, values of the wrong type or length,
/// and `send_push` without a user. In tolerant mode unknown fields and
/// parameters are ignored, except `authenticator_response_data`; numbers may be texts, enum values may be in any case,
/// `authenticator_response_data` may be text or object, location and context may
/// hold numbers and booleans, and a call without a body may have `[]` as body.
pub(crate) const MALFORMED: u16 = 400;

/// A body whose content type is not JSON, and a missing body without a content
/// type, are refused with this status. Any of the four JSON types that v4 lists
/// is accepted, in UTF-8.
pub(crate) const NOT_JSON: u16 = 415;

/// A path with a trailing slash, or with a word in another case, does not exist.
/// In tolerant mode neither matters, nor the case of a query parameter's name.
pub(crate) fn same_word(word: &str, part: &str, tolerant: bool) -> bool {
    word == part || (tolerant && word.eq_ignore_ascii_case(part))
}

/// v4 reads a username from the query and ignores the name headers. v3 reads
/// the headers and refuses the query.
pub(crate) const fn name_is_in_query(version: ApiVersion) -> bool {
    matches!(version, ApiVersion::V4)
}

/// An id together with a username is refused with this status, in routes and in
/// bodies.
pub(crate) const ID_AND_NAME: u16 = 400;

/// Null counts as missing, also where the description of v4 does not call the
/// field nullable.
pub(crate) fn is_missing(value: &serde_json::Value) -> bool {
    value.is_null()
}

/// An empty text counts as missing where a text is required or names a user.
pub(crate) const fn is_given(text: &str) -> bool {
    !text.is_empty()
}

/// Names must not hold control characters, nor begin or end with white space.
pub(crate) fn may_be_name(name: &str) -> bool {
    !name.chars().any(char::is_control) && name.trim() == name
}

/// The username of a passkey registration with an address and no name is the
/// address.
pub(crate) fn passkey_username<'a>(
    username: Option<&'a str>,
    address: Option<&'a str>,
) -> Option<&'a str> {
    username.or(address)
}

/// Any `webauthn_client_id` is accepted. If start and finish both have one, they
/// have to be the same.
pub(crate) fn client_ids_agree(at_start: Option<&str>, at_finish: Option<&str>) -> bool {
    at_start.is_none() || at_finish.is_none() || at_start == at_finish
}

/// `user_id` of a start response if the request has no user.
pub(crate) const NOBODY: Uuid = Uuid::nil();

/// Whether the response of v3's authenticator registration has `user_id`.
pub(crate) const V3_REGISTRATION_HAS_USER: bool = false;

/// While a sign-in is pending, `auth_response` and `response_details` are null in
/// v3. In v4 they are objects with every declared field.
pub(crate) const fn waits_with_details(version: ApiVersion) -> bool {
    matches!(version, ApiVersion::V4)
}

/// The value of required dates in v4's nested objects before there is a date.
/// In v3 the objects are null instead.
pub(crate) const NO_DATE: &str = "0001-01-01T00:00:00Z";

/// Default time-out of signing in by authenticator or passkey, in seconds.
pub(crate) const AUTH_TIMEOUT: u32 = 60;

/// Default time-out of magic links, in seconds.
pub(crate) const MAGICLINK_TIMEOUT: u32 = 300;

/// Default time-out of registering a phone or a passkey, in seconds.
pub(crate) const REGISTRATION_TIMEOUT: u32 = 120;

/// Accepted `timeout_in_seconds` of registrations.
pub(crate) const REGISTRATION_TIMEOUTS: (i64, i64) = (1, 86_400);

/// Number of the first page.
pub(crate) const FIRST_PAGE: i64 = 1;

/// Default number of records on a page.
pub(crate) const PAGE_SIZE: i64 = 20;

/// Largest page size; a larger one is refused.
pub(crate) const LARGEST_PAGE: i64 = 100;

/// Whether the history is sorted newest first by default. Users and credentials
/// are sorted oldest first.
pub(crate) const HISTORY_IS_NEWEST_FIRST: bool = true;

/// Sort columns of users.
pub(crate) const USER_COLUMNS: [&str; 4] = ["user_id", "username", "email_address", "date_created"];

/// Sort columns of the history.
pub(crate) const HISTORY_COLUMNS: [&str; 3] =
    ["auth_request_status_id", "auth_request_status_name", "date"];

/// Sort columns of credentials.
pub(crate) const CREDENTIAL_COLUMNS: [&str; 5] = [
    "credential_id",
    "name",
    "device_type",
    "date_created",
    "enabled",
];

/// The user filter matches any part of a name. ASCII case does not matter.
pub(crate) fn filter_matches(username: &str, filter: &str) -> bool {
    name_key(username).contains(&name_key(filter))
}

/// Longest text in fields without a known limit, in characters.
pub(crate) const LONGEST_TEXT: usize = 1024;

/// Longest binary text, such as an attestation, in characters.
pub(crate) const LONGEST_BINARY: usize = 64 * 1024;

/// Longest redirect URL, in characters.
pub(crate) const LONGEST_URL: usize = 2048;

/// A value of the pairing (nonce, IP address, user agent) that was given at the
/// start has to be given again. One that was not given then is ignored later.
pub(crate) fn pair_agrees(at_start: Option<&str>, at_validate: Option<&str>) -> bool {
    at_start.is_none() || at_start == at_validate
}

/// `auth_history_id` differs from the auth request's id.
pub(crate) const HISTORY_HAS_OWN_IDS: bool = true;

/// `response_message` of an authenticator start. The `response_code` is the HTTP
/// status.
pub(crate) const START_MESSAGE: &str = "Success";

/// Scopes of the client.
pub(crate) const SCOPES: [&str; 2] = ["aarmor.api.request_auth", "aarmor.api.generate_invite_code"];

/// Every error of the token endpoint has this status, also a wrong client with
/// HTTP Basic, another method than POST and a body that is not a form. In
/// tolerant mode `multipart/form-data` is a form, and a query is ignored.
pub(crate) const TOKEN_ERROR: u16 = 400;

/// `aud` of an access token.
pub(crate) const AUDIENCES: [&str; 1] = ["aarmor.api"];

/// The scope that a call needs: calls below `auth/` need the first, the start of
/// a phone's registration needs the second, and all others need only a valid
/// token. A token without the scope gets a 403 without a body and with a
/// `WWW-Authenticate` header, as from a gateway.
pub(crate) const fn required_scope(endpoint: Endpoint) -> Option<&'static str> {
    use Endpoint as E;
    match endpoint {
        E::StartAuthenticatorAuth
        | E::ValidateAuthenticatorAuth
        | E::StartWebauthnAuth
        | E::FinishWebauthnAuth
        | E::ValidateWebauthnAuth
        | E::StartMagiclinkEmailAuth
        | E::ValidateMagiclinkEmailAuth
        | E::GetAuthInfo => Some(SCOPES[0]),
        E::StartAuthenticatorRegistration | E::StartAuthenticatorRegistrationForUser => {
            Some(SCOPES[1])
        }
        _ => None,
    }
}

/// A call beyond a rate limit is refused with this status, without a body, as
/// from a gateway, and before its token is looked at. `Retry-After` has the whole
/// seconds to the end of the window.
pub(crate) const TOO_MANY: u16 = 429;

/// `userVerification` of a sign-in: what all passkeys that may be used were
/// registered with, and `preferred` if they differ or the user is not known. A
/// passkey that was registered with `required`, the default, cannot sign in
/// without user verification.
pub(crate) fn user_verification<'a>(mut registered: impl Iterator<Item = &'a str>) -> &'a str {
    let first = registered.next().unwrap_or("preferred");
    if registered.all(|other| other == first) {
        first
    } else {
        "preferred"
    }
}

/// Whether `fido2_json_options` of a registration is a text in v3, as it is in
/// v4 and for signing in. If not, it is an object.
pub(crate) const V3_OPTIONS_ARE_TEXT: bool = false;
