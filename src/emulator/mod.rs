//! A stateful stand-in for the service.
//!
//! An [`Emulator`] is the whole backend API in this process: an HTTPS server
//! on a loopback address with users, sign-ins, registrations, mails and a
//! clock of its own. It is strict in what it takes and knows no fixtures: a
//! sign-in is approved only if somebody approves it.
//!
//! ```
//! use autharmor::emulator::Emulator;
//!
//! let emulator = Emulator::builder().user("ada@example.com").start()?;
//! assert!(emulator.api_url().starts_with("https://127.0.0.1:"));
//! // … a client starts a sign-in for ada@example.com …
//! for request in emulator.pending_requests() {
//!     emulator.approve(request.auth_request_id)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod api;
mod app;
mod auth;
mod chunked;
mod clock;
mod config;
mod control;
mod decisions;
mod faults;
mod http;
mod ids;
mod mail;
pub mod passkey;
mod person;
mod record;
mod registration;
mod routes;
mod schema;
mod server;
mod signed;
mod state;
mod tls;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use uuid::Uuid;

use self::{
    app::{App, Front},
    clock::Stamp,
    config::Config,
    faults::Faults,
    passkey::SoftwareAuthenticator,
    record::Record,
    server::{Server, lock},
    signed::PhoneKey,
    state::State,
    tls::Identity,
};
pub use self::{
    faults::Fault,
    mail::{Mail, MailKind},
    person::{EmulatorError, NewUser, PendingRegistration, PendingRequest, Scanned},
    record::RecordedRequest,
};

/// A running emulator. It stops, and leaves no thread and no socket behind,
/// when it is dropped.
///
/// All methods take `&self` and may be called from any thread.
pub struct Emulator {
    app: Arc<App>,
    server: Server,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}

impl Emulator {
    /// Starts one with the defaults of [`builder`](Self::builder).
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// What can be set before the start.
    #[must_use]
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder {
            config: Config {
                seed: 0,
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                tls: true,
                client_id: "emulator-client".to_owned(),
                client_secret: "emulator-secret".to_owned(),
                clock_start: None,
                token_lifetime: Duration::from_secs(decisions::TOKEN_LIFETIME),
                validation_window: Duration::from_secs(decisions::VALIDATION_WINDOW),
                users: Vec::new(),
                registration_redirects: Vec::new(),
                auth_redirects: Vec::new(),
                rp_id: "localhost".to_owned(),
                origin: "https://localhost".to_owned(),
                project_name: "Emulated Project".to_owned(),
                kept_requests: 10_000,
                connections: 1024,
                observer: None,
            },
        }
    }

    /// Scheme, address and port, without a slash at the end. API and token
    /// endpoint share them.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.app.base_url
    }

    /// The base URL of the API; `/v3` and `/v4` are below it.
    #[must_use]
    pub fn api_url(&self) -> &str {
        self.base_url()
    }

    /// The base URL of the token endpoint; `/connect/token` is below it.
    #[must_use]
    pub fn login_url(&self) -> &str {
        self.base_url()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The certificate of the authority that a client has to trust, in PEM;
    /// empty without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.app.ca_pem
    }

    /// The id of the one client that gets tokens.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.app.config.client_id
    }

    /// The secret of that client.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.app.config.client_secret
    }

    /// Adds a user and returns its id.
    ///
    /// Fails with [`EmulatorError::BadUser`] if the name or address is in use.
    pub fn add_user(&self, user: impl Into<NewUser>) -> Result<Uuid, EmulatorError> {
        lock(&self.app.state).add_new_user(&user.into())
    }

    /// The sign-ins that wait for a person, oldest first.
    #[must_use]
    pub fn pending_requests(&self) -> Vec<PendingRequest> {
        lock(&self.app.state).pending_requests()
    }

    /// Approves a sign-in on the phone of the user it is for.
    pub fn approve(&self, auth_request_id: Uuid) -> Result<(), EmulatorError> {
        lock(&self.app.state).decide(auth_request_id, None, true)
    }

    /// Declines a sign-in on the phone of the user it is for.
    pub fn decline(&self, auth_request_id: Uuid) -> Result<(), EmulatorError> {
        lock(&self.app.state).decide(auth_request_id, None, false)
    }

    /// The ids and names of all users, oldest first.
    #[must_use]
    pub fn users(&self) -> Vec<(Uuid, String)> {
        lock(&self.app.state)
            .users()
            .map(|user| (user.id, user.username.clone()))
            .collect()
    }

    /// Approves a sign-in on the phone of this user: for requests that were
    /// made for nobody in particular.
    pub fn approve_as(&self, auth_request_id: Uuid, username: &str) -> Result<(), EmulatorError> {
        lock(&self.app.state).decide(auth_request_id, Some(username), true)
    }

    /// Declines a sign-in on the phone of this user.
    pub fn decline_as(&self, auth_request_id: Uuid, username: &str) -> Result<(), EmulatorError> {
        lock(&self.app.state).decide(auth_request_id, Some(username), false)
    }

    /// Scans the code that a page shows (`qr_code_data`).
    ///
    /// A sign-in is then on the phone of `username`, to be approved or
    /// declined; for one that was made for a user, `username` may be left out.
    /// A registration is done at once, as the phone enrols by itself.
    pub fn scan_qr(
        &self,
        qr_code_data: &str,
        username: Option<&str>,
    ) -> Result<Scanned, EmulatorError> {
        lock(&self.app.state).scan(qr_code_data, username)
    }

    /// The registrations that wait for a person, oldest first.
    #[must_use]
    pub fn pending_registrations(&self) -> Vec<PendingRegistration> {
        lock(&self.app.state).pending_registrations()
    }

    /// Accepts an authenticator registration on the phone without finishing
    /// it: the state in between, which a slow phone makes visible.
    pub fn accept_registration(&self, registration_id: Uuid) -> Result<(), EmulatorError> {
        lock(&self.app.state).accept_registration(registration_id)
    }

    /// Accepts an authenticator registration on the phone and enrols, as
    /// [`scan_qr`](Self::scan_qr) with its code does.
    pub fn enrol_phone(&self, registration_id: Uuid) -> Result<(), EmulatorError> {
        lock(&self.app.state).enrol_phone(registration_id)
    }

    /// Declines an authenticator registration on the phone.
    pub fn decline_registration(&self, registration_id: Uuid) -> Result<(), EmulatorError> {
        lock(&self.app.state).decline_registration(registration_id)
    }

    /// The mails that were sent, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Mail> {
        lock(&self.app.state).outbox.iter().cloned().collect()
    }

    /// Clicks the link of a mail and returns the URL on which the browser
    /// lands: the redirect with the tokens in its query. A link works once.
    pub fn click(&self, link: &str) -> Result<String, EmulatorError> {
        lock(&self.app.state).click(link)
    }

    /// Makes a passkey, as a browser would on a page of `origin` with the
    /// `fido2_json_options` of a registration, and returns what the page sends
    /// back as `authenticator_response_data`.
    pub fn create_passkey(
        &self,
        fido2_json_options: &str,
        origin: &str,
    ) -> Result<serde_json::Value, EmulatorError> {
        Ok(lock(&self.app.passkeys).create(fido2_json_options, origin)?)
    }

    /// Uses a passkey, as a browser would on a page of `origin` with the
    /// `fido2_json_options` of a sign-in, and returns what the page sends back
    /// as `authenticator_response_data`.
    pub fn use_passkey(
        &self,
        fido2_json_options: &str,
        origin: &str,
    ) -> Result<serde_json::Value, EmulatorError> {
        Ok(lock(&self.app.passkeys).get(fido2_json_options, origin)?)
    }

    /// The origin of the pages that may use passkeys.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.app.config.origin
    }

    /// The requests that came in, oldest first: the last 10 000 of them unless
    /// [`keep_requests`](EmulatorBuilder::keep_requests) says otherwise.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.app.record).all()
    }

    /// How many requests came in, including those that are no longer kept.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        lock(&self.app.record).total()
    }

    /// Forgets the requests that came in.
    pub fn clear_requests(&self) {
        lock(&self.app.record).clear();
    }

    /// Lets time pass: everything that expires by the emulator's clock is so
    /// much older.
    pub fn advance(&self, time: Duration) {
        lock(&self.app.state).clock.advance(time);
    }

    /// The time by the emulator's clock, as the service writes dates.
    #[must_use]
    pub fn now(&self) -> String {
        lock(&self.app.state).clock.now().iso()
    }

    /// Makes all access tokens invalid.
    pub fn expire_tokens(&self) {
        lock(&self.app.state).revoke_all_tokens();
    }

    /// Back to the beginning: the users of the builder, the ids that follow
    /// from the seed, no faults, no records, the clock at its start.
    pub fn reset(&self) {
        // The users were accepted once; they are again.
        let _ = self.app.reset();
    }

    /// Lets something go wrong.
    pub fn fault(&self, fault: Fault) {
        lock(&self.app.faults).add(fault);
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        lock(&self.app.faults).clear();
    }
}

/// Sets up an [`Emulator`].
#[derive(Debug)]
pub struct EmulatorBuilder {
    config: Config,
}

impl EmulatorBuilder {
    /// Adds a user.
    #[must_use]
    pub fn user(mut self, user: impl Into<NewUser>) -> Self {
        self.config.users.push(user.into());
        self
    }

    /// The seed of all ids and tokens. Defaults to 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// The loopback address to listen on. Defaults to `127.0.0.1` and a free
    /// port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = address;
        self
    }

    /// Speaks plain HTTP, for clients that cannot be told to trust a CA.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.config.tls = false;
        self
    }

    /// The one client that gets tokens. Defaults to `emulator-client` and
    /// `emulator-secret`.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.config.client_id = id.into();
        self.config.client_secret = secret.into();
        self
    }

    /// How long an access token lives. Defaults to 600 seconds.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.token_lifetime = lifetime;
        self
    }

    /// How long after the approval a request can be validated. Defaults to 60
    /// seconds.
    #[must_use]
    pub fn validation_window(mut self, window: Duration) -> Self {
        self.config.validation_window = window;
        self
    }

    /// Starts the clock at this time, in seconds since 1970, and lets it stand
    /// still: only [`Emulator::advance`] moves it. Defaults to a clock that
    /// runs from the system's time.
    #[must_use]
    pub fn clock_at(mut self, unix_seconds: u64) -> Self {
        self.config.clock_start = Some(Stamp::from_unix_seconds(unix_seconds));
        self
    }

    /// Allows a redirect for registrations and address changes, and from then
    /// on no other that was not allowed. An entry allows the URLs that equal
    /// it up to the query. Defaults to every `http` and `https` URL.
    #[must_use]
    pub fn allow_registration_redirect(mut self, url: impl Into<String>) -> Self {
        self.config.registration_redirects.push(url.into());
        self
    }

    /// Allows a redirect for signing in by mail, in the same way.
    #[must_use]
    pub fn allow_auth_redirect(mut self, url: impl Into<String>) -> Self {
        self.config.auth_redirects.push(url.into());
        self
    }

    /// The origin of the pages that use passkeys, and the relying party's id.
    /// Defaults to `https://localhost` and `localhost`.
    #[must_use]
    pub fn website(mut self, origin: impl Into<String>, rp_id: impl Into<String>) -> Self {
        self.config.origin = origin.into();
        self.config.rp_id = rp_id.into();
        self
    }

    /// The project's name, for mails and passkeys. Defaults to `Emulated
    /// Project`.
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.config.project_name = name.into();
        self
    }

    /// How many of the last requests are kept for [`Emulator::requests`].
    /// Defaults to 10 000.
    #[must_use]
    pub fn keep_requests(mut self, count: usize) -> Self {
        self.config.kept_requests = count;
        self
    }

    /// How many connections may be open. When one more comes, that which has
    /// been waiting longest for its client is closed. Defaults to 1024.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.config.connections = count.max(1);
        self
    }

    /// Called with every request and the status of its answer, 0 for an answer
    /// that a fault has spoilt, on the thread of the connection. It must not
    /// drop the emulator.
    #[must_use]
    pub fn on_request(
        mut self,
        observer: impl Fn(&RecordedRequest, u16) + Send + Sync + 'static,
    ) -> Self {
        self.config.observer = Some(Box::new(observer));
        self
    }

    /// Starts listening.
    pub fn start(self) -> io::Result<Emulator> {
        let config = self.config;
        if !config.listen.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the emulator listens on loopback addresses only",
            ));
        }
        let (tls, ca_pem) = if config.tls {
            let identity = Identity::new()?;
            (Some(identity.config), identity.ca_pem)
        } else {
            (None, String::new())
        };
        let state = State::new(&config, PhoneKey::new()?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = TcpListener::bind(config.listen)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base_url = format!("{scheme}://{}", listener.local_addr()?);
        let limit = config.connections;
        let app = Arc::new(App {
            passkeys: Mutex::new(SoftwareAuthenticator::new(config.seed)),
            config,
            state: Mutex::new(state),
            faults: Mutex::new(Faults::default()),
            record: Mutex::new(Record::default()),
            base_url,
            ca_pem,
        });
        let front = Arc::new(Front(Arc::clone(&app)));
        let server = Server::start(listener, tls, limit, front)?;
        Ok(Emulator { app, server })
    }
}
