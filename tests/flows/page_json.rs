//! Both forms of a page's JSON, and what is no such JSON.

use autharmor::auth::StartWebauthnAuth;
use autharmor::registrations::StartWebauthnRegistration;
use autharmor::{Error, ErrorKind};
use serde_json::{Value, json};

use crate::scenario::{ADA, By, GRACE, Scenario, Scenarios};

/// The members of one form: those that it must have, and the others that are
/// checked.
struct Form {
    page: Value,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

/// Returns what `JSON.stringify` makes of the credential in a browser.
fn standard_assertion(vendors: &Value) -> Form {
    Form {
        page: json!({
            "id": vendors["id"],
            "rawId": vendors["rawId"],
            "response": {
                "authenticatorData": vendors["authenticator_data"],
                "clientDataJSON": vendors["client_data"],
                "signature": vendors["signature"],
                "userHandle": vendors["user_handle"],
            },
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "type": "public-key",
        }),
        required: &[
            "/id",
            "/type",
            "/response",
            "/response/authenticatorData",
            "/response/clientDataJSON",
            "/response/signature",
        ],
        optional: &["/rawId", "/response/userHandle", "/clientExtensionResults"],
    }
}

fn standard_attestation(vendors: &Value) -> Form {
    Form {
        page: json!({
            "id": vendors["id"],
            "rawId": vendors["rawId"],
            "response": {
                "attestationObject": vendors["attestation_object"],
                "clientDataJSON": vendors["client_data"],
                "transports": ["internal"],
                "publicKeyAlgorithm": -7,
            },
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {"credProps": {"rk": true}},
            "type": "public-key",
        }),
        required: &[
            "/id",
            "/type",
            "/response",
            "/response/attestationObject",
            "/response/clientDataJSON",
        ],
        optional: &["/rawId"],
    }
}

fn vendors_assertion(page: Value) -> Form {
    Form {
        page,
        required: &["/id", "/attestation_object", "/client_data"],
        optional: &[
            "/rawId",
            "/authenticator_data",
            "/signature",
            "/user_handle",
            "/extensions",
        ],
    }
}

fn vendors_attestation(page: Value) -> Form {
    Form {
        page,
        required: &["/id", "/attestation_object", "/client_data"],
        optional: &["/rawId"],
    }
}

/// Returns the same JSON with a member replaced or removed.
fn changed(page: &Value, pointer: &str, value: Option<Value>) -> Value {
    let mut page = page.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = page.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => drop(parent.insert(name.to_owned(), value)),
        None => drop(parent.remove(name).unwrap()),
    }
    page
}

impl Form {
    /// `other_ceremony` is the page of a registration in place of a sign-in, or
    /// the other way round.
    fn malformed(&self, other_ceremony: &Value) -> Vec<String> {
        let mut all = vec![
            json!({}),
            json!([self.page]),
            json!({"error": "NotAllowedError"}),
            json!({"name": "AbortError", "message": "signal is aborted", "code": 20}),
            json!({"type": "public-key", "id": self.page["id"]}),
            other_ceremony.clone(),
        ];
        let wrong_types = [json!(7), json!(true), json!([1, 2, 3]), json!("no base64!")];
        for pointer in self.required {
            // Without `response` the standard form is the vendor's, incomplete.
            for value in [None, Some(json!(null)), Some(json!("")), Some(json!({}))] {
                all.push(changed(&self.page, pointer, value));
            }
        }
        for pointer in self.required.iter().chain(self.optional) {
            for value in &wrong_types {
                all.push(changed(&self.page, pointer, Some(value.clone())));
            }
        }
        let mut texts: Vec<_> = all.iter().map(Value::to_string).collect();
        let text = self.page.to_string();
        texts.push(text[..text.len() - 1].to_owned());
        texts.extend(["", "undefined", "[object PublicKeyCredential]"].map(str::to_owned));
        assert!(texts.len() >= 20);
        texts
    }

    /// Completes with each malformed text, then with the right one.
    fn check<T: std::fmt::Debug>(
        &self,
        scenario: &Scenario,
        other_ceremony: &Value,
        complete: impl Fn(&str) -> Result<T, Error>,
    ) -> T {
        let requests = scenario.emulator.request_count();
        for text in self.malformed(other_ceremony) {
            let error = complete(&text).expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}: {error}");
            assert!(!error.may_have_been_sent());
        }
        assert_eq!(scenario.emulator.request_count(), requests);
        complete(&self.page.to_string()).unwrap()
    }
}

/// Returns the page's JSON of a registration, in the vendor's form.
fn created(scenario: &Scenario, options: &str) -> Value {
    let origin = scenario.emulator.origin();
    let page = scenario.emulator.create_passkey(options, origin).unwrap();
    serde_json::from_str(&page).unwrap()
}

#[test]
fn a_sign_in_takes_both_forms_and_nothing_else() {
    for form_of in [
        (|page| vendors_assertion(page)) as fn(Value) -> Form,
        |page| standard_assertion(&page),
    ] {
        Scenarios::of("start_webauthn_auth", &[By::Name, By::Nobody]).run(|scenario| {
            scenario.add_passkey(scenario.ada);
            let mut request = StartWebauthnAuth::new();
            if let Some(user) = scenario.ada() {
                request = request.user(user);
            }
            let started = scenario.client.begin_webauthn_sign_in(&request).unwrap();
            let page = scenario
                .emulator
                .use_passkey(&started.fido2_json_options, scenario.emulator.origin())
                .unwrap();
            let form = form_of(serde_json::from_str(&page).unwrap());
            let attestation = json!({
                "id": "AQID",
                "attestation_object": "BAUG",
                // `{"type":"webauthn.create"}`
                "client_data": "eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0",
            });
            let end = form.check(scenario, &attestation, |text| {
                started.pending.complete(&scenario.client, text)
            });
            scenario.assert_ada(&Ok(end), started.pending.auth_request_id());
        });
    }
}

#[test]
fn a_registration_takes_both_forms_and_nothing_else() {
    for form_of in [
        (|page| vendors_attestation(page)) as fn(Value) -> Form,
        |page| standard_attestation(&page),
    ] {
        Scenarios::of("start_webauthn_registration", &[By::Name]).run(|scenario| {
            let request = StartWebauthnRegistration::new(GRACE);
            let started = scenario
                .client
                .begin_webauthn_registration(&request)
                .unwrap();
            let form = form_of(created(scenario, &started.fido2_json_options));
            let assertion = json!({
                "id": "AQID",
                "attestation_object": "BAUG",
                "authenticator_data": "BAUG",
                // `{"type":"webauthn.get"}`
                "client_data": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0",
                "signature": "BAUG",
            });
            let end = form.check(scenario, &assertion, |text| {
                started.pending.complete(&scenario.client, text)
            });
            assert_eq!(end.user().unwrap().username(), Some(GRACE));
            assert_eq!(end.user().unwrap().is_validated(), scenario.is_v4());
        });
    }
}

#[test]
fn a_passkey_of_a_standard_page_signs_in_as_its_own_user_only() {
    Scenarios::of("start_webauthn_auth", &[By::Name]).run(|scenario| {
        scenario.add_passkey(scenario.ada);
        let request = StartWebauthnAuth::new().user(ADA);
        let started = scenario.client.begin_webauthn_sign_in(&request).unwrap();
        let page = scenario
            .emulator
            .use_passkey(&started.fido2_json_options, scenario.emulator.origin())
            .unwrap();
        let form = standard_assertion(&serde_json::from_str(&page).unwrap());
        // Another signature is well-formed, but wrong.
        let forged = changed(&form.page, "/response/signature", Some(json!("AQIDBA")));
        let end = started
            .pending
            .complete(&scenario.client, &forged.to_string());
        assert_eq!(end.unwrap_err().kind(), ErrorKind::Api);
        assert_eq!(scenario.count("validate_webauthn_auth"), 0);
    });
}
