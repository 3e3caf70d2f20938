//! The control routes: what Rust callers do by method, over HTTP.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

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
/// What the page may do; it says so itself, too.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'";
/// Nothing else here is for showing.
const DATA_POLICY: &str = "default-src 'none'";

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
    let reply = if let Err(refused) = check_sender(message) {
        failure(&refused)
    } else {
        dispatch(app, message)
    };
    let policy = if reply.content_type == Some(HTML) {
        PAGE_POLICY
    } else {
        DATA_POLICY
    };
    // Not in a frame, where a click might be stolen; not kept by caches; not
    // taken for something else; and no address with a code in it told on.
    reply
        .with(
            "content-security-policy",
            format!("{policy}; frame-ancestors 'none'"),
        )
        .with("x-content-type-options", "nosniff")
        .with("referrer-policy", "no-referrer")
        .with("cache-control", "no-store")
}

const HTML: &str = "text/html; charset=utf-8";

fn dispatch(app: &App, message: &Message) -> Reply {
    let path = message.path();
    let path = path.strip_prefix("/_emulator").unwrap_or(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let method = message.method.as_str();
    match (method, path) {
        ("GET", "") => {
            let mut reply = Reply::empty(200);
            reply.content_type = Some(HTML);
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
        Ok(value) => Reply::json(200, &value),
        Err(failed) => failure(&failed),
    }
}

/// Whoever reaches the emulator can play the person's part, but no website
/// may use a browser on this machine to reach it. A name that leads here by
/// its owner's DNS is not one of ours, so `Host` gives that away; all other
/// ways are given away by `Origin` or `Sec-Fetch-Site`. Links may be followed
/// from anywhere.
fn check_sender(message: &Message) -> std::result::Result<(), Failure> {
    let refused = |reason: &str| Err(Failure(403, reason.to_owned()));
    let text = |name| {
        message
            .header(name)
            .map(|value| std::str::from_utf8(value).unwrap_or_default())
    };
    let host = text("host").unwrap_or_default();
    if !is_own_host(host) {
        return refused("Host is not a name of this machine");
    }
    let own_page = |origin: &str| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    };
    if text("origin").is_some_and(|origin| !own_page(origin)) {
        return refused("not from the emulator's own page");
    }
    let follows = message.method == "GET" && text("sec-fetch-mode") == Some("navigate");
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if follows => Ok(()),
        Some(_) => refused("not from the emulator's own page"),
    }
}

/// Whether `Host` is `localhost` or a loopback address, with any port: there
/// may be a tunnel.
fn is_own_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = match name.strip_prefix('[') {
        Some(v6) => v6
            .strip_suffix(']')
            .and_then(|v6| v6.parse::<Ipv6Addr>().ok())
            .map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
}

fn failure(failed: &Failure) -> Reply {
    Reply::json(failed.0, &json!({ "error": failed.1 }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_the_policy_that_it_is_sent_with() {
        assert!(PAGE.contains(&format!(
            "http-equiv=\"Content-Security-Policy\" content=\"{PAGE_POLICY}\""
        )));
    }

    #[test]
    fn names_of_this_machine() {
        for host in [
            "localhost",
            "LocalHost:8443",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8443",
        ] {
            assert!(is_own_host(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8443",
            "evil.localhost.example",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "::1",
            "[::1",
            "localhost:x",
            "user@localhost",
        ] {
            assert!(!is_own_host(host), "{host}");
        }
    }
}
