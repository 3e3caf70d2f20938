//! The calls that are compared, made with this crate and with bare ureq.

pub mod plain;

use std::hint::black_box;
use std::str::FromStr;

use autharmor::auth::{StartAuthenticatorAuth, ValidateAuth};
use autharmor::{Client, PageQuery};
use autharmor_test_support::canned::{self, NIL, RECORDS, REQUEST_ID, USER_ID, USERNAME};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::typestate::AgentScope;
use uuid::Uuid;

/// The `User-Agent` of all clients.
pub const USER_AGENT: &str = concat!("autharmor-rust/", "0.1.0");
/// The header in which a username is sent.
pub const NAME_HEADER: &str = "X-AuthArmor-UsernameValue";
/// The type of all bodies.
pub const JSON: &str = "application/json";

/// A call that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    ByName,
    ById,
    Start,
    Validate,
    List,
}

impl Call {
    pub const ALL: [Self; 5] = [
        Self::ByName,
        Self::ById,
        Self::Start,
        Self::Validate,
        Self::List,
    ];

    /// Returns its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ByName => "`get_user` by name",
            Self::ById => "`get_user` by id",
            Self::Start => "`start_authenticator_auth`",
            Self::Validate => "`validate_authenticator_auth`",
            Self::List => "`list_users`, 100 records",
        }
    }

    /// Returns its name on a command line.
    pub fn key(self) -> &'static str {
        match self {
            Self::ByName => "by-name",
            Self::ById => "by-id",
            Self::Start => "start",
            Self::Validate => "validate",
            Self::List => "list",
        }
    }

    /// Returns path and query.
    pub fn path(self) -> String {
        match self {
            Self::ByName => format!("/v3/users/{NIL}"),
            Self::ById => format!("/v3/users/{USER_ID}"),
            Self::Start => "/v3/auth/authenticator/start".to_owned(),
            Self::Validate => "/v3/auth/authenticator/validate".to_owned(),
            Self::List => "/v3/users?page_size=100".to_owned(),
        }
    }

    /// Returns the body of the request.
    pub fn body(self) -> Option<Value> {
        match self {
            Self::Start => Some(json!({
                "username": USERNAME, "send_push": true, "timeout_in_seconds": 60,
                "action_name": "Sign in", "short_msg": "Somebody signs in to Example as you",
            })),
            Self::Validate => Some(json!({
                "auth_request_id": REQUEST_ID, "auth_validation_token": validation_token(),
            })),
            _ => None,
        }
    }

    /// Decodes a response as a program would that has no use for this crate.
    pub fn decode(self, body: &[u8]) {
        fn read<T: DeserializeOwned>(body: &[u8]) -> T {
            black_box(serde_json::from_slice(body).expect("a response of this type"))
        }
        match self {
            Self::ById | Self::ByName => drop(read::<plain::UserDetails>(body)),
            Self::Start => drop(read::<plain::Started>(body)),
            Self::Validate => drop(read::<plain::Validated>(body)),
            Self::List => assert_eq!(read::<plain::Users>(body).user_records.len(), RECORDS),
        }
    }
}

impl FromStr for Call {
    type Err = String;

    fn from_str(key: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|call| call.key() == key);
        found.ok_or_else(|| format!("{key} is none of {:?}", Self::ALL.map(Self::key)))
    }
}

fn validation_token() -> String {
    "v4lid".repeat(20)
}

/// Returns an `Authorization` header as long as the server's token makes it.
pub fn bearer() -> String {
    format!("Bearer {}", canned::token())
}

/// Makes one call with this crate.
pub fn with_autharmor(client: &Client, call: Call) {
    match call {
        Call::ByName => {
            black_box(client.get_user(USERNAME).expect("a user"));
        }
        Call::ById => {
            let id: Uuid = black_box(Uuid::from_u128(0x5b1d_7d5e_0d6f_4c3a_9a55_3f0c_2f6c_1f01));
            black_box(client.get_user(id).expect("a user"));
        }
        Call::Start => {
            let request = StartAuthenticatorAuth::new()
                .user(USERNAME)
                .action_name("Sign in")
                .short_msg("Somebody signs in to Example as you")
                .send_push(true)
                .timeout_in_seconds(60);
            let started = client.start_authenticator_auth(&request);
            black_box(started.expect("a started request"));
        }
        Call::Validate => {
            let id = Uuid::from_u128(0x0d6f_5b1d_7d5e_4c3a_9a55_3f0c_2f6c_1f02);
            let request = ValidateAuth::new(black_box(id), validation_token());
            let validated = client.validate_authenticator_auth(&request);
            black_box(validated.expect("a validation"));
        }
        Call::List => {
            let page = client.list_users(PageQuery::new().page_size(100));
            assert_eq!(page.expect("a page").records.len(), RECORDS);
        }
    }
}

/// Makes one call with bare ureq.
pub fn with_ureq(agent: &ureq::Agent, url: &str, bearer: &str, call: Call) {
    let post = |body: &[u8]| {
        let request = agent.post(url).header("Authorization", bearer);
        request.header("Content-Type", JSON).send(body)
    };
    let get = || agent.get(url).header("Authorization", bearer);
    let response = match call {
        Call::ByName => get().header(NAME_HEADER, USERNAME).call(),
        Call::ById | Call::List => get().call(),
        Call::Start => post(&to_json(&plain::Start {
            username: USERNAME,
            send_push: true,
            timeout_in_seconds: 60,
            action_name: "Sign in",
            short_msg: "Somebody signs in to Example as you",
        })),
        Call::Validate => post(&to_json(&plain::Validate {
            auth_request_id: Uuid::from_u128(0x0d6f_5b1d_7d5e_4c3a_9a55_3f0c_2f6c_1f02),
            auth_validation_token: &validation_token(),
        })),
    };
    let body = response.expect("a response").into_body().read_to_vec();
    call.decode(&body.expect("a body"));
}

fn to_json(body: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("a body")
}

/// Returns ureq's default settings with the headers of this crate.
pub fn ureq_config(ca_pem: &str) -> ConfigBuilder<AgentScope> {
    let roots: Vec<Certificate> = parse_pem(ca_pem.as_bytes())
        .filter_map(|item| match item.expect("PEM") {
            PemItem::Certificate(root) => Some(root),
            _ => None,
        })
        .collect();
    let roots = RootCerts::new_with_certs(&roots);
    ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .user_agent(USER_AGENT)
        .accept(JSON)
        .accept_encoding("identity")
}
