//! Serialised forms.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::auth::SecureSignedMessage;

fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn proof_key_and_expectation_survive_a_log() {
    for made in [passkey(&Passkey::default()), phone(&Phone::default())] {
        let expectation = full(made.key.clone())
            .without_user_verification()
            .any_counter();
        let read = round_trip(&expectation);
        assert!(read == expectation);
        let proof = round_trip(&made.proof);
        assert!(proof == made.proof);
        let verified = proof.verify(&read).unwrap();
        let mut key = round_trip(verified.key());
        assert!(key == *verified.key());
        assert_eq!(key.last_counter(), Some(7));
        key = serde_json::from_value(serde_json::to_value(made.key.clone()).unwrap()).unwrap();
        assert!(proof.verify(&full(key)).is_ok());
    }
    for expectation in [
        Expectation::key_in_message().any_challenge(),
        Expectation::pinned([]).require_signed_data(),
    ] {
        assert!(round_trip(&expectation) == expectation);
    }
}

/// Logs of this version must stay readable.
#[test]
fn the_forms_are_as_documented() {
    let made = passkey(&Passkey::default());
    let key = serde_json::to_value(&made.key).unwrap();
    let names = |value: &Value| -> Vec<_> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        names(&key),
        ["credential_id", "last_counter", "public_key", "v"]
    );
    let expectation = serde_json::to_value(full(made.key.clone())).unwrap();
    assert_eq!(
        names(&expectation),
        [
            "auth_request_id",
            "challenge",
            "keys",
            "nonce",
            "origins",
            "project_id",
            "relying_party",
            "signed_between",
            "user_id",
            "v"
        ]
    );
    assert_eq!(expectation["signed_between"][0], json!(SIGNED_AT - 1000));
    assert_eq!(names(&made.json()), ["message", "v"]);
    // What is not expected is left out.
    let least = serde_json::to_value(Expectation::key_in_message()).unwrap();
    assert_eq!(least, json!({"keys": "in_message", "v": 1}));
    for json in [key, expectation, made.json()] {
        assert_eq!(json["v"], 1);
    }
}

fn assert_refused<T: DeserializeOwned>(valid: &Value) {
    assert!(serde_json::from_value::<T>(valid.clone()).is_ok());
    for version in [json!(0), json!(2), json!("1"), json!(null), json!(1.5)] {
        let mut json = valid.clone();
        json["v"] = version;
        assert!(serde_json::from_value::<T>(json).is_err());
    }
    let mut without = valid.clone();
    without.as_object_mut().unwrap().remove("v");
    assert!(serde_json::from_value::<T>(without).is_err());
    // A member that this version does not know may be one more condition.
    let mut more = valid.clone();
    more["only_on_weekdays"] = json!(true);
    assert!(serde_json::from_value::<T>(more).is_err());
}

#[test]
fn other_versions_and_unknown_members_are_refused() {
    let made = passkey(&Passkey::default());
    assert_refused::<Proof>(&made.json());
    assert_refused::<PinnedKey>(&serde_json::to_value(&made.key).unwrap());
    assert_refused::<Expectation>(&serde_json::to_value(full(made.key)).unwrap());
}

#[test]
fn a_key_that_cannot_be_used_does_not_deserialise() {
    let key = serde_json::to_value(passkey(&Passkey::default()).key).unwrap();
    for value in ["", "AQID", "not base64!"] {
        let mut json = key.clone();
        json["public_key"] = json!(value);
        assert!(
            serde_json::from_value::<PinnedKey>(json).is_err(),
            "{value}"
        );
    }
    // A passkey's key is none of a phone.
    let mut json = key;
    json.as_object_mut().unwrap().remove("credential_id");
    assert!(serde_json::from_value::<PinnedKey>(json).is_err());
}

#[test]
fn a_message_without_a_signature_is_no_proof() {
    let made = passkey(&Passkey::default());
    let message = made.json()["message"].clone();
    let read = |json: Value| serde_json::from_value::<SecureSignedMessage>(json).unwrap();
    assert!(Proof::from_message(read(message.clone())).is_some());
    assert!(Proof::from_message(SecureSignedMessage::default()).is_none());
    for pointer in [
        "/signed_data",
        "/signature_data",
        "/signature_data/signature_data",
    ] {
        let mut json = message.clone();
        *json.pointer_mut(pointer).unwrap() = Value::Null;
        assert!(Proof::from_message(read(json)).is_none(), "{pointer}");
    }
}

#[test]
fn debug_prints_nothing_of_a_proof() {
    let made = passkey(&Passkey::default());
    let text = format!(
        "{:?} {:?} {:?}",
        made.proof,
        made.key,
        full(made.key.clone())
    );
    for shown in ["Proof {", "PinnedKey {", "Expectation {"] {
        assert!(text.contains(shown), "{text}");
    }
    for hidden in [NONCE, RP, "signed_data", "public_key"] {
        assert!(!text.contains(hidden), "{text}");
    }
}
