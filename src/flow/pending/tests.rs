use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::ErrorKind;
use crate::flow::{
    PendingAuthenticator, PendingAuthenticatorRegistration, PendingMagiclink,
    PendingMagiclinkRegistration, PendingWebauthn, PendingWebauthnRegistration,
};
use crate::testing::{TestClient, respond};

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
const USER: Uuid = Uuid::from_u128(0xada0_0000_0000_4000_8000_0000_0000_0001);

/// The names of the flows in their states.
const FLOWS: [&str; 6] = [
    "authenticator_sign_in",
    "webauthn_sign_in",
    "magiclink_sign_in",
    "authenticator_registration",
    "webauthn_registration",
    "magiclink_registration",
];

fn client(version: ApiVersion) -> Client {
    let refuse = |_, _: &_, _| respond(403, "");
    TestClient::with(refuse, refuse, |builder| builder.api_version(version)).client
}

/// A state of the first flow.
fn full() -> Value {
    json!({
        "v": 1,
        "flow": "authenticator_sign_in",
        "api": "v4",
        "id": ID,
        "user": {"username": "ada"},
        "user_id": USER,
        "ignore_case": true,
        "token": "t0k3n",
        "nonce": "n0nc3",
        "ip_address": "203.0.113.7",
        "user_agent": "Firefox",
        "life": 60,
    })
}

/// The least that a state of each flow holds.
fn least() -> [Value; 6] {
    let head = |flow: usize| json!({"v": 1, "flow": FLOWS[flow], "api": "v4"});
    let with = |flow: usize, state: Value| {
        let mut json = head(flow);
        let fields = json.as_object_mut().unwrap();
        fields.extend(state.as_object().unwrap().clone());
        json
    };
    let user = json!({"user_id": USER});
    [
        with(
            0,
            json!({"id": ID, "token": "t0k3n", "nonce": "n0nc3", "life": 60}),
        ),
        with(1, json!({"id": ID, "aa_sig": "aa-s1g"})),
        with(2, json!({"id": ID, "user": user})),
        with(
            3,
            json!({"id": ID, "user": user, "token": "t0k3n", "life": 60}),
        ),
        with(4, json!({"id": ID, "user": user, "aa_sig": "aa-s1g"})),
        with(
            5,
            json!({"purpose": "new_user", "address": "ada@example.com"}),
        ),
    ]
}

/// Reads it as one flow's state and writes it again.
fn reread<T: Serialize + for<'de> Deserialize<'de>>(text: &str) -> Result<Value, String> {
    let pending: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(&pending).unwrap())
}

/// The same for all flows: the numbers of those that take it, and the errors
/// of the others.
fn read(json: &Value) -> (Vec<usize>, Vec<String>) {
    let text = json.to_string();
    let results = [
        reread::<PendingAuthenticator>(&text),
        reread::<PendingWebauthn>(&text),
        reread::<PendingMagiclink>(&text),
        reread::<PendingAuthenticatorRegistration>(&text),
        reread::<PendingWebauthnRegistration>(&text),
        reread::<PendingMagiclinkRegistration>(&text),
    ];
    let mut taken = Vec::new();
    let mut errors = Vec::new();
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Ok(written) => {
                assert_eq!(written, *json);
                taken.push(number);
            }
            Err(error) => errors.push(error),
        }
    }
    (taken, errors)
}

#[track_caller]
fn assert_discreet(errors: &[String], expected: &str) {
    for error in errors {
        assert!(error.contains(expected), "{error}");
        for value in ["ada", "t0k3n", "n0nc3", "aa-s1g", "203.0.113.7"] {
            assert!(!error.contains(value), "{error}");
        }
    }
}

/// States that an older release of this crate wrote must still be read, or be
/// of another format.
#[test]
fn the_form_of_format_1_stays() {
    assert_eq!(read(&full()).0, [0]);
    let mut by_id = full();
    by_id["user"] = json!({"user_id": USER});
    assert_eq!(read(&by_id).0, [0]);

    let mut passkey = least()[1].clone();
    passkey["nonce"] = json!("n0nc3");
    passkey["webauthn_client_id"] = json!("wc");
    assert_eq!(read(&passkey).0, [1]);

    let mut watched = least()[3].clone();
    let fields = watched.as_object_mut().unwrap();
    fields.remove("token");
    fields.insert(
        "watch".to_owned(),
        json!({"user": {"user": {"username": "ada"}, "before": []}}),
    );
    assert_eq!(read(&watched).0, [3]);

    let mut passkey = least()[4].clone();
    passkey["for_user"] = json!(true);
    passkey["webauthn_client_id"] = json!("wc");
    assert_eq!(read(&passkey).0, [4]);

    for purpose in ["new_enrollment", "change_email"] {
        let mut mail = least()[5].clone();
        mail["purpose"] = json!(purpose);
        mail["user"] = json!({"username": "ada"});
        mail["ip_address"] = json!("203.0.113.7");
        assert_eq!(read(&mail).0, [5]);
    }
}

#[test]
fn what_is_not_set_takes_no_room() {
    // Written as it was read: without a `null` or a `false`.
    for (number, json) in least().iter().enumerate() {
        assert_eq!(read(json).0, [number], "{json}");
    }
}

#[test]
fn the_format_is_written_first() {
    let pending: PendingMagiclink = serde_json::from_value(least()[2].clone()).unwrap();
    let written = serde_json::to_string(&pending).unwrap();
    let start = r#"{"v":1,"flow":"magiclink_sign_in","api":"v4","id":""#;
    assert!(written.starts_with(start), "{written}");
}

#[test]
fn a_state_is_taken_by_its_own_flow_only() {
    for (number, json) in least().iter().enumerate() {
        let (taken, errors) = read(json);
        assert_eq!(taken, [number]);
        assert_eq!(errors.len(), 5);
        assert_discreet(&errors, "of another flow");
    }
}

#[test]
fn another_format_is_refused_without_being_repeated() {
    for format in [json!(0), json!(2), json!(255), json!("t0k3n"), json!(null)] {
        for mut json in least() {
            json["v"] = format.clone();
            let (taken, errors) = read(&json);
            assert!(taken.is_empty());
            assert_discreet(&errors, "of another ");
            // What it holds may have another form, and may be read first.
            json["id"] = json!(["t0k3n"]);
            json["aa_sig"] = json!({"ada": 7});
            json["address"] = json!(7);
            let (taken, errors) = read(&json);
            assert!(taken.is_empty());
            assert_discreet(&errors, "of another ");
        }
    }
    for (key, value) in [
        ("v", json!(256)),
        ("v", json!(-1)),
        ("v", json!("1")),
        ("v", json!(null)),
        ("api", json!("v5")),
        ("api", json!(null)),
        ("flow", json!("another")),
        ("flow", json!(null)),
    ] {
        let mut json = full();
        json[key] = value;
        assert!(read(&json).0.is_empty(), "{json}");
        json.as_object_mut().unwrap().remove(key);
        assert!(read(&json).0.is_empty(), "{json}");
    }
}

#[test]
fn a_state_needs_each_of_its_required_values() {
    for (number, json) in least().iter().enumerate() {
        for key in json.as_object().unwrap().keys() {
            for value in [None, Some(json!(null))] {
                let mut damaged = json.clone();
                match value {
                    Some(value) => damaged[key] = value,
                    None => drop(damaged.as_object_mut().unwrap().remove(key)),
                }
                let (taken, errors) = read(&damaged);
                assert!(taken.is_empty(), "{number} {damaged}");
                assert_discreet(&errors, "");
            }
        }
    }
}

#[test]
fn a_state_is_ended_under_its_own_version_only() {
    for began in [ApiVersion::V3, ApiVersion::V4] {
        for ends in [ApiVersion::V3, ApiVersion::V4] {
            let pending = Pending::new(&client(began), 7);
            match pending.state_for(&client(ends)) {
                Ok(state) => assert_eq!((began, *state), (ends, 7)),
                Err(error) => {
                    assert_ne!(began, ends);
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    assert!(!error.may_have_been_sent());
                }
            }
        }
    }
}

#[test]
fn debug_shows_no_value_that_matters() {
    let pending: PendingAuthenticator = serde_json::from_value(full()).unwrap();
    assert_eq!(
        format!("{pending:?}"),
        format!(
            "PendingAuthenticator(Pending {{ version: V4, state: AuthenticatorState {{ \
             id: {ID}, user: Some(Username(Private(..))), user_id: Some({USER}), \
             ignore_case: true, token: Secret(..), nonce: Secret(..), \
             browser: Browser {{ ip_address: Some(Private(..)), user_agent: Some(Private(..)) }}, \
             proof: Requirement {{ required: None, challenge: None }}, life: 60 }}, .. }})"
        )
    );
}
