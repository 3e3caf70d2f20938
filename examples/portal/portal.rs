//! The login, the registration and the account page.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{mem, thread};

use autharmor::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use autharmor::flow::{Registration, SignIn};
use autharmor::registrations::{StartMagiclinkEmailRegistration, StartWebauthnRegistrationForUser};
use autharmor::{Client, Error, PageQuery, Secret};
use qrcode::{QrCode, render::svg};
use serde_json::{Map, Value, json};
use tiny_http::{Method, Request, Server};
use uuid::Uuid;

use crate::web::{self, Expiring, Message, Reply};

const WEBAUTHN_CLIENT_ID: &str = "from-your-dashboard";
const ASKING: &str = "Somebody signs in to Example as you";
const REGISTERING: &str = "Somebody registers at Example as you";
/// How often whoever has a name can be disturbed in ten minutes.
const DISTURBANCES: u32 = 5;
const COOKIE: &str = "Path=/; HttpOnly; SameSite=Lax";
const MAILED: &str = "If a link can be sent to this address, it is in the mail. Open it here.";
const GONE: &str = "This has ended, or it began in another browser: open the link there.";
const OUTAGE: &str = "The sign-in service does not respond. Please try again.";
const WAITING: Message = Message(202, "Waiting for your phone …");
const WRONG: Message = Message(400, "Please check the address, or open the newest link.");
const DECLINED: Message = Message(403, "The request was declined on the phone.");
const LATE: Message = Message(403, "Nobody responded in time. Please begin again.");
const FAILED: Message = Message(403, "That did not work. Please begin again.");
const TOO_MANY: Message = Message(429, "Too many attempts. Please wait ten minutes.");

/// What the server knows of one browser.
#[derive(Default)]
pub(crate) struct Session {
    user: Option<User>,
    /// What the user began last, and the id by which the page continues it.
    pending: Option<(Value, Step)>,
}

/// Id and name of the user, and the time of the sign-in.
type User = (Uuid, String, Instant);

/// The user who is signed in, or a text for the page.
type End = Result<User, Message>;

/// Continues with what the page sent. It owns the pending state of a sign-in or a
/// registration, which never leaves the server.
type Step = Box<dyn FnMut(&Client, &str) -> End + Send>;

/// Begins something for a name.
type Begin = fn(&Portal, &str) -> Result<Begun, Message>;

/// What the page shows, and the step that follows.
type Begun = (Value, Step);

impl Session {
    /// Takes the step out, and puts it back if the user has not responded, if it
    /// was not the right link, or in an outage.
    fn proceed(&mut self, client: &Client, id: &Value, page: &str) -> Reply {
        let pending = self.pending.take_if(|pending| pending.0 == *id);
        let (id, mut step) = pending.ok_or(Message(409, GONE))?;
        let end = step(client, page);
        if matches!(end, Err(Message(202 | 400 | 503, _))) {
            self.pending = Some((id, step));
        }
        self.user = Some(end?);
        Ok(json!({ "go": "/account" }))
    }
}

pub(crate) struct Portal {
    client: Client,
    origin: String,
    pub(crate) sessions: Expiring<Arc<Mutex<Session>>>,
    attempts: Expiring<u32>,
    /// How long each beginning takes, so that its time does not tell who has an
    /// account: longer than two calls of the service.
    pub(crate) pace: Duration,
    /// How long a new phone can be added: v3 tells no other end than success.
    pub(crate) patience: Duration,
}

impl Portal {
    /// `origin` is the address in browsers, without a slash at the end.
    pub(crate) fn new(client: Client, origin: &str) -> Self {
        Self {
            client,
            origin: origin.to_owned(),
            sessions: Expiring(Duration::from_secs(8 * 3600), Mutex::default()),
            attempts: Expiring(Duration::from_secs(600), Mutex::default()),
            pace: Duration::from_secs(1),
            patience: Duration::from_secs(300),
        }
    }

    /// Serves for ever, up to 16 requests at a time.
    pub(crate) fn serve(&self, server: &Server) {
        let work = || server.incoming_requests().for_each(|it| self.handle(it));
        thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(work))));
    }

    fn handle(&self, mut request: Request) {
        if *request.method() != Method::Post {
            // A GET changes nothing.
            let file = file(request.url());
            return web::respond(request, file, None);
        }
        let is_tls = self.origin.starts_with("https:");
        // With this prefix no other host of the domain can set it.
        let cookie = if is_tls { "__Host-session" } else { "session" };
        let id = web::cookie(&request, cookie).to_owned();
        let found = self.sessions.lock().get(&id).map(|it| it.1.clone());
        let is_new = found.is_none();
        let shared = found.unwrap_or_default();
        // Held during calls: no two requests of a browser complete one sign-in.
        let mut session = web::lock(&shared);
        let before = session.user.clone();
        let reply = self.post(&mut request, &mut session);
        let mut set_cookie = None;
        if session.user != before || is_new && session.pending.is_some() {
            // A new id after each sign-in: somebody else may know the old one.
            let new_id = web::random_id();
            let line = format!("Set-Cookie: {cookie}={new_id}; {COOKIE}");
            set_cookie = Some(line + if is_tls { "; Secure" } else { "" });
            let session = Arc::new(Mutex::new(mem::take(&mut *session)));
            let mut sessions = self.sessions.lock();
            sessions.remove(&id);
            sessions.insert(new_id, (Instant::now(), session));
        }
        drop(session);
        let (status, body) = match reply {
            Ok(body) => (200, body),
            Err(Message(status, text)) => (status, json!({ "text": text })),
        };
        let response = (status, "application/json", &*body.to_string());
        web::respond(request, response, set_cookie.as_deref());
    }

    fn post(&self, request: &mut Request, session: &mut Session) -> Reply {
        // With a POST a browser says which website's page sends it.
        if web::header(request, "Origin") != self.origin {
            return Err(Message(403, "This came from another website."));
        }
        let body = request.as_reader().take(64 * 1024);
        let body: Value = serde_json::from_reader(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        // No mail address is longer.
        let name: String = text("name").trim().chars().take(254).collect();
        let name = &name.to_lowercase();
        let user = session.user.clone().ok_or(Message(401, "Please sign in."));
        let (reply, step) = match request.url() {
            "/passkey" => self.attempt(request, name, Self::use_passkey),
            "/phone" => self.attempt(request, name, Self::ask_phone),
            "/link" => self.attempt(request, name, Self::mail_link),
            "/register" => self.attempt(request, name, Self::register),
            "/account/phone" => self.add_phone(user?.0),
            "/account/passkey" => self.add_passkey(user?.0),
            "/account/disable" => self.disable(user?.0, text("credential")),
            "/account" => return self.account(user?),
            "/continue" => return session.proceed(&self.client, &body["id"], text("input")),
            "/log-out" => {
                *session = Session::default();
                return Ok(json!({ "go": "/" }));
            }
            _ => Err(Message(404, "There is no such page.")),
        }?;
        session.pending = Some((reply["id"].clone(), step));
        Ok(reply)
    }

    /// Begins what strangers can begin, but not too often. The time does not tell
    /// whether the name has an account.
    fn attempt(&self, from: &Request, name: &str, begin: Begin) -> Result<Begun, Message> {
        let end = Instant::now() + self.pace;
        let from = from.remote_addr().map(SocketAddr::ip);
        let is_allowed = self.count(&format!("{from:?}"), 60);
        let reply = is_allowed.and_then(|()| begin(self, name));
        thread::sleep(end.saturating_duration_since(Instant::now()));
        reply
    }

    /// Counts an attempt, and refuses it if there were too many.
    fn count(&self, key: &str, most: u32) -> Result<(), Message> {
        let mut attempts = self.attempts.lock();
        let entry = attempts.entry(key.to_owned());
        let (_, count) = entry.or_insert((Instant::now(), 0));
        *count += 1;
        (*count <= most).then_some(()).ok_or(TOO_MANY)
    }

    /// Begins for anybody: the options for a name tell whether it has a passkey.
    fn use_passkey(&self, name: &str) -> Result<Begun, Message> {
        let request = StartWebauthnAuth::new().webauthn_client_id(WEBAUTHN_CLIENT_ID);
        let started = self.client.begin_webauthn_sign_in(&request)?;
        let mut options = options(&started.fido2_json_options)?;
        options.insert("userVerification".to_owned(), json!("required"));
        let name = name.to_owned();
        Ok(begun(json!({ "get": options }), move |client, page| {
            signed_in(started.pending.complete(client, page)?, &name)
        }))
    }

    /// Asks the phone of this name. Without such a user, asks for anybody, which
    /// looks the same and signs nobody in.
    fn ask_phone(&self, name: &str) -> Result<Begun, Message> {
        self.count(name, DISTURBANCES)?;
        let anybody = approval("Sign in", ASKING);
        let begin = |request: &_| self.client.begin_authenticator_sign_in(request);
        let named = known(begin(&anybody.clone().user(name)))?;
        let started = named.map_or_else(|| begin(&anybody), Ok)?;
        let reply = on_phone(started.qr_code_data, started.visual_verify_value);
        let name = name.to_owned();
        Ok(begun(reply, move |client, _| {
            signed_in(started.pending.poll(client)?, &name)
        }))
    }

    fn mail_link(&self, address: &str) -> Result<Begun, Message> {
        self.count(address, DISTURBANCES)?;
        let request = StartMagiclinkEmailAuth::new(address, format!("{}/link", self.origin));
        let request = request.action_name("Sign in").short_msg(ASKING);
        let pending = known(self.client.begin_magiclink_sign_in(&request))?;
        Ok(by_link(pending, |pending, client, query| {
            signed_in(pending.complete(client, query)?, "")
        }))
    }

    fn register(&self, address: &str) -> Result<Begun, Message> {
        self.count(address, DISTURBANCES)?;
        let landing = format!("{}/link", self.origin);
        let request = StartMagiclinkEmailRegistration::new(address, landing);
        let request = request.action_name("Register").short_msg(REGISTERING);
        let pending = known(self.client.begin_magiclink_registration(&request))?;
        Ok(by_link(pending, |pending, client, query| {
            registered(pending.complete(client, query)?, true)
        }))
    }

    fn account(&self, (id, name, _): User) -> Reply {
        let credentials = self.client.list_user_credentials(id, PageQuery::new())?;
        let newest = PageQuery::new().page_size(10);
        let history = self.client.get_user_auth_history(id, newest)?;
        let (credentials, history) = (credentials.records, history.records);
        Ok(json!({ "name": name, "credentials": credentials, "history": history }))
    }

    fn add_phone(&self, user: Uuid) -> Result<Begun, Message> {
        let client = &self.client;
        let started = client.begin_authenticator_registration_for_user(user)?;
        let reply = on_phone(started.qr_code_data, Value::Null);
        let late = Instant::now() + self.patience;
        Ok(begun(reply, move |client, _| {
            let end = registered(started.pending.poll(client)?, false);
            let is_late = end == Err(WAITING) && Instant::now() >= late;
            if is_late { Err(LATE) } else { end }
        }))
    }

    fn add_passkey(&self, user: Uuid) -> Result<Begun, Message> {
        let request = StartWebauthnRegistrationForUser::new();
        let request = request.webauthn_client_id(WEBAUTHN_CLIENT_ID);
        let client = &self.client;
        let started = client.begin_webauthn_registration_for_user(user, &request)?;
        // A browser finds such a passkey without a list. v3 cannot ask for it.
        let selection = json!({ "residentKey": "required", "userVerification": "required" });
        let mut options = options(&started.fido2_json_options)?;
        options.insert("authenticatorSelection".to_owned(), selection);
        Ok(begun(json!({ "create": options }), move |client, page| {
            registered(started.pending.complete(client, page)?, false)
        }))
    }

    /// Disables a way to sign in, as soon as the user approves that on the phone.
    fn disable(&self, user: Uuid, credential: &str) -> Result<Begun, Message> {
        let credential = self.client.get_user_credential(user, credential)?;
        let name = credential.name.as_deref().unwrap_or("a way to sign in");
        let request = approval("Disable", &format!("Disable {name} at Example")).user(user);
        let started = known(self.client.begin_authenticator_sign_in(&request))?
            .ok_or(Message(403, "Add a phone first: it has to approve this."))?;
        let reply = on_phone(started.qr_code_data, started.visual_verify_value);
        let mut is_approved = false;
        Ok(begun(reply, move |client, _| {
            if !is_approved {
                signed_in(started.pending.poll(client)?, "")?;
                is_approved = true;
            }
            client.disable_user_credential(user, &credential.credential_id)?;
            Err(Message(200, "It is disabled."))
        }))
    }
}

/// Tells the page what to show, and the id of the step.
fn begun(mut reply: Value, step: impl FnMut(&Client, &str) -> End + Send + 'static) -> Begun {
    reply["id"] = json!(web::random_id());
    (reply, Box::new(step))
}

/// Returns `None` if the service refuses the user: there is none of this name, or
/// the user cannot sign in this way, or is registered already.
fn known<T>(begun: Result<T, Error>) -> Result<Option<T>, Error> {
    match begun {
        Err(error) if matches!(error.status(), Some(400 | 404 | 409)) => Ok(None),
        begun => begun.map(Some),
    }
}

fn approval(action: &str, message: &str) -> StartAuthenticatorAuth {
    let request = StartAuthenticatorAuth::new().action_name(action);
    let request = request.short_msg(message).use_visual_verify(true);
    request.timeout_in_seconds(60)
}

/// Returns what the page shows while the phone is asked.
fn on_phone(qr_code: Option<Secret>, value: impl Into<Value>) -> Value {
    let code = qr_code.and_then(|data| QrCode::new(data.expose()).ok());
    let image = code.map(|code| code.render::<svg::Color>().build());
    json!({ "qr": image, "value": value.into() })
}

/// Reads the options of a passkey.
fn options(json: &str) -> Result<Map<String, Value>, Message> {
    serde_json::from_str(json).map_err(|_| FAILED)
}

/// Waits for a link by mail, whose page knows no other id. Without a mail no link
/// is the right one, and nothing else tells that there is none.
fn by_link<P: Send + 'static>(pending: Option<P>, end: fn(&P, &Client, &str) -> End) -> Begun {
    let step: Step =
        Box::new(move |client, query| end(pending.as_ref().ok_or(WRONG)?, client, query));
    (json!({ "id": "link", "text": MAILED }), step)
}

/// Returns the user who has signed in, who must be the one of the name, if there
/// is a name.
fn signed_in(end: SignIn, name: &str) -> End {
    let is_named = |user: Option<&str>| user.map(str::to_lowercase).as_deref() == Some(name);
    match end {
        SignIn::SignedIn(user) if name.is_empty() || is_named(user.username()) => {
            Ok(now(user.user_id(), user.username()))
        }
        SignIn::StillPending => Err(WAITING),
        SignIn::Declined => Err(DECLINED),
        SignIn::TimedOut | SignIn::ValidatedTooLate => Err(LATE),
        _ => Err(FAILED),
    }
}

/// Returns the user who has registered, if that is a new one.
fn registered(end: Registration, is_new: bool) -> End {
    match end {
        // v3 validates only those by mail.
        Registration::Registered(user) if is_new && user.is_validated() => {
            Ok(now(user.user_id(), user.username()))
        }
        Registration::Registered(_) => Err(Message(200, "It is added to your account.")),
        Registration::StillPending => Err(WAITING),
        Registration::Declined => Err(DECLINED),
        Registration::TimedOut | Registration::ValidatedTooLate => Err(LATE),
        _ => Err(FAILED),
    }
}

fn now(id: Uuid, name: Option<&str>) -> User {
    (id, name.unwrap_or_default().to_owned(), Instant::now())
}

impl From<Error> for Message {
    fn from(error: Error) -> Self {
        // The log gets no name and no secret.
        eprintln!("{error}");
        match (error.is_transient(), error.may_have_been_sent()) {
            (true, _) => Self(503, OUTAGE),
            (_, true) => FAILED,
            _ => WRONG,
        }
    }
}

fn file(path: &str) -> (u16, &'static str, &'static str) {
    match path.split('?').next() {
        Some("/" | "/register" | "/link" | "/account") => {
            (200, "text/html; charset=utf-8", include_str!("portal.html"))
        }
        Some("/portal.js") => (200, "text/javascript", include_str!("portal.js")),
        Some("/portal.css") => (200, "text/css", include_str!("portal.css")),
        _ => (404, "text/plain", "There is no such page."),
    }
}
