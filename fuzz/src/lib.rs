//! What the fuzz targets share.

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

// None of these could pass for an error code, which `Display` may show, even
// if a server sent it back as one.
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

/// One answer: status, headers, body.
#[derive(Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn ok(body: &[u8]) -> Self {
        Self {
            status: 200,
            body: body.to_vec(),
            ..Self::default()
        }
    }

    fn to_response(&self) -> HttpResponse {
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

/// A request that arrived, in text.
#[derive(Clone, Debug)]
pub struct Seen {
    pub uri: String,
    pub authorization: Vec<u8>,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Script {
    token: Option<Answer>,
    api: Vec<Answer>,
    seen: Vec<Seen>,
}

/// A service that says what it was told to say.
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
        set(builder).build().expect("these settings are good")
    }

    /// A client of each version.
    pub fn clients(&self) -> [Client; 2] {
        [ApiVersion::V3, ApiVersion::V4]
            .map(|version| self.client_with(|builder| builder.api_version(version)))
    }

    /// What the API answers from now on, the last of them again and again.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        let mut script = self.0.lock().unwrap();
        script.api = answers.into_iter().collect();
        script.api.reverse();
        script.seen.clear();
    }

    /// What the token endpoint answers from now on, if not a good token.
    pub fn token_answer(&self, answer: Option<Answer>) {
        self.0.lock().unwrap().token = answer;
    }

    /// The requests to the API since it was told what to answer.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }
}

impl Transport for Service {
    fn send(&self, request: HttpRequest, _: Limits) -> Result<HttpResponse, TransportError> {
        let mut script = self.0.lock().unwrap();
        if request.uri().path() == "/connect/token" {
            let body = format!(r#"{{"access_token":"{BEARER}","expires_in":86400}}"#);
            let good = || Answer::ok(body.as_bytes());
            return Ok(script.token.clone().unwrap_or_else(good).to_response());
        }
        script.seen.push(Seen {
            uri: request.uri().to_string(),
            authorization: request
                .headers()
                .get("authorization")
                .map_or_else(Vec::new, |value| value.as_bytes().to_vec()),
            body: request.body().unwrap_or_default().to_vec(),
        });
        let answer = if script.api.len() > 1 {
            script.api.pop()
        } else {
            script.api.last().cloned()
        };
        Ok(answer.expect("the target sets an answer").to_response())
    }
}

/// Whatever a server may do, an error shows nothing that was sent.
pub fn assert_discreet(error: &Error, more: &[&str]) {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(" {cause} {cause:?}");
        source = cause.source();
    }
    // Its own words come last and are the server's.
    let with_message = format!("{error:#}");
    assert!(with_message.starts_with(&error.to_string()));
    assert!(
        error.server_message().is_none_or(
            |message| message.chars().count() <= 300 && !message.chars().any(char::is_control)
        ),
        "a server's message is cut and escaped"
    );
    assert_hidden(&text, &SECRETS);
    assert_hidden(&text, more);
}

pub fn assert_hidden(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret:?} is in {text}");
    }
}

/// `Debug` in both forms.
pub fn debug(value: &impl Debug) -> String {
    format!("{value:?} {value:#?}")
}

/// Takes the first byte off, which picks a variant.
pub fn pick(data: &[u8]) -> Option<(usize, &[u8])> {
    data.split_first()
        .map(|(first, rest)| (usize::from(*first), rest))
}
