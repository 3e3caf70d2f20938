//! `autharmor proof verify`.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use autharmor::auth::StartAuthenticatorAuth;
use autharmor::emulator::Emulator;
use autharmor::proof::Expectation;
use autharmor_test_support::Folder;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// A sign-in by phone, whose proof, key and expectation are in files.
struct SignedIn {
    folder: Folder,
    request: Uuid,
    user: Uuid,
    project: Uuid,
}

impl SignedIn {
    fn new() -> Self {
        let emulator = Emulator::builder().user("ada").start().unwrap();
        let client = emulator.client_builder().build().unwrap();
        let request = StartAuthenticatorAuth::new().user("ada");
        let started = client.begin_authenticator_sign_in(&request).unwrap();
        let id = started.pending.auth_request_id();
        emulator.approve(id).unwrap();
        let end = started.pending.complete(&client).unwrap();
        let user = end.user().unwrap();
        let proof = user.proof().unwrap();
        let expectation = user.expectation(Expectation::key_in_message()).unwrap();
        let key = proof.verify(&expectation).unwrap().key().clone();
        let made = Self {
            folder: Folder::new(),
            request: id,
            user: user.user_id(),
            project: emulator.project_id(),
        };
        let pinned = Expectation::pinned([key.clone().with_last_counter(0)]);
        let expectation = user.expectation(pinned).unwrap();
        made.write("proof.json", proof);
        made.write("key.json", &key);
        made.write("expectation.json", &expectation);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, value: &impl Serialize) {
        fs::write(self.path(name), serde_json::to_string(value).unwrap()).unwrap();
        self.set_mode(name, 0o644);
    }

    fn set_mode(&self, name: &str, mode: u32) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        #[cfg(not(unix))]
        let _ = (self, name, mode);
    }

    fn verify(&self, arguments: &[&str]) -> Output {
        self.verify_from(Stdio::null(), "proof.json", arguments)
    }

    fn verify_from(&self, stdin: Stdio, file: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_autharmor"))
            .args(["proof", "verify", file])
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(stdin)
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn assert_fails(output: &Output, status: i32, reason: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert!(stderr.contains(reason), "{stderr}");
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_proof_is_verified_by_its_expectation() {
    let made = SignedIn::new();
    let output = made.verify(&["--expectation", "expectation.json"]);
    let stdout = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for line in [
        "valid\n",
        "key: pinned\n",
        "the signature covers: the signed data\n",
        "checked: hash, signature, challenge, counter, request id, user id, nonce\n",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
    assert!(stdout.lines().last().unwrap().contains("project id, date"));

    let project = made.project.to_string();
    let more = ["--project-id", &project, "--json"];
    let output = made.verify(&[&["--expectation", "expectation.json"], &more[..]].concat());
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["valid"], true);
    assert_eq!(result["key_is_pinned"], true);
    assert!(
        result["checked"]
            .as_array()
            .unwrap()
            .contains(&json!("project id"))
    );
}

#[test]
fn a_proof_is_verified_by_options() {
    let made = SignedIn::new();
    let (request, user) = (made.request.to_string(), made.user.to_string());
    let ids = ["--auth-request-id", &request, "--user-id", &user];
    let verify = |more: &[&str]| made.verify(&[&ids[..], more].concat());
    // The key's counter is that of this very sign-in.
    assert_fails(
        &verify(&["--key", "key.json"]),
        1,
        "the counter did not grow",
    );
    let any = ["--key", "key.json", "--any-counter"];
    assert!(verify(&any).status.success());

    let dates = |from, to| {
        let dates = ["--signed-from", from, "--signed-to", to];
        verify(&[&any[..], &dates[..]].concat())
    };
    assert!(
        dates("2020-01-01T00:00:00Z", "2999-01-01T00:00:00+01:00")
            .status
            .success()
    );
    assert_fails(
        &dates("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z"),
        1,
        "the date",
    );
    let output = verify(&["--key-in-message"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("from the message, which proves nothing"));

    let another = Uuid::from_u128(7).to_string();
    let output = made.verify(&[
        "--auth-request-id",
        &another,
        "--user-id",
        &user,
        "--key-in-message",
    ]);
    assert_fails(&output, 1, "the request id is not the expected one");
    let output = verify(&[&any[..], &["--nonce", "another"]].concat());
    assert_fails(&output, 1, "the nonce is not the expected one");
}

#[test]
fn a_proof_may_come_from_the_standard_input() {
    let made = SignedIn::new();
    let file = fs::File::open(made.path("proof.json")).unwrap();
    let output = made.verify_from(file.into(), "-", &["--expectation", "expectation.json"]);
    assert!(output.status.success());
}

#[test]
fn a_forged_proof_is_refused() {
    let made = SignedIn::new();
    let mut proof: Value =
        serde_json::from_slice(&fs::read(made.path("proof.json")).unwrap()).unwrap();
    proof["message"]["signature_data"]["hash_value"] = json!("00");
    made.write("proof.json", &proof);
    let expected = ["--expectation", "expectation.json"];
    assert_fails(
        &made.verify(&expected),
        1,
        "the hash is not that of the signed data",
    );
    let output = made.verify(&[&expected[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["valid"], false);

    proof["v"] = json!(2);
    made.write("proof.json", &proof);
    assert_fails(&made.verify(&expected), 1, "another format");
    let mut file = fs::File::create(made.path("proof.json")).unwrap();
    file.write_all(&vec![b'['; 1 << 21]).unwrap();
    assert_fails(&made.verify(&expected), 1, "not a proof");
}

#[test]
fn trust_has_to_be_chosen_and_its_files_have_to_be_safe() {
    let made = SignedIn::new();
    assert_fails(&made.verify(&[]), 2, "--key");
    let both = ["--key-in-message", "--key", "key.json"];
    assert_fails(&made.verify(&both), 2, "cannot be used with");
    assert_fails(
        &made.verify(&["--key-in-message"]),
        2,
        "which request id is valid",
    );
    assert_fails(&made.verify(&["--key", "missing.json"]), 3, "missing.json");
    assert_fails(&made.verify(&["--key", "proof.json"]), 3, "proof.json");
    let output = made.verify_from(Stdio::null(), "missing.json", &["--key-in-message"]);
    assert_fails(&output, 3, "missing.json");
    if cfg!(unix) {
        made.set_mode("expectation.json", 0o666);
        let output = made.verify(&["--expectation", "expectation.json"]);
        assert_fails(&output, 3, "others can write it");
    }
}
