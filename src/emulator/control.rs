//! The control routes: what Rust callers do by method, over HTTP.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    api::{self, ContentType},
    app::App,
    faults::{Fault, FaultSpec},
    http::{Message, Reply},
    pending::{EmulatorError, NewUser, Scanned},
    server::lock,
    state::Method,
};

/// The page for people.
const PAGE: &str = include_str!("page.html");

/// Why a control call failed.
struct Failure(u16, String);

impl From<EmulatorError> for Failure {
    fn from(error: EmulatorError) -> Self {
        let status = match error {
            EmulatorError::UnknownUser
            | EmulatorError::UnknownRequest
            | EmulatorError::UnknownRegistration
            | EmulatorError::UnknownCode
            | EmulatorError::UnknownLink => 404,
            EmulatorError::Over | EmulatorError::BadUser => 409,
            _ => 400,
        };
        Self(status, error.to_string())
    }
}

type Result = std::result::Result<Value, Failure>;

pub(super) fn answer(app: &App, message: &Message) -> Reply {
    let path = message.path().trim_start_matches("/_emulator");
    let path = path.strip_prefix('/').unwrap_or(path);
    let host = message.header("host").unwrap_or_default();
    let foreign = message
        .header("origin")
        .is_some_and(|origin| !is_own_page(origin, host));
    if foreign {
        return failure(&Failure(403, "not from the emulator's own page".to_owned()));
    }
    let method = message.method.as_str();
    match (method, path) {
        ("GET", "") => {
            let mut reply = Reply::empty(200).with("cache-control", "no-store");
            reply.content_type = Some("text/html; charset=utf-8");
            reply.body = PAGE.as_bytes().to_vec();
            return reply;
        }
        ("GET", path) if path.starts_with("link/") => return follow(app, path),
        // What a phone's camera opens; the page is where a code is scanned.
        ("GET", path) if path.starts_with("qr/") => {
            return Reply::empty(302).with("location", "/_emulator/");
        }
        _ => {}
    }
    match route(app, message, method, path) {
        Ok(value) => Reply::json(200, &value).with("cache-control", "no-store"),
        Err(failed) => failure(&failed),
    }
}

fn failure(failed: &Failure) -> Reply {
    Reply::json(failed.0, &json!({ "error": failed.1 }))
}

/// Other sites may not use a browser to reach the emulator. Where there is an
/// origin, it has to be the page that the emulator serves, under one of its
/// own names.
fn is_own_page(origin: &[u8], host: &[u8]) -> bool {
    let (Ok(origin), Ok(host)) = (std::str::from_utf8(origin), std::str::from_utf8(host)) else {
        return false;
    };
    let own = origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    own && ["localhost", "127.0.0.1", "[::1]"].contains(&name.to_ascii_lowercase().as_str())
}

/// A person's browser opens the link of a mail.
fn follow(app: &App, path: &str) -> Reply {
    match lock(&app.state).click(path) {
        Ok(landing) => Reply::empty(302).with("location", landing),
        Err(error) => failure(&Failure(410, error.to_string())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    username: String,
    email_address: Option<String>,
    #[serde(default)]
    without_methods: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    auth_request_id: Uuid,
    username: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrationBody {
    registration_id: Uuid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanBody {
    qr_code_data: Option<String>,
    registration_id: Option<Uuid>,
    username: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClickBody {
    id: Option<Uuid>,
    link: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasskeyBody {
    options: Value,
    origin: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceBody {
    seconds: u64,
}

/// The methods of a control path, for 405.
fn methods(path: &str) -> &'static [&'static str] {
    match path {
        "" | "health" | "requests/pending" | "registrations/pending" | "outbox" | "clock" => {
            &["GET"]
        }
        "users" => &["GET", "POST"],
        "faults" => &["GET", "POST", "DELETE"],
        "recorded" => &["GET", "DELETE"],
        "reset"
        | "approve"
        | "decline"
        | "registrations/accept"
        | "registrations/decline"
        | "scan"
        | "click"
        | "passkeys/create"
        | "passkeys/get"
        | "clock/advance"
        | "tokens/expire" => &["POST"],
        _ => &[],
    }
}

fn route(app: &App, message: &Message, method: &str, path: &str) -> Result {
    let allowed = methods(path);
    if allowed.is_empty() {
        return Err(Failure(404, "no such control route".to_owned()));
    }
    if !allowed.contains(&method) {
        return Err(Failure(405, format!("use {}", allowed.join(" or "))));
    }
    match (method, path) {
        ("GET", "health") => Ok(health(app)),
        ("POST", "reset") => {
            empty(message)?;
            app.reset()?;
            Ok(json!({}))
        }
        ("GET", "users") => Ok(users(app)),
        ("POST", "users") => add_user(app, message),
        ("GET", "requests/pending") => {
            let all = lock(&app.state).pending_requests();
            let all: Vec<Value> = all.iter().map(super::PendingRequest::json).collect();
            Ok(json!({ "requests": all }))
        }
        ("POST", "approve" | "decline") => {
            let body: DecisionBody = read(message)?;
            let approve = path == "approve";
            lock(&app.state).decide(body.auth_request_id, body.username.as_deref(), approve)?;
            Ok(json!({}))
        }
        ("GET", "registrations/pending") => {
            let all = lock(&app.state).pending_registrations();
            let all: Vec<Value> = all.iter().map(super::PendingRegistration::json).collect();
            Ok(json!({ "registrations": all }))
        }
        ("POST", "registrations/accept") => {
            let body: RegistrationBody = read(message)?;
            lock(&app.state).accept_registration(body.registration_id)?;
            Ok(json!({}))
        }
        ("POST", "registrations/decline") => {
            let body: RegistrationBody = read(message)?;
            lock(&app.state).decline_registration(body.registration_id)?;
            Ok(json!({}))
        }
        ("POST", "scan") => scan(app, message),
        ("GET", "outbox") => {
            let state = lock(&app.state);
            let mails: Vec<Value> = state.outbox.iter().map(super::Mail::json).collect();
            Ok(json!({ "mails": mails }))
        }
        ("POST", "click") => click(app, message),
        ("POST", _) if path.starts_with("passkeys/") => passkey(app, message, path),
        ("GET", "clock") => Ok(json!({ "now": lock(&app.state).clock.now().iso() })),
        ("POST", "clock/advance") => {
            let body: AdvanceBody = read(message)?;
            let mut state = lock(&app.state);
            state.clock.advance(Duration::from_secs(body.seconds));
            Ok(json!({ "now": state.clock.now().iso() }))
        }
        ("POST", "tokens/expire") => {
            empty(message)?;
            lock(&app.state).revoke_all_tokens();
            Ok(json!({}))
        }
        ("GET", "faults") => Ok(json!({ "faults": lock(&app.faults).describe() })),
        ("POST", "faults") => {
            let fault = Fault::try_from(read::<FaultSpec>(message)?)
                .map_err(|reason| Failure(400, reason))?;
            lock(&app.faults).add(fault);
            Ok(json!({}))
        }
        ("DELETE", "faults") => {
            lock(&app.faults).clear();
            Ok(json!({}))
        }
        ("GET", "recorded") => Ok(recorded(app)),
        _ => {
            lock(&app.record).clear();
            Ok(json!({}))
        }
    }
}

/// A JSON body. The content type is asked for because a browser sends it to
/// another site only after asking that site.
fn read<T: DeserializeOwned>(message: &Message) -> std::result::Result<T, Failure> {
    if api::content_type(message) != ContentType::Json {
        return Err(Failure(415, "send application/json".to_owned()));
    }
    serde_json::from_slice(&message.body).map_err(|error| {
        // Only where and of which kind: the text of the error may quote the
        // body.
        let place = format!("line {} column {}", error.line(), error.column());
        Failure(400, format!("the body does not fit: {place}"))
    })
}

/// No body, in any of the ways to say so.
fn empty(message: &Message) -> std::result::Result<(), Failure> {
    if message.body.is_empty() {
        return Ok(());
    }
    match read::<Value>(message)? {
        Value::Object(body) if body.is_empty() => Ok(()),
        _ => Err(Failure(400, "no body is expected".to_owned())),
    }
}

fn health(app: &App) -> Value {
    json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "api_url": app.base_url,
        "login_url": app.base_url,
        "client_id": app.config.client_id,
        "seed": app.config.seed,
        "rp_id": app.config.rp_id,
        "origin": app.config.origin,
    })
}

fn users(app: &App) -> Value {
    let state = lock(&app.state);
    let users: Vec<Value> = state
        .users()
        .map(|user| {
            let methods: Vec<&str> = [Method::Authenticator, Method::Magiclink, Method::Webauthn]
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
        })
        .collect();
    json!({ "users": users })
}

fn add_user(app: &App, message: &Message) -> Result {
    let body: UserBody = read(message)?;
    let mut user = NewUser::new(body.username);
    if let Some(email) = body.email_address {
        user = user.email(email);
    }
    if body.without_methods {
        user = user.without_methods();
    }
    let id = lock(&app.state).add_new_user(&user)?;
    Ok(json!({ "user_id": id }))
}

fn scan(app: &App, message: &Message) -> Result {
    let body: ScanBody = read(message)?;
    let mut state = lock(&app.state);
    let scanned = match (body.qr_code_data, body.registration_id) {
        (Some(code), None) => state.scan(&code, body.username.as_deref())?,
        (None, Some(registration_id)) => {
            state.enrol_phone(registration_id)?;
            Scanned::Registration { registration_id }
        }
        _ => {
            let message = "give qr_code_data or registration_id";
            return Err(Failure(400, message.to_owned()));
        }
    };
    Ok(match scanned {
        Scanned::SignIn { auth_request_id } => json!({ "auth_request_id": auth_request_id }),
        Scanned::Registration { registration_id } => {
            json!({ "registration_id": registration_id })
        }
    })
}

fn click(app: &App, message: &Message) -> Result {
    let body: ClickBody = read(message)?;
    let mut state = lock(&app.state);
    let link = match (body.id, body.link) {
        (None, Some(link)) => link,
        (Some(id), None) => state
            .outbox
            .get(&id)
            .map(|mail| mail.link.clone())
            .ok_or(EmulatorError::UnknownLink)?,
        _ => return Err(Failure(400, "give id or link".to_owned())),
    };
    Ok(json!({ "url": state.click(&link)? }))
}

fn passkey(app: &App, message: &Message, path: &str) -> Result {
    let body: PasskeyBody = read(message)?;
    // As the service gave them: text or object.
    let options = match body.options {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let origin = body.origin.as_deref().unwrap_or(&app.config.origin);
    let mut passkeys = lock(&app.passkeys);
    let made = if path == "passkeys/create" {
        passkeys.create(&options, origin)
    } else {
        passkeys.get(&options, origin)
    };
    made.map_err(|error| Failure(400, error.to_string()))
}

fn recorded(app: &App) -> Value {
    let record = lock(&app.record);
    let (all, total) = (record.all(), record.total());
    drop(record);
    let requests: Vec<Value> = all
        .iter()
        .map(|request| {
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
            json!({
                "endpoint": request.endpoint(),
                "request_line": request.request_line(),
                "headers": headers,
                "body": body,
            })
        })
        .collect();
    json!({ "requests": requests, "total": total })
}
