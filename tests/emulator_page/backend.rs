//! An emulator and a backend that calls it.

use autharmor::emulator::{Emulator, EmulatorBuilder};
use autharmor_test_support::browser::{JSON, send};
use serde_json::{Value, json};

const NEW_YEAR_2020: u64 = 1_577_836_800;

/// An emulator and a backend that calls it.
pub(crate) struct Backend {
    pub(crate) emulator: Emulator,
    pub(crate) bearer: String,
}

impl Backend {
    pub(crate) fn start(users: &[&str]) -> Self {
        let builder = Emulator::builder().plain_http();
        Self::of(
            users
                .iter()
                .fold(builder, |builder, user| builder.user(*user)),
        )
    }

    /// The clock stands still, so that nothing expires on a slow machine.
    pub(crate) fn of(builder: EmulatorBuilder) -> Self {
        let emulator = builder.clock_at(NEW_YEAR_2020).start().unwrap();
        let mut backend = Self {
            emulator,
            bearer: String::new(),
        };
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}",
            backend.emulator.client_id(),
            backend.emulator.client_secret()
        );
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let response = backend.exchange("POST", "/connect/token", kind, &form);
        let token = response["access_token"].as_str().unwrap();
        backend.bearer = format!("Authorization: Bearer {token}\r\n");
        backend
    }

    pub(crate) fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> Value {
        let port = self.emulator.address().port();
        let (status, response) = send(port, method, path, headers, body).unwrap();
        let response: Value = serde_json::from_slice(&response).unwrap();
        assert_eq!(status, 200, "{method} {path}: {response}");
        response
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let headers = format!("{}{JSON}", self.bearer);
        self.exchange("POST", path, &headers, &body.to_string())
    }

    /// Makes a call that has to be refused.
    pub(crate) fn refused(&self, path: &str, body: &Value) {
        let headers = format!("{}{JSON}", self.bearer);
        let port = self.emulator.address().port();
        let (status, _) = send(port, "POST", path, &headers, &body.to_string()).unwrap();
        assert_eq!(status, 400);
    }

    /// Starts a sign-in with or without a user and returns its id.
    pub(crate) fn start_sign_in(&self, username: Option<&str>) -> String {
        let body = json!({
            "username": username,
            "action_name": "Login",
            "short_msg": "Is <b>this</b> you?",
            "send_push": username.is_some(),
        });
        let response = self.post("/v4/auth/authenticator/start", &body);
        response["auth_request_id"].as_str().unwrap().to_owned()
    }

    /// `auth_request_status_id` and `result_code`.
    pub(crate) fn state(&self, id: &str) -> (i64, i64) {
        let response = self.exchange("GET", &format!("/v4/auth/{id}"), &self.bearer, "");
        let result = &response["auth_response"]["result_code"];
        (
            response["auth_request_status_id"].as_i64().unwrap(),
            result.as_i64().unwrap(),
        )
    }

    pub(crate) fn is_waiting(&self, id: &str) -> bool {
        self.state(id).0 == 3
    }

    pub(crate) fn page(&self) -> String {
        format!("{}/_emulator/", self.emulator.base_url())
    }
}
