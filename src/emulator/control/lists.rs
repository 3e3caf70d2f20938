//! The lists of the control routes: users, what is pending, mails, rate limits,
//! requests.

use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    app::App,
    record::{InvalidInput, RecordedRequest},
};
use crate::emulator::{
    message::Request,
    model::{
        auth_request::Phase,
        mail::{LinkPurpose, Mail},
        state::{State, link_code},
        user::{Method, User},
    },
    sync::lock,
};

/// The part of a list that a request asks for.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// At most so many entries, newest first. `None`: all, oldest first.
    newest: Option<usize>,
    /// In lower case. An entry fits if one of its values holds this text.
    search: String,
    /// Whether recorded requests come without headers and bodies.
    brief: bool,
    /// Only entries that tell an error.
    refused: bool,
}

impl Part {
    /// Reads the query. The error is the reason.
    pub(super) fn read(request: &Request) -> Result<Self, &'static str> {
        let mut part = Self::default();
        for pair in request.query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "" => {}
                "newest" => {
                    part.newest = Some(value.parse().map_err(|_| "newest must be a number")?);
                }
                "search" => {
                    let value = value.replace('+', " ");
                    let text = percent_decode_str(&value).decode_utf8();
                    part.search = text.map_err(|_| "search is not UTF-8")?.to_lowercase();
                }
                "brief" => part.brief = true,
                "refused" => part.refused = true,
                _ => return Err("unknown query parameter"),
            }
        }
        Ok(part)
    }

    /// The entries of this part, and how many fit in all. `items` come oldest
    /// first.
    fn select<T>(
        &self,
        items: impl DoubleEndedIterator<Item = T>,
        describe: impl Fn(T) -> Value,
    ) -> (Vec<Value>, usize) {
        let most = self.newest.unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut matching = 0;
        for item in items.rev() {
            // Without a condition every entry fits, and only those shown are made.
            let needed = entries.len() < most;
            if needed || self.refused || !self.search.is_empty() {
                let entry = describe(item);
                let fits = !self.refused || entry.get("error").is_some_and(|e| !e.is_null());
                if !fits || !holds(&entry, &self.search) {
                    continue;
                }
                if needed {
                    entries.push(entry);
                }
            }
            matching += 1;
        }
        if self.newest.is_none() {
            entries.reverse();
        }
        (entries, matching)
    }
}

/// Whether one of the values in it holds a text, which is in lower case.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        _ if text.is_empty() => true,
        Value::Null => false,
        Value::String(own) => own.to_lowercase().contains(text),
        Value::Array(all) => all.iter().any(|value| holds(value, text)),
        Value::Object(all) => all.values().any(|value| holds(value, text)),
        Value::Bool(_) | Value::Number(_) => value.to_string().contains(text),
    }
}

/// An entry with one more field.
fn with(entry: &impl Serialize, name: &str, value: Value) -> Value {
    let mut entry = json!(entry);
    if let Some(fields) = entry.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    entry
}

pub(super) fn users(app: &App, part: &Part) -> Value {
    let describe = |user: &User| {
        let methods: Vec<&str> = Method::ALL
            .into_iter()
            .filter(|method| user.credential(*method).is_some())
            .map(Method::name)
            .collect();
        json!({
            "user_id": user.id,
            "username": user.username,
            "email_address": user.email,
            "date_created": user.created.iso(),
            "enrolled_auth_methods": methods,
        })
    };
    let (users, matching) = part.select(app.state().users(), describe);
    json!({ "users": users, "matching": matching })
}

pub(super) fn pending_requests(app: &App, part: &Part) -> Value {
    let state = app.state();
    let (requests, matching) = part.select(state.pending_requests().iter(), |request| {
        let code = state.auth.get(&request.auth_request_id);
        let code = code.and_then(|request| request.qr_code.as_deref());
        with(request, "qr_code_data", json!(code))
    });
    json!({ "requests": requests, "matching": matching })
}

pub(super) fn pending_registrations(app: &App, part: &Part) -> Value {
    let state = app.state();
    let all = state.pending_registrations();
    let (registrations, matching) = part.select(all.iter(), |registration| {
        let code = state.registrations.get(&registration.registration_id);
        let code = code.and_then(|registration| registration.qr_code.as_deref());
        with(registration, "qr_code_data", json!(code))
    });
    json!({ "registrations": registrations, "matching": matching })
}

pub(super) fn outbox(app: &App, part: &Part) -> Value {
    let state = app.state();
    let (mails, matching) = part.select(state.outbox.iter(), |mail| {
        with(mail, "link_state", json!(link_state(&state, mail)))
    });
    json!({ "mails": mails, "matching": matching })
}

/// Whether a magic link can be opened: `open`, `used`, or `ended` because what
/// it is for has timed out or was replaced.
fn link_state(state: &State, mail: &Mail) -> &'static str {
    let Some(link) = state.links.get(link_code(&mail.link)) else {
        return "used";
    };
    let now = state.clock.now();
    let open = match link.purpose {
        LinkPurpose::SignIn(id) => state
            .auth
            .get(&id)
            .is_some_and(|request| request.phase(now) == Phase::Waiting),
        LinkPurpose::Registration(id) => state
            .registrations
            .get(&id)
            .is_some_and(|registration| registration.is_open(now)),
    };
    if open { "open" } else { "ended" }
}

pub(super) fn rate_limits(app: &App) -> Value {
    let state = app.state();
    let limits = state.rate_limits.all().iter().map(|limit| {
        json!({
            "endpoint": limit.endpoint,
            "calls": limit.calls,
            "seconds": limit.window.as_secs(),
        })
    });
    json!({ "rate_limits": limits.collect::<Vec<_>>() })
}

/// An entry of the record.
enum Entry {
    Request(RecordedRequest),
    Invalid(InvalidInput),
}

impl Entry {
    fn number(&self) -> u64 {
        match self {
            Self::Request(request) => request.number(),
            Self::Invalid(input) => input.number,
        }
    }

    fn describe(&self, brief: bool) -> Value {
        match self {
            Self::Request(request) if brief => brief_request(request),
            Self::Request(request) => whole_request(request),
            Self::Invalid(input) => json!({
                "number": input.number,
                "time": input.time.iso(),
                "status": input.status,
                "error": input.error,
                "warnings": [],
                "endpoint": null,
                "request_line": null,
            }),
        }
    }
}

/// The record. Input that was not a valid request is listed, but not counted.
pub(super) fn recorded(app: &App, part: &Part) -> Value {
    let record = lock(&app.record);
    let (requests, invalid, total) = (record.all(), record.all_invalid(), record.total());
    drop(record);
    let mut all: Vec<Entry> = requests.into_iter().map(Entry::Request).collect();
    if !invalid.is_empty() {
        all.extend(invalid.into_iter().map(Entry::Invalid));
        all.sort_by_key(Entry::number);
    }
    let (requests, matching) = part.select(all.iter(), |entry| entry.describe(part.brief));
    json!({ "requests": requests, "matching": matching, "total": total })
}

/// One recorded request.
pub(super) fn recorded_request(app: &App, number: u64) -> Option<Value> {
    let all = lock(&app.record).all();
    let request = all.iter().find(|request| request.number() == number)?;
    Some(whole_request(request))
}

fn brief_request(request: &RecordedRequest) -> Value {
    json!({
        "number": request.number(),
        "time": request.time(),
        "status": request.status(),
        "error": request.error(),
        "warnings": request.warnings(),
        "endpoint": request.endpoint(),
        "request_line": request.request_line(),
    })
}

/// All of a request but its credentials.
fn whole_request(request: &RecordedRequest) -> Value {
    let headers: Vec<Value> = request
        .headers()
        .map(|(name, value)| {
            let secret = name.eq_ignore_ascii_case("authorization");
            let value = if secret {
                "***".into()
            } else {
                String::from_utf8_lossy(value)
            };
            json!([name, value])
        })
        .collect();
    let body = if request.endpoint() == Some("token") {
        "***".into()
    } else {
        String::from_utf8_lossy(request.body())
    };
    let entry = with(&brief_request(request), "headers", json!(headers));
    with(&entry, "body", json!(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(query: &str) -> Result<Part, &'static str> {
        Part::read(&Request {
            method: "GET".to_owned(),
            target: format!("/_emulator/users{query}"),
            minor_version: 1,
            headers: Vec::new(),
            body: Vec::new(),
        })
    }

    #[test]
    fn a_part_is_the_newest_entries_that_hold_a_text() {
        for (query, entries, matching) in [
            ("", vec![1, 2, 3, 11, 12], 5),
            ("?", vec![1, 2, 3, 11, 12], 5),
            ("?newest=2", vec![12, 11], 5),
            ("?newest=0", vec![], 5),
            ("?newest=1&search=1", vec![12], 3),
            ("?search=N%201", vec![1, 11, 12], 3),
            ("?search=n+2", vec![2], 1),
            ("?search=name", vec![], 0),
        ] {
            let selected = part(query).unwrap().select(
                [1, 2, 3, 11, 12].into_iter(),
                |n| json!({"name": [format!("n {n}")]}),
            );
            let expected: Vec<Value> = entries
                .iter()
                .map(|n| json!({"name": [format!("n {n}")]}))
                .collect();
            assert_eq!(selected, (expected, matching), "{query}");
        }
        for query in ["?newest=", "?newest=-1", "?newest=x", "?search=%ff", "?x=1"] {
            assert!(part(query).is_err(), "{query}");
        }
    }
}
