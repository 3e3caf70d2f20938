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
//!
//! As many as wanted run side by side, each with its own port and state. One
//! that is dropped takes its threads and sockets with it. Nothing it does
//! leaves the machine, and it listens on loopback addresses only: whoever
//! reaches it can play the person's part.
//!
//! # The person's side
//!
//! | Auth Armor | here |
//! | --- | --- |
//! | the app shows a sign-in | [`pending_requests`](Emulator::pending_requests), [`approve`](Emulator::approve), [`decline`](Emulator::decline) |
//! | the camera sees a QR code | [`scan_qr`](Emulator::scan_qr), then [`approve`](Emulator::approve) if it was a sign-in |
//! | a mail arrives | [`outbox`](Emulator::outbox), [`click`](Emulator::click) |
//! | the browser asks for a passkey | [`create_passkey`](Emulator::create_passkey), [`use_passkey`](Emulator::use_passkey) |
//! | time passes | [`advance`](Emulator::advance) |
//! | something breaks | [`fault`](Emulator::fault) |
//!
//! # For other languages: control routes
//!
//! All of that goes over HTTP, too, next to the API. A body is JSON with its
//! content type; a failure is a 4xx with `{"error": "…"}`. None of these
//! routes needs a token, and none is recorded. `Host` has to be `localhost` or
//! a loopback address, and a browser gets through from the emulator's own page
//! only: no website can play the person's part.
//!
//! | route below `/_emulator/` | body | answer |
//! | --- | --- | --- |
//! | `GET` (the root) | | a page for people |
//! | `GET health` | | `status`, `version`, `api_url`, `login_url`, `client_id`, `seed`, `rp_id`, `origin` |
//! | `POST reset` | | back to the beginning |
//! | `GET users` | | `users` |
//! | `POST users` | `username`, `email_address`?, `without_methods`? | `user_id` |
//! | `GET requests/pending` | | `requests` that wait for a person |
//! | `POST approve`, `POST decline` | `auth_request_id`, `username`? | |
//! | `GET registrations/pending` | | `registrations` that wait for a person |
//! | `POST registrations/accept`, `POST registrations/decline` | `registration_id` | |
//! | `POST scan` | `qr_code_data`, `username`?; or `registration_id` | `auth_request_id` or `registration_id` |
//! | `GET outbox` | | `mails` with `id`, `kind`, `to`, `subject`, `short_msg`, `link`, `date` |
//! | `POST click` | `id` or `link` | `url` on which the browser lands |
//! | `GET link/{code}` | | the link of a mail: 302 to that URL |
//! | `POST passkeys/create`, `POST passkeys/get` | `options` (text or object), `origin`? | what the page sends back |
//! | `GET clock` | | `now` |
//! | `POST clock/advance` | `seconds` | `now` |
//! | `POST tokens/expire` | | all access tokens are invalid |
//! | `GET faults` | | `faults` |
//! | `POST faults` | `kind`, `endpoint`?, `times`?, `processed`?; see below | |
//! | `DELETE faults` | | |
//! | `GET recorded` | | `requests` with `endpoint`, `request_line`, `headers`, `body`; `total` |
//! | `DELETE recorded` | | |
//!
//! Kinds of faults: `status` (with `status`, `retry_after`?, `body`?,
//! `content_type`?), `latency` (with `milliseconds`), `drop_before_answer`,
//! `drop_in_answer`, `garbage`, `truncated_body`, `broken_chunks`,
//! `expired_token`.
//!
//! # What is emulated and what is not
//!
//! The token endpoint is `POST /connect/token`. A dash means that nothing is
//! known to be missing.
//!
#![doc = include_str!("routes.md")]
//!
//! Not emulated at all: the dashboard, other API versions, the browser SDK's
//! own API, scopes (a token may do everything), rate limits (a 429 comes from a
//! [`Fault`] only), the user verification flag of a passkey, the signatures of a token (it has the shape of a JWT, but holds no
//! claims), several projects or clients.
//!
//! # What is not known of the service
//!
//! The emulator had to decide where no public source says how the service
//! behaves. A program should depend on none of this:
//!
#![doc = include_str!("decisions.md")]

mod api;
mod app;
mod auth;
mod builder;
mod chunked;
mod clock;
mod config;
mod control;
mod decisions;
#[cfg(test)]
mod docs;
mod faults;
mod http;
mod ids;
mod mail;
mod passkey;
mod pending;
mod person;
mod record;
mod registration;
mod routes;
mod schema;
mod server;
mod signed;
mod state;
mod tls;

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{Client, ClientBuilder};

use self::{
    app::App,
    server::{Server, lock},
};
pub use self::{
    builder::EmulatorBuilder,
    faults::Fault,
    mail::{Mail, MailKind},
    passkey::PasskeyError,
    pending::{EmulatorError, NewUser, PendingRegistration, PendingRequest, Scanned},
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
        EmulatorBuilder::new()
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

    /// Settings for a client of this emulator: its URLs, its credentials and
    /// its certificate authority, and no proxy.
    ///
    /// ```
    /// let emulator = autharmor::emulator::Emulator::start()?;
    /// let client = emulator.client_builder().build()?;
    /// client.check_credentials()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_builder(&self) -> ClientBuilder {
        let builder = Client::builder(self.client_id(), self.client_secret())
            .api_url(self.api_url())
            .login_url(self.login_url())
            .no_proxy();
        if self.ca_pem().is_empty() {
            builder.allow_http_on_loopback(true)
        } else {
            builder.only_root_certificates(self.ca_pem())
        }
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
    ///
    /// ```
    /// use autharmor::auth::StartMagiclinkEmailAuth;
    /// use autharmor::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().user("ada@example.com").start()?;
    /// let client = emulator.client_builder().build()?;
    /// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://app.example/in");
    /// let pending = client.begin_magiclink_sign_in(&request)?;
    ///
    /// let mail = emulator.outbox().pop().ok_or("no mail")?;
    /// let url = emulator.click(&mail.link)?;
    /// assert!(pending.complete(&client, &url)?.user().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn click(&self, link: &str) -> Result<String, EmulatorError> {
        lock(&self.app.state).click(link)
    }

    /// Makes a passkey, as a browser would on a page of `origin` with the
    /// `fido2_json_options` of a registration, and returns what the page sends
    /// back as `authenticator_response_data`, as JSON.
    pub fn create_passkey(
        &self,
        fido2_json_options: &str,
        origin: &str,
    ) -> Result<String, EmulatorError> {
        Ok(lock(&self.app.passkeys)
            .create(fido2_json_options, origin)?
            .to_string())
    }

    /// Uses a passkey, as a browser would on a page of `origin` with the
    /// `fido2_json_options` of a sign-in, and returns what the page sends back
    /// as `authenticator_response_data`, as JSON.
    pub fn use_passkey(
        &self,
        fido2_json_options: &str,
        origin: &str,
    ) -> Result<String, EmulatorError> {
        Ok(lock(&self.app.passkeys)
            .get(fido2_json_options, origin)?
            .to_string())
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
    ///
    /// ```
    /// use std::time::Duration;
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// use autharmor::emulator::Emulator;
    /// use autharmor::flow::{SignIn, WaitPolicy};
    ///
    /// let emulator = Emulator::builder().user("ada").start()?;
    /// let client = emulator.client_builder().build()?;
    /// let request = StartAuthenticatorAuth::new().user("ada").timeout_in_seconds(60);
    /// let started = client.begin_authenticator_sign_in(&request)?;
    ///
    /// emulator.advance(Duration::from_secs(61));
    /// let end = started.pending.wait(&client, &WaitPolicy::new())?;
    /// assert!(matches!(end, SignIn::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Lets something go wrong. A fault for an endpoint that does not exist
    /// never strikes.
    pub fn fault(&self, fault: Fault) {
        lock(&self.app.faults).add(fault);
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        lock(&self.app.faults).clear();
    }
}
