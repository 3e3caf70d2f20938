//! Proofs of sign-ins: those of the browser's passkeys verify, and another
//! implementation agrees.

use std::io::Write as _;
use std::process::{Command, Stdio};

use autharmor::auth::{StartAuthenticatorAuth, StartWebauthnAuth};
use autharmor::emulator::Emulator;
use autharmor::flow::SignedInUser;
use autharmor::proof::{Check, Expectation, PinnedKey, Trust};
use autharmor::registrations::StartWebauthnRegistration;
use autharmor::{ApiVersion, Client};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use autharmor_test_support::browser::{Browser, serve_empty_page};

use crate::passkeys::page;

/// Verifies an assertion with `webauthn`, or the signature of a phone with
/// `cryptography`, which that needs. Prints what was wrong.
const VERIFIER: &str = r#"
import base64, json, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import InvalidAuthenticationResponse

def binary(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

it = json.load(sys.stdin)
try:
    if "credential" in it:
        verify_authentication_response(
            credential=it["credential"],
            expected_challenge=binary(it["challenge"]),
            expected_origin=it["origin"],
            expected_rp_id=it["rp_id"],
            credential_public_key=binary(it["public_key"]),
            credential_current_sign_count=it["last_counter"],
            require_user_verification=True,
        )
    else:
        key = load_der_public_key(binary(it["public_key"]))
        key.verify(binary(it["signature"]), it["message"].encode(), ECDSA(SHA256()))
    print("valid")
except (InvalidAuthenticationResponse, InvalidSignature) as error:
    print("not valid:", type(error).__name__, error)
"#;

fn verdict(input: &Value) -> String {
    let mut python = Command::new("python3")
        .args(["-c", VERIFIER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(input.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// A sign-in, the key of its proof before it, and the website.
struct Proven {
    user: SignedInUser,
    key: PinnedKey,
    origin: String,
    challenge: String,
}

const RP: &str = "localhost";

/// Registers a passkey and signs in with it. `act` is what the page does with
/// the options: `create` or `get`.
fn sign_in(client: &Client, origin: &str, act: impl Fn(&str, &str) -> String) -> Proven {
    let request = StartWebauthnRegistration::new("ada");
    let started = client.begin_webauthn_registration(&request).unwrap();
    let made = act("create", &started.fido2_json_options);
    let end = started.pending.complete(client, &made).unwrap();
    let key = end.user().unwrap().pinned_key().unwrap().clone();
    let request = StartWebauthnAuth::new().user("ada");
    let started = client.begin_webauthn_sign_in(&request).unwrap();
    let options: Value = serde_json::from_str(&started.fido2_json_options).unwrap();
    let used = act("get", &started.fido2_json_options);
    let expectation = Expectation::pinned([key.clone()])
        .origin(origin)
        .relying_party(RP);
    let pending = started.pending.require_proof(expectation);
    let end = pending.complete(client, &used).unwrap();
    Proven {
        user: end.user().unwrap().clone(),
        key,
        origin: origin.to_owned(),
        challenge: options["challenge"].as_str().unwrap().to_owned(),
    }
}

fn with_browser(test: impl Fn(&Proven)) {
    let origin = format!("http://{RP}:{}", serve_empty_page());
    let browser = Browser::open();
    browser.visit(&origin);
    browser.add_authenticator(true);
    for version in [ApiVersion::V3, ApiVersion::V4] {
        // The clock stands still, so that nothing expires on a slow machine.
        let builder = Emulator::builder().clock_at(1_577_836_800);
        let builder = builder.website(&origin, RP);
        let emulator = builder.start().unwrap();
        let client = emulator.client_builder().api_version(version);
        test(&sign_in(
            &client.build().unwrap(),
            &origin,
            |kind, options| page(&browser, kind, options),
        ));
    }
}

pub(crate) fn the_browsers_proofs_verify() {
    with_browser(|proven| {
        let verified = proven.user.verified_proof().unwrap();
        assert_eq!(verified.trust(), Trust::Pinned);
        for check in [
            Check::Signature,
            Check::Ceremony,
            Check::Challenge,
            Check::Origin,
            Check::RelyingParty,
            Check::UserPresence,
            Check::UserVerification,
            Check::Counter,
        ] {
            assert!(verified.checks().contains(&check), "{check}");
        }
    });
}

/// What is given to the other implementation.
fn assertion(proven: &Proven) -> Value {
    let proof = serde_json::to_value(proven.user.proof().unwrap()).unwrap();
    let text = &proof["message"]["signature_data"]["signature_data"];
    let text: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    json!({
        "credential": {
            "id": text["id"],
            "rawId": text["id"],
            "type": "public-key",
            "response": {
                "authenticatorData": text["attestation_object"],
                "clientDataJSON": text["client_data"],
                "signature": text["signature"],
            },
        },
        "challenge": proven.challenge,
        "origin": proven.origin,
        "rp_id": RP,
        "public_key": BASE64_URL_SAFE_NO_PAD.encode(proven.key.public_key()),
        "last_counter": proven.key.last_counter(),
    })
}

fn assert_both_agree(proven: &Proven) {
    let right = assertion(proven);
    assert_eq!(verdict(&right), "valid\n");
    // Otherwise it might find everything valid.
    for (pointer, value) in [
        ("/challenge", json!("AQID")),
        ("/origin", json!("http://localhost:1")),
        ("/rp_id", json!("example.com")),
        ("/last_counter", json!(1_000_000)),
    ] {
        let mut wrong = right.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(verdict(&wrong).starts_with("not valid"), "{pointer}");
    }
}

pub(crate) fn the_browsers_proofs_verify_in_another_implementation() {
    with_browser(assert_both_agree);
}

pub(crate) fn the_emulators_passkeys_verify_in_another_implementation() {
    let origin = format!("http://{RP}:3000");
    let emulator = Emulator::builder().website(&origin, RP).start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    let proven = sign_in(&client, &origin, |kind, options| match kind {
        "create" => emulator.create_passkey(options, &origin).unwrap(),
        _ => emulator.use_passkey(options, &origin).unwrap(),
    });
    assert_both_agree(&proven);
}

pub(crate) fn the_emulators_phone_verifies_in_another_implementation() {
    let emulator = Emulator::builder().user("ada").start().unwrap();
    let client = emulator.client_builder().build().unwrap();
    let request = StartAuthenticatorAuth::new().user("ada");
    let started = client.begin_authenticator_sign_in(&request).unwrap();
    emulator.approve(started.pending.auth_request_id()).unwrap();
    let pending = started.pending.require_proof(Expectation::key_in_message());
    let end = pending.complete(&client).unwrap();
    let user = end.user().unwrap();
    let key = user.verified_proof().unwrap().key();
    let proof = serde_json::to_value(user.proof().unwrap()).unwrap();
    let signature = &proof["message"]["signature_data"];
    let text = signature["signature_data"].as_str().unwrap();
    let text: Value = serde_json::from_str(text).unwrap();
    let value = text["signature_data"]["signature_value"].as_str().unwrap();
    let right = json!({
        "public_key": BASE64_URL_SAFE_NO_PAD.encode(key.public_key()),
        "signature": BASE64_URL_SAFE_NO_PAD.encode(BASE64_STANDARD.decode(value).unwrap()),
        "message": signature["hash_value"],
    });
    assert_eq!(verdict(&right), "valid\n");
    let mut wrong = right.clone();
    wrong["message"] = json!("00");
    assert!(verdict(&wrong).starts_with("not valid"));
}
