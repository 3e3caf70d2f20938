//! The generated parts of the docs. The tests below fail when a table is out
//! of date; with `UPDATE_EMULATOR_DOCS` set they write it instead.

use std::fmt::Write as _;

use super::{
    decisions,
    routes::{Endpoint, Version},
};

/// What an endpoint does in the emulator, and what of the service it leaves
/// out.
fn coverage(endpoint: Endpoint) -> (&'static str, &'static str) {
    use Endpoint as E;
    match endpoint {
        E::StartAuthenticatorAuth => (
            "target by id, name or nobody; push flag, visual value, QR code, pairing, time-out, location",
            "no push leaves the machine; the project has no defaults to set",
        ),
        E::ValidateAuthenticatorAuth => (
            "token valid once, in time, with its pairing; result codes 1, 2, 3, 5, 9, 10",
            "4, which is a phone that was tampered with; no attempts are counted",
        ),
        E::ValidateWebauthnAuth | E::ValidateMagiclinkAuth => (
            "token valid once, in time, with its pairing; result codes 2, 9, 10",
            "no attempts are counted",
        ),
        E::StartWebauthnAuth => (
            "WebAuthn options for one user or any, challenge, `aa_guid`",
            "one website; `webauthn_client_id` is compared, not looked up",
        ),
        E::FinishWebauthnAuth => (
            "challenge, origin, relying party, counter and ES256 signature are verified",
            "other algorithms",
        ),
        E::StartMagiclinkAuth => (
            "mail in the outbox, redirect allow list, context data, pairing",
            "no mail leaves the machine; no templates",
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
        E::UpdateUser => ("another name, if it is free; the address stays", ""),
        E::GetUserAuthHistory => (
            "every sign-in of the user with its end; paging, sorting",
            "only the last 10 000 sign-ins of all users are kept",
        ),
        E::StartAuthenticatorRegistration => (
            "unique names, QR code, time-out; under v3 reset and revocation of invites",
            "the app store page behind the code",
        ),
        E::StartAuthenticatorRegistrationForUser => (
            "another phone for a user: QR code, time-out",
            "the app store page behind the code",
        ),
        E::ValidateAuthenticatorRegistration | E::ValidateWebauthnRegistration => {
            ("token valid once and in time; enrols the credential", "")
        }
        E::StartWebauthnRegistration | E::StartWebauthnRegistrationForUser => (
            "WebAuthn options with all requirements, challenge, `aa_sig`",
            "one website; `webauthn_client_id` is compared, not looked up",
        ),
        E::FinishWebauthnRegistration | E::FinishWebauthnRegistrationForUser => (
            "challenge, origin, relying party and attestation (`none`, self-signed `packed`) are verified",
            "other attestations; the requirements are not enforced",
        ),
        E::StartMagiclinkRegistration | E::StartMagiclinkRegistrationForUser => (
            "mail in the outbox, redirect allow list, unused addresses, context data, pairing",
            "no mail leaves the machine; no templates",
        ),
        E::StartChangeMagiclinkEmail => (
            "mail to the new address; the old one works until the link is validated",
            "no mail to the old address",
        ),
        E::ValidateMagiclinkRegistration => (
            "token valid once and in time; new user, new method or new address",
            "",
        ),
        E::GetRegistrationInfo => ("every status but 0, by the emulator's clock", ""),
        E::ListUserCredentials
        | E::ListUserAuthenticatorCredentials
        | E::ListUserWebauthnCredentials
        | E::ListUserMagiclinkCredentials => ("paging, sorting; disabled ones too", ""),
        E::GetUserCredential => ("of this user only; disabled ones too", ""),
        E::DisableUserCredential => (
            "takes effect at once, also for what is pending",
            "no way back, as in the API",
        ),
    }
}

fn routes() -> String {
    let mut table = String::from(
        "| endpoint | below `/v3/` | below `/v4/` | emulated | not emulated |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for &endpoint in Endpoint::ALL {
        let (does, lacks) = coverage(endpoint);
        let method = endpoint.method();
        let route = |version| match endpoint.route(version) {
            Some(route) => format!("`{method} {route}`"),
            None => "–".to_owned(),
        };
        let (v3, mut v4) = (route(Version::V3), route(Version::V4));
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
    let source = include_str!("decisions.rs");
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
            while item.starts_with("pub(super) const ")
                && !item.contains("fn ")
                && !item.ends_with(';')
            {
                if item.ends_with(['=', ',']) {
                    item.push(' ');
                }
                item.push_str(lines.next().unwrap().trim());
            }
            let value = item
                .strip_prefix("pub(super) const ")
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
    // So that the file is more than comments.
    assert_eq!(decisions::error_code(400), 400);
}
