//! Proofs, keys and expectations. A pinned key accepts what it signed, and no
//! other data; what is read is written back unchanged.
#![no_main]

use std::sync::LazyLock;

use autharmor::auth::SecureSignedMessage;
use autharmor::proof::{Coverage, Expectation, PinnedKey, Proof, Trust};
use autharmor_fuzz::{NONCE, REQUEST, USER, alloc, assert_absent, debug, split_selector};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A valid proof of each kind, and the expectation with their keys. The private
/// keys were not kept.
static MADE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../src/proof.json")).unwrap());

static PINNED: LazyLock<Expectation> = LazyLock::new(|| {
    let expectation: Expectation = serde_json::from_value(MADE["expectation"].clone()).unwrap();
    for name in ["passkey", "phone"] {
        let proof: Proof = serde_json::from_value(MADE[name].clone()).unwrap();
        proof.verify(&expectation).unwrap();
    }
    expectation
});

static IN_MESSAGE: LazyLock<Expectation> = LazyLock::new(|| {
    Expectation::key_in_message()
        .auth_request_id(REQUEST)
        .user_id(USER)
        .any_challenge()
        .origin("https://app.example")
        .relying_party("app.example")
        .without_user_verification()
});

fuzz_target!(|data: &[u8]| {
    let Some((selector, data)) = split_selector(data) else {
        return;
    };
    alloc::bounded(|| match selector % 6 {
        0 => {
            if let Some(proof) = reads_back::<Proof>(data) {
                check(&proof);
            }
        }
        1 => {
            if let Some(expectation) = reads_back::<Expectation>(data) {
                for name in ["passkey", "phone"] {
                    let proof: Proof = serde_json::from_value(MADE[name].clone()).unwrap();
                    let _ = proof.verify(&expectation);
                }
            }
        }
        2 => drop(reads_back::<PinnedKey>(data)),
        3 => {
            if let Ok(key) = PinnedKey::from_attestation_object(data) {
                let json = serde_json::to_vec(&key).unwrap();
                assert_eq!(reads_back::<PinnedKey>(&json), Some(key));
            }
        }
        4 => check(&from_parts(data, true)),
        _ => check(&from_parts(data, false)),
    });
});

fn reads_back<T: DeserializeOwned + Serialize + PartialEq>(json: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&value).unwrap();
    let read: T = serde_json::from_slice(&written).expect("what was written is read");
    assert!(read == value);
    Some(value)
}

/// A message of a passkey or of a phone, whose hash and encodings are right.
fn from_parts(mut data: &[u8], is_passkey: bool) -> Proof {
    let mut part = || {
        let length = data.split_first_chunk::<2>();
        let (length, rest) = length.map_or((0, data), |(length, rest)| {
            (usize::from(u16::from_be_bytes(*length)), rest)
        });
        let (part, rest) = rest.split_at(length.min(rest.len()));
        data = rest;
        part
    };
    let (signed, client, auth, signature, key) = (part(), part(), part(), part(), part());
    let signed = BASE64_STANDARD.encode(signed);
    let hash = ring::digest::digest(&ring::digest::SHA256, signed.as_bytes());
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = if is_passkey {
        json!({
            "id": "Y3JlZGVudGlhbA",
            "attestation_object": BASE64_URL_SAFE_NO_PAD.encode(auth),
            "client_data": BASE64_URL_SAFE_NO_PAD.encode(client),
            "signature": BASE64_URL_SAFE_NO_PAD.encode(signature),
        })
    } else {
        json!({"signature_data": {
            "signature_value": BASE64_STANDARD.encode(signature),
            "challenge": String::from_utf8_lossy(client),
        }})
    };
    let message = json!({
        "signed_data": signed,
        "signature_data": {
            "hash_value": hash,
            "hash_method": "Sha256",
            "signature_data": text.to_string(),
        },
        "signature_validation_details": {"public_key": BASE64_STANDARD.encode(key)},
    });
    let message: SecureSignedMessage = serde_json::from_value(message).unwrap();
    Proof::from_message(message).unwrap()
}

fn check(proof: &Proof) {
    assert_absent(&debug(proof), &[NONCE]);
    if let Ok(verified) = proof.verify(&IN_MESSAGE) {
        assert_eq!(verified.trust(), Trust::InMessage);
    }
    let Ok(verified) = proof.verify(&PINNED) else {
        return;
    };
    assert_eq!(verified.trust(), Trust::Pinned);
    let is_passkey = verified.key().credential_id().is_some();
    let found = serde_json::to_value(proof).unwrap();
    let made = &MADE[if is_passkey { "passkey" } else { "phone" }];
    if verified.coverage() == Coverage::SignedData {
        assert_eq!(
            found["message"]["signed_data"],
            made["message"]["signed_data"]
        );
    } else {
        for name in ["client_data", "attestation_object"] {
            assert_eq!(binary(&found, name), binary(made, name));
        }
    }
}

/// A binary member of the signature text.
fn binary(proof: &Value, name: &str) -> Vec<u8> {
    let text = proof["message"]["signature_data"]["signature_data"].as_str();
    let text: Value = serde_json::from_str(text.unwrap()).unwrap();
    let text = text[name].as_str().unwrap().trim_end_matches('=');
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}
