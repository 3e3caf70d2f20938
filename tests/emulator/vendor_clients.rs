//! Requests as the vendor's clients send them, restated as data, in both modes.

use autharmor::emulator::{Emulator, NewUser};
use serde_json::{Value, json};

use crate::{
    client::{Connection, text, token},
    control,
};

const ADA: &str = "ada@example.com";
const NIL: &str = "00000000-0000-0000-0000-000000000000";
const REDIRECT: &str = "https://app.example/landing";
/// id%3Aa%2B1:s%3Ae%25c
const BASIC: &str = "Authorization: Basic aWQlM0FhJTJCMTpzJTNBZSUyNWM=\r\n";

/// The objects that a request needs. The fields of its responses are placeholders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A token request, without a bearer token.
    NoToken,
    /// An approved sign-in.
    Approved,
    /// A started passkey registration and the page's data, `made`.
    Registration,
    /// A started passkey sign-in and the page's data, `made`.
    Assertion,
    /// A magic link that was opened.
    Link,
}

/// The result in strict mode.
#[derive(Clone, Copy)]
enum Strict {
    Accepts,
    /// Refuses with this status and a message that has this text.
    Refuses(u16, &'static str),
}

struct Row {
    /// The client and what it does.
    what: &'static str,
    needs: Needs,
    method: &'static str,
    /// `{name}` is a placeholder.
    target: &'static str,
    headers: &'static str,
    /// A text that is a placeholder is replaced; a text alone is the raw body.
    body: Value,
    strict: Strict,
    /// The status of tolerant mode; 200 but for bugs of the client.
    tolerant: u16,
}

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const BY_NAME: &str =
    "Content-Type: application/json\r\nX-AuthArmor-UsernameValue: ada@example.com\r\n";

fn row(what: &'static str, method: &'static str, target: &'static str, body: Value) -> Row {
    Row {
        what,
        needs: Needs::Nothing,
        method,
        target,
        headers: JSON,
        body,
        strict: Strict::Accepts,
        tolerant: 200,
    }
}

impl Row {
    fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    fn headers(mut self, headers: &'static str) -> Self {
        self.headers = headers;
        self
    }

    fn refused(mut self, status: u16, message: &'static str) -> Self {
        self.strict = Strict::Refuses(status, message);
        self
    }

    /// A bug of the client, which both modes refuse.
    fn bug(mut self, status: u16, message: &'static str) -> Self {
        self.tolerant = status;
        self.refused(status, message)
    }
}

fn token_requests() -> Vec<Row> {
    let token = |what, headers, body: &str| {
        row(what, "POST", "/connect/token", json!(body))
            .needs(Needs::NoToken)
            .headers(headers)
    };
    vec![
        token(
            "node v3, node v4: credentials in the form",
            FORM,
            "grant_type=client_credentials&client_id=id%3Aa%2B1&client_secret=s%3Ae%25c",
        ),
        token(
            "docs: with scopes",
            FORM,
            "grant_type=client_credentials&client_id=id%3Aa%2B1&client_secret=s%3Ae%25c\
             &scope=aarmor.api.request_auth+aarmor.api.generate_invite_code",
        ),
        token(
            "python v4: HTTP Basic",
            "Content-Type: application/x-www-form-urlencoded\r\n\
             Authorization: Basic aWQlM0FhJTJCMTpzJTNBZSUyNWM=\r\n",
            "grant_type=client_credentials",
        ),
        token(
            "php v3: HTTP Basic with multipart/form-data",
            "Content-Type: multipart/form-data; boundary=5f3c\r\n\
             Authorization: Basic aWQlM0FhJTJCMTpzJTNBZSUyNWM=\r\n",
            "--5f3c\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\
             Content-Length: 18\r\n\r\nclient_credentials\r\n--5f3c--\r\n",
        )
        .refused(400, "content-type"),
        row(
            ".net v3: discovery",
            "GET",
            "/.well-known/openid-configuration",
            Value::Null,
        )
        .needs(Needs::NoToken)
        .headers(""),
        row(
            ".net v3: keys",
            "GET",
            "/.well-known/openid-configuration/jwks",
            Value::Null,
        )
        .needs(Needs::NoToken)
        .headers(""),
        // A fault of a Python client for v3: the secret is in the URL.
        row(
            "python v3: token by GET",
            "GET",
            "/connect/token?grant_type=client_credentials&client_id=id&client_secret=s",
            Value::Null,
        )
        .needs(Needs::NoToken)
        .headers("")
        .bug(400, "method"),
    ]
}

fn sign_ins() -> Vec<Row> {
    let location = json!({"latitude": "1.5", "longitude": "2", "ip_address": "192.0.2.1"});
    vec![
        row(
            "node v4: authenticator start",
            "POST",
            "/v4/auth/authenticator/start",
            json!({
                "user_id": null, "username": ADA, "send_push": true, "use_visual_verify": false,
                "timeout_in_seconds": 60, "origin_location_data": location,
                "action_name": "Login", "short_msg": "Login pending", "nonce": null,
                "ip_address": null, "user_agent": null,
            }),
        ),
        row(
            "number as text",
            "POST",
            "/v4/auth/authenticator/start",
            json!({"username": ADA, "timeout_in_seconds": "60"}),
        )
        .refused(400, "timeout_in_seconds"),
        row(
            "numbers in the location",
            "POST",
            "/v3/auth/authenticator/start",
            json!({"username": ADA, "origin_location_data": {"latitude": 1.5}}),
        )
        .refused(400, "origin_location_data.latitude"),
        row(
            "node v4: magic link start with a nonce",
            "POST",
            "/v4/auth/magiclink_email/start",
            json!({"username": ADA, "auth_redirect_url": REDIRECT, "timeout_in_seconds": 300,
                "nonce": null, "ip_address": null, "user_agent": null}),
        )
        .refused(400, "nonce"),
        row(
            "node v4: scalars as context data",
            "POST",
            "/v4/auth/magiclink_email/start",
            json!({"username": ADA, "auth_redirect_url": REDIRECT,
                "context_data": {"basket": 7, "new": true, "name": "x"}}),
        )
        .refused(400, "context_data.basket"),
        row(
            ".net v3: validate with a slash",
            "POST",
            "/v3/auth/authenticator/validate/",
            json!({"auth_request_id": "{auth_request_id}",
                "auth_validation_token": "{auth_validation_token}"}),
        )
        .needs(Needs::Approved)
        .refused(404, "path"),
        row(
            ".net v3: magic link validate with a slash",
            "POST",
            "/v3/auth/magiclink_email/validate/",
            json!({"auth_request_id": "{auth_request_id}",
                "auth_validation_token": "{auth_validation_token}"}),
        )
        .needs(Needs::Link)
        .refused(404, "path"),
        row(
            "samples: validate",
            "POST",
            "/v4/auth/authenticator/validate",
            json!({"auth_request_id": "{auth_request_id}",
                "auth_validation_token": "{auth_validation_token}"}),
        )
        .needs(Needs::Approved),
        row(
            "php v3: finish with the page's whole response",
            "POST",
            "/v3/auth/webauthn/finish",
            json!({"auth_request_id": "{auth_request_id}", "aa_sig": "{aa_guid}",
                "authenticator_response_data": "{made_text}", "webauthn_client_id": "web"}),
        )
        .needs(Needs::Assertion),
        row(
            "finish with an object instead of a text",
            "POST",
            "/v4/auth/webauthn/finish",
            json!({"auth_request_id": "{auth_request_id}", "aa_sig": "{aa_guid}",
                "authenticator_response_data": "{made}", "webauthn_client_id": "web"}),
        )
        .needs(Needs::Assertion)
        .refused(400, "authenticator_response_data"),
        row(
            "node v3, node v4: finish at the path of start",
            "POST",
            "/v4/auth/webauthn/start",
            json!({"auth_request_id": "{auth_request_id}", "aa_sig": "{aa_guid}",
                "authenticator_response_data": "{made_text}", "webauthn_client_id": "web"}),
        )
        .needs(Needs::Assertion)
        .bug(400, "aa_sig"),
    ]
}

fn registrations() -> Vec<Row> {
    let magic_link = |what, target, field: &str| {
        let body = json!({
            field: "new@example.com", "registration_redirect_url": REDIRECT,
            "timeout_in_seconds": 300, "action_name": "Register", "short_msg": "x",
            "origin_location_data": null,
        });
        row(what, "POST", target, body).refused(400, "origin_location_data")
    };
    vec![
        row(
            "node v4: authenticator registration with switches of v3",
            "POST",
            "/v4/users/registrations/authenticator/start",
            json!({"username": "new", "timeout_in_seconds": null,
                "reset_and_reinvite": false, "revoke_previous_invites": false}),
        )
        .refused(400, "re"),
        row(
            "node v3: authenticator registration",
            "POST",
            "/v3/users/authenticator/register/start",
            json!({"username": "new", "timeout_in_seconds": 120,
                "reset_and_reinvite": false, "revoke_previous_invites": true}),
        ),
        row(
            "php v3: a list as empty body",
            "POST",
            "/v3/users/{user}/authenticator/register/start",
            json!("[]"),
        )
        .refused(400, "body"),
        row(
            "node v3: no body and no content type",
            "POST",
            "/v3/users/{user}/authenticator/register/start",
            Value::Null,
        )
        .headers(""),
        row(
            ".net v3: an empty body",
            "POST",
            "/v3/users/{nil}/authenticator/register/start",
            Value::Null,
        )
        .headers(BY_NAME),
        row(
            "node v3 rewrite: an empty object",
            "POST",
            "/v3/users/{nil}/authenticator/register/start",
            json!({}),
        )
        .headers(BY_NAME),
        magic_link(
            "node v4: magic link of a new user",
            "/v4/users/registrations/magiclink_email/start",
            "email_address",
        ),
        magic_link(
            "node v4: magic link of a user",
            "/v4/users/{user}/registrations/magiclink_email/start",
            "email_address",
        ),
        magic_link(
            "change of address",
            "/v4/users/{user}/magiclink_email/update/start",
            "new_email_address",
        ),
        magic_link(
            "node v3, node v4: change of address",
            "/v4/users/{user}/magiclink_email/update/start",
            "email_address",
        )
        .bug(400, "email_address"),
        row(
            "node v3 rewrite: enum value in lower case",
            "POST",
            "/v4/users/registrations/webauthn/start",
            json!({"username": "new", "attachment_type": "any"}),
        )
        .refused(400, "attachment_type"),
        row(
            "php v3: the id before users",
            "POST",
            "/v3/{user}/users/webauthn/register/start",
            json!({"timeout_in_seconds": 120, "webauthn_client_id": "web"}),
        )
        .bug(404, "route"),
        row(
            "node v3 rewrite: finish at the path of an update",
            "POST",
            "/v3/users/{user}/webauthn/update/start",
            json!({}),
        )
        .bug(404, "route"),
    ]
}

fn finishes() -> Vec<Row> {
    let finish = json!({
        "registration_id": "{registration_id}", "aa_sig": "{aa_sig}",
        "authenticator_response_data": "{made}", "webauthn_client_id": "web",
    });
    let mut finish_v4 = finish.clone();
    finish_v4.as_object_mut().unwrap().remove("registration_id");
    let mut twice = finish_v4.clone();
    twice["fido2_registration_data"] = json!("{made}");
    let mut as_text = finish_v4.clone();
    as_text["authenticator_response_data"] = json!("{made_text}");
    vec![
        row(
            "finish with the page's whole response, v4",
            "POST",
            "/v4/users/registrations/webauthn/{registration_id}/finish",
            finish_v4,
        )
        .needs(Needs::Registration),
        row(
            "finish with the page's whole response, v3",
            "POST",
            "/v3/users/webauthn/register/finish",
            finish,
        )
        .needs(Needs::Registration),
        row(
            "node v4: finish with the data twice",
            "POST",
            "/v4/users/registrations/webauthn/{registration_id}/finish",
            twice,
        )
        .needs(Needs::Registration)
        .refused(400, "fido2_registration_data"),
        row(
            "page helper: finish with a text instead of an object",
            "POST",
            "/v4/users/registrations/webauthn/{registration_id}/finish",
            as_text,
        )
        .needs(Needs::Registration)
        .refused(400, "authenticator_response_data"),
    ]
}

fn users() -> Vec<Row> {
    let get = |what, target| row(what, "GET", target, Value::Null).headers("");
    vec![
        get("node v4: by id", "/v4/users/{user}"),
        get(
            "node v4: by name",
            "/v4/users/{nil}?username=ada%40example.com",
        ),
        get("node v3: by name", "/v3/users/{nil}").headers(BY_NAME),
        get(
            "node v4: a page",
            "/v4/users?page_number=1&page_size=10&sort_direction=asc&sort_column=username",
        ),
        get(
            "parameters in another case",
            "/v4/users?Page_Number=1&Page_Size=10",
        )
        .refused(400, "Page_Number"),
        get(
            "node v3 rewrite: an unknown filter",
            "/v3/users?user_filter_string=ada",
        )
        .refused(400, "user_filter_string"),
        get("path in another case", "/V4/Users").refused(404, "path"),
        get(
            "id in a path in another case",
            "/v4/Users/{user}/Auth_History/",
        )
        .refused(404, "path"),
        row(
            "node v4: rename",
            "PUT",
            "/v4/users/{user}",
            json!({"new_username": "new@example.com"}),
        ),
    ]
}

/// Everything that a row's placeholders can name.
struct World {
    emulator: Emulator,
    connection: Connection,
    bearer: String,
    values: Value,
}

impl World {
    fn new(tolerant: bool) -> Self {
        let emulator = Emulator::builder()
            .plain_http()
            .tolerant(tolerant)
            .client("id:a+1", "s:e%c")
            .user(NewUser::new(ADA))
            .start()
            .unwrap();
        let mut connection = Connection::open(&emulator);
        let response = connection.send(
            "POST",
            "/connect/token",
            &format!("{FORM}{BASIC}"),
            b"grant_type=client_credentials",
        );
        let token = text(&response.json(), "/access_token").to_owned();
        let user = emulator.users()[0].0;
        Self {
            emulator,
            connection,
            bearer: format!("Authorization: Bearer {token}\r\n"),
            values: json!({"user": user, "nil": NIL}),
        }
    }

    fn call(&mut self, target: &str, body: &Value) -> Value {
        let headers = format!("{JSON}{}", self.bearer);
        let body = body.to_string();
        let response = self
            .connection
            .send("POST", target, &headers, body.as_bytes());
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        response.json()
    }

    /// Adds the fields of a response to the placeholders.
    fn learn(&mut self, response: &Value) {
        for (name, value) in response.as_object().unwrap() {
            self.values[name] = value.clone();
        }
    }

    fn learn_made(&mut self, made: &str) {
        self.values["made_text"] = json!(made);
        self.values["made"] = serde_json::from_str(made).unwrap();
    }

    fn provide(&mut self, needs: Needs) {
        match needs {
            Needs::Nothing | Needs::NoToken => {}
            Needs::Approved => {
                let body = json!({"username": ADA});
                let started = self.call("/v4/auth/authenticator/start", &body);
                let id = text(&started, "/auth_request_id").parse().unwrap();
                self.emulator.approve(id).unwrap();
                self.learn(&started);
            }
            Needs::Registration => self.start_registration(),
            Needs::Assertion => {
                self.start_registration();
                let id = text(&self.values, "/registration_id").to_owned();
                let finish = format!("/v4/users/registrations/webauthn/{id}/finish");
                let body = json!({
                    "aa_sig": self.values["aa_sig"],
                    "authenticator_response_data": self.values["made"],
                });
                let finished = self.call(&finish, &body);
                let validate = format!("/v4/users/registrations/webauthn/{id}/validate");
                let token = finished["registration_validation_token"].clone();
                let body = json!({"registration_validation_token": token});
                self.call(&validate, &body);
                let started = self.call("/v4/auth/webauthn/start", &json!({"username": "key"}));
                self.learn(&started);
                let options = text(&started, "/fido2_json_options");
                let made = self.emulator.use_passkey(options, self.emulator.origin());
                self.learn_made(&made.unwrap());
            }
            Needs::Link => {
                let body = json!({"username": ADA, "auth_redirect_url": REDIRECT});
                self.call("/v4/auth/magiclink_email/start", &body);
                let mail = self.emulator.outbox().pop().unwrap();
                let landed = self.emulator.click(&mail.link).unwrap();
                let parameters = control::parameters(&landed);
                self.learn(&parameters);
            }
        }
    }

    fn start_registration(&mut self) {
        let body = json!({"username": "key", "attachment_type": "Any"});
        let started = self.call("/v4/users/registrations/webauthn/start", &body);
        let options = text(&started, "/fido2_json_options");
        let made = self
            .emulator
            .create_passkey(options, self.emulator.origin())
            .unwrap();
        self.learn(&started);
        self.learn_made(&made);
    }

    fn fill_text(&self, template: &str) -> String {
        let mut filled = template.to_owned();
        for (name, value) in self.values.as_object().unwrap() {
            if let Some(value) = value.as_str() {
                filled = filled.replace(&format!("{{{name}}}"), value);
            }
        }
        filled
    }

    fn fill(&self, body: &Value) -> Value {
        match body {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.fill(value)))
                .collect(),
            Value::String(text) => {
                let name = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
                name.map_or_else(|| body.clone(), |name| self.values[name].clone())
            }
            other => other.clone(),
        }
    }

    /// The status and body of the response to a row's request.
    fn send(&mut self, row: &Row) -> (u16, String) {
        self.provide(row.needs);
        let target = self.fill_text(row.target);
        let body = match &row.body {
            Value::Null => String::new(),
            Value::String(raw) => raw.clone(),
            body => self.fill(body).to_string(),
        };
        let mut headers = row.headers.to_owned();
        if row.needs != Needs::NoToken {
            headers.push_str(&self.bearer);
        }
        let response = self
            .connection
            .send(row.method, &target, &headers, body.as_bytes());
        (response.status, response.text())
    }
}

fn rows() -> Vec<Row> {
    let mut rows = token_requests();
    rows.extend(sign_ins());
    rows.extend(registrations());
    rows.extend(finishes());
    rows.extend(users());
    rows
}

#[test]
fn tolerant_mode_accepts_all_but_bugs_and_reports_what_it_ignored() {
    for row in rows() {
        let mut world = World::new(true);
        let (status, body) = world.send(&row);
        assert_eq!(status, row.tolerant, "{}: {body}", row.what);
        let requests = world.emulator.requests();
        let warnings = requests.last().unwrap().warnings();
        // A warning wherever strict mode refuses what is accepted here.
        match row.strict {
            Strict::Refuses(_, field) if row.tolerant == 200 => {
                let named = warnings.iter().any(|warning| warning.contains(field));
                assert!(named, "{}: {warnings:?}", row.what);
            }
            Strict::Refuses(..) => {}
            Strict::Accepts => assert!(warnings.is_empty(), "{}: {warnings:?}", row.what),
        }
    }
}

#[test]
fn strict_mode_names_the_field_that_it_refuses() {
    for row in rows() {
        let mut world = World::new(false);
        let (status, body) = world.send(&row);
        match row.strict {
            Strict::Accepts => assert_eq!(status, 200, "{}: {body}", row.what),
            Strict::Refuses(expected, field) => {
                assert_eq!(status, expected, "{}: {body}", row.what);
                assert!(body.contains(field), "{}: {body}", row.what);
            }
        }
        let requests = world.emulator.requests();
        assert!(requests.last().unwrap().warnings().is_empty());
    }
}

/// What tolerant mode ignores has no effect, and what it converts has one.
#[test]
fn converted_values_are_used() {
    let mut world = World::new(true);
    let body = json!({"username": ADA, "timeout_in_seconds": "20", "unknown": {"a": 1}});
    let started = world.call("/V4/Auth/Authenticator/Start/", &body);
    assert_eq!(started["timeout_in_seconds"], 20);
    let body = json!({"username": "new", "attachment_type": "platform"});
    let started = world.call("/v4/users/registrations/webauthn/start", &body);
    let options: Value = serde_json::from_str(text(&started, "/fido2_json_options")).unwrap();
    let selection = &options["authenticatorSelection"];
    assert_eq!(selection["authenticatorAttachment"], "platform");
    let body = json!({"username": ADA, "auth_redirect_url": REDIRECT,
        "context_data": {"basket": 7}});
    world.call("/v4/auth/magiclink_email/start", &body);
    let mail = world.emulator.outbox().pop().unwrap();
    let parameters = control::parameters(&world.emulator.click(&mail.link).unwrap());
    let signed_in = world.call("/v4/auth/magiclink_email/validate", &parameters);
    let details = &signed_in["validate_auth_response_details"];
    assert_eq!(details["context_data"], json!({"basket": "7"}));
}

/// Wrong values are refused in tolerant mode, too.
#[test]
fn tolerant_mode_refuses_what_it_cannot_read() {
    let mut world = World::new(true);
    let headers = format!("{JSON}{}", world.bearer);
    let start = "/v4/auth/authenticator/start";
    for (target, body, field) in [
        (start, "[]", "body"),
        (start, "null", "body"),
        (
            start,
            "{\"timeout_in_seconds\": \"14\"}",
            "timeout_in_seconds",
        ),
        (
            start,
            "{\"timeout_in_seconds\": \"1e2\"}",
            "timeout_in_seconds",
        ),
        (
            start,
            "{\"timeout_in_seconds\": \"\"}",
            "timeout_in_seconds",
        ),
        (start, "{\"send_push\": \"true\"}", "send_push"),
        (start, "{\"username\": 7}", "username"),
        (
            "/v4/users/registrations/webauthn/start",
            "{\"username\": \"x\", \"attachment_type\": \"anything\"}",
            "attachment_type",
        ),
        (
            "/v4/auth/magiclink_email/start",
            "{\"context_data\": {\"a\": [1]}}",
            "context_data.a",
        ),
    ] {
        let response = world
            .connection
            .send("POST", target, &headers, body.as_bytes());
        assert_eq!(response.status, 400, "{target} {body}");
        let message = text(&response.json(), "/error_message").to_owned();
        assert!(message.contains(field), "{target} {body}: {message}");
    }
    // An id in a query of v3 names nobody; ignoring it names nobody either.
    let response = world.connection.send(
        "GET",
        &format!("/v3/users/{NIL}?username=ada"),
        &world.bearer,
        b"",
    );
    assert_eq!(response.status, 400);
}

/// The record of one request stays small, whatever it holds.
#[test]
fn the_number_of_warnings_is_limited() {
    let mut world = World::new(true);
    let mut body = json!({"username": ADA});
    for at in 0..1000 {
        body[format!("unknown-{at}-{}", "x".repeat(100))] = json!(null);
    }
    world.call("/v4/auth/authenticator/start", &body);
    let requests = world.emulator.requests();
    let warnings = requests.last().unwrap().warnings();
    assert_eq!(warnings.len(), 20);
    assert!(warnings.iter().all(|warning| warning.len() < 100));
}

#[test]
fn a_client_of_the_emulator_works_in_both_modes() {
    for tolerant in [false, true] {
        let emulator = Emulator::builder()
            .tolerant(tolerant)
            .user(ADA)
            .start()
            .unwrap();
        assert_eq!(emulator.is_tolerant(), tolerant);
        let client = emulator.client_builder().build().unwrap();
        client.check_credentials().unwrap();
        assert_eq!(client.get_user(ADA).unwrap().username.as_deref(), Some(ADA));
        let _ = token(&mut Connection::open(&emulator), &emulator);
        let requests = emulator.requests();
        assert!(requests.iter().all(|request| request.warnings().is_empty()));
    }
}
