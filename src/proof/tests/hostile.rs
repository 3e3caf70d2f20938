//! Messages that are malformed, unsupported or too large.

use serde_json::Value;

use super::*;
use crate::proof::tests::maker::{base64url, cose_es256, key_pair, passkey_raw};
use ring::rand::SystemRandom;
use ring::signature::KeyPair as _;

fn error(made: &Made, proof: &Proof) -> ProofError {
    proof.verify(&full(made.key.clone())).unwrap_err()
}

#[test]
fn other_forms_are_unsupported() {
    let made = passkey(&Passkey::default());
    let u2f = json!({"keyHandle": "AQID", "clientData": "AQID", "signatureData": "AQID"});
    for (pointer, value) in [
        ("/signed_data_type", json!("Invoice")),
        ("/signature_data/hash_method", json!("Sha1")),
        ("/signature_data/hash_method", json!(null)),
        ("/signature_data/signature_data", json!(u2f.to_string())),
        ("/signature_data/signature_data", json!("{}")),
    ] {
        let proof = made.with(pointer, value);
        assert_eq!(error(&made, &proof), ProofError::Unsupported, "{pointer}");
    }
}

#[test]
fn malformed_parts_have_kinds_of_their_own() {
    let (of_passkey, of_phone) = (passkey(&Passkey::default()), phone(&Phone::default()));
    for text in [
        "",
        "[]",
        "null",
        "{",
        "[\"id\"]",
        "{\"id\":1,\"client_data\":\"AA\"}",
    ] {
        let proof = of_passkey.with("/signature_data/signature_data", json!(text));
        assert_eq!(
            error(&of_passkey, &proof),
            ProofError::SignatureData,
            "{text}"
        );
    }
    for name in ["/id", "/attestation_object", "/client_data", "/signature"] {
        for value in [json!(""), json!("!"), json!("A"), json!(1)] {
            let proof = of_passkey.with_signature(name, |old| *old = value);
            assert_eq!(
                error(&of_passkey, &proof),
                ProofError::SignatureData,
                "{name}"
            );
        }
    }
    for name in [
        "/signature_data/signature_value",
        "/signature_data/challenge",
    ] {
        let proof = of_phone.with_signature(name, |old| *old = Value::Null);
        assert_eq!(
            error(&of_phone, &proof),
            ProofError::SignatureData,
            "{name}"
        );
    }
    // A signature in both forms is none.
    let proof = of_phone.with_signature("", |text| text["client_data"] = json!("AQID"));
    assert_eq!(error(&of_phone, &proof), ProofError::SignatureData);
    for details in [
        json!(null),
        json!(""),
        json!("[]"),
        json!("{}"),
        json!({"public_key": "!"}),
    ] {
        let proof = of_phone.with("/signature_validation_details", details);
        assert_eq!(error(&of_phone, &proof), ProofError::ValidationDetails);
    }
}

#[test]
fn signed_data_that_is_malformed_is_refused_though_it_is_signed() {
    for data in [
        json!([]),
        json!("text"),
        json!({"message_data": []}),
        json!({"message_data": {"auth_request_id": 7}}),
        json!({"signing_data": {"nonce": 7}}),
        json!({"signing_data": {"profile_device_counter": -1}}),
    ] {
        let made = passkey(&Passkey {
            data: data.clone(),
            ..Passkey::default()
        });
        assert_eq!(error(&made, &made.proof), ProofError::SignedData, "{data}");
    }
    for (data, check) in [
        (json!({}), Check::RequestId),
        (json!({"message_data": null}), Check::RequestId),
        (
            json!({"message_data": {"auth_request_id": REQUEST}}),
            Check::UserId,
        ),
    ] {
        let made = passkey(&Passkey {
            data,
            ..Passkey::default()
        });
        assert_eq!(error(&made, &made.proof), ProofError::Failed(check));
    }
}

#[test]
fn client_data_and_authenticator_data_are_read_strictly() {
    let pair = key_pair();
    let cose = cose_es256(pair.public_key().as_ref());
    let sign = |message: &[u8]| {
        let signature = pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    };
    let right = Passkey::default();
    let (client_data, auth_data) = (right.client_data(), right.authenticator_data());
    let twice = client_data.replacen('{', "{\"origin\":\"https://evil.example\",", 1);
    let list = json!(["webauthn.get", base64url(CHALLENGE), ORIGIN, false]).to_string();
    for client_data in ["{", &list, "\"\"", &twice, "{\"type\":\"webauthn.get\"}"] {
        let made = passkey_raw(&right, &cose, client_data.as_bytes(), &auth_data, sign);
        assert_eq!(
            error(&made, &made.proof),
            ProofError::ClientData,
            "{client_data}"
        );
    }
    let longer = [&auth_data[..], &[0]].concat();
    let mut extended = auth_data.clone();
    extended[32] |= 0x80;
    let deep = [&extended[..], &[0xa1, 0x61, b'x'], &[0x81; 2000], &[0]].concat();
    for auth_data in [&auth_data[..36], &longer, &extended, &deep] {
        let made = passkey_raw(&right, &cose, client_data.as_bytes(), auth_data, sign);
        assert_eq!(error(&made, &made.proof), ProofError::AuthenticatorData);
    }
    // Extensions are allowed.
    let extended = [&extended[..], &[0xa1, 0x61, b'x', 0xf5]].concat();
    let made = passkey_raw(&right, &cose, client_data.as_bytes(), &extended, sign);
    assert!(made.proof.verify(&full(made.key)).is_ok());
}

#[test]
fn large_parts_are_refused_before_they_are_read() {
    let made = passkey(&Passkey::default());
    let large = json!("A".repeat(64 * 1024 + 1));
    for pointer in [
        "/signed_data",
        "/signature_data/signature_data",
        "/signature_validation_details",
    ] {
        let proof = made.with(pointer, large.clone());
        assert_eq!(error(&made, &proof), ProofError::TooLarge, "{pointer}");
        let largest = made.with(pointer, json!("A".repeat(64 * 1024)));
        let error = largest.verify(&full(made.key.clone())).err();
        assert_ne!(error, Some(ProofError::TooLarge), "{pointer}");
    }
    let object = vec![0xa0; 64 * 1024 + 1];
    let error = PinnedKey::from_attestation_object(&object).unwrap_err();
    assert_eq!(error, ProofError::TooLarge);
    let error = PinnedKey::from_attestation_object(&object[1..]).unwrap_err();
    assert_eq!(error, ProofError::AttestationObject);
}

/// A service can name another key and another place. Neither is believed.
#[test]
fn the_details_of_the_message_decide_nothing_for_a_pinned_passkey() {
    let made = passkey(&Passkey {
        origin: "https://evil.example",
        rp: "evil.example",
        ..Passkey::default()
    });
    let evil = json!({
        "expected_origin": "https://evil.example",
        "rpid": "evil.example",
        "public_key": base64url(b"another"),
    });
    let proof = made.with("/signature_validation_details", evil);
    assert_eq!(error(&made, &proof), ProofError::Failed(Check::Origin));
    let made = passkey(&Passkey::default());
    let proof = made.with("/signature_validation_details", Value::Null);
    assert!(proof.verify(&full(made.key)).is_ok());
}
