mod random;

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use serde_json::json;

use super::*;

type Json = Value;

const REQUEST: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const OTHER_REQUEST: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);
const ADA: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);
const EVE: Uuid = Uuid::from_u128(0xe0e0_0000_0000_4000_8000_0000_0000_0002);
const NONCE: &str = "bm9uY2Utb2Ytb3Vycw";

const AUTHORIZED: &str = "/validate_auth_response_details/authorized";
const CODE: &str = "/validate_auth_response_details/result_code";
const HISTORY_ID: &str = "/validate_auth_response_details/auth_history_id";
const ASKED: &str =
    "/validate_auth_response_details/auth_details/request_details/auth_profile_details";
const WHO: &str =
    "/validate_auth_response_details/auth_details/response_details/auth_profile_details";
const MESSAGE: &str =
    "/validate_auth_response_details/auth_details/response_details/secure_signed_message";

/// The message that a phone signs.
fn signed_by_phone() -> Json {
    json!({
        "message_data": {
            "auth_request_id": REQUEST,
            "auth_profile_id": ADA,
            "project_id": Uuid::from_u128(5),
        },
        "signing_data": {
            "nonce": NONCE,
            "date_signed": "2026-01-02T03:04:05.1234567Z",
            "profile_device_id": Uuid::from_u128(6),
            "profile_device_counter": 7,
        },
    })
}

fn base64(json: &Json) -> String {
    BASE64_STANDARD.encode(json.to_string())
}

/// The response by which Ada is signed in.
fn response() -> Json {
    let ada = json!({"user_id": ADA, "username": "ada"});
    json!({
        "auth_request_status_id": 2,
        "auth_request_status_name": "Completed",
        "validate_auth_response_details": {
            "auth_history_id": Uuid::from_u128(4),
            "result_code": 2,
            "result_message": "Success",
            "authorized": true,
            "context_data": {"cart": "17"},
            "auth_details": {
                "request_details": {
                    "date": "2026-01-02T03:04:00Z",
                    "auth_profile_details": ada,
                    "auth_method": "AuthArmorAuthenticator",
                },
                "response_details": {
                    "date": "2026-01-02T03:04:05Z",
                    "auth_method": {"name": "AuthArmorAuthenticator", "usetype": "biometric"},
                    "secure_signed_message": {
                        "signed_data": base64(&signed_by_phone()),
                        "signed_data_type": "AuthResponse",
                    },
                    "auth_profile_details": ada,
                },
            },
        },
    })
}

/// Puts a value at a JSON pointer, or takes away what is there.
fn put(json: &mut Json, pointer: &str, value: Option<Json>) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let Some(Value::Object(parent)) = json.pointer_mut(parent) else {
        return;
    };
    match value {
        Some(value) => {
            parent.insert(key.to_owned(), value);
        }
        None => {
            parent.remove(key);
        }
    }
}

fn with(pointer: &str, value: impl Into<Json>) -> Json {
    let mut json = response();
    put(&mut json, pointer, Some(value.into()));
    json
}

fn without(pointer: &str) -> Json {
    let mut json = response();
    put(&mut json, pointer, None);
    json
}

/// The response with another signed message.
fn signing(signed: &Json) -> Json {
    with(&format!("{MESSAGE}/signed_data"), base64(signed))
}

/// Any user who responds to this request.
fn anyone() -> Expected {
    Expected {
        identity: Identity {
            user: None,
            started_for: None,
            finished_by: None,
            ignore_case: false,
        },
        auth_request_id: REQUEST,
        nonce: Some(NONCE.into()),
        proof: Requirement::default(),
    }
}

fn asked_for(user: impl Into<UserKey>) -> Expected {
    let mut expected = anyone();
    expected.identity.user = Some(user.into());
    expected
}

fn ignoring_case(ignore_case: bool, mut expected: Expected) -> Expected {
    expected.identity.ignore_case = ignore_case;
    expected
}

/// Judges a response that is decoded from text.
fn judged(response: &Json, expected: &Expected) -> Result<SignIn, Error> {
    let response = serde_json::from_str(&response.to_string()).unwrap();
    judge(response, expected)
}

#[track_caller]
fn assert_signs_in(response: &Json, expected: &Expected) -> SignedInUser {
    match judged(response, expected) {
        Ok(SignIn::SignedIn(user)) => *user,
        other => panic!("{other:?}"),
    }
}

/// Refused as a mismatch for this reason. The error repeats no value.
#[track_caller]
fn assert_mismatch(response: &Json, expected: &Expected, why: &str) {
    let error = judged(response, expected).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(error.may_have_been_sent(), "the token may be used up");
    let text = format!("{error:#} {error:?}");
    assert!(text.contains(why), "{text}");
    let values = [
        "ada",
        "eve",
        NONCE,
        &ADA.to_string(),
        &EVE.to_string(),
        &OTHER_REQUEST.to_string(),
    ];
    for value in values {
        assert!(!text.to_lowercase().contains(&value.to_lowercase()));
    }
}

const NOBODY: &str = "does not say who signed in";
const OTHER_USER: &str = "about another user";
const OTHER_NAME: &str = "a user of another name";
const DISAGREES: &str = "the request part is about another user";
const OTHER_NONCE: &str = "another nonce";
const OTHER_SIGNED: &str = "the signed message is about another request";

/// A row of the table of result codes (`None` is a missing one): the outcome
/// without an authorisation and with one, under each status.
///
/// `P` still pending, `N` not authorized, `D` declined, `T` timed out,
/// `L` validated too late, `S` refused for security, `F` failed signature,
/// `+` signed in, `!` a mismatch.
type Row = (Option<i64>, &'static str, &'static str);

const STATUSES: [Option<i64>; 6] = [Some(0), Some(2), Some(3), Some(4), Some(7), None];

#[rustfmt::skip]
const TABLE: [Row; 11] = [
    // code    status 0 2 3 4 7 -     authorized: true
    (Some(0),        "P N P P P P",   "! ! ! ! ! !"),
    (Some(1),        "P N P P P P",   "! ! ! ! ! !"),
    (Some(2),        "N N N N N N",   "! + ! ! ! +"),
    (Some(3),        "D D D D D D",   "! ! ! ! ! !"),
    (Some(4),        "F F F F F F",   "! ! ! ! ! !"),
    (Some(5),        "T T T T T T",   "! ! ! ! ! !"),
    (Some(8),        "P N P P P P",   "! ! ! ! ! !"),
    (Some(9),        "L L L L L L",   "! ! ! ! ! !"),
    (Some(10),       "S S S S S S",   "! ! ! ! ! !"),
    (Some(77),       "N N P P N N",   "! ! ! ! ! !"),
    (None,           "N N P P N N",   "! + ! ! ! +"),
];

fn letter(result: &Result<SignIn, Error>) -> char {
    match result {
        Ok(SignIn::SignedIn(_)) => '+',
        Ok(SignIn::Declined) => 'D',
        Ok(SignIn::TimedOut) => 'T',
        Ok(SignIn::ValidatedTooLate) => 'L',
        Ok(SignIn::RefusedForSecurity) => 'S',
        Ok(SignIn::FailedSignature) => 'F',
        Ok(SignIn::StillPending) => 'P',
        Ok(SignIn::NotAuthorized) => 'N',
        Ok(end @ (SignIn::ServiceUnavailable(_) | SignIn::Cancelled)) => panic!("{end:?}"),
        Err(error) if error.kind() == ErrorKind::Mismatch => '!',
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_combination_of_status_code_and_authorisation_is_decided() {
    // `None` is a missing field.
    let authorisations = [
        Some(json!(true)),
        Some(json!(false)),
        None,
        Some(json!(null)),
        Some(json!("true")),
        Some(json!(1)),
    ];
    let mut cases = 0;
    for (code, refused, authorized) in TABLE {
        let outcomes = refused.split(' ').zip(authorized.split(' '));
        for (status, (refused, authorized)) in STATUSES.iter().zip(outcomes) {
            for authorisation in &authorisations {
                let mut response = response();
                let number = |number: Option<i64>| number.map(Json::from);
                put(&mut response, "/auth_request_status_id", number(*status));
                put(&mut response, CODE, number(code));
                put(&mut response, AUTHORIZED, authorisation.clone());
                let expected: char = match authorisation {
                    Some(Value::Bool(true)) => authorized.parse().unwrap(),
                    _ => refused.parse().unwrap(),
                };
                let result = judged(&response, &asked_for("ada"));
                assert_eq!(
                    letter(&result),
                    expected,
                    "status {status:?}, code {code:?}, authorized {authorisation:?}"
                );
                let user = result.ok().and_then(|end| end.user().cloned());
                assert_eq!(user.is_some(), expected == '+');
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 11 * 6 * 6);
}

#[test]
fn a_refusal_needs_no_profile() {
    for (code, refused, _) in TABLE {
        let (Some(code), Some(expected)) = (code, refused.chars().nth(2)) else {
            continue;
        };
        let response = json!({
            "auth_request_status_id": 2,
            "validate_auth_response_details": {"result_code": code, "authorized": false},
        });
        assert_eq!(letter(&judged(&response, &asked_for("ada"))), expected);
    }
}

#[test]
fn a_response_that_says_nothing_is_no_sign_in() {
    for (response, expected) in [
        (json!({}), 'N'),
        (json!({"validate_auth_response_details": null}), 'N'),
        (json!({"validate_auth_response_details": {}}), 'N'),
        (json!({"auth_request_status_id": 3}), 'P'),
        // What a poll responses has another name for the details.
        (
            json!({"auth_request_status_id": 2, "auth_response": {"authorized": true}}),
            'N',
        ),
        // Where it does not belong.
        (json!({"authorized": true, "result_code": 2}), 'N'),
    ] {
        assert_eq!(
            letter(&judged(&response, &anyone())),
            expected,
            "{response}"
        );
    }
}

#[test]
fn the_signed_in_user_is_who_the_response_says() {
    let user = assert_signs_in(&response(), &asked_for("ada"));
    assert_eq!(user.user_id(), ADA);
    assert_eq!(user.username(), Some("ada"));
    assert_eq!(user.method(), Some(&AuthMethod::AuthArmorAuthenticator));
    assert_eq!(user.use_type(), Some(&AuthMethodUseType::Biometric));
    assert_eq!(user.auth_request_id(), REQUEST);
    assert_eq!(user.context_data()["cart"].as_deref(), Some("17"));
    let date = user.signed_in_at().map(Timestamp::as_str);
    assert_eq!(date, Some("2026-01-02T03:04:05Z"));
    assert!(!format!("{user:?}").contains("\"ada\""));
}

#[test]
fn an_empty_name_is_unknown() {
    let name = format!("{WHO}/username");
    let nameless = with(&name, "");
    let user = assert_signs_in(&nameless, &asked_for(ADA));
    assert_eq!(user.username(), None);
    let mut by_start = asked_for("ada");
    by_start.identity.started_for = Some(ADA);
    assert_signs_in(&nameless, &by_start);
    // It is nobody's name.
    assert_mismatch(&nameless, &asked_for("ada"), OTHER_NAME);
    assert_mismatch(&nameless, &asked_for(""), OTHER_NAME);
}

#[test]
fn the_error_names_the_status_or_the_code() {
    for (status, code, why) in [
        (3, 2, "authorized, but with status 3"),
        (77, 2, "authorized, but with status 77"),
        (2, 8, "authorized, but with result code 8"),
        (2, 77, "authorized, but with result code 77"),
    ] {
        let mut response = with(CODE, code);
        put(
            &mut response,
            "/auth_request_status_id",
            Some(json!(status)),
        );
        assert_mismatch(&response, &asked_for("ada"), why);
    }
}

#[test]
fn values_without_a_check_may_be_missing() {
    let details = "/validate_auth_response_details/auth_details";
    for pointer in [
        "/auth_request_status_id".to_owned(),
        "/validate_auth_response_details/context_data".to_owned(),
        "/validate_auth_response_details/result_message".to_owned(),
        HISTORY_ID.to_owned(),
        format!("{details}/request_details"),
        format!("{details}/response_details/date"),
        format!("{details}/response_details/auth_method"),
        ASKED.to_owned(),
        MESSAGE.to_owned(),
    ] {
        for response in [without(&pointer), with(&pointer, Json::Null)] {
            assert_signs_in(&response, &asked_for("ada"));
            assert_signs_in(&response, &asked_for(ADA));
        }
    }
}

#[test]
fn a_response_without_a_profile_is_refused() {
    let mut levels = Vec::new();
    let mut pointer = format!("{WHO}/user_id");
    while pointer != "/validate_auth_response_details" {
        levels.push(pointer.clone());
        pointer.truncate(pointer.rfind('/').unwrap());
    }
    assert_eq!(levels.len(), 4);
    for pointer in levels {
        for response in [without(&pointer), with(&pointer, Json::Null)] {
            for expected in [anyone(), asked_for("ada"), asked_for(ADA)] {
                assert_mismatch(&response, &expected, NOBODY);
            }
        }
    }
    let nil = with(&format!("{WHO}/user_id"), Uuid::nil().to_string());
    assert_mismatch(&nil, &anyone(), NOBODY);
    assert_mismatch(&nil, &asked_for("ada"), NOBODY);
}

#[test]
fn the_profile_of_the_request_does_not_replace_that_of_the_response() {
    let mut response = without(WHO);
    put(&mut response, ASKED, Some(json!({"user_id": ADA})));
    assert_mismatch(&response, &asked_for(ADA), NOBODY);
}

#[test]
fn profiles_that_disagree_are_a_mismatch() {
    for (profile, ignore_case, agrees) in [
        (json!({"user_id": ADA, "username": "ada"}), false, true),
        (json!({"user_id": ADA}), false, true),
        (json!({"user_id": ADA, "username": null}), false, true),
        (json!({"username": "ada"}), false, true),
        (json!({}), false, true),
        // The nil UUID is how the service says 'no id'.
        (json!({"user_id": Uuid::nil()}), false, true),
        // So is the empty text.
        (json!({"user_id": ADA, "username": ""}), false, true),
        (json!({"username": ""}), true, true),
        (json!({"user_id": EVE, "username": ""}), true, false),
        (json!({"username": "ADA"}), true, true),
        (json!({"username": "ADA"}), false, false),
        (json!({"user_id": EVE, "username": "ada"}), false, false),
        (json!({"user_id": ADA, "username": "eve"}), false, false),
        (json!({"user_id": EVE}), true, false),
        (json!({"username": "eve"}), true, false),
    ] {
        let response = with(ASKED, profile.clone());
        for expected in [anyone(), asked_for("ada"), asked_for(ADA)] {
            let expected = ignoring_case(ignore_case, expected);
            if agrees {
                assert_signs_in(&response, &expected);
            } else {
                assert_mismatch(&response, &expected, DISAGREES);
            }
        }
    }
}

#[test]
fn ids_of_start_finish_and_caller_must_all_be_the_users() {
    let ids = [None, Some(Uuid::nil()), Some(ADA), Some(EVE)];
    for caller in [None, Some(ADA), Some(EVE)] {
        for started_for in ids {
            for finished_by in ids {
                let mut expected = anyone();
                expected.identity = Identity {
                    user: caller.map(UserKey::Id),
                    started_for,
                    finished_by,
                    ignore_case: false,
                };
                if [caller, started_for, finished_by].contains(&Some(EVE)) {
                    assert_mismatch(&response(), &expected, OTHER_USER);
                } else {
                    assert_signs_in(&response(), &expected);
                }
            }
        }
    }
    // Not even the service's nil UUID is the user who was never asked for.
    let nil = asked_for(Uuid::nil());
    assert_mismatch(&response(), &nil, OTHER_USER);
}

#[test]
fn an_id_from_the_start_response_replaces_the_name() {
    let mut by_start = asked_for("ada@example.com");
    by_start.identity.started_for = Some(ADA);
    assert_signs_in(&response(), &by_start);
    let nameless = without(&format!("{WHO}/username"));
    assert_signs_in(&nameless, &by_start);

    let mut by_nothing = by_start;
    by_nothing.identity.started_for = Some(Uuid::nil());
    assert_mismatch(&response(), &by_nothing, OTHER_NAME);
}

#[test]
fn an_id_from_the_finish_response_does_not_replace_the_name() {
    let finished = |name: &str| {
        let mut expected = asked_for(name);
        expected.identity.finished_by = Some(ADA);
        expected
    };
    assert_signs_in(&response(), &finished("ada"));
    assert_mismatch(&response(), &finished("bob"), OTHER_NAME);
    let nameless = without(&format!("{WHO}/username"));
    assert_mismatch(&nameless, &finished("ada"), OTHER_NAME);
}

#[test]
fn names_are_compared_to_the_letter_or_but_for_ascii_case() {
    for (asked, found, exactly, without_case) in [
        ("ada", "ada", true, true),
        ("ada", "Ada", false, true),
        ("Ada@Example.com", "ada@example.COM", false, true),
        ("ada", "ada ", false, false),
        ("ada", "adam", false, false),
        ("ada", "", false, false),
        ("zoë", "zoë", true, true),
        ("zoë", "ZOë", false, true),
        ("zoë", "zoË", false, false),
        ("strasse", "straße", false, false),
        // The Kelvin sign, whose lower case is a k.
        ("kim", "\u{212a}im", false, false),
        // The dotless i, whose upper case is an I.
        ("Ida", "\u{131}da", false, false),
        // One letter, and a letter with a combining accent.
        ("zo\u{eb}", "zoe\u{308}", false, false),
    ] {
        let mut response = without(ASKED);
        put(
            &mut response,
            &format!("{WHO}/username"),
            Some(json!(found.to_owned())),
        );
        for (ignore_case, same) in [(false, exactly), (true, without_case)] {
            let expected = ignoring_case(ignore_case, asked_for(asked));
            if same {
                assert_signs_in(&response, &expected);
            } else {
                assert_mismatch(&response, &expected, OTHER_NAME);
            }
        }
    }
    assert_mismatch(
        &without(&format!("{WHO}/username")),
        &asked_for("ada"),
        OTHER_NAME,
    );
}

#[test]
fn a_signed_message_must_carry_the_nonce_of_ours() {
    let nonce = "/signing_data/nonce";
    for value in [
        Some(json!("another")),
        Some(json!("")),
        Some(json!(null)),
        Some(json!(7)),
        Some(json!([NONCE])),
        Some(json!(format!("{NONCE}="))),
        None,
    ] {
        let mut signed = signed_by_phone();
        put(&mut signed, nonce, value);
        assert_mismatch(&signing(&signed), &anyone(), OTHER_NONCE);
        // Without a nonce of ours there is nothing to compare.
        let without_nonce = Expected {
            nonce: None,
            ..anyone()
        };
        assert_signs_in(&signing(&signed), &without_nonce);
    }
    for part in [Some(json!(null)), Some(json!("text")), Some(json!([]))] {
        let mut signed = signed_by_phone();
        put(&mut signed, "/signing_data", part);
        assert_mismatch(&signing(&signed), &anyone(), OTHER_NONCE);
    }
    for half in ["/message_data", "/signing_data"] {
        let mut signed = signed_by_phone();
        put(&mut signed, half, None);
        if half == "/signing_data" {
            assert_mismatch(&signing(&signed), &anyone(), OTHER_NONCE);
        } else {
            assert_signs_in(&signing(&signed), &anyone());
        }
    }
}

#[test]
fn a_signed_message_that_cannot_be_read_is_not_compared() {
    let data = format!("{MESSAGE}/signed_data");
    for text in [
        json!(null),
        json!(""),
        json!("%%%"),
        json!("AAAA"),
        json!(BASE64_STANDARD.encode("{")),
        json!(BASE64_STANDARD.encode([0xff, 0xfe])),
    ] {
        assert_signs_in(&with(&data, text), &anyone());
    }
    // Older forms hold neither part, and other JSON holds nothing.
    for signed in [
        json!({"auth_request_id": OTHER_REQUEST, "nonce": "another"}),
        json!({}),
        json!([signed_by_phone()]),
        json!("text"),
        json!(null),
    ] {
        assert_signs_in(&signing(&signed), &anyone());
    }
}

#[test]
fn a_signed_message_must_be_about_the_request_of_ours() {
    let without_nonce = Expected {
        nonce: None,
        ..anyone()
    };
    for (value, fits) in [
        (Some(json!(REQUEST)), true),
        (Some(json!(REQUEST.to_string().to_uppercase())), true),
        (Some(json!(null)), true),
        (None, true),
        (Some(json!(OTHER_REQUEST)), false),
        (Some(json!(Uuid::nil())), false),
        (Some(json!("not a UUID")), false),
        (Some(json!("")), false),
        (Some(json!(7)), false),
    ] {
        let mut signed = signed_by_phone();
        put(&mut signed, "/message_data/auth_request_id", value.clone());
        for expected in [&anyone(), &without_nonce] {
            if fits {
                assert_signs_in(&signing(&signed), expected);
            } else {
                assert_mismatch(&signing(&signed), expected, OTHER_SIGNED);
            }
        }
    }
}

#[test]
fn base64_may_be_padded_or_not() {
    let data = format!("{MESSAGE}/signed_data");
    for filler in 0..3 {
        let mut signed = signed_by_phone();
        put(&mut signed, "/filler", Some(json!("x".repeat(filler))));
        let good = signed.clone();
        put(&mut signed, "/signing_data/nonce", Some(json!("another")));
        for encode in [
            |json: &Json| BASE64_STANDARD.encode(json.to_string()),
            |json: &Json| BASE64_STANDARD_NO_PAD.encode(json.to_string()),
            |json: &Json| format!(" {}\r\n", BASE64_STANDARD.encode(json.to_string())),
        ] {
            assert_signs_in(&with(&data, encode(&good)), &anyone());
            assert_mismatch(&with(&data, encode(&signed)), &anyone(), OTHER_NONCE);
        }
    }
}

#[test]
fn the_history_id_is_not_compared() {
    for id in [REQUEST, OTHER_REQUEST, Uuid::nil()] {
        assert_signs_in(&with(HISTORY_ID, id.to_string()), &anyone());
    }
}
