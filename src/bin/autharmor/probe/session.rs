//! [`Session`]: calls the service and keeps only what may be reported.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use autharmor::auth::{
    StartAuthenticatorAuth, ValidateAuth, get_auth_info, start_authenticator_auth,
    validate_authenticator_auth,
};
use autharmor::users::{UserQuery, list_users};
use autharmor::{ApiVersion, PageQuery, Request, Secret, Target};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::Entry;
use super::shape::{contains, date_kind, holds_part, shape, shown_key, shown_word};
use crate::config::Settings;
use crate::failure::Failure;
use crate::link::{API_URL, LOGIN_URL, Response, Route};
use crate::output::report;

/// The time limit of one call.
const CALL_LIMIT: Duration = Duration::from_secs(15);

/// The pause between two looks at a sign-in.
const POLL: Duration = Duration::from_secs(1);

/// The time that the person has, in seconds.
const SIGN_IN_SECONDS: u32 = 60;

/// What a form leaves as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*');

/// A call in the report: no value of request or response.
#[derive(Debug, Serialize)]
pub(super) struct Exchange {
    pub(super) call: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<u16>,
    pub(super) headers: Vec<String>,
    pub(super) body: String,
}

/// A response. Its values are for readings only.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the id of the first record of the user list.
    pub(super) fn first_user(&self) -> Option<&str> {
        self.body["user_records"][0]["user_id"].as_str()
    }
}

/// How the client is named at the token endpoint.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Post,
    /// HTTP Basic, form-encoded or not.
    Basic {
        encoded: bool,
    },
}

/// A user of the project.
#[derive(Clone)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) name: String,
}

/// What a sign-in with a push showed.
#[derive(Clone)]
pub(super) struct SignIn {
    /// The id of the request.
    pub(super) id: Uuid,
    pub(super) user_id: Option<Uuid>,
    pub(super) start: Seen,
    /// The validate calls: the first and the second.
    pub(super) validated: [Option<Seen>; 2],
}

/// The service, and what was seen so far.
pub(super) struct Session<'a> {
    settings: &'a Settings,
    /// The users that the options name.
    pub(super) pushed_user: Option<&'a str>,
    pub(super) register_user: Option<&'a str>,
    api: Route,
    login: Route,
    api_url: String,
    login_path: String,
    token: Secret,
    deadline: Instant,
    /// The calls since the last [`take_calls`](Self::take_calls).
    calls: Vec<Exchange>,
    /// Texts that no output may hold.
    hidden: Vec<String>,
    pub(super) total: usize,
    /// Names of headers about rate limits, and whether a 429 was seen.
    pub(super) limits: BTreeSet<String>,
    pub(super) too_many: bool,
    pub(super) nulls: BTreeSet<String>,
    pub(super) dates: BTreeSet<&'static str>,
    /// Unknown values of enums by key.
    pub(super) unknown: BTreeMap<String, BTreeSet<String>>,
    users: Option<Vec<User>>,
    sign_in: Option<SignIn>,
    has_tried_sign_in: bool,
    /// The version for what both can do.
    pub(super) reads: ApiVersion,
}

impl<'a> Session<'a> {
    /// Prepares the calls. Nothing is sent.
    pub(super) fn new(
        settings: &'a Settings,
        users: (Option<&'a str>, Option<&'a str>),
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let wrong = || Failure::Config("api_url or login_url is not a URL".to_owned());
        settings.client()?;
        let routes = Route::all(settings)?;
        let (Some(api), Some(login)) = (routes.first(), routes.last()) else {
            return Err(wrong());
        };
        let url = |setting: &Option<crate::config::Setting<String>>, default: &str| {
            let url = setting
                .as_ref()
                .map_or(default, |setting| setting.value.trim());
            url.trim_end_matches('/').to_owned()
        };
        let login_url: http::Uri = url(&settings.login_url, LOGIN_URL)
            .parse()
            .map_err(|_| wrong())?;
        let mut hidden = vec![
            settings.client_id.value.clone(),
            settings.client_secret.value.expose().to_owned(),
        ];
        hidden.extend([users.0, users.1].into_iter().flatten().map(str::to_owned));
        Ok(Self {
            settings,
            pushed_user: users.0,
            register_user: users.1,
            api: api.clone(),
            login: login.clone(),
            api_url: url(&settings.api_url, API_URL),
            login_path: format!("{}/connect/token", login_url.path().trim_end_matches('/')),
            token: Secret::default(),
            deadline,
            calls: Vec::new(),
            hidden,
            total: 0,
            limits: BTreeSet::new(),
            too_many: false,
            nulls: BTreeSet::new(),
            dates: BTreeSet::new(),
            unknown: BTreeMap::new(),
            users: None,
            sign_in: None,
            has_tried_sign_in: false,
            reads: ApiVersion::V3,
        })
    }

    /// Fetches the token for all calls.
    pub(super) fn log_in(&mut self) -> Result<(), Failure> {
        let secret = self.settings.client_secret.value.clone();
        let seen = self.fetch_token(Form::Post, &secret);
        let token = seen
            .as_ref()
            .and_then(|seen| seen.body["access_token"].as_str());
        let unusable = "no token: see `autharmor doctor`";
        match (seen.as_ref().map(|seen| seen.status), token) {
            (None | Some(500..), _) => Err(Failure::Unreachable(unusable.to_owned())),
            (_, None) => Err(Failure::Config(unusable.to_owned())),
            (_, Some(token)) => {
                self.token = token.into();
                self.hidden.push(token.to_owned());
                self.calls.clear();
                Ok(())
            }
        }
    }

    pub(super) fn take_calls(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.calls)
    }

    /// Returns a word of a response, unless it holds something hidden.
    pub(super) fn shown_word<'w>(&self, word: &'w str) -> &'w str {
        shown_word(word, &self.hidden)
    }

    /// Withholds what holds a hidden text after all: a name may have become known
    /// only later.
    pub(super) fn guard(&self, entry: &mut Entry) {
        const WITHHELD: &str = "(withheld: it may hold a name)";
        if self.hidden.iter().any(|it| contains(&entry.reading, it)) {
            WITHHELD.clone_into(&mut entry.reading);
        }
        for call in &mut entry.calls {
            for header in &mut call.headers {
                *header = shown_word(header, &self.hidden).to_owned();
            }
            if holds_part(&call.body, &self.hidden) {
                WITHHELD.clone_into(&mut call.body);
            }
        }
    }

    /// Sends a request of the library.
    pub(super) fn call<T>(&mut self, version: ApiVersion, request: &Request<T>) -> Option<Seen> {
        let endpoint = request.endpoint();
        let name = format!("{} {}", endpoint.version(version).as_str(), endpoint.name());
        self.call_as(&name, version, request, |http| http)
    }

    /// Sends a request of the library under another name, after a change.
    pub(super) fn call_as<T>(
        &mut self,
        name: &str,
        version: ApiVersion,
        request: &Request<T>,
        change: impl FnOnce(http::Request<Vec<u8>>) -> http::Request<Vec<u8>>,
    ) -> Option<Seen> {
        let target = Target::new(&self.api_url).ok()?;
        let target = target.version(version).non_ascii_usernames(true);
        let mut http = change(request.to_http(&target).ok()?.into_http());
        let bearer = format!("Bearer {}", self.token.expose());
        let bearer = HeaderValue::from_str(&bearer).ok()?;
        http.headers_mut().insert(AUTHORIZATION, bearer);
        let route = self.api.clone();
        self.exchange(name, &route, http)
    }

    /// Asks for a token.
    pub(super) fn fetch_token(&mut self, form: Form, secret: &Secret) -> Option<Seen> {
        let encode = |text: &str| utf8_percent_encode(text, FORM).to_string();
        let id = self.settings.client_id.value.as_str();
        let secret = secret.expose();
        let mut http = http::Request::new(b"grant_type=client_credentials".to_vec());
        let name = match form {
            Form::Post => {
                let pair = format!("&client_id={}&client_secret={}", encode(id), encode(secret));
                http.body_mut().extend(pair.into_bytes());
                "token, secret in the form"
            }
            Form::Basic { encoded } => {
                let pair = if encoded {
                    format!("{}:{}", encode(id), encode(secret))
                } else {
                    format!("{id}:{secret}")
                };
                let basic = format!("Basic {}", BASE64_STANDARD.encode(pair));
                let basic = HeaderValue::from_str(&basic).ok()?;
                http.headers_mut().insert(AUTHORIZATION, basic);
                if encoded {
                    "token, HTTP Basic, form-encoded"
                } else {
                    "token, HTTP Basic, not encoded"
                }
            }
        };
        *http.method_mut() = Method::POST;
        *http.uri_mut() = self.login_path.parse().ok()?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        http.headers_mut().insert(CONTENT_TYPE, form);
        let json = HeaderValue::from_static("application/json");
        http.headers_mut().insert(ACCEPT, json);
        let route = self.login.clone();
        self.exchange(name, &route, http)
    }

    /// Returns whether id or secret change when they are form-encoded.
    pub(super) fn has_special_characters(&self) -> bool {
        let id = &self.settings.client_id.value;
        [id.as_str(), self.settings.client_secret.value.expose()]
            .iter()
            .any(|text| utf8_percent_encode(text, FORM).to_string() != **text)
    }

    pub(super) fn secret(&self) -> Secret {
        self.settings.client_secret.value.clone()
    }

    fn exchange(
        &mut self,
        name: &str,
        route: &Route,
        mut http: http::Request<Vec<u8>>,
    ) -> Option<Seen> {
        let agent = concat!("autharmor-cli/", env!("CARGO_PKG_VERSION"), " probe");
        let agent = HeaderValue::from_static(agent);
        http.headers_mut().insert(USER_AGENT, agent);
        let deadline = self.deadline.min(Instant::now() + CALL_LIMIT);
        let response = match route.open(deadline).link {
            Ok(link) => link.send(&http),
            Err(error) => Err(error),
        };
        self.total += 1;
        let mut call = Exchange {
            call: name.to_owned(),
            status: None,
            headers: Vec::new(),
            body: String::new(),
        };
        let seen = match response {
            Ok(response) => Some(self.note(&response, &mut call)),
            Err(error) => {
                call.body = format!("no response ({:?})", error.step);
                None
            }
        };
        self.calls.push(call);
        seen
    }

    fn note(&mut self, response: &Response, call: &mut Exchange) -> Seen {
        let body: Option<Value> = serde_json::from_slice(&response.body).ok();
        let value = body.clone().unwrap_or_default();
        self.collect("", "", &value);
        call.status = Some(response.status);
        for name in response.headers.keys() {
            let shown = shown_word(name.as_str(), &self.hidden);
            call.headers.push(shown.to_owned());
            if shown.contains("ratelimit") || shown.contains("rate-limit") || shown == "retry-after"
            {
                self.limits.insert(shown.to_owned());
            }
        }
        call.headers.sort();
        self.too_many |= response.status == 429;
        call.body = match body {
            Some(body) => shape(&body, &self.hidden),
            None if response.body.is_empty() => "no body".to_owned(),
            None => "not JSON".to_owned(),
        };
        Seen {
            status: response.status,
            body: value,
        }
    }

    /// Collects names to hide, null keys, kinds of dates and unknown enum
    /// values.
    fn collect(&mut self, parent: &str, key: &str, value: &Value) {
        match value {
            Value::Null if !key.is_empty() => {
                self.nulls.insert(shown_key(key, &self.hidden).to_owned());
            }
            Value::String(text) => {
                if matches!(key, "username" | "email_address") {
                    self.hidden.push(text.clone());
                }
                self.dates.extend(date_kind(text));
            }
            Value::Array(elements) => {
                for element in elements {
                    self.collect(parent, key, element);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.collect(key, name, value);
                }
            }
            _ => {}
        }
        if let Some(unknown) = super::enums::unknown(parent, key, value) {
            let place = if parent == "auth_method" {
                "auth_method"
            } else {
                key
            };
            let values = self.unknown.entry(place.to_owned()).or_default();
            values.insert(unknown);
        }
    }

    /// Returns the users of the first page.
    pub(super) fn users(&mut self) -> Vec<User> {
        if let Some(users) = &self.users {
            return users.clone();
        }
        let query = UserQuery::new().page(PageQuery::new().page_size(50));
        let seen = self.call(ApiVersion::V3, &list_users(query.clone()));
        let seen = match seen {
            Some(seen) if seen.is_ok() => Some(seen),
            _ => {
                let seen = self.call(ApiVersion::V4, &list_users(query));
                if seen.as_ref().is_some_and(Seen::is_ok) {
                    self.reads = ApiVersion::V4;
                }
                seen
            }
        };
        let records = seen
            .as_ref()
            .and_then(|seen| seen.body["user_records"].as_array());
        let users: Vec<_> = records
            .into_iter()
            .flatten()
            .filter_map(|record| {
                let id = record["user_id"].as_str()?.parse().ok()?;
                let name = record["username"].as_str()?.to_owned();
                Some(User { id, name })
            })
            .collect();
        self.users = Some(users.clone());
        users
    }

    /// Makes the sign-in, once. `None` without consent, or if it did not start.
    pub(super) fn sign_in(&mut self) -> Option<SignIn> {
        if !self.has_tried_sign_in {
            self.has_tried_sign_in = true;
            self.sign_in = self.pushed_user.and_then(|user| self.make_sign_in(user));
        }
        self.sign_in.clone()
    }

    fn make_sign_in(&mut self, user: &str) -> Option<SignIn> {
        let version = self.settings.api_version.as_ref();
        let version = version.map_or(ApiVersion::V3, |setting| setting.value);
        let request = StartAuthenticatorAuth::new()
            .user(user)
            .send_push(true)
            .action_name("API probe")
            .short_msg("Approve to finish autharmor probe")
            .timeout_in_seconds(SIGN_IN_SECONDS);
        let start = self.call(version, &start_authenticator_auth(&request))?;
        let text = |key: &str| start.body[key].as_str();
        let id: Uuid = text("auth_request_id")?.parse().ok()?;
        let user_id = text("user_id").and_then(|user| user.parse().ok());
        let token = Secret::from(text("auth_validation_token")?);
        if start.body["push_message_sent"] == true {
            report(&format!(
                "A push was sent. Approve it within {SIGN_IN_SECONDS} s."
            ));
        } else {
            report(&format!(
                "The service has sent no push. Open the app within {SIGN_IN_SECONDS} s."
            ));
        }
        let end = Instant::now() + Duration::from_secs(u64::from(SIGN_IN_SECONDS) + 5);
        while Instant::now() < end.min(self.deadline) {
            // Only the first and the last look are of interest.
            self.calls.retain({
                let mut first = true;
                move |call| !call.call.ends_with("get_auth_info") || std::mem::take(&mut first)
            });
            let info = self.call(version, &get_auth_info(id))?;
            if info.body["auth_request_status_id"] != 3 {
                break;
            }
            std::thread::sleep(POLL);
        }
        let validate = ValidateAuth::new(id, token);
        let first = self.call(version, &validate_authenticator_auth(&validate));
        let second = self.call(version, &validate_authenticator_auth(&validate));
        Some(SignIn {
            id,
            user_id,
            start,
            validated: [first, second],
        })
    }
}

/// Returns a random id, which nothing has.
pub(super) fn random_id() -> Uuid {
    let mut bytes = [0; 16];
    // All zeros would be an id that the library refuses; the probe goes on.
    let _ = SystemRandom::new().fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
