//! Checks every kind of response of v4 against its OpenAPI description.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use autharmor::emulator::{Emulator, NewUser};
use serde_json::{Value, json};

use crate::{
    client::{Api, Exchange, text},
    control, shapes,
};

const ADA: &str = "ada@example.com";
const REDIRECT: &str = "https://app.example/landing";
const AUTHENTICATOR: &str = "/v4/auth/authenticator";
const WEBAUTHN: &str = "/v4/auth/webauthn";
const MAGICLINK: &str = "/v4/auth/magiclink_email";

/// The end of a sign-in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Stay,
    Decline,
    TimeOut,
    Approve,
    Forge,
    TooLate,
    Mismatch,
    Validate,
}

fn get_info(api: &mut Api, id: &str) {
    api.ok("GET", &format!("/v4/auth/{id}"), &Value::Null);
}

/// Reads the state of a sign-in after its step and validates it if there is a
/// token.
fn conclude(emulator: &Emulator, api: &mut Api, step: Step, path: &str, mut body: Value) {
    let id = text(&body, "/auth_request_id").to_owned();
    get_info(api, &id);
    match step {
        Step::Forge | Step::Approve => return,
        Step::TooLate => emulator.advance(Duration::from_secs(61)),
        Step::Mismatch => body["ip_address"] = json!("192.0.2.99"),
        _ => body["ip_address"] = json!("192.0.2.1"),
    }
    if body.get("auth_validation_token").is_some() {
        api.ok("POST", &format!("{path}/validate"), &body);
        get_info(api, &id);
    }
}

fn by_phone(emulator: &Emulator, api: &mut Api, step: Step) {
    let body = json!({"username": ADA, "ip_address": "192.0.2.1", "use_visual_verify": true});
    let started = api.ok("POST", &format!("{AUTHENTICATOR}/start"), &body);
    let id = text(&started, "/auth_request_id").parse().unwrap();
    match step {
        Step::Stay => {}
        Step::Decline => emulator.decline(id).unwrap(),
        Step::TimeOut => emulator.advance(Duration::from_secs(301)),
        _ => emulator.approve(id).unwrap(),
    }
    let body = json!({
        "auth_request_id": id, "auth_validation_token": started["auth_validation_token"],
    });
    conclude(emulator, api, step, AUTHENTICATOR, body);
}

fn by_passkey(emulator: &Emulator, api: &mut Api, step: Step) {
    let body = json!({"username": "v4-passkey", "ip_address": "192.0.2.1"});
    let started = api.ok("POST", &format!("{WEBAUTHN}/start"), &body);
    let mut body = json!({"auth_request_id": started["auth_request_id"]});
    match step {
        Step::Stay => {}
        Step::TimeOut => emulator.advance(Duration::from_secs(301)),
        _ => {
            let options = text(&started, "/fido2_json_options");
            let made = emulator.use_passkey(options, emulator.origin()).unwrap();
            let mut made: Value = serde_json::from_str(&made).unwrap();
            if step == Step::Forge {
                made["signature"] = json!("AAAA");
            }
            let finish = json!({
                "auth_request_id": started["auth_request_id"], "aa_sig": started["aa_guid"],
                "authenticator_response_data": made.to_string(),
            });
            let path = format!("{WEBAUTHN}/finish");
            if step == Step::Forge {
                assert_eq!(api.post(&path, &finish).status, 400);
            } else {
                let finished = api.ok("POST", &path, &finish);
                body["auth_validation_token"] = finished["auth_validation_token"].clone();
            }
        }
    }
    conclude(emulator, api, step, WEBAUTHN, body);
}

fn by_mail(emulator: &Emulator, api: &mut Api, step: Step) {
    let body = json!({
        "username": ADA, "ip_address": "192.0.2.1", "auth_redirect_url": REDIRECT,
        "context_data": {"basket": "7", "empty": null},
    });
    let started = api.ok("POST", &format!("{MAGICLINK}/start"), &body);
    let mut body = json!({"auth_request_id": started["auth_request_id"]});
    match step {
        Step::Stay => {}
        Step::TimeOut => emulator.advance(Duration::from_secs(301)),
        _ => {
            let parameters = control::open_link(api);
            body["auth_validation_token"] = parameters["auth_validation_token"].clone();
        }
    }
    conclude(emulator, api, step, MAGICLINK, body);
}

fn sign_ins(emulator: &Emulator, api: &mut Api) {
    // Some steps advance the clock past the end of tokens.
    let fresh = |api: &mut Api| {
        let new = Api::open(emulator);
        api.token = new.token;
    };
    for step in [
        Step::Stay,
        Step::Decline,
        Step::TimeOut,
        Step::Approve,
        Step::TooLate,
        Step::Mismatch,
        Step::Validate,
    ] {
        fresh(api);
        by_phone(emulator, api, step);
    }
    for step in [
        Step::Stay,
        Step::TimeOut,
        Step::Approve,
        Step::Forge,
        Step::TooLate,
        Step::Mismatch,
        Step::Validate,
    ] {
        fresh(api);
        by_passkey(emulator, api, step);
    }
    for step in [
        Step::Stay,
        Step::TimeOut,
        Step::Approve,
        Step::TooLate,
        Step::Mismatch,
        Step::Validate,
    ] {
        fresh(api);
        by_mail(emulator, api, step);
    }
    // Without a user.
    let started = api.ok("POST", &format!("{AUTHENTICATOR}/start"), &json!({}));
    get_info(api, text(&started, "/auth_request_id"));
    let started = api.ok("POST", &format!("{WEBAUTHN}/start"), &json!({}));
    get_info(api, text(&started, "/auth_request_id"));
}

/// Registrations in the states that `call_all_endpoints` does not reach.
fn registrations(emulator: &Emulator, api: &mut Api) {
    let status = |api: &mut Api, id: &str| {
        let path = format!("/v4/users/registrations/{id}");
        api.ok("GET", &path, &Value::Null);
    };
    let phone = "/v4/users/registrations/authenticator/start";
    for (at, step) in ["wait", "accept", "decline", "time out", "too late"]
        .into_iter()
        .enumerate()
    {
        api.token = Api::open(emulator).token;
        let body = json!({"username": format!("newcomer-{at}")});
        let started = api.ok("POST", phone, &body);
        let id = text(&started, "/registration_id").to_owned();
        let uuid = id.parse().unwrap();
        match step {
            "accept" => emulator.accept_registration(uuid).unwrap(),
            "decline" => emulator.decline_registration(uuid).unwrap(),
            "time out" => emulator.advance(Duration::from_secs(121)),
            "too late" => {
                emulator.enrol_phone(uuid).unwrap();
                status(api, &id);
                emulator.advance(Duration::from_secs(61));
            }
            _ => {}
        }
        status(api, &id);
    }
    // A passkey that was made for another page.
    let started = api.ok(
        "POST",
        "/v4/users/registrations/webauthn/start",
        &json!({"username": "forger"}),
    );
    let id = text(&started, "/registration_id").to_owned();
    let options = text(&started, "/fido2_json_options");
    let made = emulator
        .create_passkey(options, "https://evil.localhost")
        .unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    let body = json!({
        "aa_sig": started["aa_sig"],
        "authenticator_response_data": {
            "id": made["id"], "client_data": made["client_data"],
            "attestation_object": made["attestation_object"],
        },
    });
    let path = format!("/v4/users/registrations/webauthn/{id}/finish");
    assert_eq!(api.post(&path, &body).status, 400);
    status(api, &id);
    // A magic link that is opened at another address than that of the start.
    let body = json!({
        "email_address": "mover@example.com", "registration_redirect_url": REDIRECT,
        "ip_address": "192.0.2.1", "context_data": {"a": "b"},
    });
    let path = "/v4/users/registrations/magiclink_email";
    api.ok("POST", &format!("{path}/start"), &body);
    let parameters = control::open_link(api);
    let id = text(&parameters, "/registration_id").to_owned();
    let mut body = json!({
        "registration_validation_token": parameters["registration_validation_token"],
        "ip_address": "192.0.2.2",
    });
    assert_eq!(
        api.post(&format!("{path}/{id}/validate"), &body).status,
        403
    );
    status(api, &id);
    // And one that is opened where it should be.
    let start = json!({
        "email_address": "mover@example.com", "registration_redirect_url": REDIRECT,
        "ip_address": "192.0.2.1", "context_data": {"a": "b"},
    });
    api.ok("POST", &format!("{path}/start"), &start);
    let parameters = control::open_link(api);
    let id = text(&parameters, "/registration_id").to_owned();
    body["registration_validation_token"] = parameters["registration_validation_token"].clone();
    body["ip_address"] = json!("192.0.2.1");
    api.ok("POST", &format!("{path}/{id}/validate"), &body);
    status(api, &id);
    // An address that changes.
    let user = emulator.users().into_iter().find(|user| user.1 == ADA);
    let start = json!({
        "new_email_address": "lovelace@example.com", "registration_redirect_url": REDIRECT,
    });
    let change = format!("/v4/users/{}/magiclink_email/update/start", user.unwrap().0);
    api.ok("POST", &change, &start);
    let parameters = control::open_link(api);
    let body =
        json!({"registration_validation_token": parameters["registration_validation_token"]});
    let id = text(&parameters, "/registration_id").to_owned();
    let changed = api.ok("POST", &format!("{path}/{id}/validate"), &body);
    assert_eq!(changed["magiclink_email_registration_type"], "change_email");
}

/// Users with and without credentials, and empty lists.
fn users(emulator: &Emulator, api: &mut Api) {
    for (id, name) in emulator.users() {
        let user = format!("/v4/users/{id}");
        for path in [
            "",
            "/auth_history?page_size=100",
            "/auth_history?page_number=99",
            "/credentials",
            "/credentials/authenticator",
            "/credentials/webauthn",
            "/credentials/magiclink_email",
        ] {
            api.ok("GET", &format!("{user}{path}"), &Value::Null);
        }
        let body = json!({"new_username": format!("{name}-again")});
        api.ok("PUT", &user, &body);
        let list = api.ok("GET", &format!("{user}/credentials"), &Value::Null);
        for record in list["credential_records"].as_array().unwrap() {
            let one = format!("{user}/credentials/{}", text(record, "/credential_id"));
            api.ok("GET", &one, &Value::Null);
            api.ok("POST", &format!("{one}/disable"), &Value::Null);
        }
        api.ok("GET", &user, &Value::Null);
    }
    for query in ["page_size=100", "page_number=99", "username=nobody-at-all"] {
        api.ok("GET", &format!("/v4/users?{query}"), &Value::Null);
    }
}

fn run(nulls: bool) -> Vec<Exchange> {
    let emulator = Emulator::builder()
        .plain_http()
        .user(ADA)
        .user(NewUser::new("nothing").without_methods())
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    api.nulls = nulls;
    control::call_all_endpoints(&mut api, "v4");
    sign_ins(&emulator, &mut api);
    registrations(&emulator, &mut api);
    users(&emulator, &mut api);
    api.record
}

/// Status, result code and `authorized` of a response.
fn state(response: &Value) -> (i64, i64, bool) {
    let details = match &response["auth_response"] {
        Value::Null => &response["validate_auth_response_details"],
        details => details,
    };
    (
        response["auth_request_status_id"].as_i64().unwrap(),
        details["result_code"].as_i64().unwrap(),
        details["authorized"].as_bool().unwrap(),
    )
}

fn check_all_responses(nulls: bool) {
    let record = run(nulls);
    let mut successes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut states: BTreeMap<&str, BTreeSet<(i64, i64, bool)>> = BTreeMap::new();
    let mut registrations = BTreeSet::new();
    for exchange in &record {
        let endpoint = shapes::endpoint_of(&exchange.method, &exchange.target);
        let response: Value = serde_json::from_slice(&exchange.body).unwrap();
        if exchange.status != 200 {
            let fields: Vec<&String> = response.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["error_code", "error_message", "tracking_id"]);
            continue;
        }
        shapes::check(endpoint.response, &response);
        *successes.entry(endpoint.name).or_default() += 1;
        if response.get("auth_request_status_id").is_some() {
            states
                .entry(endpoint.name)
                .or_default()
                .insert(state(&response));
        }
        for past in response["auth_history_records"]
            .as_array()
            .into_iter()
            .flatten()
        {
            states.entry(endpoint.name).or_default().insert(state(past));
        }
        registrations.extend(response["registration_status_code"].as_i64());
    }
    let names: BTreeSet<&str> = shapes::endpoints().map(|endpoint| endpoint.name).collect();
    assert_eq!(names.len(), 31);
    assert_eq!(successes.keys().copied().collect::<BTreeSet<_>>(), names);

    let waiting = (3, 1, false);
    let approved = (4, 8, false);
    let [declined, forged, timed_out, late, mismatch] =
        [3, 4, 5, 9, 10].map(|result| (2, result, false));
    let signed_in = (2, 2, true);
    let all = BTreeSet::from([
        waiting, approved, signed_in, declined, forged, timed_out, late, mismatch,
    ]);
    assert_eq!(states["get_auth_info"], all);
    assert!(
        states["get_user_auth_history"].is_superset(&BTreeSet::from([
            signed_in, declined, forged, timed_out, late, mismatch
        ]))
    );
    // For passkeys and magic links there is a validation token only after the
    // approval.
    let by_token = BTreeSet::from([signed_in, late, mismatch]);
    assert_eq!(states["validate_webauthn_auth"], by_token);
    assert_eq!(states["validate_magiclink_email_auth"], by_token);
    let others = BTreeSet::from([waiting, declined, timed_out]);
    assert_eq!(states["validate_authenticator_auth"], &by_token | &others);
    assert_eq!(registrations, BTreeSet::from([1, 2, 3, 4, 5, 6, 8, 9, 10]));
}

#[test]
fn every_response_matches_its_schema() {
    check_all_responses(false);
}

#[test]
fn explicit_nulls_change_nothing() {
    check_all_responses(true);
}

/// The check itself can fail.
#[test]
fn the_check_finds_wrong_values() {
    let good = json!({
        "auth_request_id": uuid::Uuid::nil(), "user_id": uuid::Uuid::nil(),
        "timeout_in_seconds": 60, "timeout_utc_datetime": "2026-01-01T00:00:00.5Z",
    });
    let schema = "start_magiclink_email_auth_response";
    assert_eq!(shapes::try_check(schema, &good), Ok(()));
    for (name, value) in [
        ("auth_request_id", json!("x")),
        ("auth_request_id", Value::Null),
        ("timeout_in_seconds", json!("60")),
        ("timeout_in_seconds", json!(60.5)),
        ("timeout_in_seconds", json!(3_000_000_000_u64)),
        ("timeout_utc_datetime", json!("2026-01-01")),
        ("more", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert!(shapes::try_check(schema, &bad).is_err(), "{bad}");
    }
    for name in ["auth_request_id", "timeout_utc_datetime"] {
        let mut bad = good.clone();
        bad.as_object_mut().unwrap().remove(name);
        assert!(shapes::try_check(schema, &bad).is_err(), "{bad}");
    }
    assert!(shapes::try_check(schema, &json!({})).is_err());
    assert!(shapes::try_check("get_users_response", &json!({"user_records": [1]})).is_err());
    assert!(shapes::try_check("auth_methods", &json!("Pigeon")).is_err());
}
