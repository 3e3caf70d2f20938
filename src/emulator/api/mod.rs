//! The backend API: what every route has in common.

mod auth;
mod credentials;
mod registrations;
mod token;
mod users;

use std::ops::Range;

use percent_encoding::percent_decode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    app::App,
    decisions::{
        BEARER_CHALLENGE, FIRST_PAGE, ID_AND_NAME, IN_USE, LARGEST_PAGE, LONGEST_TEXT, MALFORMED,
        MALFORMED_ID, NOT_FOUND, NOT_JSON, PAGE_SIZE, error_code, is_given, may_be_name,
        name_is_in_query,
    },
    http::{Message, Reply},
    ids::Kind,
    record::RecordedRequest,
    routes::{Endpoint, Ids, Route, Version},
    schema,
    server::lock,
    state::{State, User},
};

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    message: String,
}

impl Refusal {
    fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(MALFORMED, message)
    }

    fn not_found(what: &str) -> Self {
        Self::new(NOT_FOUND, format!("{what} not found"))
    }

    fn conflict(message: &str) -> Self {
        Self::new(IN_USE, message)
    }
}

type Result<T> = std::result::Result<T, Refusal>;

/// A call that passed all checks that do not depend on the state.
pub(super) struct Call<'a> {
    app: &'a App,
    request: &'a RecordedRequest,
    version: Version,
    endpoint: Endpoint,
    ids: &'a Ids,
    query: Vec<(String, String)>,
    body: Map<String, Value>,
}

/// Answers everything but the control routes.
pub(super) fn answer(app: &App, request: &RecordedRequest, route: &Route) -> Reply {
    let version = route.version().unwrap_or(Version::V4);
    let outcome = match route {
        Route::Token => return token::answer(app, request),
        Route::Endpoint(version, endpoint, ids) => {
            if !is_authorized(app, request.message()) {
                return Reply::empty(401).with("www-authenticate", BEARER_CHALLENGE);
            }
            call(app, request, *version, *endpoint, ids)
        }
        Route::WrongMethod(_, allow) => {
            return refusal(app, version, &Refusal::new(405, "method not allowed"))
                .with("allow", allow);
        }
        Route::Unknown(_) | Route::Control => Err(Refusal::not_found("route")),
    };
    match outcome {
        Ok(value) => Reply::json(200, &value),
        Err(refused) => refusal(app, version, &refused),
    }
}

/// The answer to something that is not a request at all.
pub(super) fn protocol_error(app: &App, status: u16) -> Reply {
    refusal(app, Version::V4, &Refusal::new(status, "malformed request"))
}

fn refusal(app: &App, version: Version, refused: &Refusal) -> Reply {
    let tracking = lock(&app.state).ids.uuid(Kind::Tracking);
    let code = error_code(refused.status);
    let body = match version {
        Version::V3 => json!({
            "errorMessage": refused.message,
            "errorCode": code,
            "trackingGuid": tracking,
        }),
        Version::V4 => json!({
            "error_message": refused.message,
            "error_code": code,
            "tracking_id": tracking,
        }),
    };
    Reply::json(refused.status, &body)
}

/// The bearer token of a request, if it has exactly one.
pub(super) fn bearer(message: &Message) -> Option<&str> {
    let mut all = message.all("authorization");
    let value = std::str::from_utf8(all.next()?).ok()?;
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn is_authorized(app: &App, message: &Message) -> bool {
    bearer(message).is_some_and(|token| lock(&app.state).token_is_valid(token))
}

fn call(
    app: &App,
    request: &RecordedRequest,
    version: Version,
    endpoint: Endpoint,
    ids: &Ids,
) -> Result<Value> {
    let call = Call {
        app,
        request,
        version,
        endpoint,
        ids,
        query: query(request.message(), version, endpoint)?,
        body: body(request.message(), version, endpoint)?,
    };
    let mut state = lock(&app.state);
    let state = &mut *state;
    match endpoint {
        Endpoint::StartAuthenticatorAuth
        | Endpoint::ValidateAuthenticatorAuth
        | Endpoint::StartWebauthnAuth
        | Endpoint::FinishWebauthnAuth
        | Endpoint::ValidateWebauthnAuth
        | Endpoint::StartMagiclinkAuth
        | Endpoint::ValidateMagiclinkAuth
        | Endpoint::GetAuthInfo => auth::answer(&call, state),
        Endpoint::ListUsers
        | Endpoint::GetUser
        | Endpoint::UpdateUser
        | Endpoint::GetUserAuthHistory => users::answer(&call, state),
        Endpoint::ListUserCredentials
        | Endpoint::ListUserAuthenticatorCredentials
        | Endpoint::ListUserWebauthnCredentials
        | Endpoint::ListUserMagiclinkCredentials
        | Endpoint::GetUserCredential
        | Endpoint::DisableUserCredential => credentials::answer(&call, state),
        _ => registrations::answer(&call, state),
    }
}

/// The pairs of a form or query string; `None` if they cannot be read.
pub(super) fn form(text: &[u8]) -> Option<Vec<(String, String)>> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = form_decode(halves.next().unwrap_or_default())?;
            let value = form_decode(halves.next().unwrap_or_default())?;
            Some((name, value))
        })
        .collect()
}

/// One form-encoded value.
fn form_decode(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}

const PAGE_PARAMETERS: [&str; 4] = ["page_number", "page_size", "sort_direction", "sort_column"];

fn query(message: &Message, version: Version, endpoint: Endpoint) -> Result<Vec<(String, String)>> {
    let Some(text) = message.query() else {
        return Ok(Vec::new());
    };
    let pairs =
        form(text.as_bytes()).ok_or_else(|| Refusal::bad("the query is not form-encoded"))?;
    let user_keyed = endpoint
        .route(version)
        .is_some_and(|route| route.contains("{user_id}"));
    let named = name_is_in_query(version) && (user_keyed || endpoint == Endpoint::ListUsers);
    let paged = matches!(
        endpoint,
        Endpoint::ListUsers
            | Endpoint::GetUserAuthHistory
            | Endpoint::ListUserCredentials
            | Endpoint::ListUserAuthenticatorCredentials
            | Endpoint::ListUserWebauthnCredentials
            | Endpoint::ListUserMagiclinkCredentials
    );
    for (at, (name, _)) in pairs.iter().enumerate() {
        let known =
            (named && name == "username") || (paged && PAGE_PARAMETERS.contains(&name.as_str()));
        if !known {
            return Err(Refusal::bad("unknown query parameter"));
        }
        if pairs.iter().skip(at + 1).any(|(other, _)| other == name) {
            return Err(Refusal::bad(format!("{name} is given twice")));
        }
    }
    Ok(pairs)
}

fn body(message: &Message, version: Version, endpoint: Endpoint) -> Result<Map<String, Value>> {
    let fields = schema::fields(endpoint, version);
    if message.body.is_empty() {
        // No body with or without a content type; only a wrong one is wrong.
        return match (fields, content_type(message)) {
            (_, ContentType::Other) => Err(Refusal::new(NOT_JSON, "unsupported content type")),
            (Some(_), ContentType::None) => Err(Refusal::new(NOT_JSON, "a JSON body is required")),
            (Some(_), ContentType::Json) => Err(Refusal::bad("a JSON body is required")),
            (None, _) => Ok(Map::new()),
        };
    }
    if content_type(message) != ContentType::Json {
        return Err(Refusal::new(NOT_JSON, "unsupported content type"));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&message.body) else {
        return Err(Refusal::bad("the body is not a JSON object"));
    };
    schema::check(fields.unwrap_or_default(), &body).map_err(Refusal::bad)?;
    Ok(body)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentType {
    None,
    Json,
    Other,
}

/// `application/json`, `application/json-patch+json`, `text/json` and
/// `application/*+json`, in UTF-8.
pub(super) fn content_type(message: &Message) -> ContentType {
    let mut all = message.all("content-type");
    let Some(value) = all.next() else {
        return ContentType::None;
    };
    if all.next().is_some() {
        return ContentType::Other;
    }
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json = essence == "application/json"
        || essence == "text/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    let charset = parts
        .filter_map(|part| part.strip_prefix("charset="))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8"));
    if json && charset {
        ContentType::Json
    } else {
        ContentType::Other
    }
}

impl Call<'_> {
    /// A text of the body; null counts as missing.
    fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A text that may also be left empty to say that there is none.
    fn non_empty(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| is_given(text))
    }

    fn required(&self, name: &str) -> Result<&str> {
        self.non_empty(name)
            .ok_or_else(|| Refusal::bad(format!("{name} is required")))
    }

    fn flag(&self, name: &str) -> bool {
        self.body.get(name).and_then(Value::as_bool) == Some(true)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }

    fn v3(&self) -> bool {
        self.version == Version::V3
    }

    /// The seconds that a person has.
    fn timeout(&self, default: u32) -> u32 {
        self.body
            .get("timeout_in_seconds")
            .and_then(Value::as_u64)
            .and_then(|seconds| u32::try_from(seconds).ok())
            .unwrap_or(default)
    }

    /// A header with a name in it.
    fn name_header(&self, name: &str) -> Result<Option<String>> {
        let mut all = self.request.message().all(name);
        let Some(value) = all.next() else {
            return Ok(None);
        };
        if all.next().is_some() {
            return Err(Refusal::bad(format!("{name} is given twice")));
        }
        match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(Refusal::bad(format!("{name} is not UTF-8"))),
        }
    }

    /// The user that route and header or query name.
    fn user<'s>(&self, state: &'s State) -> Result<&'s User> {
        let id = uuid_of(self.ids.user.as_deref().unwrap_or_default(), "user_id")?;
        let name = if name_is_in_query(self.version) {
            self.parameter("username").map(str::to_owned)
        } else {
            self.name_header("x-autharmor-usernamevalue")?
        };
        let user = match name {
            None if id.is_nil() => return Err(Refusal::bad("no user is named")),
            None => state.user(&id),
            Some(_) if !id.is_nil() => {
                let message = "both an id and a username are given";
                return Err(Refusal::new(ID_AND_NAME, message));
            }
            Some(name) => {
                check_name("username", &name)?;
                state.user_by_name(&name)
            }
        };
        user.ok_or_else(|| Refusal::not_found("user"))
    }

    /// The user that the body names, if it names one.
    fn body_user<'s>(&self, state: &'s State) -> Result<Option<&'s User>> {
        let user = match (self.non_empty("user_id"), self.non_empty("username")) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                let message = "both user_id and username are given";
                return Err(Refusal::new(ID_AND_NAME, message));
            }
            (Some(id), None) => state.user(&uuid_of(id, "user_id")?),
            (None, Some(name)) => state.user_by_name(name),
        };
        user.map(Some).ok_or_else(|| Refusal::not_found("user"))
    }
}

fn uuid_of(text: &str, name: &str) -> Result<Uuid> {
    // Other forms that the parser knows (braces, no dashes) are not the API's.
    if text.len() != 36 {
        return Err(Refusal::new(MALFORMED_ID, format!("{name} is not a UUID")));
    }
    Uuid::try_parse(text).map_err(|_| Refusal::new(MALFORMED_ID, format!("{name} is not a UUID")))
}

/// Names are anything but control characters, and not without end.
fn check_name(field: &str, name: &str) -> Result<()> {
    if name.is_empty() || name.chars().count() > LONGEST_TEXT {
        return Err(Refusal::bad(format!(
            "{field} must have 1 to {LONGEST_TEXT} characters"
        )));
    }
    if !may_be_name(name) {
        return Err(Refusal::bad(format!(
            "{field} must not hold control characters or begin or end with white space"
        )));
    }
    Ok(())
}

/// Which records to show, and in which order.
struct Paging<'a> {
    number: i64,
    size: i64,
    /// The sort column, if the request names one.
    column: Option<&'a str>,
    descending: bool,
}

impl<'a> Paging<'a> {
    fn of(call: &'a Call<'_>, columns: &[&str]) -> Result<Self> {
        let number = |name: &str, default: i64, most: i64| match call.parameter(name) {
            None => Ok(default),
            Some(text) => text
                .parse::<i32>()
                .ok()
                .map(i64::from)
                .filter(|n| (1..=most).contains(n))
                .ok_or_else(|| Refusal::bad(format!("{name} is out of range"))),
        };
        let column = call.parameter("sort_column");
        if column.is_some_and(|column| !columns.contains(&column)) {
            return Err(Refusal::bad(
                "sort_column is not one of the record's fields",
            ));
        }
        let descending = match call.parameter("sort_direction") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Refusal::bad("sort_direction must be asc or desc")),
        };
        Ok(Self {
            number: number("page_number", FIRST_PAGE, i64::from(i32::MAX))?,
            size: number("page_size", PAGE_SIZE, LARGEST_PAGE)?,
            column,
            descending,
        })
    }

    /// Sorts by a key, keeping the order of equals, then turns around if
    /// asked.
    fn sort<T, K: Ord>(&self, records: &mut [T], key: impl Fn(&T, &str) -> K) {
        if let Some(column) = self.column {
            records.sort_by_cached_key(|record| key(record, column));
        }
        if self.descending {
            records.reverse();
        }
    }

    /// The records of the page, and `page_info`.
    fn cut<'r, T>(&self, records: &'r [T]) -> (&'r [T], Value) {
        let (range, info) = self.range(records.len());
        (records.get(range).unwrap_or_default(), info)
    }

    /// Which of so many records are on the page, and `page_info`.
    fn range(&self, total: usize) -> (Range<usize>, Value) {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let pages = total.div_euclid(self.size) + i64::from(total % self.size != 0);
        let start = (self.number - FIRST_PAGE)
            .saturating_mul(self.size)
            .min(total);
        let end = start.saturating_add(self.size).min(total);
        // Neither is negative or more than a `usize` was.
        let [start, end] = [start, end].map(|at| usize::try_from(at).unwrap_or_default());
        let info = json!({
            "currnet_page_number": self.number,
            "currnet_page_size": self.size,
            "total_page_count": pages,
            "total_record_count": total,
        });
        (start..end, info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded() {
        let pairs = form(b"a=b+c&d=%C3%A9%2B&e&&f=g=h").unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(pairs, [("a", "b c"), ("d", "é+"), ("e", ""), ("f", "g=h")]);
        assert_eq!(form(b"a=%ff"), None);
    }

    #[test]
    fn only_the_dashed_form_is_an_id() {
        assert!(uuid_of("11111111-2222-4333-8444-555555555555", "x").is_ok());
        for text in [
            "",
            "11111111222243338444555555555555",
            "{11111111-2222-4333-8444-555555555555}",
            "11111111-2222-4333-8444-55555555555g",
        ] {
            assert!(uuid_of(text, "x").is_err(), "{text}");
        }
    }
}
