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
