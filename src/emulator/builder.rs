//! [`EmulatorBuilder`]: every setting and its default.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    control::{
        app::{App, InvalidObserver, Observer},
        faults::Faults,
        record::{Record, RecordedRequest},
        sender::OwnNames,
    },
    handle::Emulator,
    http::{
        server::{Server, reachable},
        tls::{CaFiles, Identity},
    },
    model::{
        Model, access_token::TokenKey, clock::Stamp, config::Config, decisions,
        rate_limit::RateLimit, signed_message::PhoneKey, state::State, user::NewUser,
    },
    person::passkey::SoftwareAuthenticator,
    service::AppService,
};

impl Emulator {
    /// Starts an emulator with the defaults of [`builder`](Self::builder).
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Returns a builder with the default settings.
    #[must_use]
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::new()
    }
}

/// Sets up an [`Emulator`].
pub struct EmulatorBuilder {
    config: Config,
    listen: SocketAddr,
    remote_control: bool,
    hosts: Vec<String>,
    tls: bool,
    ca_files: Option<CaFiles>,
    kept_requests: usize,
    connections: usize,
    observer: Option<Observer>,
    invalid_observer: Option<InvalidObserver>,
}

impl fmt::Debug for EmulatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmulatorBuilder")
            .field("seed", &self.config.seed)
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl EmulatorBuilder {
    fn new() -> Self {
        Self {
            config: Config {
                seed: Some(0),
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
                approve_after: None,
                tolerant: false,
                rate_limits: Vec::new(),
            },
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            remote_control: false,
            hosts: Vec::new(),
            tls: true,
            ca_files: None,
            kept_requests: 10_000,
            connections: 1024,
            observer: None,
            invalid_observer: None,
        }
    }

    /// Adds a user. Defaults to no users.
    #[must_use]
    pub fn user(mut self, user: impl Into<NewUser>) -> Self {
        self.config.users.push(user.into());
        self
    }

    /// Sets the seed of all ids and tokens. Keys and signatures are random.
    /// Defaults to 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = Some(seed);
        self
    }

    /// Makes all ids, tokens and codes of magic links at random, so that nobody
    /// can guess them: for an emulator that runs for long beside a browser. Then
    /// [`Emulator::reset`] gives the users new ids. Defaults to ids from the
    /// [`seed`](Self::seed).
    #[must_use]
    pub fn random_ids(mut self) -> Self {
        self.config.seed = None;
        self
    }

    /// Sets whether the emulator accepts what vendor clients send although the
    /// service's description does not have it: unknown fields and parameters, a
    /// number as text, `[]` as an empty body, a token request in
    /// `multipart/form-data`, paths in another letter case or with a trailing
    /// slash. Each is a warning of the [recorded
    /// request](RecordedRequest::warnings). Defaults to false, so that a mistake
    /// of a client fails its tests.
    ///
    /// ```
    /// use autharmor::emulator::Emulator;
    ///
    /// let emulator = Emulator::builder().tolerant(true).start()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn tolerant(mut self, tolerant: bool) -> Self {
        self.config.tolerant = tolerant;
        self
    }

    /// Limits the calls of an endpoint, as
    /// [`Emulator::limit_rate`] does; [`reset`](Emulator::reset) keeps this
    /// limit. Defaults to no limits.
    #[must_use]
    pub fn rate_limit(mut self, endpoint: impl Into<String>, calls: u32, window: Duration) -> Self {
        self.config.rate_limits.push(RateLimit {
            endpoint: endpoint.into(),
            calls,
            window,
        });
        self
    }

    /// Sets the address to listen on, which has to be a loopback address unless
    /// [`dangerously_allow_remote_control`](Self::dangerously_allow_remote_control)
    /// allows others. Defaults to `127.0.0.1` and a free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Allows [`listen`](Self::listen) to be any address, for containers.
    ///
    /// Everyone who reaches the address can sign in as every user, read all mails
    /// and get the client's secret: the control routes have no password. Use it
    /// in a network of your own only, and never in front of an application with
    /// real data.
    #[must_use]
    pub fn dangerously_allow_remote_control(mut self) -> Self {
        self.remote_control = true;
        self
    }

    /// Adds a host name or an IP address by which clients reach the emulator:
    /// its certificate is valid for it, and the control routes accept it as
    /// `Host`. The URLs of the emulator, its magic links and its QR codes have
    /// the first one; without one they have the listening address. Clients of
    /// [`Emulator::client_builder`] connect to the address and need no DNS.
    ///
    /// A name should be one that only your network knows. Whoever controls the
    /// DNS of the name can lead a browser, and with it a website, to the control
    /// routes.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into());
        self
    }

    /// Keeps the certificate authority in two files, in PEM: its certificate and
    /// its private key. [`start`](Self::start) makes the files if neither exists,
    /// so that clients have to trust the certificate only once. The authority is
    /// valid for ten years. Defaults to a new authority for each emulator, whose
    /// key is never stored.
    ///
    /// Whoever reads the key can impersonate every server to those who trust
    /// the authority. Under Unix the file is readable by its owner only.
    #[must_use]
    pub fn ca_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.ca_files = Some(CaFiles {
            certificate: certificate.into(),
            key: key.into(),
        });
        self
    }

    /// Uses HTTP without TLS, for clients that cannot trust another certificate
    /// authority. Defaults to TLS.
    #[must_use]
    pub fn plain_http(mut self) -> Self {
        self.tls = false;
        self
    }

    /// Sets id and secret of the client, the only one that gets tokens.
    /// Defaults to `emulator-client` and `emulator-secret`.
    #[must_use]
    pub fn client(mut self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.config.client_id = id.into();
        self.config.client_secret = secret.into();
        self
    }

    /// Sets the life of access tokens. Defaults to 600 seconds.
    #[must_use]
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.config.token_lifetime = lifetime;
        self
    }

    /// Sets how long after its approval a request can be validated. Defaults to
    /// 60 seconds.
    #[must_use]
    pub fn validation_window(mut self, window: Duration) -> Self {
        self.config.validation_window = window;
        self
    }

    /// Starts the clock at this time, in seconds since 1970, and stops it: only
    /// [`Emulator::advance`] moves it. Defaults to a running clock that starts
    /// at the system's time.
    #[must_use]
    pub fn clock_at(mut self, unix_seconds: u64) -> Self {
        self.config.clock_start = Some(Stamp::from_unix_seconds(unix_seconds));
        self
    }

    /// Adds a URL to the allow list of redirects for registrations and address
    /// changes. An entry allows the URLs that equal it up to the query. Defaults
    /// to no list, which allows every `http` and `https` URL.
    #[must_use]
    pub fn allow_registration_redirect(mut self, url: impl Into<String>) -> Self {
        self.config.registration_redirects.push(url.into());
        self
    }

    /// Adds a URL to the allow list of redirects for signing in by magic link,
    /// under the same rules.
    #[must_use]
    pub fn allow_auth_redirect(mut self, url: impl Into<String>) -> Self {
        self.config.auth_redirects.push(url.into());
        self
    }

    /// Sets the origin of the pages that use passkeys, and the relying party's
    /// id. Defaults to `https://localhost` and `localhost`.
    #[must_use]
    pub fn website(mut self, origin: impl Into<String>, rp_id: impl Into<String>) -> Self {
        self.config.origin = origin.into();
        self.config.rp_id = rp_id.into();
        self
    }

    /// Sets the project's name, which mails and passkeys show. Defaults to
    /// `Emulated Project`.
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.config.project_name = name.into();
        self
    }

    /// Approves every sign-in on a phone this long after its start, by the
    /// emulator's clock, unless it was decided before. Defaults to no automatic
    /// approval.
    #[must_use]
    pub fn approve_after(mut self, delay: Duration) -> Self {
        self.config.approve_after = Some(delay);
        self
    }

    /// Sets how many requests are kept for [`Emulator::requests`], together at
    /// most 64 MiB. Defaults to 10 000.
    #[must_use]
    pub fn keep_requests(mut self, count: usize) -> Self {
        self.kept_requests = count;
        self
    }

    /// Sets how many connections may be open. One more closes the connection
    /// that has waited longest for its client. Zero counts as one. Defaults to
    /// 1024.
    #[must_use]
    pub fn max_connections(mut self, count: usize) -> Self {
        self.connections = count.max(1);
        self
    }

    /// Sets a function that is called with every request and the status of its
    /// response, 0 if a fault has damaged the response.
    /// [`RecordedRequest::error`] says why a request was refused. It runs on the thread of
    /// the connection and must not drop the emulator. Defaults to none.
    #[must_use]
    pub fn on_request(
        mut self,
        observer: impl Fn(&RecordedRequest, u16) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Sets a function that is called with the reason when a client sends what
    /// is no valid request: the TLS handshake fails, for example because the
    /// client does not trust the certificate, or the input is not HTTP. It runs
    /// on the thread of the connection and must not drop the emulator. Defaults
    /// to none.
    #[must_use]
    pub fn on_invalid_input(mut self, observer: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.invalid_observer = Some(Box::new(observer));
        self
    }

    /// Starts the emulator.
    ///
    /// Fails with [`io::ErrorKind::InvalidInput`] if the address is not a
    /// loopback address, or a host name or a user is malformed; with
    /// [`io::ErrorKind::InvalidData`] if the files of the certificate authority
    /// cannot be used; and if the address cannot be listened on.
    pub fn start(self) -> io::Result<Emulator> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
        let ip = self.listen.ip();
        if !ip.is_loopback() && !self.remote_control {
            return Err(invalid("the emulator listens on loopback addresses only"));
        }
        if !self.hosts.iter().all(|name| is_host(name)) {
            return Err(invalid("a host is not a host name or an IP address"));
        }
        let (tls, ca_pem) = if self.tls {
            let identity = Identity::new(ip, &self.hosts, self.ca_files.as_ref())?;
            (Some(identity.config), identity.ca_pem)
        } else {
            (None, String::new())
        };
        let state = State::new(&self.config, PhoneKey::new()?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let listener = TcpListener::bind(self.listen)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = listener.local_addr()?;
        let address_url = format!("{scheme}://{}", reachable(address));
        let base_url = match self.hosts.first() {
            None => address_url.clone(),
            Some(name) => match name.parse() {
                Ok(ip) => format!("{scheme}://{}", SocketAddr::new(ip, address.port())),
                Err(_) => format!("{scheme}://{name}:{}", address.port()),
            },
        };
        let app = Arc::new(App {
            passkeys: Mutex::new(SoftwareAuthenticator::new(self.config.seed.unwrap_or(0))),
            model: Model::new(self.config, base_url, TokenKey::new()?, state),
            faults: Mutex::new(Faults::default()),
            record: Mutex::new(Record::new(self.kept_requests)),
            observer: self.observer,
            invalid_observer: self.invalid_observer,
            own_names: OwnNames {
                given: self.hosts,
                listen: ip,
            },
            ca_pem,
            sign_in_handler: Mutex::new(None),
        });
        let service = AppService(Arc::clone(&app));
        let server = Server::start(listener, tls, self.connections, service)?;
        Ok(Emulator {
            app,
            server,
            address_url,
        })
    }
}

fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}
