//! What can be set before the start.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Emulator, NewUser, RecordedRequest,
    app::{App, Front},
    clock::Stamp,
    config::Config,
    decisions,
    faults::Faults,
    passkey::SoftwareAuthenticator,
    record::Record,
    server::Server,
    signed::PhoneKey,
    state::State,
    tls::Identity,
};

/// Sets up an [`Emulator`].
#[derive(Debug)]
pub struct EmulatorBuilder {
    config: Config,
}

impl EmulatorBuilder {
    pub(super) fn new() -> Self {
        Self {
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
    /// Defaults to 10 000. However many it is, they take no more than 64 MiB.
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
            let identity = Identity::new(config.listen.ip())?;
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
