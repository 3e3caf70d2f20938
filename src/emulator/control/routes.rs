//! The control routes: the methods of `Emulator`, over HTTP.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    app::App,
    faults::{Fault, FaultSpec, is_target, targets},
    lists::{self, Part},
    sender::check_sender,
};
use crate::emulator::{
    api::body::{ContentType, content_type},
    message::{Request, Response},
    model::{auth_request::Decision, error::EmulatorError, rate_limit::RateLimit, user::NewUser},
    person::pending::Scanned,
    sync::{Stop, lock},
};

/// The control page.
const PAGE: &str = include_str!("page.html");
/// The policy of the page, which has it in a `meta` element, too.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; \
     style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'";
/// The policy of all other responses.
const DATA_POLICY: &str = "default-src 'none'";

/// The status and the reason of a failed control call.
struct Failure(u16, String);

impl From<EmulatorError> for Failure {
    fn from(error: EmulatorError) -> Self {
        let status = match error {
            EmulatorError::UnknownUser
            | EmulatorError::UnknownRequest
            | EmulatorError::NoRequest
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

pub(crate) fn respond(app: &App, request: &Request, stop: &Stop) -> Response {
    let response = match check_sender(request, &app.own_names) {
        Err(reason) => failure(&Failure(403, reason.to_owned())),
        Ok(()) => dispatch(app, request, stop),
    };
    let policy = if response.content_type == Some(HTML) {
        PAGE_POLICY
    } else {
        DATA_POLICY
    };
    // No frames, against stolen clicks; no caches; no guessing of types; and no
    // referrer, which may hold the code of a link.
    response
        .with_header(
            "content-security-policy",
            format!("{policy}; frame-ancestors 'none'"),
        )
        .with_header("x-content-type-options", "nosniff")
        .with_header("referrer-policy", "no-referrer")
        .with_header("cache-control", "no-store")
}

const HTML: &str = "text/html; charset=utf-8";

fn dispatch(app: &App, request: &Request, stop: &Stop) -> Response {
    let path = request.path();
    if path == "/" {
        return match request.method.as_str() {
            "GET" | "HEAD" => Response::empty(302).with_header("location", "/_emulator/"),
            _ => failure(&Failure(405, "use GET".to_owned())),
        };
    }
    let path = path.strip_prefix("/_emulator").unwrap_or(path);
    let path = path.strip_prefix('/').unwrap_or(path);
    let method = request.method.as_str();
    match (method, path) {
        ("GET", "") => {
            let mut response = Response::empty(200);
            response.content_type = Some(HTML);
            response.body = PAGE.as_bytes().to_vec();
            return response;
        }
        ("GET", path) if path.starts_with("link/") => return follow(app, path),
        // A QR code, opened in a browser. The page offers to scan it.
        ("GET", path) if path.starts_with("qr/") => {
            let code = path.trim_start_matches("qr/");
            let location = format!("/_emulator/#qr={code}");
            return Response::empty(302).with_header("location", location);
        }
        ("GET", "ca.pem") if !app.ca_pem.is_empty() => {
            let mut response = Response::empty(200);
            response.content_type = Some("application/x-pem-file");
            response.body = app.ca_pem.as_bytes().to_vec();
            return response.with_header(
                "content-disposition",
                "attachment; filename=autharmor-ca.pem",
            );
        }
        _ => {}
    }
    match route(app, request, stop, (method, path)) {
        Ok(value) => Response::json(200, &value),
        Err(failed) => failure(&failed),
    }
}

fn failure(failed: &Failure) -> Response {
    Response::json(failed.0, &json!({ "error": failed.1 }))
}

/// Opens a magic link in a browser.
fn follow(app: &App, path: &str) -> Response {
    match app.state().click(path) {
        Ok(redirect) => Response::empty(302).with_header("location", redirect),
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
struct WaitBody {
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AutomaticBody {
    decision: Decision,
    #[serde(default)]
    seconds: u64,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimitBody {
    endpoint: Option<String>,
    calls: u32,
    seconds: u64,
}

/// The methods of a control path.
fn methods(path: &str) -> &'static [&'static str] {
    match path {
        ""
        | "health"
        | "connection"
        | "requests/pending"
        | "registrations/pending"
        | "outbox"
        | "clock" => &["GET"],
        "users" | "requests/automatic" => &["GET", "POST"],
        "faults" | "rate_limits" => &["GET", "POST", "DELETE"],
        "recorded" => &["GET", "DELETE"],
        "reset"
        | "approve"
        | "decline"
        | "requests/wait"
        | "registrations/accept"
        | "registrations/decline"
        | "scan"
        | "click"
        | "passkeys/create"
        | "passkeys/get"
        | "clock/advance"
        | "tokens/expire" => &["POST"],
        path if path.starts_with("recorded/") => &["GET"],
        _ => &[],
    }
}

fn route(app: &App, request: &Request, stop: &Stop, (method, path): (&str, &str)) -> Result {
    let allowed = methods(path);
    if allowed.is_empty() {
        return Err(Failure(404, "no such control route".to_owned()));
    }
    if !allowed.contains(&method) {
        return Err(Failure(405, format!("use {}", allowed.join(" or "))));
    }
    if method == "GET" {
        return read_state(app, request, path);
    }
    match (method, path) {
        ("POST", "reset") => {
            empty(request)?;
            app.reset()?;
            Ok(json!({}))
        }
        ("POST", "users") => add_user(app, request),
        ("POST", "requests/wait") => {
            let body: WaitBody = read(request)?;
            let timeout = Duration::from_secs(body.seconds);
            let pending = app.wait_for_request(timeout, Some(stop))?;
            Ok(json!({ "request": pending }))
        }
        ("POST", "requests/automatic") => {
            let body: AutomaticBody = read(request)?;
            let after = Duration::from_secs(body.seconds);
            app.state().decide_automatically(body.decision, after);
            Ok(json!({}))
        }
        ("POST", "approve" | "decline") => {
            let body: DecisionBody = read(request)?;
            let approve = path == "approve";
            app.model
                .state()
                .decide(body.auth_request_id, body.username.as_deref(), approve)?;
            Ok(json!({}))
        }
        ("POST", "registrations/accept") => {
            let body: RegistrationBody = read(request)?;
            app.model
                .state()
                .accept_registration(body.registration_id)?;
            Ok(json!({}))
        }
        ("POST", "registrations/decline") => {
            let body: RegistrationBody = read(request)?;
            app.model
                .state()
                .decline_registration(body.registration_id)?;
            Ok(json!({}))
        }
        ("POST", "scan") => scan(app, request),
        ("POST", "click") => click(app, request),
        ("POST", _) if path.starts_with("passkeys/") => passkey(app, request, path),
        ("POST", "clock/advance") => {
            let body: AdvanceBody = read(request)?;
            let mut state = app.state();
            state.clock.advance(Duration::from_secs(body.seconds));
            Ok(json!({ "now": state.clock.now().iso() }))
        }
        ("POST", "tokens/expire") => {
            empty(request)?;
            app.state().revoke_all_tokens();
            Ok(json!({}))
        }
        ("POST", "faults") => {
            let fault = Fault::try_from(read::<FaultSpec>(request)?)
                .map_err(|reason| Failure(400, reason))?;
            lock(&app.faults).add(fault);
            Ok(json!({}))
        }
        ("DELETE", "faults") => {
            lock(&app.faults).clear();
            Ok(json!({}))
        }
        ("POST", "rate_limits") => limit_rate(app, &read(request)?),
        ("DELETE", "rate_limits") => {
            app.state().rate_limits.clear();
            Ok(json!({}))
        }
        _ => {
            lock(&app.record).clear();
            Ok(json!({}))
        }
    }
}

fn limit_rate(app: &App, body: &RateLimitBody) -> Result {
    let endpoint = body.endpoint.as_deref().unwrap_or("*");
    if !is_target(endpoint) {
        return Err(Failure(400, "unknown endpoint".to_owned()));
    }
    app.state().rate_limits.add(RateLimit {
        endpoint: endpoint.to_owned(),
        calls: body.calls,
        window: Duration::from_secs(body.seconds),
    });
    Ok(json!({}))
}

/// The routes that change nothing.
fn read_state(app: &App, request: &Request, path: &str) -> Result {
    let part = || Part::read(request).map_err(|reason| Failure(400, reason.to_owned()));
    Ok(match path {
        "health" => health(app),
        "connection" => connection(app),
        "users" => lists::users(app, &part()?),
        "requests/pending" => lists::pending_requests(app, &part()?),
        "requests/automatic" => automatic(app),
        "registrations/pending" => lists::pending_registrations(app, &part()?),
        "outbox" => lists::outbox(app, &part()?),
        "clock" => json!({ "now": app.state().clock.now().iso() }),
        "faults" => json!({
            "faults": lock(&app.faults).describe(),
            "endpoints": targets().collect::<Vec<_>>(),
        }),
        "rate_limits" => lists::rate_limits(app),
        "recorded" => lists::recorded(app, &part()?),
        _ => {
            let number = path.strip_prefix("recorded/").and_then(|n| n.parse().ok());
            number
                .and_then(|number| lists::recorded_request(app, number))
                .ok_or_else(|| Failure(404, "no such request is kept".to_owned()))?
        }
    })
}

/// Reads a JSON body. Its content type is required because browsers send it
/// across sites only after a preflight request.
fn read<T: DeserializeOwned>(request: &Request) -> std::result::Result<T, Failure> {
    if content_type(request) != ContentType::Json {
        return Err(Failure(415, "send application/json".to_owned()));
    }
    serde_json::from_slice(&request.body).map_err(|error| {
        // Without the text of the error, which may quote the body.
        let place = format!("line {} column {}", error.line(), error.column());
        Failure(400, format!("the body does not fit: {place}"))
    })
}

/// Checks that there is no body, or an empty object.
fn empty(request: &Request) -> std::result::Result<(), Failure> {
    if request.body.is_empty() {
        return Ok(());
    }
    match read::<Value>(request)? {
        Value::Object(body) if body.is_empty() => Ok(()),
        _ => Err(Failure(400, "no body is expected".to_owned())),
    }
}

fn health(app: &App) -> Value {
    json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "tolerant": app.model.config.tolerant,
        "api_url": app.model.base_url,
        "login_url": app.model.base_url,
        "client_id": app.model.config.client_id,
        "seed": app.model.config.seed,
        "rp_id": app.model.config.rp_id,
        "origin": app.model.config.origin,
    })
}

/// The data that a client needs to use the emulator.
fn connection(app: &App) -> Value {
    json!({
        "api_url": app.model.base_url,
        "login_url": app.model.base_url,
        "client_id": app.model.config.client_id,
        "client_secret": app.model.config.client_secret,
        "tls": !app.ca_pem.is_empty(),
        "environment": app.environment(),
    })
}

fn automatic(app: &App) -> Value {
    let (decision, after) = app
        .state()
        .automatic()
        .unwrap_or((Decision::Ignore, Duration::ZERO));
    let decision = match decision {
        Decision::Approve => "approve",
        Decision::Decline => "decline",
        Decision::Ignore => "ignore",
    };
    json!({ "decision": decision, "seconds": after.as_secs() })
}

fn add_user(app: &App, request: &Request) -> Result {
    let body: UserBody = read(request)?;
    let mut user = NewUser::new(body.username);
    if let Some(email) = body.email_address {
        user = user.email(email);
    }
    if body.without_methods {
        user = user.without_methods();
    }
    let id = app.state().add_new_user(&user)?;
    Ok(json!({ "user_id": id }))
}

fn scan(app: &App, request: &Request) -> Result {
    let body: ScanBody = read(request)?;
    let scanned = match (body.qr_code_data, body.registration_id) {
        (Some(code), None) => app.scan(&code, body.username.as_deref())?,
        (None, Some(registration_id)) => {
            app.state().enrol_phone(registration_id)?;
            Scanned::Registration { registration_id }
        }
        _ => {
            let reason = "give qr_code_data or registration_id";
            return Err(Failure(400, reason.to_owned()));
        }
    };
    Ok(match scanned {
        Scanned::SignIn { auth_request_id } => json!({ "auth_request_id": auth_request_id }),
        Scanned::Registration { registration_id } => {
            json!({ "registration_id": registration_id })
        }
    })
}

fn click(app: &App, request: &Request) -> Result {
    let body: ClickBody = read(request)?;
    let mut state = app.state();
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

fn passkey(app: &App, request: &Request, path: &str) -> Result {
    let body: PasskeyBody = read(request)?;
    // The service sends a text or an object.
    let options = match body.options {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let origin = body.origin.as_deref().unwrap_or(&app.model.config.origin);
    let mut passkeys = lock(&app.passkeys);
    let made = if path == "passkeys/create" {
        passkeys.create(&options, origin)
    } else {
        passkeys.get(&options, origin)
    };
    made.map_err(|error| Failure(400, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_and_the_header_have_the_same_policy() {
        assert!(PAGE.contains(&format!(
            "http-equiv=\"Content-Security-Policy\" content=\"{PAGE_POLICY}\""
        )));
    }
}
