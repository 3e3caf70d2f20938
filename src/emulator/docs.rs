//! The generated parts of the docs. The tests fail if a file is out of date, and
//! write it if `UPDATE_EMULATOR_DOCS` is set.

use std::fmt::Write as _;

use super::api::decisions::{MALFORMED, error_code};
use crate::{ApiVersion, Endpoint};

/// Returns what the emulator does for an endpoint, and what it does not.
fn coverage(endpoint: Endpoint) -> (&'static str, &'static str) {
    use Endpoint as E;
    match endpoint {
        E::StartAuthenticatorAuth => (
            "user by id or name, or none; push flag, visual value, QR code, pairing, time-out, location",
            "sending push notifications; the project's default settings",
        ),
        E::ValidateAuthenticatorAuth => (
            "the token works once, in time, with its pairing; result codes 1, 2, 3, 5, 9, 10",
            "result code 4 (a manipulated phone); limits on attempts",
        ),
        E::ValidateWebauthnAuth | E::ValidateMagiclinkEmailAuth => (
            "the token works once, in time, with its pairing; result codes 2, 9, 10",
            "limits on attempts",
        ),
        E::StartWebauthnAuth => (
            "WebAuthn options for one user or any, challenge, `aa_guid`",
            "several websites; `webauthn_client_id` is only compared",
        ),
        E::FinishWebauthnAuth => (
            "verifies challenge, origin, relying party, user verification, counter and ES256 signature",
            "other algorithms",
        ),
        E::StartMagiclinkEmailAuth => (
            "mail in the outbox, redirect allow list, context data, pairing",
            "sending mail; templates",
        ),
        E::GetAuthInfo => (
            "status and result by the emulator's clock, signed message",
            "the older forms of the signed message",
        ),
        E::ListUsers => ("paging, sorting, filtering by a part of the name", ""),
        E::GetUser => (
            "by id and name; enrolled methods, their addresses masked",
            "",
        ),
        E::UpdateUser => (
            "another name, if it is free; the address does not change",
            "",
        ),
        E::GetUserAuthHistory => (
            "every sign-in of the user with its result; paging, sorting",
            "more than the last 10 000 sign-ins of all users",
        ),
        E::StartAuthenticatorRegistration => (
            "unique names, QR code, time-out; under v3 reset and revocation of invites",
            "the app store page of the QR code",
        ),
        E::StartAuthenticatorRegistrationForUser => (
            "another phone of a user: QR code, time-out",
            "the app store page of the QR code",
        ),
        E::ValidateAuthenticatorRegistration | E::ValidateWebauthnRegistration => (
            "the token works once and in time; enrols the credential",
            "",
        ),
        E::StartWebauthnRegistration | E::StartWebauthnRegistrationForUser => (
            "WebAuthn options with all requirements, challenge, `aa_sig`",
            "several websites; `webauthn_client_id` is only compared",
        ),
        E::FinishWebauthnRegistration | E::FinishWebauthnRegistrationForUser => (
            "verifies challenge, origin, relying party, user verification and attestation (`none`, self-signed `packed`)",
            "other attestations; enforcing the other requirements",
        ),
        E::StartMagiclinkEmailRegistration | E::StartMagiclinkEmailRegistrationForUser => (
            "mail in the outbox, redirect allow list, unused addresses, context data, pairing",
            "sending mail; templates",
        ),
        E::StartChangeMagiclinkEmail => (
            "mail to the new address; the old address works until the link is validated",
            "mail to the old address",
        ),
        E::ValidateMagiclinkEmailRegistration => (
            "the token works once and in time; new user, new method or new address",
            "",
        ),
        E::GetRegistrationInfo => ("every status but 0, by the emulator's clock", ""),
        E::ListUserCredentials
        | E::ListUserAuthenticatorCredentials
        | E::ListUserWebauthnCredentials
        | E::ListUserMagiclinkEmailCredentials => {
            ("paging, sorting; includes disabled credentials", "")
        }
        E::GetUserCredential => ("of this user only; also disabled credentials", ""),
        E::DisableUserCredential => ("takes effect at once, also for pending sign-ins", ""),
    }
}

fn routes() -> String {
    let mut table = String::from(
        "| endpoint | below `/v3` | below `/v4` | emulated | not emulated |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for &endpoint in Endpoint::ALL {
        let (does, lacks) = coverage(endpoint);
        let method = endpoint.method();
        let route = |version| {
            if endpoint.version(version) == version {
                format!("`{method} {}`", endpoint.route(version))
            } else {
                "–".to_owned()
            }
        };
        let (v3, mut v4) = (route(ApiVersion::V3), route(ApiVersion::V4));
        if v3 == v4 {
            "the same".clone_into(&mut v4);
        }
        let lacks = if lacks.is_empty() { "–" } else { lacks };
        writeln!(
            table,
            "| `{}` | {v3} | {v4} | {does} | {lacks} |",
            endpoint.name(),
        )
        .unwrap();
    }
    table
}

/// The comments of the decisions, with their values.
fn decided() -> String {
    let source = concat!(
        include_str!("api/decisions.rs"),
        include_str!("model/decisions.rs")
    );
    let mut list = String::new();
    let mut comment = String::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
        } else if line.is_empty() || line.starts_with("//!") {
            comment.clear();
        } else if !comment.is_empty() {
            let mut item = line.to_owned();
            while item.starts_with("pub(crate) const ")
                && !item.contains("fn ")
                && !item.ends_with(';')
            {
                if item.ends_with(['=', ',']) {
                    item.push(' ');
                }
                item.push_str(lines.next().unwrap().trim());
            }
            let value = item
                .strip_prefix("pub(crate) const ")
                .filter(|item| !item.starts_with("fn "))
                .and_then(|item| item.split_once(" = "))
                .map(|(_, value)| {
                    format!(" (`{}`)", value.trim_end_matches(';').replace(", ]", "]"))
                })
                .unwrap_or_default();
            writeln!(list, "-{}{value}", comment.trim_end()).unwrap();
            comment.clear();
        }
    }
    list
}

fn compare(name: &str, expected: &str) {
    let path = format!("{}/src/emulator/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_EMULATOR_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name} is out of date: run the test with UPDATE_EMULATOR_DOCS=1"
    );
}

#[test]
fn the_table_of_routes_is_up_to_date() {
    compare("routes.md", &routes());
}

#[test]
fn the_list_of_decisions_is_up_to_date() {
    compare("decisions.md", &decided());
    // The file is more than comments.
    assert_eq!(error_code(MALFORMED), 400);
}
