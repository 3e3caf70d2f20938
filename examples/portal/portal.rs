//! The login, the registration and the account page.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

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
const WAITING: &str = "Waiting for your phone …";
const MAILED: &str = "If a link can be sent to this address, it is in the mail. Open it here.";
const DECLINED: &str = "The request was declined on the phone.";
const LATE: &str = "Nobody responded in time. Please begin again.";
const FAILED: &str = "That did not work. Please begin again.";
const GONE: &str = "This has ended, or it began in another browser: open the link there.";
const TOO_MANY: &str = "Too many attempts. Please wait ten minutes.";
const WRONG: &str = "Please check the address, or open the newest link.";
const OUTAGE: &str = "The sign-in service does not respond. Please try again.";

/// What the server knows of one browser.
#[derive(Default)]
struct Session {
    /// The user's id and name, and the time of the sign-in.
    user: Option<(Uuid, String, Instant)>,
    /// What the user began last, and the id by which the page continues it.
    pending: Option<(String, Step)>,
}

/// Continues with what the page sent. It owns the pending state of a sign-in or a
/// registration, which never leaves the server.
type Step = Box<dyn Fn(&Client, &mut Session, &str) -> Reply + Send>;

impl Session {
    /// Keeps the step under a new id, and tells the page the id.
    fn begin(
        &mut self,
        mut reply: Value,
        step: impl Fn(&Client, &mut Self, &str) -> Reply + Send + 'static,
    ) -> Value {
        let id = web::random_id();
        reply["id"] = json!(id);
        self.pending = Some((id, Box::new(step)));
        reply
    }

    /// Waits for a link by mail, whose page knows no other id. Without a mail no
    /// link is the right one, and nothing else tells that there is none.
    fn wait_for_link<P: Send + 'static>(
        &mut self,
        pending: Option<P>,
        end: fn(&mut Self, &Client, &P, &str) -> Reply,
    ) -> Reply {
        let step: Step = Box::new(move |client, session, query| match &pending {
            Some(pending) => end(session, client, pending, query),
            None => Err(Message(400, WRONG)),
        });
        self.pending = Some(("link".to_owned(), step));
        Err(Message(200, MAILED))
    }

    /// Takes the step out, and puts it back if the user has not responded, if it
    /// was not the right link, or in an outage.
    fn proceed(&mut self, client: &Client, id: &str, page: &str) -> Reply {
        let pending = self.pending.take_if(|pending| pending.0 == id);
        let (id, step) = pending.ok_or(Message(409, GONE))?;
        let reply = step(client, self, page);
        if matches!(reply, Err(Message(202 | 400 | 503, _))) {
            self.pending = Some((id, step));
        }
        reply
    }

    fn sign_in(&mut self, id: Uuid, name: Option<&str>) -> Value {
        let name = name.unwrap_or_default().to_owned();
        self.user = Some((id, name, Instant::now()));
        json!({ "go": "/account" })
    }

    fn end(&mut self, end: SignIn, is_decoy: bool) -> Reply {
        match end {
            // It was begun for a name without an account.
            SignIn::SignedIn(_) if is_decoy => Err(Message(403, FAILED)),
            SignIn::SignedIn(user) => Ok(self.sign_in(user.user_id(), user.username())),
            SignIn::StillPending => Err(Message(202, WAITING)),
            SignIn::Declined => Err(Message(403, DECLINED)),
            SignIn::TimedOut | SignIn::ValidatedTooLate => Err(Message(403, LATE)),
            _ => Err(Message(403, FAILED)),
        }
    }

    /// Ends a registration, which signs a new user in.
    fn end_registration(&mut self, end: Registration, is_new: bool) -> Reply {
        match end {
            // v3 validates only those by mail.
            Registration::Registered(user) if is_new && user.is_validated() => {
                Ok(self.sign_in(user.user_id(), user.username()))
            }
            Registration::Registered(_) => Err(Message(200, "It is added to your account.")),
            Registration::StillPending => Err(Message(202, WAITING)),
            Registration::Declined => Err(Message(403, DECLINED)),
            Registration::TimedOut | Registration::ValidatedTooLate => Err(Message(403, LATE)),
            _ => Err(Message(403, FAILED)),
        }
    }
}

pub(crate) struct Portal {
    client: Client,
    origin: String,
    sessions: Expiring<Arc<Mutex<Session>>>,
    attempts: Expiring<u32>,
    /// How long each beginning takes, so that its time does not tell who has an
    /// account: longer than two calls of the service.
    pub(crate) pace: Duration,
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
            let page = page(request.url());
            return web::respond(request, page, None);
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
            let session = Arc::new(Mutex::new(std::mem::take(&mut *session)));
            let secure = if is_tls { "; Secure" } else { "" };
            let new_id = web::random_id();
            set_cookie = Some(format!(
                "Set-Cookie: {cookie}={new_id}; Path=/; HttpOnly; SameSite=Lax{secure}"
            ));
            let mut sessions = self.sessions.lock();
            sessions.remove(&id);
            sessions.insert(new_id, (Instant::now(), session));
        }
        drop(session);
        let (status, body) = match reply {
            Ok(value) => (200, value),
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
        match (request.url(), session.user.clone()) {
            (path @ ("/passkey" | "/phone" | "/link" | "/register"), _) => {
                let end = Instant::now() + self.pace;
                let from = request.remote_addr().map(SocketAddr::ip);
                let name = text("name").trim().to_lowercase();
                let allowed = self.count(format!("{from:?}"), 60);
                let reply = allowed.and_then(|()| self.begin(path, &name, session));
                thread::sleep(end.saturating_duration_since(Instant::now()));
                reply
            }
            ("/continue", _) => session.proceed(&self.client, text("id"), text("input")),
            ("/log-out", _) => {
                *session = Session::default();
                Ok(json!({ "go": "/" }))
            }
            (_, None) => Err(Message(401, "Please sign in.")),
            ("/account", Some((id, name, _))) => {
                let credentials = self.client.list_user_credentials(id, PageQuery::new())?;
                let newest = PageQuery::new().page_size(10);
                let history = self.client.get_user_auth_history(id, newest)?.records;
                let credentials = credentials.records;
                Ok(json!({ "name": name, "credentials": credentials, "history": history }))
            }
            ("/account/phone", Some((id, ..))) => self.add_phone(id, session),
            ("/account/passkey", Some((id, ..))) => self.add_passkey(id, session),
            ("/account/disable", Some((id, ..))) => self.disable(id, text("credential"), session),
            _ => Err(Message(404, "There is no such page.")),
        }
    }

    /// Counts an attempt, and refuses it if there were too many.
    fn count(&self, key: String, most: u32) -> Result<(), Message> {
        let mut attempts = self.attempts.lock();
        let (_, count) = attempts.entry(key).or_insert((Instant::now(), 0));
        *count += 1;
        (*count <= most).then_some(()).ok_or(Message(429, TOO_MANY))
    }

    /// Begins a sign-in, or the registration of a new user. The reply is the same
    /// for a name without an account.
    fn begin(&self, path: &str, name: &str, session: &mut Session) -> Reply {
        if path == "/passkey" {
            return self.use_passkey(name, session);
        }
        // No mail address is longer.
        if name.len() > 254 {
            return Err(Message(400, WRONG));
        }
        // It disturbs whoever has this name.
        self.count(name.to_owned(), 5)?;
        match path {
            "/phone" => self.ask_phone(name, session),
            "/link" => self.mail_link(name, session),
            _ => self.register(name, session),
        }
    }

    fn use_passkey(&self, name: &str, session: &mut Session) -> Reply {
        let anybody = StartWebauthnAuth::new().webauthn_client_id(WEBAUTHN_CLIENT_ID);
        let begin = |request: &_| self.client.begin_webauthn_sign_in(request);
        let named = match name {
            "" => Some(begin(&anybody)?),
            _ => known(begin(&anybody.clone().user(name)))?,
        };
        let is_decoy = named.is_none();
        let started = named.map_or_else(|| begin(&anybody), Ok)?;
        let mut options = options(&started.fido2_json_options)?;
        // These two tell about the user's passkeys. The browser knows its own.
        options.insert("allowCredentials".to_owned(), json!([]));
        options.insert("userVerification".to_owned(), json!("required"));
        let reply = json!({ "get": options });
        Ok(session.begin(reply, move |client, session, page| {
            session.end(started.pending.complete(client, page)?, is_decoy)
        }))
    }

    fn ask_phone(&self, name: &str, session: &mut Session) -> Reply {
        let anybody = approval("Sign in", ASKING);
        let begin = |request: &_| self.client.begin_authenticator_sign_in(request);
        let named = known(begin(&anybody.clone().user(name)))?;
        let is_decoy = named.is_none();
        let started = named.map_or_else(|| begin(&anybody), Ok)?;
        let reply = on_phone(started.qr_code_data, started.visual_verify_value.as_deref());
        Ok(session.begin(reply, move |client, session, _| {
            session.end(started.pending.poll(client)?, is_decoy)
        }))
    }

    fn mail_link(&self, address: &str, session: &mut Session) -> Reply {
        let request = StartMagiclinkEmailAuth::new(address, format!("{}/link", self.origin))
            .action_name("Sign in")
            .short_msg(ASKING);
        let pending = known(self.client.begin_magiclink_sign_in(&request))?;
        session.wait_for_link(pending, |session, client, pending, query| {
            session.end(pending.complete(client, query)?, false)
        })
    }

    fn register(&self, address: &str, session: &mut Session) -> Reply {
        let landing = format!("{}/link", self.origin);
        let request = StartMagiclinkEmailRegistration::new(address, landing)
            .action_name("Register")
            .short_msg("Somebody registers at Example as you");
        let pending = known(self.client.begin_magiclink_registration(&request))?;
        session.wait_for_link(pending, |session, client, pending, query| {
            session.end_registration(pending.complete(client, query)?, true)
        })
    }

    fn add_phone(&self, user: Uuid, session: &mut Session) -> Reply {
        let started = self
            .client
            .begin_authenticator_registration_for_user(user)?;
        let reply = on_phone(started.qr_code_data, None);
        Ok(session.begin(reply, move |client, session, _| {
            session.end_registration(started.pending.poll(client)?, false)
        }))
    }

    fn add_passkey(&self, user: Uuid, session: &mut Session) -> Reply {
        let request = StartWebauthnRegistrationForUser::new();
        let request = request.webauthn_client_id(WEBAUTHN_CLIENT_ID);
        let started = self
            .client
            .begin_webauthn_registration_for_user(user, &request)?;
        let mut options = options(&started.fido2_json_options)?;
        // A browser finds such a passkey without a list. v3 cannot ask for it.
        let selection = json!({ "residentKey": "required", "userVerification": "required" });
        options.insert("authenticatorSelection".to_owned(), selection);
        let reply = json!({ "create": options });
        Ok(session.begin(reply, move |client, session, page| {
            session.end_registration(started.pending.complete(client, page)?, false)
        }))
    }

    /// Disables a way to sign in, as soon as the user approves that on the phone.
    fn disable(&self, user: Uuid, credential: &str, session: &mut Session) -> Reply {
        let credential = self.client.get_user_credential(user, credential)?;
        let name = credential.name.as_deref().unwrap_or("a way to sign in");
        let request = approval("Disable", &format!("Disable {name} at Example")).user(user);
        let started = known(self.client.begin_authenticator_sign_in(&request))?;
        let started = started.ok_or(Message(403, "Add a phone first: it has to approve this."))?;
        let reply = on_phone(started.qr_code_data, started.visual_verify_value.as_deref());
        Ok(session.begin(reply, move |client, session, _| {
            let end = started.pending.poll(client)?;
            let SignIn::SignedIn(user) = end else {
                return session.end(end, false);
            };
            client.disable_user_credential(user.user_id(), &credential.credential_id)?;
            Err(Message(200, "It is disabled."))
        }))
    }
}

impl From<Error> for Message {
    fn from(error: Error) -> Self {
        // The log gets no name and no secret.
        eprintln!("{error}");
        if error.is_transient() {
            Self(503, OUTAGE)
        } else if error.may_have_been_sent() {
            Self(403, FAILED)
        } else {
            Self(400, WRONG)
        }
    }
}

/// Returns `None` if the service refuses the user: there is none of this name, or
/// the user cannot sign in this way, or is registered already.
fn known<T>(begun: Result<T, Error>) -> Result<Option<T>, Error> {
    match begun {
        Err(error) if matches!(error.status(), Some(400 | 404 | 409)) => Ok(None),
        begun => begun.map(Some),
    }
}

/// Reads the options of a passkey.
fn options(json: &str) -> Result<Map<String, Value>, Message> {
    serde_json::from_str(json).map_err(|_| Message(502, FAILED))
}

fn approval(action: &str, message: &str) -> StartAuthenticatorAuth {
    StartAuthenticatorAuth::new()
        .action_name(action)
        .short_msg(message)
        .use_visual_verify(true)
        .timeout_in_seconds(60)
}

/// Returns what the page shows while the phone is asked.
fn on_phone(qr_code_data: Option<Secret>, value: Option<&str>) -> Value {
    let code = qr_code_data.and_then(|data| QrCode::new(data.expose()).ok());
    let image = code.map(|code| code.render::<svg::Color>().build());
    json!({ "qr": image, "value": value })
}

fn page(path: &str) -> (u16, &'static str, &'static str) {
    match path.split('?').next() {
        Some("/" | "/register" | "/link" | "/account") => {
            (200, "text/html; charset=utf-8", include_str!("portal.html"))
        }
        Some("/portal.js") => (200, "text/javascript", include_str!("portal.js")),
        Some("/portal.css") => (200, "text/css", include_str!("portal.css")),
        _ => (404, "text/plain", "There is no such page."),
    }
}
