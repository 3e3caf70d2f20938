mod algorithms;
mod formats;
mod hostile;
mod maker;
mod mutations;

use std::time::{Duration, SystemTime};

use serde_json::json;
use uuid::Uuid;

use self::maker::{
    CHALLENGE, CREDENTIAL, Made, NONCE, ORIGIN, Passkey, Phone, RP, changed, passkey, phone,
};
use super::*;
use crate::webauthn::{USER_PRESENT, USER_VERIFIED};

const REQUEST: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const USER: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);
const PROJECT: Uuid = Uuid::from_u128(0x5);
const OTHER: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// 2026-01-02T03:04:05.123Z, the date of every message.
const SIGNED_AT: u64 = 1_767_323_045_123;

/// The expectation in which every check has a value.
fn full(key: PinnedKey) -> Expectation {
    Expectation::pinned([key])
        .auth_request_id(REQUEST)
        .user_id(USER)
        .project_id(PROJECT)
        .nonce(NONCE)
        .challenge(CHALLENGE)
        .origin(ORIGIN)
        .relying_party(RP)
        .signed_between(at(SIGNED_AT - 1000), at(SIGNED_AT + 1000))
}

#[test]
fn a_passkey_s_proof_passes_every_check() {
    let made = passkey(&Passkey::default());
    let verified = made.proof.verify(&full(made.key.clone())).unwrap();
    assert_eq!(verified.checks(), Check::ALL);
    assert_eq!(verified.trust(), Trust::Pinned);
    assert_eq!(verified.coverage(), Coverage::PasskeyData);
    assert_eq!(verified.signed_at(), Some(at(SIGNED_AT)));
    assert_eq!(verified.key().last_counter(), Some(7));
    assert_eq!(verified.key().credential_id(), Some(CREDENTIAL));
}

#[test]
fn a_phone_s_proof_passes_the_checks_that_apply() {
    let made = phone(&Phone::default());
    let verified = made.proof.verify(&full(made.key.clone())).unwrap();
    let of_passkeys = [
        Check::Ceremony,
        Check::Origin,
        Check::RelyingParty,
        Check::UserPresence,
        Check::UserVerification,
    ];
    let mut applying = Check::ALL.to_vec();
    applying.retain(|check| !of_passkeys.contains(check));
    assert_eq!(verified.checks(), applying);
    assert_eq!(verified.coverage(), Coverage::SignedData);
    assert_eq!(verified.key().last_counter(), Some(7));
    assert_eq!(verified.key().credential_id(), None);
}

#[test]
fn a_phone_may_sign_the_challenge_in_each_reading() {
    for signs in [maker::Signs::Text, maker::Signs::Bytes, maker::Signs::Data] {
        let made = phone(&Phone {
            signs,
            ..Phone::default()
        });
        assert!(made.proof.verify(&full(made.key)).is_ok());
    }
    let made = phone(&Phone {
        signs: maker::Signs::Another,
        ..Phone::default()
    });
    let error = made.proof.verify(&full(made.key)).unwrap_err();
    assert_eq!(error, ProofError::Failed(Check::Signature));
}

#[test]
fn a_challenge_that_is_the_hash_covers_the_signed_data() {
    for hashed in [maker::Challenge::HashText, maker::Challenge::HashBytes] {
        let made = passkey(&Passkey {
            challenge: hashed,
            ..Passkey::default()
        });
        let mut expectation = full(made.key).require_signed_data();
        expectation.challenge = expectation::Challenge::Hash;
        let verified = made.proof.verify(&expectation).unwrap();
        assert_eq!(verified.coverage(), Coverage::SignedData);
        assert!(verified.checks().contains(&Check::Challenge));
    }
    let made = passkey(&Passkey::default());
    let expectation = full(made.key).require_signed_data();
    let error = made.proof.verify(&expectation).unwrap_err();
    assert_eq!(error, ProofError::NotCovered);
}

#[test]
fn any_challenge_is_accepted_only_on_request_and_not_reported_as_checked() {
    let made = passkey(&Passkey::default());
    let expectation = full(made.key).any_challenge();
    let verified = made.proof.verify(&expectation).unwrap();
    assert!(!verified.checks().contains(&Check::Challenge));
}

#[test]
fn what_must_be_expected_is_not_forgotten() {
    let made = passkey(&Passkey::default());
    for (check, forget) in [
        (
            Check::RequestId,
            (|e| e.auth_request_id = None) as fn(&mut Expectation),
        ),
        (Check::UserId, |e| e.user_id = None),
        (Check::Origin, |e| e.origins.clear()),
        (Check::RelyingParty, |e| e.relying_party = None),
        (Check::Challenge, |e| {
            e.challenge = expectation::Challenge::Hash;
        }),
    ] {
        let mut expectation = full(made.key.clone());
        forget(&mut expectation);
        let error = made.proof.verify(&expectation).unwrap_err();
        assert_eq!(error, ProofError::Unspecified(check));
        assert!(error.to_string().contains(&check.to_string()), "{error}");
    }
}

#[test]
fn only_pinned_keys_are_trusted() {
    for (made, another) in [
        (
            passkey(&Passkey::default()),
            passkey(&Passkey {
                credential_id: b"another".to_vec(),
                ..Passkey::default()
            }),
        ),
        (phone(&Phone::default()), phone(&Phone::default())),
    ] {
        for keys in [vec![], vec![another.key.clone()]] {
            let mut expectation = full(made.key.clone());
            expectation.keys = expectation::Keys::Pinned(keys);
            let error = made.proof.verify(&expectation).unwrap_err();
            assert_eq!(error, ProofError::UnknownKey);
        }
        let mut expectation = full(made.key.clone());
        expectation.keys = expectation::Keys::Pinned(vec![another.key, made.key.clone()]);
        assert_eq!(
            made.proof.verify(&expectation).unwrap().trust(),
            Trust::Pinned
        );
    }
    // The passkey's own id with the key of a forger.
    let (made, forged) = (passkey(&Passkey::default()), passkey(&Passkey::default()));
    let error = forged.proof.verify(&full(made.key)).unwrap_err();
    assert_eq!(error, ProofError::Failed(Check::Signature));
}

#[test]
fn the_key_in_the_message_can_be_kept_and_is_said_to_be_no_trust() {
    for made in [passkey(&Passkey::default()), phone(&Phone::default())] {
        let mut first = full(made.key.clone());
        first.keys = expectation::Keys::InMessage;
        let verified = made.proof.verify(&first).unwrap();
        assert_eq!(verified.trust(), Trust::InMessage);
        assert!(!verified.checks().contains(&Check::Counter));
        assert!(verified.key().is_same_key(&made.key));
        // The same proof again is no new sign-in.
        let again = made.proof.verify(&full(verified.key().clone()));
        assert_eq!(again.unwrap_err(), ProofError::Failed(Check::Counter));
    }
}

#[test]
fn the_counter_must_grow_unless_there_is_none() {
    for (last, counter, grows) in [
        (0, 0, true),
        (0, 1, true),
        (6, 7, true),
        (7, 7, false),
        (8, 7, false),
        (1, 0, false),
        (u64::MAX, 7, false),
    ] {
        let of_passkey = passkey(&Passkey {
            counter: u32::try_from(counter).unwrap(),
            ..Passkey::default()
        });
        let of_phone = phone(&Phone {
            counter: json!(counter),
            ..Phone::default()
        });
        for made in [of_passkey, of_phone] {
            let key = made.key.with_last_counter(last);
            let result = made.proof.verify(&full(key.clone()));
            assert_eq!(result.is_ok(), grows, "{last} {counter}");
            if !grows {
                assert_eq!(result.unwrap_err(), ProofError::Failed(Check::Counter));
            }
            let verified = made.proof.verify(&full(key).any_counter()).unwrap();
            assert!(!verified.checks().contains(&Check::Counter));
            // It never goes back.
            assert_eq!(verified.key().last_counter(), Some(last.max(counter)));
        }
    }
    // A phone's counter may be null, which is zero.
    let made = phone(&Phone {
        counter: json!(null),
        ..Phone::default()
    });
    assert!(made.proof.verify(&full(made.key.clone())).is_err());
    let key = made.key.with_last_counter(0);
    assert!(made.proof.verify(&full(key)).is_ok());
    // The counter beside the signature is not signed, but must agree.
    let made = phone(&Phone {
        outer_counter: json!(8),
        ..Phone::default()
    });
    let error = made.proof.verify(&full(made.key)).unwrap_err();
    assert_eq!(error, ProofError::Failed(Check::Counter));
}

#[test]
fn user_verification_can_be_waived_and_presence_cannot() {
    let made = passkey(&Passkey {
        flags: USER_PRESENT,
        ..Passkey::default()
    });
    let expectation = full(made.key).without_user_verification();
    let verified = made.proof.verify(&expectation).unwrap();
    assert!(!verified.checks().contains(&Check::UserVerification));
    let made = passkey(&Passkey {
        flags: USER_VERIFIED,
        ..Passkey::default()
    });
    let expectation = full(made.key).without_user_verification();
    let error = made.proof.verify(&expectation).unwrap_err();
    assert_eq!(error, ProofError::Failed(Check::UserPresence));
}

#[test]
fn one_of_several_origins_is_enough_and_frames_of_other_sites_are_refused() {
    let made = passkey(&Passkey::default());
    let expectation = full(made.key).origin("https://other.example");
    assert!(made.proof.verify(&expectation).is_ok());
    let made = passkey(&Passkey {
        cross_origin: true,
        ..Passkey::default()
    });
    let error = made.proof.verify(&full(made.key)).unwrap_err();
    assert_eq!(error, ProofError::Failed(Check::Origin));
}

#[test]
fn the_window_includes_its_ends_and_dates_are_read_with_and_without_a_zone() {
    for (date, from, to, is_within) in [
        ("2026-01-02T03:04:05.1234567Z", SIGNED_AT, SIGNED_AT, true),
        ("2026-01-02T03:04:05.1234567", SIGNED_AT, SIGNED_AT, true),
        ("2026-01-02T04:04:05.123+01:00", SIGNED_AT, SIGNED_AT, true),
        (
            "2026-01-02T03:04:05Z",
            SIGNED_AT - 123,
            SIGNED_AT - 123,
            true,
        ),
        ("2026-01-02T03:04:05Z", SIGNED_AT, SIGNED_AT + 9, false),
        ("2026-01-02T03:04:06Z", SIGNED_AT - 9, SIGNED_AT, false),
        ("0001-01-01T00:00:00Z", SIGNED_AT, SIGNED_AT, false),
        ("2026-01-02", 0, u64::MAX >> 20, false),
        ("soon", 0, u64::MAX >> 20, false),
        ("", 0, u64::MAX >> 20, false),
    ] {
        let made = phone(&Phone {
            data: changed("/signing_data/date_signed", json!(date)),
            ..Phone::default()
        });
        let expectation = full(made.key).signed_between(at(from), at(to));
        let result = made.proof.verify(&expectation);
        assert_eq!(result.is_ok(), is_within, "{date}");
        if !is_within {
            assert_eq!(result.unwrap_err(), ProofError::Failed(Check::Date));
        }
    }
}

#[test]
fn dates_before_1970_are_compared_as_well() {
    let before = |millis| SystemTime::UNIX_EPOCH - Duration::from_millis(millis);
    let made = phone(&Phone {
        data: changed(
            "/signing_data/date_signed",
            json!("1969-12-31T23:59:59.500Z"),
        ),
        ..Phone::default()
    });
    let expectation = full(made.key).signed_between(before(501), before(499));
    let verified = made.proof.verify(&expectation).unwrap();
    assert_eq!(verified.signed_at(), Some(before(500)));
}

#[test]
fn a_flow_s_values_do_not_replace_what_the_program_expects() {
    let made = passkey(&Passkey::default());
    let bare = || {
        Expectation::pinned([made.key.clone()])
            .origin(ORIGIN)
            .relying_party(RP)
    };
    let nonce = NONCE.into();
    let complete = |e: Expectation| e.complete(REQUEST, USER, Some(&nonce), Some(CHALLENGE));
    let completed = complete(bare()).unwrap();
    let verified = made.proof.verify(&completed).unwrap();
    for check in [
        Check::RequestId,
        Check::UserId,
        Check::Nonce,
        Check::Challenge,
    ] {
        assert!(verified.checks().contains(&check), "{check}");
    }
    assert_eq!(complete(completed.clone()).unwrap(), completed);
    for (expectation, check) in [
        (bare().auth_request_id(OTHER), Check::RequestId),
        (bare().user_id(OTHER), Check::UserId),
        (bare().nonce("another"), Check::Nonce),
        (bare().challenge(*b"another"), Check::Challenge),
    ] {
        assert_eq!(
            complete(expectation).unwrap_err(),
            ProofError::Failed(check)
        );
    }
    let any = complete(bare().any_challenge()).unwrap();
    assert!(any.challenge == expectation::Challenge::Any);
}
