//! Tests of `autharmor probe`: against the emulator it reports the emulator's
//! decisions.

use std::collections::BTreeMap;

use autharmor::emulator::{Decision, Emulator, Fault};

use crate::checking::{Run, SECRET, Setup, USER, closed_port, emulator};

/// The readings by point; those of open points begin with a question mark.
fn readings(run: &Run) -> BTreeMap<String, String> {
    assert_eq!(
        (run.status, run.lines().len()),
        (0, 20),
        "{}{}",
        run.stdout,
        run.stderr
    );
    let lines = run.lines();
    let reading = |line: &serde_json::Value| {
        let mark = if line["settled"] == true { "" } else { "? " };
        let text = format!("{mark}{}", line["reading"].as_str().unwrap());
        (line["point"].as_str().unwrap().to_owned(), text)
    };
    lines.iter().map(reading).collect()
}

#[track_caller]
fn assert_readings(run: &Run, expected: &[(&str, &str)]) {
    let found = readings(run);
    for (point, reading) in expected {
        assert_eq!(found[*point], *reading, "{point}");
    }
}

#[test]
fn without_consent_only_reads_and_refused_calls_are_made() {
    let emulator = emulator().user("Zoë.Canary@example.com").start().unwrap();
    let setup = Setup::new(&emulator);
    let run = setup.run(&["probe", "--json"]);
    assert_readings(
        &run,
        &[
            ("v3-served", "v3 is served; v4 is served"),
            (
                "refused-validate",
                "an unknown request: error status 404; for one that is declined, use --sign-in \
                 and decline",
            ),
            ("second-validate", "? needs --sign-in USER"),
            (
                "v3-webauthn-nonce",
                "v3 takes it: only an unknown field is refused (status 400)",
            ),
            ("v3-registration-token", "? needs --register USER"),
            (
                "paging",
                "the first page is 1; page size: 20 by default, 100 is granted, 200 is refused \
                 (status 400); sort columns: user_id, username, email_address, date_created, an \
                 unknown one is refused",
            ),
            ("name-filter", "it matches parts of names"),
            ("non-ascii-names", "they are read correctly, as UTF-8"),
            ("enum-values", "? only known values were seen"),
            ("attachment-type", "? needs --register USER"),
            ("response-code", "? needs --sign-in USER"),
            ("disable-twice", "? needs --sign-in USER"),
            (
                "auth-history-id",
                "? no user on the first page has a sign-in; use --sign-in",
            ),
            (
                "basic-encoding",
                "? id and secret have no special character: both forms are the same",
            ),
            (
                "token-error",
                "400 and invalid_client for a form, 400 and invalid_client for HTTP Basic",
            ),
            ("signed-bytes", "? needs --sign-in USER"),
            (
                "passkey-challenge",
                "? needs a sign-in with a passkey on a website, which this command does not make",
            ),
            ("signed-decline", "? needs --sign-in USER"),
        ],
    );
    assert!(emulator.pending_requests().is_empty());
    assert!(emulator.pending_registrations().is_empty());
    assert!(emulator.outbox().is_empty());
    for request in emulator.requests() {
        let endpoint = request.endpoint().unwrap();
        let is_read = request.method() == "GET" || endpoint == "token";
        let was_refused = request.error().is_some();
        assert!(is_read || was_refused, "{endpoint}");
        assert!(
            !request.path_and_query().to_lowercase().contains("canary"),
            "{endpoint}"
        );
    }
}

#[test]
fn with_consent_the_rest_is_settled() {
    let emulator = emulator().start().unwrap();
    emulator.on_sign_in(|_| Decision::Approve);
    let setup = Setup::new(&emulator);
    let run = setup.run(&["probe", "--json", "--sign-in", USER, "--register", USER]);
    assert_readings(
        &run,
        &[
            ("second-validate", "error status 403"),
            ("v3-registration-token", "no, not at the start"),
            ("attachment-type", "none: any authenticator"),
            (
                "response-code",
                "response_code is the HTTP status, response_message says success",
            ),
            ("disable-twice", "? the user has no disabled credential"),
            ("auth-history-id", "it differs from the request's id"),
            (
                "signed-bytes",
                "hash_value is the SHA-256 of the base64 text; signed are the digits of hash_value",
            ),
            ("signed-decline", "? the sign-in was not declined"),
        ],
    );
    let pushes = emulator.requests();
    let pushes = pushes
        .iter()
        .filter(|r| r.endpoint() == Some("start_authenticator_auth"));
    assert_eq!(pushes.count(), 1);
    assert_eq!(run.stderr, "A push was sent. Approve it within 60 s.\n");
}

#[test]
fn a_declined_sign_in_settles_what_a_refusal_looks_like() {
    let emulator = emulator().start().unwrap();
    emulator.on_sign_in(|_| Decision::Decline);
    let setup = Setup::new(&emulator);
    let run = setup.run(&["probe", "--json", "--sign-in", USER]);
    let refused = "an unknown request: error status 404; a sign-in that was not approved: status \
                   200 and authorized false";
    assert_readings(
        &run,
        &[
            ("refused-validate", refused),
            ("second-validate", "? the sign-in was not approved"),
            ("signed-decline", "yes"),
        ],
    );
}

#[test]
fn another_service_has_other_readings() {
    let emulator = emulator()
        .client("emulator-client", "canary secret+%")
        .tolerant(true)
        .start()
        .unwrap();
    emulator.fault(Fault::status(429).retry_after("7").on("get_user").times(1));
    let unknown = r#"{"auth_method": "Canary.Method", "device_type": "smartwatch",
        "canary.person@example.com": {"auth_request_status_id": 77}, "result_code": 3}"#;
    emulator.fault(
        Fault::status(200)
            .body("application/json", unknown)
            .on("get_user_auth_history"),
    );
    let setup = Setup::new(&emulator);
    setup.write("secret", "canary secret+%");
    let run = setup.run(&["probe", "--json"]);
    assert_readings(
        &run,
        &[
            (
                "v3-webauthn-nonce",
                "? v3 refuses neither a nonce nor an unknown field",
            ),
            ("basic-encoding", "they must be form-encoded"),
            (
                "rate-limit",
                "there is a limit: status 429, headers retry-after",
            ),
            (
                "enum-values",
                "auth_method: (masked); auth_request_status_id: 77; device_type: smartwatch",
            ),
        ],
    );
}

#[test]
fn no_value_of_a_response_is_reported() {
    let emulator = emulator().start().unwrap();
    let setup = Setup::new(&emulator);
    let hostile = r#"{"canary.person@example.com": {"Canary": 1},
        "5b1d7d5e-0000-4000-8000-000000000001": "x", "message": "canary.person@example.com is gone",
        "canary_person": [true], "context_data": {"who": "canary"}}"#;
    for endpoint in ["get_user", "get_auth_info", "validate_authenticator_auth"] {
        for status in [200, 400] {
            emulator.fault(
                Fault::status(status)
                    .body("application/json", hostile)
                    .on(endpoint)
                    .times(1),
            );
        }
    }
    // Checked by `run` for both forms.
    for arguments in [&["probe"][..], &["probe", "--json"]] {
        let run = setup.run(arguments);
        assert_eq!(run.status, 0);
        assert!(!run.stdout.contains("5b1d7d5e"), "{}", run.stdout);
    }
    let run = setup.run(&["probe"]);
    let user = run
        .stdout
        .lines()
        .find(|line| line.starts_with("  v4 list_users: 200 "));
    let shape = "{page_info: {currnet_page_number: int, currnet_page_size: int, \
                 total_page_count: int, total_record_count: int}, user_records: [{date_created: \
                 date with Z, email_address: text, user_id: uuid, username: text}]}";
    assert_eq!(user.unwrap(), format!("  v4 list_users: 200 {shape}"));
}

#[test]
fn without_a_token_there_is_no_report() {
    let emulator = emulator().start().unwrap();
    let setup = Setup::new(&emulator);
    setup.write("secret", "canary-of-another-secret");
    let run = setup.run(&["probe"]);
    assert_eq!((run.status, &*run.stdout), (3, ""));
    assert_eq!(run.stderr, "autharmor: no token: see `autharmor doctor`\n");

    setup.write("secret", SECRET);
    setup.configure(&format!("https://{}", closed_port()), "");
    let run = setup.run(&["probe"]);
    assert_eq!((run.status, &*run.stdout), (4, ""));

    let setup = Setup::new(&Emulator::start().unwrap());
    setup.configure("ftp://canary.example", "");
    assert_eq!(setup.run(&["probe"]).status, 3);
}
