//! The login, the registration and the account page.

use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use autharmor::auth::{StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth};
use autharmor::flow::{Registration, SignIn};
use autharmor::registrations::{StartMagiclinkEmailRegistration, StartWebauthnRegistrationForUser};
use autharmor::{Client, Error, ErrorKind, PageQuery, Secret};
use qrcode::{QrCode, render::svg};
use serde_json::{Map, Value, json};
use touche::{Body, Request, Server};
use uuid::Uuid;

use crate::web::{self, Expiring, Message, Reply, Responded};

const MINUTE: Duration = Duration::from_secs(60);
/// The most requests of a network in ten minutes.
const REQUESTS: u32 = 3000;
/// The most of them that can begin a sign-in or a registration.
const ATTEMPTS: u32 = 60;
/// The most of these, by one method, for one name: each disturbs a person.
const ATTEMPTS_PER_NAME: u32 = 5;
const ASKING: &str = "Somebody signs in to Example as you";
const REGISTERING: &str = "Somebody registers at Example as you";
const COOKIE: &str = "Path=/; HttpOnly; SameSite=Lax";
const MAILED: &str = "If a link can be sent to this address, it is in the mail. Open it here.";
const WAITING: Message = Message(202, "Waiting for your phone …");
const WRONG: Message = Message(400, "Please check what you have entered.");
const OLD_LINK: Message = Message(400, "This link is too old or was replaced. Begin again.");
const SIGNED_OUT: Message = Message(401, "Please sign in.");
const DECLINED: Message = Message(403, "The request was declined on the phone.");
const FAILED: Message = Message(403, "That did not work. Please try again.");
const LATE: Message = Message(403, "Nobody responded in time. Please begin again.");
const NO_PHONE: Message = Message(403, "Add a phone first: it has to approve this.");
const NOT_RECENT: Message = Message(403, "Please log out and sign in again before this.");
const OTHER_SITE: Message = Message(403, "This came from another website.");
const NO_PAGE: Message = Message(404, "There is no such page.");
const GONE: Message = Message(409, "This has ended, or it began in another browser.");
const USED: Message = Message(409, "This link was used, or asked for in another browser.");
const TOO_MANY: Message = Message(429, "Too many attempts. Please wait ten minutes.");
const OUTAGE: Message = Message(503, "The service does not respond. Please try again.");

/// The data of one browser.
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

/// The reply for the page, and the step that follows.
type Begun = (Value, Step);

impl Session {
    /// Takes the step out, and puts it back if the user has not responded, if it
    /// was not the right link, or in an outage.
    fn proceed(&mut self, client: &Client, id: &Value, page: &str) -> Reply {
        let pending = self.pending.take_if(|pending| pending.0 == *id);
        let (id, mut step) = pending.ok_or(if id == "link" { USED } else { GONE })?;
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
    passkeys: String,
    /// The header in which a proxy gives the sender's address, if there is a proxy.
    pub(crate) proxy_header: Option<String>,
    pub(crate) sessions: Expiring<Arc<Mutex<Session>>>,
    pub(crate) attempts: Expiring<u32>,
    /// The time, or a multiple of it, that each attempt of a stranger takes.
    pub(crate) pace: Duration,
    /// The time in which a new phone can be added: v3 tells no other end than success.
    pub(crate) patience: Duration,
    /// The time after a sign-in in which another way to sign in can be added.
    pub(crate) recent: Duration,
}

impl Portal {
    /// `origin` is the address in browsers, without a slash at the end; `passkeys` the
    /// id of this website at the service.
    pub(crate) fn new(client: Client, origin: &str, passkeys: &str) -> Self {
        Self {
            client,
            origin: origin.to_owned(),
            passkeys: passkeys.to_owned(),
            proxy_header: None,
            sessions: Expiring(10_000, Mutex::default()),
            attempts: Expiring(10_000, Mutex::default()),
            pace: Duration::from_secs(1),
            patience: 5 * MINUTE,
            recent: 10 * MINUTE,
        }
    }

    /// Serves for ever, about 200 connections at a time.
    pub(crate) fn serve(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let portal = Arc::clone(&self);
            match stream {
                Ok(stream) if Arc::strong_count(&self) < 200 => {
                    // Without a thread the connection is closed.
                    let _ = thread::Builder::new().spawn(move || portal.serve_connection(stream));
                }
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn serve_connection(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_write_timeout(Some(MINUTE))?;
        let from = stream.peer_addr()?.ip();
        let server = Server::builder()
            .read_timeout(MINUTE)
            .from_connections([stream]);
        server.serve_single_thread(|request| self.handle(request, from))
    }

    fn handle(&self, request: Request<Body>, from: IpAddr) -> Responded {
        if request.method() != "POST" {
            // A GET changes nothing.
            return file(request.uri().path());
        }
        // With this prefix no other host of the domain can set it.
        let is_tls = self.origin.starts_with("https:");
        let cookie = if is_tls { "__Host-session" } else { "session" };
        let id = web::cookie(&request, cookie).to_owned();
        let found = self.sessions.lock().get(&id).map(|it| it.1.clone());
        let is_new = found.is_none();
        let shared = found.unwrap_or_default();
        // More requests wait than a person sends.
        if Arc::strong_count(&shared) > 8 {
            let body = json!({ "text": TOO_MANY.1 }).to_string();
            return web::respond(429, "application/json", body, None);
        }
        // Held during calls: no two requests of a browser complete one sign-in.
        let mut session = web::lock(&shared);
        let before = session.user.clone();
        let proxied = self
            .proxy_header
            .as_ref()
            .map(|name| web::header(&request, name));
        let from = web::network(proxied.and_then(|text| text.parse().ok()).unwrap_or(from));
        let reply = self.post(request, &from, &mut session);
        let mut set_cookie = None;
        let minutes = if session.user.is_some() { 480 } else { 30 };
        let end = Instant::now() + minutes * MINUTE;
        if session.user != before || is_new && session.pending.is_some() {
            // A new id after each sign-in: somebody else may know the old one.
            let new_id = web::random_id();
            let secure = if is_tls { "; Secure" } else { "" };
            set_cookie = Some(format!("Set-Cookie: {cookie}={new_id}; {COOKIE}{secure}"));
            let session = Arc::new(Mutex::new(mem::take(&mut *session)));
            let mut sessions = self.sessions.lock();
            sessions.remove(&id);
            sessions.insert(new_id, (end, session));
        } else if session.user.is_none() {
            self.sessions.lock().entry(id).and_modify(|it| it.0 = end);
        }
        let (status, body) = match reply {
            Ok(body) => (200, body),
            Err(Message(status, text)) => (status, json!({ "text": text })),
        };
        web::respond(
            status,
            "application/json",
            body.to_string(),
            set_cookie.as_deref(),
        )
    }

    fn post(&self, request: Request<Body>, from: &str, session: &mut Session) -> Reply {
        // With a POST a browser says which website's page sends it.
        if web::header(&request, "Origin") != self.origin {
            return Err(OTHER_SITE);
        }
        let path = &request.uri().path().to_owned();
        if path != "/log-out" {
            self.count(from, REQUESTS)?;
        }
        let body = web::json(request);
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        // No mail address is longer.
        let name: String = text("name").trim().chars().take(254).collect();
        let name = &name.to_lowercase();
        // Strangers can begin, but not too often.
        let attempt = |begin: fn(&Self, &str) -> Result<Begun, Message>| {
            self.count(&format!("begin {from}"), ATTEMPTS)?;
            // A passkey disturbs nobody.
            if path != "/passkey" {
                self.count(&format!("{path} {name}"), ATTEMPTS_PER_NAME)?;
            }
            paced(self.pace, || begin(self, name))
        };
        let user = session.user.clone().ok_or(SIGNED_OUT);
        let (reply, step) = match &**path {
            "/passkey" => attempt(Self::use_passkey),
            "/phone" => attempt(Self::ask_phone),
            "/link" => attempt(Self::mail_link),
            "/register" => attempt(Self::register),
            "/account/phone" => self.add_phone(self.just_signed_in(user?)?),
            "/account/passkey" => self.add_passkey(self.just_signed_in(user?)?),
            "/account/disable" => self.disable(user?.0, text("credential")),
            "/account" => return self.account(user?),
            "/continue" => return session.proceed(&self.client, &body["id"], text("input")),
            "/log-out" => {
                *session = Session::default();
                return Ok(json!({ "go": "/" }));
            }
            _ => Err(NO_PAGE),
        }?;
        session.pending = Some((reply["id"].clone(), step));
        Ok(reply)
    }

    /// Counts an attempt, and refuses it if there were too many.
    fn count(&self, key: &str, most: u32) -> Result<(), Message> {
        let mut attempts = self.attempts.lock();
        let entry = attempts.entry(key.to_owned());
        let (_, count) = entry.or_insert((Instant::now() + 10 * MINUTE, 0));
        *count += 1;
        (*count <= most).then_some(()).ok_or(TOO_MANY)
    }

    /// Returns the user's id, if the sign-in is recent. Someone who finds an open account
    /// shall not get a way to sign in to it.
    fn just_signed_in(&self, (id, _, since): User) -> Result<Uuid, Message> {
        let is_recent = since.elapsed() < self.recent;
        is_recent.then_some(id).ok_or(NOT_RECENT)
    }

    /// Begins for anybody: the options for a name tell whether it has a passkey.
    fn use_passkey(&self, name: &str) -> Result<Begun, Message> {
        let request = StartWebauthnAuth::new().webauthn_client_id(&*self.passkeys);
        let started = self.client.begin_webauthn_sign_in(&request)?;
        let options = options(
            &started.fido2_json_options,
            "userVerification",
            json!("required"),
        )?;
        let name = name.to_owned();
        Ok(begun(json!({ "get": options }), move |client, page| {
            signed_in(started.pending.complete(client, page)?, &name)
        }))
    }

    /// Asks the phone of this name. Without such a user, asks for anybody, which
    /// looks the same and signs nobody in.
    fn ask_phone(&self, name: &str) -> Result<Begun, Message> {
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
        let request = StartMagiclinkEmailAuth::new(address, format!("{}/link", self.origin));
        let request = request.action_name("Sign in").short_msg(ASKING);
        let pending = known(self.client.begin_magiclink_sign_in(&request))?;
        Ok(by_link(self.pace, pending, |pending, client, query| {
            signed_in(pending.complete(client, query)?, "")
        }))
    }

    fn register(&self, address: &str) -> Result<Begun, Message> {
        let landing = format!("{}/link", self.origin);
        let request = StartMagiclinkEmailRegistration::new(address, landing);
        let request = request.action_name("Register").short_msg(REGISTERING);
        let pending = known(self.client.begin_magiclink_registration(&request))?;
        Ok(by_link(self.pace, pending, |pending, client, query| {
            registered(pending.complete(client, query)?, true)
        }))
    }

    fn account(&self, (id, name, _): User) -> Reply {
        let credentials = self.client.list_user_credentials(id, PageQuery::new())?;
        let newest = PageQuery::new().page_size(10);
        let history = self.client.get_user_auth_history(id, newest)?;
        let lists = (credentials.records, history.records);
        Ok(json!({ "name": name, "credentials": lists.0, "history": lists.1 }))
    }

    fn add_phone(&self, user: Uuid) -> Result<Begun, Message> {
        let started = self
            .client
            .begin_authenticator_registration_for_user(user)?;
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
        let request = request.webauthn_client_id(&*self.passkeys);
        let started = self
            .client
            .begin_webauthn_registration_for_user(user, &request)?;
        // A browser finds such a passkey without a list. v3 cannot ask for it.
        let selection = json!({ "residentKey": "required", "userVerification": "required" });
        let options = options(
            &started.fido2_json_options,
            "authenticatorSelection",
            selection,
        )?;
        Ok(begun(json!({ "create": options }), move |client, page| {
            registered(started.pending.complete(client, page)?, false)
        }))
    }

    /// Disables a way to sign in, as soon as the user approves that on the phone.
    fn disable(&self, user: Uuid, credential: &str) -> Result<Begun, Message> {
        self.count(&format!("disable {user}"), ATTEMPTS_PER_NAME)?;
        let credential = self.client.get_user_credential(user, credential)?;
        let name = credential.name.as_deref().unwrap_or("a way to sign in");
        let request = approval("Disable", &format!("Disable {name} at Example")).user(user);
        let started = known(self.client.begin_authenticator_sign_in(&request))?.ok_or(NO_PHONE)?;
        let reply = on_phone(started.qr_code_data, started.visual_verify_value);
        let mut is_approved = false;
        Ok(begun(reply, move |client, _| {
            // Checked here as well, because so much depends on it.
            if !is_approved && signed_in(started.pending.poll(client)?, "")?.0 != user {
                return Err(FAILED);
            }
            is_approved = true;
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
/// the user cannot sign in this way now, or is registered already.
fn known<T>(begun: Result<T, Error>) -> Result<Option<T>, Error> {
    match begun {
        Err(error)
            if error.kind() != ErrorKind::Auth
                && matches!(error.status(), Some(400 | 403 | 404 | 409 | 429)) =>
        {
            eprintln!("{error}");
            Ok(None)
        }
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

/// Reads the options of a passkey, and replaces one.
fn options(json: &str, key: &str, value: Value) -> Result<Value, Message> {
    let mut options: Map<_, _> = serde_json::from_str(json).map_err(|_| FAILED)?;
    options.insert(key.to_owned(), value);
    Ok(options.into())
}

/// Waits for a link by mail, whose page knows no other id. A wrong link gets the same
/// reply whether there was a mail or not, and does not use up the right one.
fn by_link<P: Send + 'static>(
    pace: Duration,
    pending: Option<P>,
    end: fn(&P, &Client, &str) -> End,
) -> Begun {
    let step = move |client: &Client, query: &str| {
        let pending = pending.as_ref().ok_or(OLD_LINK);
        let end = paced(pace, || end(pending?, client, query));
        end.map_err(|message| {
            if matches!(message.0, 200 | 503) {
                message
            } else {
                OLD_LINK
            }
        })
    };
    (json!({ "id": "link", "text": MAILED }), Box::new(step))
}

/// Lets an action take this time, or a multiple of it: how long it takes does not tell
/// who has an account.
fn paced<T>(pace: Duration, action: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = action();
    let pace = pace.max(Duration::from_millis(1));
    let paces = start.elapsed().div_duration_f64(pace).ceil();
    let end = start + pace.mul_f64(paces);
    thread::sleep(end.saturating_duration_since(Instant::now()));
    result
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
        match error.kind() {
            _ if error.is_transient() => OUTAGE,
            ErrorKind::InvalidInput => WRONG,
            _ => FAILED,
        }
    }
}

fn file(path: &str) -> Responded {
    let (status, kind, body) = match path {
        "/" | "/register" | "/link" | "/account" => {
            (200, "text/html; charset=utf-8", include_str!("portal.html"))
        }
        "/portal.js" => (200, "text/javascript", include_str!("portal.js")),
        "/portal.css" => (200, "text/css", include_str!("portal.css")),
        _ => (404, "text/plain", "There is no such page."),
    };
    web::respond(status, kind, body.to_owned(), None)
}
