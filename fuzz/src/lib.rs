//! Code that the fuzz targets share.

pub mod alloc;
pub mod json;

use std::error::Error as _;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use autharmor::{
    ApiVersion, Client, ClientBuilder, Error, HttpRequest, HttpResponse, Limits, RetryPolicy,
    Transport, TransportError,
};
use uuid::Uuid;

pub const USER: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);
pub const REQUEST: Uuid = Uuid::from_u128(0x9999_9999_2222_4333_8444_5555_5555_5555);

// Error codes, which `Display` may show, cannot contain `!` or `@`. So none of
// these values is shown if a server sends it back as a code.
pub const CLIENT_ID: &str = "cl1ent!id";
pub const CLIENT_SECRET: &str = "cl1ent!s3cret";
pub const BEARER: &str = "b34rer!t0ken";
pub const USERNAME: &str = "ada@l0velace.example";
pub const VALIDATION_TOKEN: &str = "val1dation!t0ken";
pub const SIGNATURE: &str = "aa!s1gnature";
pub const NONCE: &str = "n0nce!n0nce";

pub const SECRETS: [&str; 7] = [
    CLIENT_ID,
    CLIENT_SECRET,
    BEARER,
    USERNAME,
    VALIDATION_TOKEN,
    SIGNATURE,
    NONCE,
];

/// A response: status, headers, body.
#[derive(Clone, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn ok(body: &[u8]) -> Self {
        Self {
            status: 200,
            body: body.to_vec(),
            ..Self::default()
        }
    }

    fn to_http(&self) -> HttpResponse {
        let mut response = http::Response::builder().status(self.status);
        for (name, value) in &self.headers {
            let value = http::HeaderValue::from_bytes(value).expect("the target checks its values");
            response = response.header(*name, value);
        }
        response
            .body(self.body.clone())
            .expect("the target checks its status")
            .into()
    }
}

/// A request that the client sent.
#[derive(Clone, Debug)]
pub struct SentRequest {
    pub uri: String,
    pub authorization: Vec<u8>,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Script {
    token: Option<Response>,
    api: Vec<Response>,
    requests: Vec<SentRequest>,
}

/// A transport with scripted responses.
#[derive(Clone, Default)]
pub struct Service(Arc<Mutex<Script>>);

impl Service {
    pub fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    pub fn client_with(&self, set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        let builder = Client::builder(CLIENT_ID, CLIENT_SECRET)
            .transport(self.clone())
            .retry(RetryPolicy::off());
        set(builder).build().expect("valid settings")
    }

    /// Returns a client for each API version.
    pub fn clients(&self) -> [Client; 2] {
        [ApiVersion::V3, ApiVersion::V4]
            .map(|version| self.client_with(|builder| builder.api_version(version)))
    }

    /// Sets the responses of the API. The last one is repeated. Forgets all earlier
    /// requests.
    pub fn respond_with(&self, responses: impl IntoIterator<Item = Response>) {
        let mut script = self.0.lock().unwrap();
        script.api = responses.into_iter().collect();
        script.api.reverse();
        script.requests.clear();
    }

    /// Sets the response of the token endpoint. `None` stands for a valid token.
    pub fn set_token_response(&self, response: Option<Response>) {
        self.0.lock().unwrap().token = response;
    }

    /// Returns the requests to the API since its responses were set.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.0.lock().unwrap().requests.clone()
    }
}

impl Transport for Service {
    fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let mut script = self.0.lock().unwrap();
        if request.uri().path() == "/connect/token" {
            let body = format!(r#"{{"access_token":"{BEARER}","expires_in":86400}}"#);
            let valid = || Response::ok(body.as_bytes());
            return Ok(script.token.clone().unwrap_or_else(valid).to_http());
        }
        script.requests.push(SentRequest {
            uri: request.uri().to_string(),
            authorization: request
                .headers()
                .get("authorization")
                .map_or_else(Vec::new, |value| value.as_bytes().to_vec()),
            body: request.body().unwrap_or_default().to_vec(),
        });
        let response = if script.api.len() > 1 {
            script.api.pop()
        } else {
            script.api.last().cloned()
        };
        Ok(response.expect("the target sets a response").to_http())
    }
}

/// Checks that an error shows nothing that was sent, whatever the server sent
/// back.
pub fn assert_no_secrets(error: &Error, more: &[&str]) {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    // `{:#}` adds the server's message at the end.
    let with_message = format!("{error:#}");
    assert!(with_message.starts_with(&error.to_string()));
    assert!(
        error.server_message().is_none_or(
            |message| message.chars().count() <= 300 && !message.chars().any(char::is_control)
        ),
        "a server's message is cut and escaped"
    );
    assert_absent(&text, &SECRETS);
    assert_absent(&text, more);
}

pub fn assert_absent(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret:?} is in {text}");
    }
}

/// Returns both forms of `Debug`.
pub fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

/// Splits off the first byte, which selects a variant.
pub fn split_selector(data: &[u8]) -> Option<(usize, &[u8])> {
    data.split_first()
        .map(|(first, rest)| (usize::from(*first), rest))
}
