//! Single bits, single values and single checks.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;
use crate::proof::tests::maker::{Signs, base64url};

/// Every copy of `data` with one bit flipped.
fn flips(data: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..data.len() * 8).map(|bit| {
        let mut data = data.to_vec();
        data[bit / 8] ^= 1 << (bit % 8);
        data
    })
}

fn assert_all_fail(made: &Made, expected: Check, proofs: impl Iterator<Item = Proof>) {
    let expectation = full(made.key.clone());
    assert!(made.proof.verify(&expectation).is_ok());
    let mut count = 0;
    for proof in proofs {
        let error = proof.verify(&expectation).unwrap_err();
        assert_eq!(error, ProofError::Failed(expected));
        count += 1;
    }
    assert!(count > 250, "{count}");
}

#[test]
fn each_bit_of_a_passkey_s_proof_counts() {
    let made = passkey(&Passkey::default());
    let text: serde_json::Value = serde_json::from_str(&made.signature_text()).unwrap();
    for name in ["signature", "client_data", "attestation_object"] {
        let data = text[name].as_str().unwrap();
        let data = base64::prelude::BASE64_URL_SAFE_NO_PAD
            .decode(data)
            .unwrap();
        let proofs = flips(&data).map(|data| {
            made.with_signature(&format!("/{name}"), |value| {
                *value = json!(base64url(&data));
            })
        });
        assert_all_fail(&made, Check::Signature, proofs);
    }
    assert_signed_data_counts(&made);
}

#[test]
fn each_bit_of_a_phone_s_proof_counts() {
    for signs in [Signs::Text, Signs::Bytes, Signs::Data] {
        let made = phone(&Phone {
            signs,
            ..Phone::default()
        });
        let text: serde_json::Value = serde_json::from_str(&made.signature_text()).unwrap();
        let signature = text["signature_data"]["signature_value"].as_str().unwrap();
        let signature = BASE64_STANDARD.decode(signature).unwrap();
        let proofs = flips(&signature).map(|data| {
            let text = json!(BASE64_STANDARD.encode(data));
            made.with_signature("/signature_data/signature_value", |value| *value = text)
        });
        assert_all_fail(&made, Check::Signature, proofs);
        assert_signed_data_counts(&made);
    }
}

fn assert_signed_data_counts(made: &Made) {
    let json = made.json();
    let data = json["message"]["signed_data"].as_str().unwrap();
    let data = BASE64_STANDARD.decode(data).unwrap();
    let proofs =
        flips(&data).map(|data| made.with("/signed_data", json!(BASE64_STANDARD.encode(data))));
    assert_all_fail(made, Check::Hash, proofs);
}

/// Also with the hash that belongs to it.
#[test]
fn a_phone_s_signed_data_cannot_be_replaced() {
    let made = phone(&Phone::default());
    let another = phone(&Phone {
        data: changed("/message_data/auth_request_id", json!(OTHER)),
        ..Phone::default()
    });
    let mut json = another.json();
    json["message"]["signature_data"]["signature_data"] = json!(made.signature_text());
    json["message"]["signature_validation_details"] =
        made.json()["message"]["signature_validation_details"].clone();
    let forged: Proof = serde_json::from_value(json).unwrap();
    let expectation = full(made.key).auth_request_id(OTHER);
    assert_eq!(
        forged.verify(&expectation).unwrap_err(),
        ProofError::Failed(Check::Challenge)
    );
}

#[test]
fn each_changed_expectation_fails_with_its_own_kind() {
    type Change = fn(Expectation) -> Expectation;
    let changes: [(Check, Change); 10] = [
        (Check::RequestId, |e| e.auth_request_id(OTHER)),
        (Check::UserId, |e| e.user_id(OTHER)),
        (Check::ProjectId, |e| e.project_id(OTHER)),
        (Check::Nonce, |e| e.nonce("bm9uY2Utb2Ytb3Vycx")),
        (Check::Challenge, |e| {
            e.challenge(*b"the challenge of the pagf")
        }),
        (Check::Origin, |mut e| {
            e.origins.clear();
            e.origin("https://app.example:8443")
        }),
        (Check::RelyingParty, |e| e.relying_party("example")),
        (Check::Date, |e| {
            e.signed_between(at(SIGNED_AT + 1), at(SIGNED_AT + 1000))
        }),
        (Check::Date, |e| e.signed_between(at(0), at(SIGNED_AT - 1))),
        (Check::Counter, |mut e| {
            if let expectation::Keys::Pinned(keys) = &mut e.keys {
                keys[0] = keys[0].clone().with_last_counter(7);
            }
            e
        }),
    ];
    for made in [passkey(&Passkey::default()), phone(&Phone::default())] {
        let valid = made.proof.verify(&full(made.key.clone())).unwrap();
        for (check, change) in changes {
            let result = made.proof.verify(&change(full(made.key.clone())));
            // A phone has neither page nor relying party.
            let applies = valid.checks().contains(&check)
                && !(check == Check::Challenge && made.key.credential_id().is_none());
            if applies {
                assert_eq!(result.unwrap_err(), ProofError::Failed(check));
            } else {
                assert!(result.is_ok(), "{check}");
            }
        }
    }
}

/// A proof with this one fault: everything else is right, and signed.
fn passkey_failing(check: Check) -> Made {
    let right = Passkey::default();
    let data = |pointer, value| Passkey {
        data: changed(pointer, value),
        ..Passkey::default()
    };
    passkey(&match check {
        Check::Hash => Passkey {
            hash: Some([7; 32]),
            ..right
        },
        Check::Signature => Passkey {
            badly_signed: true,
            ..right
        },
        Check::Ceremony => Passkey {
            ceremony: "webauthn.create",
            ..right
        },
        Check::Challenge => Passkey {
            challenge: maker::Challenge::Is(b"of another page".to_vec()),
            ..right
        },
        Check::Origin => Passkey {
            origin: "https://evil.example",
            ..right
        },
        Check::RelyingParty => Passkey {
            rp: "evil.example",
            ..right
        },
        Check::UserPresence => Passkey {
            flags: USER_VERIFIED,
            ..right
        },
        Check::UserVerification => Passkey {
            flags: USER_PRESENT,
            ..right
        },
        Check::Counter => Passkey {
            counter: 6,
            ..right
        },
        Check::RequestId => data("/message_data/auth_request_id", json!(OTHER)),
        Check::UserId => data("/message_data/auth_profile_id", json!(OTHER)),
        Check::ProjectId => data("/message_data/project_id", json!(OTHER)),
        Check::Nonce => data("/signing_data/nonce", json!("another")),
        Check::Date => data("/signing_data/date_signed", json!("2026-01-02T03:04:07Z")),
    })
}

/// The same for a phone, if it has that check.
fn phone_failing(check: Check) -> Option<Made> {
    let right = Phone::default();
    let data = |pointer, value| Phone {
        data: changed(pointer, value),
        ..Phone::default()
    };
    Some(phone(&match check {
        Check::Hash => Phone {
            hash: Some([7; 32]),
            ..right
        },
        Check::Signature => Phone {
            signs: Signs::Another,
            ..right
        },
        Check::Challenge => Phone {
            challenge: Some("of something else"),
            ..right
        },
        Check::Counter => Phone {
            counter: json!(6),
            ..right
        },
        Check::RequestId => data("/message_data/auth_request_id", json!(OTHER)),
        Check::UserId => data("/message_data/auth_profile_id", json!(OTHER)),
        Check::ProjectId => data("/message_data/project_id", json!(OTHER)),
        Check::Nonce => data("/signing_data/nonce", json!("another")),
        Check::Date => data("/signing_data/date_signed", json!("2026-01-02T03:04:07Z")),
        _ => return None,
    }))
}

/// The mutation table. A row is a proof with one fault, a column is a
/// verification without one check: the fault is found by its own check, and by
/// no other.
#[test]
fn each_check_alone_is_needed() {
    let mut rows = 0;
    for fault in Check::ALL {
        for made in [Some(passkey_failing(fault)), phone_failing(fault)] {
            let Some(made) = made else { continue };
            let expectation = full(made.key.clone());
            let found = ProofError::Failed(fault);
            assert_eq!(made.proof.verify(&expectation).unwrap_err(), found);
            for skipped in Check::ALL {
                let result = made.proof.verify_without(skipped, &expectation);
                if skipped == fault {
                    assert!(result.is_ok(), "{fault}: {result:?}");
                } else {
                    assert_eq!(result.unwrap_err(), found, "without {skipped}");
                }
            }
            rows += 1;
        }
    }
    assert_eq!(rows, 14 + 9);
}

#[test]
fn each_error_has_its_own_text() {
    let others = [
        ProofError::Missing,
        ProofError::UnknownKey,
        ProofError::Unsupported,
        ProofError::NotCovered,
        ProofError::TooLarge,
        ProofError::SignedData,
        ProofError::SignatureData,
        ProofError::ValidationDetails,
        ProofError::ClientData,
        ProofError::AuthenticatorData,
        ProofError::AttestationObject,
        ProofError::PublicKey,
    ];
    let all = Check::ALL.map(ProofError::Failed).into_iter();
    let all = all
        .chain(Check::ALL.map(ProofError::Unspecified))
        .chain(others);
    let texts: Vec<_> = all.map(|error| error.to_string()).collect();
    let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
    assert_eq!(distinct.len(), texts.len(), "{texts:#?}");
}
