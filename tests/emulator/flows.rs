//! Every method of registering and signing in, in both versions.

use std::{collections::BTreeSet, time::Duration};

use autharmor::emulator::{Emulator, EmulatorError, MailKind, NewUser, Scanned};
use serde_json::{Value, json};

use crate::client::{Api, text};

const NIL: &str = "00000000-0000-0000-0000-000000000000";
const ADA: &str = "ada@example.com";
const REDIRECT: &str = "https://app.example/redirect?from=mail";

fn start() -> (Emulator, Api) {
    let emulator = Emulator::builder().user(ADA).start().unwrap();
    let api = Api::open(&emulator);
    (emulator, api)
}

/// The value of a parameter in the query of a URL.
fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(have, _)| *have == name)
        .map(|(_, value)| value.to_owned())
}

fn details(validated: &Value) -> &Value {
    &validated["validate_auth_response_details"]
}

/// Starts and approves a sign-in. Returns the body of its validate call.
fn approved(emulator: &Emulator, api: &mut Api, v: &str, extra: &Value) -> Value {
    let mut body = json!({"username": ADA, "send_push": true});
    for (name, value) in extra.as_object().unwrap() {
        body[name] = value.clone();
    }
    let started = api.ok("POST", &format!("/{v}/auth/authenticator/start"), &body);
    emulator
        .approve(text(&started, "/auth_request_id").parse().unwrap())
        .unwrap();
    json!({
        "auth_request_id": started["auth_request_id"],
        "auth_validation_token": started["auth_validation_token"],
    })
}

#[test]
fn authenticator_sign_in() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let body = json!({
            "username": ADA, "send_push": true, "use_visual_verify": true,
            "action_name": "Login", "short_msg": "Hello", "nonce": "n-1",
            "timeout_in_seconds": 60, "ip_address": "192.0.2.1", "user_agent": "agent",
            "origin_location_data": {"latitude": "1", "longitude": null},
        });
        let started = api.ok("POST", &format!("/{v}/auth/authenticator/start"), &body);
        let id = text(&started, "/auth_request_id").to_owned();
        let [pending] = &emulator.pending_requests()[..] else {
            panic!()
        };
        assert_eq!(pending.auth_request_id.to_string(), id);
        assert_eq!(pending.short_msg.as_deref(), Some("Hello"));
        assert_eq!(
            pending.visual_verify_value.as_deref(),
            started["visual_verify_value"].as_str()
        );

        let info = api.ok("GET", &format!("/{v}/auth/{id}"), &Value::Null);
        assert_eq!(info["auth_request_status_id"], 3);
        assert_eq!(info["auth_response"].is_null(), v == "v3");

        let mut validate = json!({
            "auth_request_id": id,
            "auth_validation_token": started["auth_validation_token"],
            "nonce": "n-1", "ip_address": "192.0.2.1", "user_agent": "agent",
        });
        let path = format!("/{v}/auth/authenticator/validate");
        let early = api.ok("POST", &path, &validate);
        assert_eq!(details(&early)["authorized"], false);
        assert_eq!(details(&early)["result_code"], 1);

        emulator.approve(pending.auth_request_id).unwrap();
        let info = api.ok("GET", &format!("/{v}/auth/{id}"), &Value::Null);
        assert_eq!(info["auth_request_status_id"], 4);
        assert_eq!(info["auth_response"]["result_code"], 8);
        assert_eq!(info["auth_response"]["authorized"], false);

        let token = validate["auth_validation_token"].take();
        validate["auth_validation_token"] = json!("wrong");
        assert_eq!(api.post(&path, &validate).status, 401);
        validate["auth_validation_token"] = token;
        let signed_in = api.ok("POST", &path, &validate);
        assert_eq!(signed_in["auth_request_status_id"], 2);
        assert_eq!(details(&signed_in)["result_code"], 2);
        assert_eq!(details(&signed_in)["authorized"], true);
        let profile = "/auth_details/response_details/auth_profile_details/username";
        assert_eq!(text(details(&signed_in), profile), ADA);
        // A token works once.
        assert_eq!(api.post(&path, &validate).status, 403);
        check_signed_message(details(&signed_in), &id, "n-1");
    }
}

fn check_signed_message(details: &Value, id: &str, nonce: &str) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let message = &details["auth_details"]["response_details"]["secure_signed_message"];
    let data = STANDARD.decode(text(message, "/signed_data")).unwrap();
    let data: Value = serde_json::from_slice(&data).unwrap();
    assert_eq!(text(&data, "/message_data/auth_request_id"), id);
    assert_eq!(text(&data, "/signing_data/nonce"), nonce);
    assert_eq!(text(message, "/signature_data/hash_value").len(), 64);
    let signature: Value =
        serde_json::from_str(text(message, "/signature_data/signature_data")).unwrap();
    assert!(signature.is_object());
}

#[test]
fn a_declined_sign_in() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let path = format!("/{v}/auth/authenticator/start");
        let started = api.ok("POST", &path, &json!({"username": ADA}));
        let id = text(&started, "/auth_request_id").parse().unwrap();
        emulator.decline(id).unwrap();
        assert_eq!(emulator.approve(id), Err(EmulatorError::Over));
        let body = json!({
            "auth_request_id": id, "auth_validation_token": started["auth_validation_token"],
        });
        for _ in 0..2 {
            let over = api.ok("POST", &format!("/{v}/auth/authenticator/validate"), &body);
            assert_eq!(over["auth_request_status_id"], 2);
            assert_eq!(details(&over)["result_code"], 3);
            assert_eq!(details(&over)["authorized"], false);
        }
    }
}

#[test]
fn sign_ins_expire_by_the_emulators_clock() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let path = format!("/{v}/auth/authenticator/start");
        let body = json!({"username": ADA, "timeout_in_seconds": 300});
        let started = api.ok("POST", &path, &body);
        let id = text(&started, "/auth_request_id").to_owned();
        emulator.advance(Duration::from_secs(301));
        let info = api.ok("GET", &format!("/{v}/auth/{id}"), &Value::Null);
        assert_eq!(info["auth_request_status_id"], 2);
        assert_eq!(info["auth_response"]["result_code"], 5);
        assert_eq!(
            emulator.approve(id.parse().unwrap()),
            Err(EmulatorError::Over)
        );

        let late = approved(&emulator, &mut api, v, &json!({}));
        emulator.advance(Duration::from_secs(61));
        let response = api.ok("POST", &format!("/{v}/auth/authenticator/validate"), &late);
        assert_eq!(details(&response)["result_code"], 9);
        assert_eq!(details(&response)["authorized"], false);
    }
}

#[test]
fn the_pairing_has_to_be_that_of_the_start() {
    for v in ["v3", "v4"] {
        for field in ["nonce", "ip_address", "user_agent"] {
            for given in [json!("other"), Value::Null] {
                let (emulator, mut api) = start();
                let mut body = approved(&emulator, &mut api, v, &json!({ (field): "one" }));
                body[field] = given;
                let path = format!("/{v}/auth/authenticator/validate");
                let response = api.ok("POST", &path, &body);
                assert_eq!(details(&response)["result_code"], 10, "{field}");
                assert_eq!(details(&response)["authorized"], false, "{field}");
                // The sign-in has ended, also for the right value.
                body[field] = json!("one");
                assert_eq!(details(&api.ok("POST", &path, &body))["authorized"], false);
            }
        }
    }
}

#[test]
fn a_sign_in_without_a_user_is_for_whoever_scans_the_code() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let path = format!("/{v}/auth/authenticator/start");
        assert_eq!(api.post(&path, &json!({"send_push": true})).status, 400);
        let started = api.ok("POST", &path, &json!({"username": "", "user_id": null}));
        assert_eq!(text(&started, "/user_id"), NIL);
        let id: uuid::Uuid = text(&started, "/auth_request_id").parse().unwrap();
        let code = text(&started, "/qr_code_data");
        assert_eq!(emulator.approve(id), Err(EmulatorError::NoUser));
        assert_eq!(
            emulator.scan_qr("no code", Some(ADA)),
            Err(EmulatorError::UnknownCode)
        );
        assert_eq!(
            emulator.scan_qr(code, Some("nobody")),
            Err(EmulatorError::UnknownUser)
        );
        assert_eq!(
            emulator.scan_qr(code, Some(ADA)),
            Ok(Scanned::SignIn {
                auth_request_id: id
            })
        );
        emulator.approve(id).unwrap();
        let body = json!({
            "auth_request_id": id, "auth_validation_token": started["auth_validation_token"],
        });
        let response = api.ok("POST", &format!("/{v}/auth/authenticator/validate"), &body);
        let profile = "/auth_details/response_details/auth_profile_details/username";
        assert_eq!(text(details(&response), profile), ADA);
    }
}

#[test]
fn a_qr_code_of_one_user_is_refused_for_another() {
    let (emulator, mut api) = start();
    emulator.add_user("bob").unwrap();
    let started = api.ok(
        "POST",
        "/v4/auth/authenticator/start",
        &json!({"username": ADA}),
    );
    assert_eq!(
        emulator.scan_qr(text(&started, "/qr_code_data"), Some("bob")),
        Err(EmulatorError::WrongUser)
    );
}

#[test]
fn authenticator_registration_of_a_new_user() {
    // A registration of v3 ends when the phone has enrolled.
    let (emulator, mut api) = start();
    let body = json!({"username": "bob", "timeout_in_seconds": 60});
    let started = api.ok("POST", "/v3/users/authenticator/register/start", &body);
    let fields: BTreeSet<&str> = started
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        fields,
        BTreeSet::from([
            "registration_id",
            "username",
            "date_expires",
            "auth_method",
            "qr_code_data"
        ])
    );
    let by_name = "X-AuthArmor-UsernameValue: bob\r\n";
    let path = format!("/v3/users/{NIL}");
    assert_eq!(api.raw("GET", &path, by_name, b"").status, 404);
    emulator
        .scan_qr(text(&started, "/qr_code_data"), None)
        .unwrap();
    let user = api.raw("GET", &path, by_name, b"").json();
    assert_eq!(
        text(&user, "/enrolled_auth_methods/0/auth_method_name"),
        "AuthArmorAuthenticator"
    );
    assert_eq!(user["enrolled_auth_methods"][0]["auth_method_id"], 4);

    // A registration of v4 ends with the validate call.
    let started = api.ok(
        "POST",
        "/v4/users/registrations/authenticator/start",
        &json!({"username": "eve"}),
    );
    let id = text(&started, "/registration_id").to_owned();
    let info = format!("/v4/users/registrations/{id}");
    let validate = format!("/v4/users/registrations/authenticator/{id}/validate");
    let token = json!({"registration_validation_token": started["registration_validation_token"]});
    let status =
        |api: &mut Api| api.ok("GET", &info, &Value::Null)["registration_status_code"].clone();
    assert_eq!(status(&mut api), 1);
    assert_eq!(api.post(&validate, &token).status, 400);
    emulator.accept_registration(id.parse().unwrap()).unwrap();
    assert_eq!(status(&mut api), 6);
    emulator
        .scan_qr(text(&started, "/qr_code_data"), None)
        .unwrap();
    assert_eq!(status(&mut api), 8);
    let wrong = json!({"registration_validation_token": "wrong"});
    assert_eq!(api.post(&validate, &wrong).status, 401);
    let path = format!("/v4/users/{NIL}?username=eve");
    assert_eq!(api.get(&path).status, 404);
    let done = api.ok("POST", &validate, &token);
    assert_eq!(done["user_id"], started["user_id"]);
    assert_eq!(status(&mut api), 2);
    let user = api.ok("GET", &path, &Value::Null);
    assert_eq!(user["user_id"], started["user_id"]);
    assert_eq!(api.post(&validate, &token).status, 403);
}

#[test]
fn registrations_can_be_declined_and_expire() {
    let (emulator, mut api) = start();
    for decline in [true, false] {
        let body = json!({"username": "bob"});
        let started = api.ok("POST", "/v4/users/registrations/authenticator/start", &body);
        let id = text(&started, "/registration_id").to_owned();
        if decline {
            emulator.decline_registration(id.parse().unwrap()).unwrap();
        } else {
            emulator.advance(Duration::from_secs(121));
        }
        let info = api.ok(
            "GET",
            &format!("/v4/users/registrations/{id}"),
            &Value::Null,
        );
        assert_eq!(
            info["registration_status_code"],
            if decline { 3 } else { 5 }
        );
        assert_eq!(
            emulator.scan_qr(text(&started, "/qr_code_data"), None),
            Err(EmulatorError::Over)
        );
        let validate = format!("/v4/users/registrations/authenticator/{id}/validate");
        let token =
            json!({"registration_validation_token": started["registration_validation_token"]});
        assert_eq!(api.post(&validate, &token).status, 403);
    }
}

#[test]
fn v3_switches_of_authenticator_registration() {
    let (emulator, mut api) = start();
    let path = "/v3/users/authenticator/register/start";
    assert_eq!(api.post(path, &json!({"username": ADA})).status, 409);

    let first = api.ok("POST", path, &json!({"username": "bob"}));
    let second = api.ok(
        "POST",
        path,
        &json!({"username": "BOB", "revoke_previous_invites": true}),
    );
    assert_eq!(
        emulator.scan_qr(text(&first, "/qr_code_data"), None),
        Err(EmulatorError::Over)
    );
    emulator
        .scan_qr(text(&second, "/qr_code_data"), None)
        .unwrap();

    let body = json!({"username": ADA, "reset_and_reinvite": true});
    let again = api.ok("POST", path, &body);
    emulator
        .scan_qr(text(&again, "/qr_code_data"), None)
        .unwrap();
    let list = format!("/v4/users/{NIL}/credentials/authenticator?username={ADA}");
    let credentials = api.ok("GET", &list, &Value::Null);
    let enabled: Vec<&Value> = credentials["credential_records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| &record["enabled"])
        .collect();
    assert_eq!(enabled, [&json!(false), &json!(true)]);
}

#[test]
fn authenticator_for_a_user() {
    let emulator = Emulator::builder()
        .user(NewUser::new("bob").without_methods())
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    let start = json!({"username": "bob"});
    assert_eq!(api.post("/v4/auth/authenticator/start", &start).status, 400);
    let id = emulator.users()[0].0;

    let started = api.ok(
        "POST",
        &format!("/v4/users/{NIL}/registrations/authenticator/start?username=bob"),
        &Value::Null,
    );
    assert_eq!(text(&started, "/user_id"), id.to_string());
    emulator
        .scan_qr(text(&started, "/qr_code_data"), None)
        .unwrap();
    let token = json!({"registration_validation_token": started["registration_validation_token"]});
    let validate = format!(
        "/v4/users/registrations/authenticator/{}/validate",
        text(&started, "/registration_id")
    );
    api.ok("POST", &validate, &token);
    assert_eq!(api.post("/v4/auth/authenticator/start", &start).status, 200);

    let started = api.ok(
        "POST",
        &format!("/v3/users/{id}/authenticator/register/start"),
        &Value::Null,
    );
    assert!(started.get("user_id").is_none());
    emulator
        .scan_qr(text(&started, "/qr_code_data"), None)
        .unwrap();
    let list = format!("/v4/users/{id}/credentials");
    let credentials = api.ok("GET", &list, &Value::Null);
    assert_eq!(credentials["page_info"]["total_record_count"], 2);
}

/// Registers a passkey for a new user.
fn register_passkey(emulator: &Emulator, api: &mut Api, v: &str, username: &str) {
    let body = json!({
        "username": username, "attachment_type": "Any", "webauthn_client_id": "web",
        "email_address": null,
    });
    let path = match v {
        "v3" => "/v3/users/webauthn/register/start",
        _ => "/v4/users/registrations/webauthn/start",
    };
    let started = api.ok("POST", path, &body);
    let options = match &started["fido2_json_options"] {
        Value::String(text) => text.clone(),
        object => object.to_string(),
    };
    assert_eq!(started["fido2_json_options"].is_string(), v == "v4");
    let made = emulator
        .create_passkey(&options, emulator.origin())
        .unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    let mut body = json!({
        "aa_sig": started["aa_sig"],
        "authenticator_response_data": {
            "id": made["id"],
            "attestation_object": made["attestation_object"],
            "client_data": made["client_data"],
        },
        "webauthn_client_id": "web",
    });
    if v == "v3" {
        body["registration_id"] = started["registration_id"].clone();
        let done = api.ok("POST", "/v3/users/webauthn/register/finish", &body);
        assert_eq!(done.as_object().unwrap().len(), 2, "{done}");
        assert_eq!(text(&done, "/username"), username);
        return;
    }
    let id = text(&started, "/registration_id");
    let finish = format!("/v4/users/registrations/webauthn/{id}/finish");
    body["aa_sig"] = json!("wrong");
    assert_eq!(api.post(&finish, &body).status, 401);
    body["aa_sig"] = started["aa_sig"].clone();
    let finished = api.ok("POST", &finish, &body);
    assert_eq!(api.post(&finish, &body).status, 403);
    let lookup = format!("/v4/users/{NIL}?username={username}");
    assert_eq!(api.get(&lookup).status, 404);
    let validate = format!("/v4/users/registrations/webauthn/{id}/validate");
    let token = json!({"registration_validation_token": finished["registration_validation_token"]});
    let validated = api.ok("POST", &validate, &token);
    assert_eq!(validated["user_id"], finished["user_id"]);
    api.ok("GET", &lookup, &Value::Null);
}

#[test]
fn passkey_registration_and_sign_in() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        register_passkey(&emulator, &mut api, v, "bob");
        // With and without a user.
        for body in [json!({"username": "bob", "nonce": "n"}), json!({})] {
            let started = api.ok("POST", &format!("/{v}/auth/webauthn/start"), &body);
            let options = text(&started, "/fido2_json_options");
            let used = emulator.use_passkey(options, emulator.origin()).unwrap();
            let mut finish = json!({
                "auth_request_id": started["auth_request_id"],
                "aa_sig": "wrong",
                "authenticator_response_data": used,
                "webauthn_client_id": null,
            });
            let path = format!("/{v}/auth/webauthn/finish");
            assert_eq!(api.post(&path, &finish).status, 401);
            finish["aa_sig"] = started["aa_guid"].clone();
            let finished = api.ok("POST", &path, &finish);
            assert_eq!(text(&finished, "/username"), "bob");
            assert_eq!(api.post(&path, &finish).status, 403);
            let validate = json!({
                "auth_request_id": finished["auth_request_id"],
                "auth_validation_token": finished["auth_validation_token"],
                "nonce": body["nonce"],
            });
            let path = format!("/{v}/auth/webauthn/validate");
            let signed_in = api.ok("POST", &path, &validate);
            assert_eq!(details(&signed_in)["authorized"], true);
            let nonce = body["nonce"].as_str().unwrap_or_default();
            check_signed_message(
                details(&signed_in),
                text(&finished, "/auth_request_id"),
                nonce,
            );
            assert_eq!(api.post(&path, &validate).status, 403);
        }
    }
}

#[test]
fn a_passkey_of_another_page_is_refused() {
    let (emulator, mut api) = start();
    register_passkey(&emulator, &mut api, "v4", "bob");
    let started = api.ok(
        "POST",
        "/v4/auth/webauthn/start",
        &json!({"username": "bob"}),
    );
    let options = text(&started, "/fido2_json_options");
    let used = emulator
        .use_passkey(options, "https://evil.localhost")
        .unwrap();
    let finish = json!({
        "auth_request_id": started["auth_request_id"],
        "aa_sig": started["aa_guid"],
        "authenticator_response_data": used,
    });
    assert_eq!(api.post("/v4/auth/webauthn/finish", &finish).status, 400);
    let id = text(&started, "/auth_request_id");
    let info = api.ok("GET", &format!("/v4/auth/{id}"), &Value::Null);
    assert_eq!(info["auth_response"]["result_code"], 4);
}

#[test]
fn a_passkey_for_a_user() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let id = emulator.users()[0].0;
        let route = if v == "v3" {
            "webauthn/register"
        } else {
            "registrations/webauthn"
        };
        let started = api.ok(
            "POST",
            &format!("/{v}/users/{id}/{route}/start"),
            &json!({"attachment_type": "Platform"}),
        );
        assert_eq!(started.get("user_id").is_some(), v == "v4");
        let options = match &started["fido2_json_options"] {
            Value::String(text) => text.clone(),
            object => object.to_string(),
        };
        let made = emulator
            .create_passkey(&options, emulator.origin())
            .unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        let mut body = json!({
            "aa_sig": started["aa_sig"],
            "authenticator_response_data": {
                "id": made["id"], "client_data": made["client_data"],
                "attestation_object": made["attestation_object"],
            },
        });
        let registration = text(&started, "/registration_id").to_owned();
        let finish = if v == "v3" {
            body["registration_id"] = json!(registration);
            format!("/v3/users/{id}/webauthn/register/finish")
        } else {
            format!("/v4/users/{id}/registrations/webauthn/{registration}/finish")
        };
        // Refused by the endpoint for new users.
        let other = if v == "v3" {
            "/v3/users/webauthn/register/finish".to_owned()
        } else {
            format!("/v4/users/registrations/webauthn/{registration}/finish")
        };
        assert_eq!(api.post(&other, &body).status, 404);
        let finished = api.ok("POST", &finish, &body);
        if v == "v4" {
            let token =
                json!({"registration_validation_token": finished["registration_validation_token"]});
            api.ok(
                "POST",
                &format!("/v4/users/registrations/webauthn/{registration}/validate"),
                &token,
            );
        }
        let user = api.ok("GET", &format!("/{v}/users/{id}"), &Value::Null);
        let ids: Vec<i64> = user["enrolled_auth_methods"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|method| method["auth_method_id"].as_i64())
            .collect();
        assert_eq!(ids, [4, 20, 30]);
    }
}

#[test]
fn magic_link_sign_in() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let path = format!("/{v}/auth/magiclink_email/start");
        let body = json!({
            "username": ADA, "auth_redirect_url": REDIRECT, "action_name": "Login",
            "short_msg": "Hello", "context_data": {"cart": "17", "none": null},
            "ip_address": "192.0.2.1",
        });
        let started = api.ok("POST", &path, &body);
        assert!(started.get("auth_validation_token").is_none());
        let [mail] = &emulator.outbox()[..] else {
            panic!()
        };
        assert_eq!((mail.to.as_str(), mail.kind), (ADA, MailKind::SignIn));
        assert_eq!(mail.subject, "Login at Emulated Project");
        let redirect = emulator.click(&mail.link).unwrap();
        assert!(
            redirect.starts_with("https://app.example/redirect?from=mail&"),
            "{redirect}"
        );
        assert_eq!(emulator.click(&mail.link), Err(EmulatorError::UnknownLink));
        let id = parameter(&redirect, "auth_request_id").unwrap();
        assert_eq!(id, text(&started, "/auth_request_id"));
        let info = api.ok("GET", &format!("/{v}/auth/{id}"), &Value::Null);
        assert_eq!(info["auth_request_status_id"], 4);
        let validate = json!({
            "auth_request_id": id,
            "auth_validation_token": parameter(&redirect, "auth_validation_token"),
            "ip_address": "192.0.2.1",
        });
        // Refused by the endpoint of another method.
        assert_eq!(
            api.post(&format!("/{v}/auth/authenticator/validate"), &validate)
                .status,
            404
        );
        let path = format!("/{v}/auth/magiclink_email/validate");
        let signed_in = api.ok("POST", &path, &validate);
        assert_eq!(details(&signed_in)["authorized"], true);
        assert_eq!(details(&signed_in)["context_data"], body["context_data"]);
        assert_eq!(api.post(&path, &validate).status, 403);
    }
}

#[test]
fn a_magic_link_expires() {
    let (emulator, mut api) = start();
    let body = json!({"username": ADA, "auth_redirect_url": REDIRECT, "timeout_in_seconds": 15});
    api.ok("POST", "/v4/auth/magiclink_email/start", &body);
    emulator.advance(Duration::from_secs(16));
    assert_eq!(
        emulator.click(&emulator.outbox()[0].link),
        Err(EmulatorError::Over)
    );
}

#[test]
fn redirects_have_to_be_on_the_allow_list() {
    let emulator = Emulator::builder()
        .user(ADA)
        .allow_auth_redirect("https://app.example/in")
        .allow_registration_redirect("https://app.example/up")
        .start()
        .unwrap();
    let mut api = Api::open(&emulator);
    for (redirect, status) in [
        ("https://app.example/in?x=1", 200),
        ("https://app.example/up", 400),
        ("https://evil.example/in", 400),
        ("javascript:alert(1)", 400),
    ] {
        let body = json!({"username": ADA, "auth_redirect_url": redirect});
        assert_eq!(
            api.post("/v3/auth/magiclink_email/start", &body).status,
            status,
            "{redirect}"
        );
    }
    let body = json!({"email_address": "x@example.com", "registration_redirect_url": "https://app.example/in"});
    assert_eq!(
        api.post("/v3/users/magiclink_email/register/start", &body)
            .status,
        400
    );
    assert_eq!(emulator.outbox().len(), 1);
}

/// Opens the newest magic link and validates the registration.
fn finish_magiclink(emulator: &Emulator, api: &mut Api, v: &str, extra: &Value) -> Value {
    let mail = emulator.outbox().pop().unwrap();
    let redirect = emulator.click(&mail.link).unwrap();
    let registration = parameter(&redirect, "registration_id");
    assert_eq!(registration.is_some(), v == "v4");
    let mut body = extra.clone();
    body["registration_validation_token"] =
        json!(parameter(&redirect, "registration_validation_token"));
    let path = match registration {
        Some(id) => format!("/v4/users/registrations/magiclink_email/{id}/validate"),
        None => "/v3/users/register/magiclink_email/validate".to_owned(),
    };
    let done = api.ok("POST", &path, &body);
    assert_eq!(api.post(&path, &body).status, 403);
    done
}

#[test]
fn magic_link_registration_and_address_change() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let (new, for_user) = match v {
            "v3" => (
                "users/magiclink_email/register/start",
                "magiclink_email/register/start",
            ),
            _ => (
                "users/registrations/magiclink_email/start",
                "registrations/magiclink_email/start",
            ),
        };
        let mut body = json!({
            "email_address": "bob@example.com", "registration_redirect_url": REDIRECT,
            "context_data": {"plan": "free"}, "user_agent": "agent",
        });
        let started = api.ok("POST", &format!("/{v}/{new}"), &body);
        assert!(started.get("registration_id").is_none());
        let done = finish_magiclink(&emulator, &mut api, v, &json!({"user_agent": "agent"}));
        assert_eq!(
            text(&done, "/magiclink_email_registration_type"),
            "new_user"
        );
        assert_eq!(text(&done, "/username"), "bob@example.com");
        assert_eq!(text(&done, "/context_data/plan"), "free");
        let bob = text(&done, "/user_id").to_owned();
        // Addresses in use and malformed ones are refused.
        for (address, status) in [("BOB@example.com", 409), (ADA, 409), ("bob", 400)] {
            body["email_address"] = json!(address);
            assert_eq!(api.post(&format!("/{v}/{new}"), &body).status, status);
        }

        emulator.add_user("carl").unwrap();
        let carl = emulator.users().pop().unwrap().0;
        let body =
            json!({"email_address": "carl@example.com", "registration_redirect_url": REDIRECT});
        api.ok("POST", &format!("/{v}/users/{carl}/{for_user}"), &body);
        let done = finish_magiclink(&emulator, &mut api, v, &json!({}));
        assert_eq!(
            text(&done, "/magiclink_email_registration_type"),
            "new_enrollment"
        );
        assert_eq!(text(&done, "/username"), "carl");

        let body = json!({"new_email_address": "robert@example.com", "registration_redirect_url": REDIRECT});
        api.ok(
            "POST",
            &format!("/{v}/users/{bob}/magiclink_email/update/start"),
            &body,
        );
        assert_eq!(emulator.outbox().pop().unwrap().to, "robert@example.com");
        let done = finish_magiclink(&emulator, &mut api, v, &json!({}));
        assert_eq!(
            text(&done, "/magiclink_email_registration_type"),
            "change_email"
        );
        // The username does not change with the address.
        let user = api.ok("GET", &format!("/{v}/users/{bob}"), &Value::Null);
        assert_eq!(text(&user, "/username"), "bob@example.com");
        assert_eq!(text(&user, "/email_address"), "robert@example.com");
        let body = json!({"new_username": "robert@example.com"});
        let user = api.ok("PUT", &format!("/{v}/users/{bob}"), &body);
        assert_eq!(text(&user, "/username"), "robert@example.com");
        let body = json!({"new_username": "CARL"});
        assert_eq!(api.put(&format!("/{v}/users/{bob}"), &body).status, 409);
        // Magic links go to the new address.
        let body = json!({"username": "robert@example.com", "auth_redirect_url": REDIRECT});
        api.ok("POST", &format!("/{v}/auth/magiclink_email/start"), &body);
        assert_eq!(emulator.outbox().pop().unwrap().to, "robert@example.com");
    }
}

#[test]
fn the_pairing_of_a_magic_link_registration_is_checked() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let new = match v {
            "v3" => "/v3/users/magiclink_email/register/start",
            _ => "/v4/users/registrations/magiclink_email/start",
        };
        let body = json!({
            "email_address": "bob@example.com", "registration_redirect_url": REDIRECT,
            "ip_address": "192.0.2.1",
        });
        api.ok("POST", new, &body);
        let redirect = emulator.click(&emulator.outbox()[0].link).unwrap();
        let token = parameter(&redirect, "registration_validation_token");
        let path = match parameter(&redirect, "registration_id") {
            Some(id) => format!("/v4/users/registrations/magiclink_email/{id}/validate"),
            None => "/v3/users/register/magiclink_email/validate".to_owned(),
        };
        let body = json!({"registration_validation_token": token, "ip_address": "192.0.2.2"});
        assert_eq!(api.post(&path, &body).status, 403);
        let body = json!({"registration_validation_token": token, "ip_address": "192.0.2.1"});
        assert_eq!(api.post(&path, &body).status, 403);
        assert_eq!(emulator.users().len(), 1);
    }
}

#[test]
fn disabling_a_credential_takes_effect() {
    let (emulator, mut api) = start();
    let id = emulator.users()[0].0;
    let started = api.ok(
        "POST",
        "/v4/auth/authenticator/start",
        &json!({"username": ADA}),
    );
    let list = api.ok(
        "GET",
        &format!("/v4/users/{id}/credentials/authenticator"),
        &Value::Null,
    );
    let credential = text(&list, "/credential_records/0/credential_id").to_owned();
    let one = format!("/v4/users/{id}/credentials/{credential}");
    assert_eq!(api.ok("GET", &one, &Value::Null)["enabled"], true);
    let disabled = api.ok("POST", &format!("{one}/disable"), &Value::Null);
    assert_eq!(disabled["enabled"], false);
    assert_eq!(api.ok("GET", &one, &Value::Null), disabled);
    assert_eq!(
        api.post("/v4/auth/authenticator/start", &json!({"username": ADA}))
            .status,
        400
    );
    let pending = text(&started, "/auth_request_id").parse().unwrap();
    assert_eq!(emulator.approve(pending), Err(EmulatorError::NotEnrolled));
    let user = api.ok("GET", &format!("/v4/users/{id}"), &Value::Null);
    assert_eq!(user["enrolled_auth_methods"].as_array().unwrap().len(), 1);
}

/// Disables every credential of a user, which only v4 can do.
fn disable_all(api: &mut Api, user: &str) {
    let path = format!("/v4/users/{user}/credentials");
    let list = api.ok("GET", &path, &Value::Null);
    for credential in list["credential_records"].as_array().unwrap() {
        let id = text(credential, "/credential_id");
        api.ok("POST", &format!("{path}/{id}/disable"), &Value::Null);
    }
}

/// Starts a sign-in by magic link and returns the link.
fn mailed_link(emulator: &Emulator, api: &mut Api, v: &str) -> String {
    let body = json!({"username": ADA, "auth_redirect_url": REDIRECT});
    api.ok("POST", &format!("/{v}/auth/magiclink_email/start"), &body);
    emulator.outbox().pop().unwrap().link
}

fn refused_for_security(api: &mut Api, path: &str, body: &Value) {
    for _ in 0..2 {
        let response = api.ok("POST", path, body);
        assert_eq!(response["auth_request_status_id"], 2);
        assert_eq!(details(&response)["result_code"], 10);
        assert_eq!(details(&response)["authorized"], false);
        assert!(details(&response)["context_data"].is_null());
    }
}

fn body_of_redirect(redirect: &str) -> Value {
    json!({
        "auth_request_id": parameter(redirect, "auth_request_id"),
        "auth_validation_token": parameter(redirect, "auth_validation_token"),
    })
}

#[test]
fn disabling_a_credential_takes_effect_on_pending_sign_ins() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let ada = emulator.users()[0].0.to_string();
        let approved = approved(&emulator, &mut api, v, &json!({}));
        let unclicked = mailed_link(&emulator, &mut api, v);
        let clicked = mailed_link(&emulator, &mut api, v);
        let clicked = body_of_redirect(&emulator.click(&clicked).unwrap());
        disable_all(&mut api, &ada);
        let path = format!("/{v}/auth/authenticator/validate");
        refused_for_security(&mut api, &path, &approved);
        let path = format!("/{v}/auth/magiclink_email/validate");
        refused_for_security(&mut api, &path, &clicked);
        assert_eq!(emulator.click(&unclicked), Err(EmulatorError::NotEnrolled));
    }
}

#[test]
fn a_passkey_that_is_disabled_after_finish_cannot_sign_in() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        register_passkey(&emulator, &mut api, v, "bob");
        let bob = emulator.users().pop().unwrap().0.to_string();
        let started = api.ok("POST", &format!("/{v}/auth/webauthn/start"), &json!({}));
        let used = emulator
            .use_passkey(text(&started, "/fido2_json_options"), emulator.origin())
            .unwrap();
        let finish = json!({
            "auth_request_id": started["auth_request_id"], "aa_sig": started["aa_guid"],
            "authenticator_response_data": used,
        });
        let done = api.ok("POST", &format!("/{v}/auth/webauthn/finish"), &finish);
        disable_all(&mut api, &bob);
        let body = json!({
            "auth_request_id": done["auth_request_id"],
            "auth_validation_token": done["auth_validation_token"],
        });
        refused_for_security(&mut api, &format!("/{v}/auth/webauthn/validate"), &body);
    }
}

#[test]
fn magic_links_to_a_replaced_address_are_refused() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let ada = emulator.users()[0].0;
        let unclicked = mailed_link(&emulator, &mut api, v);
        let clicked = mailed_link(&emulator, &mut api, v);
        let clicked = body_of_redirect(&emulator.click(&clicked).unwrap());
        let path = format!("/{v}/users/{ada}/magiclink_email/update/start");
        let body = json!({
            "new_email_address": "lovelace@example.com", "registration_redirect_url": REDIRECT,
        });
        api.ok("POST", &path, &body);
        finish_magiclink(&emulator, &mut api, v, &json!({}));
        let path = format!("/{v}/auth/magiclink_email/validate");
        refused_for_security(&mut api, &path, &clicked);
        assert_eq!(emulator.click(&unclicked), Err(EmulatorError::NotEnrolled));
        // Links to the new address work.
        let link = mailed_link(&emulator, &mut api, v);
        let body = body_of_redirect(&emulator.click(&link).unwrap());
        assert_eq!(details(&api.ok("POST", &path, &body))["authorized"], true);
    }
}

#[test]
fn an_address_has_one_owner() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let user = NewUser::new("carl").email("carl@example.com");
        emulator.add_user(user).unwrap();
        emulator.add_user("bob").unwrap();
        let [_, carl, bob] = &emulator.users()[..] else {
            panic!()
        };
        // Refused as another user's name, by renaming and by registering.
        let taken = json!({"new_username": "Carl@example.com"});
        let path = format!("/{v}/users/{}", bob.0);
        assert_eq!(api.put(&path, &taken).status, 409);
        let routes = match v {
            "v3" => ["authenticator/register/start", "webauthn/register/start"],
            _ => [
                "registrations/authenticator/start",
                "registrations/webauthn/start",
            ],
        };
        for route in routes {
            let body = json!({"username": "carl@example.com"});
            let path = format!("/{v}/users/{route}");
            assert_eq!(api.post(&path, &body).status, 409, "{path}");
        }
        assert_eq!(
            emulator.add_user("carl@example.com"),
            Err(EmulatorError::BadUser)
        );
        // A user may take the own address as name.
        let path = format!("/{v}/users/{}", carl.0);
        api.ok("PUT", &path, &taken);
        let path = format!("/{v}/users/{}", bob.0);
        assert_eq!(api.put(&path, &taken).status, 409);
    }
}

#[test]
fn a_disabled_passkey_cannot_sign_in() {
    let (emulator, mut api) = start();
    register_passkey(&emulator, &mut api, "v4", "bob");
    let bob = emulator.users().pop().unwrap().0;
    let started = api.ok("POST", "/v4/auth/webauthn/start", &json!({}));
    let list = api.ok(
        "GET",
        &format!("/v4/users/{bob}/credentials/webauthn"),
        &Value::Null,
    );
    let credential = text(&list, "/credential_records/0/credential_id");
    api.ok(
        "POST",
        &format!("/v4/users/{bob}/credentials/{credential}/disable"),
        &Value::Null,
    );
    let used = emulator
        .use_passkey(text(&started, "/fido2_json_options"), emulator.origin())
        .unwrap();
    let finish = json!({
        "auth_request_id": started["auth_request_id"], "aa_sig": started["aa_guid"],
        "authenticator_response_data": used,
    });
    assert_eq!(api.post("/v4/auth/webauthn/finish", &finish).status, 400);
}

#[test]
fn history_shows_every_state() {
    for v in ["v3", "v4"] {
        let (emulator, mut api) = start();
        let id = emulator.users()[0].0;
        let body = approved(&emulator, &mut api, v, &json!({}));
        api.ok("POST", &format!("/{v}/auth/authenticator/validate"), &body);
        let started = api.ok(
            "POST",
            &format!("/{v}/auth/authenticator/start"),
            &json!({"user_id": id}),
        );
        emulator
            .decline(text(&started, "/auth_request_id").parse().unwrap())
            .unwrap();
        api.ok(
            "POST",
            &format!("/{v}/auth/authenticator/start"),
            &json!({"user_id": id}),
        );
        let history = api.ok(
            "GET",
            &format!("/{v}/users/{id}/auth_history"),
            &Value::Null,
        );
        let states: Vec<Value> = history["auth_history_records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["auth_request_status_id"].clone())
            .collect();
        assert_eq!(states, [3, 2, 2], "newest first");
        assert_eq!(
            history["auth_history_records"][2]["auth_response"]["authorized"],
            true
        );
        assert_eq!(history["page_info"]["total_record_count"], 3);
    }
}

#[test]
fn users_are_paged_sorted_and_filtered() {
    let mut builder = Emulator::builder();
    for n in 0..45 {
        builder = builder.user(format!("user-{:02}@example.com", 44 - n));
    }
    let emulator = builder.user("Zoe").start().unwrap();
    let mut api = Api::open(&emulator);
    for v in ["v3", "v4"] {
        let list = |api: &mut Api, query: &str| {
            let page = api.ok("GET", &format!("/{v}/users?{query}"), &Value::Null);
            let names: Vec<String> = page["user_records"]
                .as_array()
                .unwrap()
                .iter()
                .map(|user| text(user, "/username").to_owned())
                .collect();
            (names, page["page_info"].clone())
        };
        let (names, info) = list(&mut api, "");
        assert_eq!(
            (names.len(), names[0].as_str()),
            (20, "user-44@example.com")
        );
        assert_eq!(
            info,
            json!({
                "currnet_page_number": 1, "currnet_page_size": 20,
                "total_page_count": 3, "total_record_count": 46,
            })
        );
        let (names, _) = list(&mut api, "page_number=3&page_size=20");
        assert_eq!(names.len(), 6);
        let (names, _) = list(&mut api, "page_number=4");
        assert!(names.is_empty());
        let (names, _) = list(
            &mut api,
            "sort_column=username&sort_direction=asc&page_size=2",
        );
        assert_eq!(names, ["Zoe", "user-00@example.com"]);
        let (names, _) = list(
            &mut api,
            "sort_column=username&sort_direction=desc&page_size=1",
        );
        assert_eq!(names, ["user-44@example.com"]);
        // Without a column, and by date, users are in the order of creation.
        for query in ["", "&sort_column=date_created"] {
            let query = format!("sort_direction=desc&page_size=20{query}");
            let (names, _) = list(&mut api, &query);
            assert_eq!((names.len(), names[0].as_str()), (20, "Zoe"));
            assert_eq!(names[1], "user-00@example.com");
            let (names, _) = list(&mut api, &format!("{query}&page_number=3"));
            assert_eq!(names.last().unwrap(), "user-44@example.com");
            assert_eq!(names.len(), 6);
        }
        for query in [
            "page_number=0",
            "page_size=0",
            "page_size=101",
            "page_number=x",
            "page_number=99999999999",
            "sort_column=password",
            "sort_direction=up",
            "page_size=1&page_size=2",
            "nonsense=1",
            "a=%ff",
        ] {
            assert_eq!(
                api.get(&format!("/{v}/users?{query}")).status,
                400,
                "{query}"
            );
        }
    }
    let filtered = api
        .raw(
            "GET",
            "/v3/users",
            "X-AuthArmor-UserFilterString: ER-1\r\n",
            b"",
        )
        .json();
    assert_eq!(filtered["page_info"]["total_record_count"], 10);
    let filtered = api.ok("GET", "/v4/users?username=ER-1", &Value::Null);
    assert_eq!(filtered["page_info"]["total_record_count"], 10);
    assert_eq!(
        api.get("/v3/users?username=x").status,
        400,
        "v3 has no names in URLs"
    );
}
