//! [`Emulator`]: the handle of a running emulator.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    client_clock::ClientClock,
    control::{app::App, faults::Fault, record::RecordedRequest},
    http::server::Server,
    model::{
        auth_request::Decision, error::EmulatorError, mail::Mail, rate_limit::RateLimit,
        user::NewUser,
    },
    person::pending::{PendingRegistration, PendingRequest, Scanned},
    sync::lock,
};
use crate::{Client, ClientBuilder};

/// A running emulator. Dropping it ends its threads and closes its sockets, also
/// those that clients hold open. It does not wait for an
/// [`on_request`](super::EmulatorBuilder::on_request) function that blocks.
///
/// All methods take `&self` and may be called from any thread.
pub struct Emulator {
    pub(super) app: Arc<App>,
    pub(super) server: Server,
    /// The base URL with the address instead of a host name.
    pub(super) address_url: String,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}

impl Emulator {
    /// Returns scheme, [host](super::EmulatorBuilder::host) or address, and port, without a slash at the end. API and
    /// token endpoint share them.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.app.model.base_url
    }

    /// Returns the base URL of the API, without a version.
    #[must_use]
    pub fn api_url(&self) -> &str {
        self.base_url()
    }

    /// Returns the base URL of the token endpoint `/connect/token`.
    #[must_use]
    pub fn login_url(&self) -> &str {
        self.base_url()
    }

    /// Returns the address on which the emulator listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns the certificate authority that a client has to trust, in PEM. It
    /// is empty without TLS.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.app.ca_pem
    }

    /// Returns the environment variables of
    /// [`Client::from_env`](crate::Client::from_env) for this emulator, as names
    /// and values.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, &str); 4] {
        self.app.environment()
    }

    /// Returns the id of the client, the only one that gets tokens.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.app.model.config.client_id
    }

    /// Returns the secret of the client.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.app.model.config.client_secret
    }

    /// Returns a builder for a client of this emulator: with its URLs, its
    /// credentials, its certificate authority and its clock, and without a proxy.
    ///
    /// The client judges the life of tokens by the emulator's clock, so that
    /// [`advance`](Self::advance) makes it fetch a new token in time. Deadlines
    /// and pauses of calls are real time.
    ///
    /// ```
    /// let emulator = autharmor::emulator::Emulator::start()?;
    /// let client = emulator.client_builder().build()?;
    /// client.check_credentials()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_builder(&self) -> ClientBuilder {
        let builder = Client::builder(self.client_id(), self.client_secret())
            .api_url(&self.address_url)
            .login_url(&self.address_url)
            .clock(ClientClock(Arc::clone(&self.app)))
            .shortest_poll_pause(Duration::from_millis(10))
            .no_proxy();
        if self.ca_pem().is_empty() {
            builder.allow_http_on_loopback(true)
        } else {
            builder.only_root_certificates(self.ca_pem())
        }
    }

    /// Adds a user and returns the user's id.
    ///
    /// Fails with [`EmulatorError::BadUser`] if the name or address is in use or
    /// malformed.
    pub fn add_user(&self, user: impl Into<NewUser>) -> Result<Uuid, EmulatorError> {
        self.app.state().add_new_user(&user.into())
    }

    /// Returns ids and names of all users, oldest first.
    #[must_use]
    pub fn users(&self) -> Vec<(Uuid, String)> {
        self.app
            .state()
            .users()
            .map(|user| (user.id, user.username.clone()))
            .collect()
    }

    /// Returns the sign-ins that wait for a person, oldest first.
    #[must_use]
    pub fn pending_requests(&self) -> Vec<PendingRequest> {
        self.app.state().pending_requests()
    }

    /// Waits until a sign-in is pending on a phone and returns the oldest one. It
    /// returns the same one again until that is approved, declined or timed out.
    ///
    /// Fails with [`EmulatorError::NoRequest`] after `timeout`, in real time.
    ///
    /// ```
    /// use std::{thread, time::Duration};
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// use autharmor::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().user("ada").start()?;
    /// let client = emulator.client_builder().build()?;
    /// let login = thread::spawn(move || {
    ///     let request = StartAuthenticatorAuth::new().user("ada");
    ///     client.start_authenticator_auth(&request).map(drop)
    /// });
    /// let request = emulator.wait_for_request(Duration::from_secs(10))?;
    /// assert_eq!(request.username.as_deref(), Some("ada"));
    /// emulator.approve(request.auth_request_id)?;
    /// # login.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_request(&self, timeout: Duration) -> Result<PendingRequest, EmulatorError> {
        self.app.wait_for_request(timeout, None)
    }

    /// Sets a function that decides each sign-in when a phone shows it: at the
    /// start of a sign-in for a user, and after the scan of a QR code. It runs
    /// before the response of that call is sent, so the program sees the decision
    /// at its first look. [`reset`](Self::reset) removes it.
    ///
    /// A function that returns [`Decision::Ignore`] may decide later, or leave the
    /// sign-in to [`approve_after`](super::EmulatorBuilder::approve_after).
    ///
    /// ```
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// use autharmor::emulator::{Decision, Emulator};
    /// use autharmor::flow::WaitPolicy;
    ///
    /// let emulator = Emulator::builder().user("ada").start()?;
    /// emulator.on_sign_in(|request| match request.username.as_deref() {
    ///     Some("ada") => Decision::Approve,
    ///     _ => Decision::Decline,
    /// });
    /// let client = emulator.client_builder().build()?;
    /// let request = StartAuthenticatorAuth::new().user("ada");
    /// let started = client.begin_authenticator_sign_in(&request)?;
    /// let end = started.pending.wait(&client, &WaitPolicy::new())?;
    /// assert!(end.user().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_sign_in(&self, decide: impl Fn(&PendingRequest) -> Decision + Send + Sync + 'static) {
        *lock(&self.app.sign_in_handler) = Some(Arc::new(decide));
    }

    /// Approves a sign-in on the phone of its user.
    ///
    /// Fails if the request is unknown, has no user, is not for a phone or has
    /// ended, and if the user has no enabled phone.
    pub fn approve(&self, auth_request_id: Uuid) -> Result<(), EmulatorError> {
        self.app.state().decide(auth_request_id, None, true)
    }

    /// Declines a sign-in on the phone of its user. Fails as
    /// [`approve`](Self::approve) does.
    pub fn decline(&self, auth_request_id: Uuid) -> Result<(), EmulatorError> {
        self.app.state().decide(auth_request_id, None, false)
    }

    /// Approves a sign-in on the phone of this user, for requests without a
    /// user. Fails as [`approve`](Self::approve) does, and if the user is unknown
    /// or the request is for another user.
    pub fn approve_as(&self, auth_request_id: Uuid, username: &str) -> Result<(), EmulatorError> {
        let mut state = self.app.state();
        state.decide(auth_request_id, Some(username), true)
    }

    /// Declines a sign-in on the phone of this user. Fails as
    /// [`approve_as`](Self::approve_as) does.
    pub fn decline_as(&self, auth_request_id: Uuid, username: &str) -> Result<(), EmulatorError> {
        let mut state = self.app.state();
        state.decide(auth_request_id, Some(username), false)
    }

    /// Scans a QR code, given as its `qr_code_data`, with the phone of
    /// `username`.
    ///
    /// The phone then shows the sign-in, which has to be approved or declined.
    /// `username` is needed only if the sign-in has no user. For a registration
    /// the phone enrols at once.
    pub fn scan_qr(
        &self,
        qr_code_data: &str,
        username: Option<&str>,
    ) -> Result<Scanned, EmulatorError> {
        self.app.scan(qr_code_data, username)
    }

    /// Returns the registrations that wait for a person, oldest first.
    #[must_use]
    pub fn pending_registrations(&self) -> Vec<PendingRegistration> {
        self.app.state().pending_registrations()
    }

    /// Accepts an authenticator registration on the phone, which has not
    /// enrolled yet.
    pub fn accept_registration(&self, registration_id: Uuid) -> Result<(), EmulatorError> {
        self.app.state().accept_registration(registration_id)
    }

    /// Accepts an authenticator registration on the phone and enrols the phone,
    /// as [`scan_qr`](Self::scan_qr) does.
    pub fn enrol_phone(&self, registration_id: Uuid) -> Result<(), EmulatorError> {
        self.app.state().enrol_phone(registration_id)
    }

    /// Declines an authenticator registration on the phone.
    pub fn decline_registration(&self, registration_id: Uuid) -> Result<(), EmulatorError> {
        self.app.state().decline_registration(registration_id)
    }

    /// Returns the mails that were sent, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Mail> {
        self.app.state().outbox.iter().cloned().collect()
    }

    /// Opens a magic link and returns the redirect with the tokens in its
    /// query. A link works once.
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
        self.app.state().click(link)
    }

    /// Makes a passkey, as a browser does on a page of `origin` with the
    /// `fido2_json_options` of a registration. Returns the
    /// `authenticator_response_data` that the page sends to the service, as
    /// JSON.
    pub fn create_passkey(
        &self,
        fido2_json_options: &str,
        origin: &str,
    ) -> Result<String, EmulatorError> {
        Ok(lock(&self.app.passkeys)
            .create(fido2_json_options, origin)?
            .to_string())
    }

    /// Uses a passkey, as a browser does on a page of `origin` with the
    /// `fido2_json_options` of a sign-in. Returns the
    /// `authenticator_response_data` that the page sends to the service, as
    /// JSON.
    pub fn use_passkey(
        &self,
        fido2_json_options: &str,
        origin: &str,
    ) -> Result<String, EmulatorError> {
        Ok(lock(&self.app.passkeys)
            .get(fido2_json_options, origin)?
            .to_string())
    }

    /// Returns the id of the project, which is part of each signed message.
    #[must_use]
    pub fn project_id(&self) -> Uuid {
        self.app.state().project
    }

    /// Returns the origin of the pages that may use passkeys.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.app.model.config.origin
    }

    /// Returns the last requests, oldest first: as many as
    /// [`keep_requests`](super::EmulatorBuilder::keep_requests) allows.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        lock(&self.app.record).all()
    }

    /// Returns the number of all requests, including those that are no longer
    /// kept.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        lock(&self.app.record).total()
    }

    /// Forgets all requests.
    pub fn clear_requests(&self) {
        lock(&self.app.record).clear();
    }

    /// Moves the emulator's clock ahead.
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
        self.app.state().clock.advance(time);
    }

    /// Returns the time by the emulator's clock, in the service's format.
    #[must_use]
    pub fn now(&self) -> String {
        self.app.state().clock.now().iso()
    }

    /// Makes all access tokens invalid.
    pub fn expire_tokens(&self) {
        self.app.state().revoke_all_tokens();
    }

    /// Restores the state after the start: the users of the builder, the first
    /// ids of the seed, no faults, no recorded requests, no function of
    /// [`on_sign_in`](Self::on_sign_in), the rate limits of the builder, the clock
    /// at its start.
    ///
    /// Access tokens stay valid for the time that they had left, so that clients
    /// go on; their claims keep their dates. [`expire_tokens`](Self::expire_tokens) makes them invalid, too.
    pub fn reset(&self) {
        // The only error is a malformed user, and `start` accepted all of them.
        let _ = self.app.reset();
    }

    /// Returns whether the emulator accepts what vendor clients send although the
    /// service's description does not have it.
    #[must_use]
    pub fn is_tolerant(&self) -> bool {
        self.app.model.config.tolerant
    }

    /// Limits the calls of an endpoint: after `calls` in a `window`, by the
    /// emulator's clock, the response is 429 with `Retry-After`. The window begins
    /// with its first call. The limit replaces one for the same endpoint.
    ///
    /// `endpoint` is a name such as `get_user`, or `token`, or `*` for every
    /// endpoint, each with a window of its own. One for an endpoint that does not
    /// exist has no effect.
    ///
    /// ```
    /// use std::time::Duration;
    /// use autharmor::{PageQuery, RetryPolicy};
    /// use autharmor::emulator::Emulator;
    ///
    /// let emulator = Emulator::start()?;
    /// emulator.limit_rate("list_users", 1, Duration::from_secs(60));
    /// let client = emulator.client_builder().retry(RetryPolicy::off()).build()?;
    /// client.list_users(PageQuery::new())?;
    /// let error = client.list_users(PageQuery::new()).unwrap_err();
    /// assert_eq!(error.status(), Some(429));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limit_rate(&self, endpoint: impl Into<String>, calls: u32, window: Duration) {
        self.app.state().rate_limits.add(RateLimit {
            endpoint: endpoint.into(),
            calls,
            window,
        });
    }

    /// Removes all rate limits, also those of the builder.
    pub fn clear_rate_limits(&self) {
        self.app.state().rate_limits.clear();
    }

    /// Adds a fault. One for an endpoint that does not exist has no effect.
    pub fn fault(&self, fault: Fault) {
        lock(&self.app.faults).add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        lock(&self.app.faults).clear();
    }
}
