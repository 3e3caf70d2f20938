//! [`ClientBuilder`]: the settings of a client, their defaults and checks.

mod checks;
mod constructors;
mod from_env;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use self::checks::{not_zero, scope_text, user_agent};
use crate::client::{Client, Inner};
use crate::clock::{Clock, SystemClock};
use crate::environment::Environment;
use crate::error::Error;
use crate::http::url::BaseUrl;
use crate::http::{ApiVersion, Target};
use crate::observer::{Attempt, Observer};
use crate::retry::{Budget, RetryPolicy};
use crate::secret::Secret;
use crate::token::{ClientAuth, Credentials, Grant, TokenCache, TokenSettings, TokenStore};
use crate::transport::{
    AgentTransport, ClientCertificate, ProxySetting, Resolve, Roots, Transport, TransportSettings,
};

const API_URL: &str = "https://api.autharmor.com";
const LOGIN_URL: &str = "https://login.autharmor.com";

/// Builder of a [`Client`]. [`build`](Self::build) checks all settings.
///
/// ```
/// use std::time::Duration;
/// use autharmor::Client;
///
/// let client = Client::builder("my-client-id", "my-client-secret")
///     .timeout(Duration::from_secs(10))
///     .user_agent_suffix("door-daemon/2.1")
///     .build()?;
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct ClientBuilder {
    client_id: String,
    client_secret: Secret,
    api_url: String,
    login_url: String,
    allow_http: bool,
    version: ApiVersion,
    username_in_query: bool,
    non_ascii_usernames: bool,
    scopes: Vec<String>,
    client_auth: ClientAuth,
    connect_timeout: Duration,
    timeout: Duration,
    shortest_poll_pause: Duration,
    retry: RetryPolicy,
    roots: Roots,
    client_certificate: Option<ClientCertificate>,
    proxy: ProxySetting,
    user_agent_suffix: Option<String>,
    max_response_body: usize,
    token_store: Option<Arc<dyn TokenStore>>,
    transport: Option<Arc<dyn Transport>>,
    resolver: Option<Arc<Resolve>>,
    clock: Arc<dyn Clock>,
    observer: Observer,
}

impl ClientBuilder {
    pub(crate) fn new(client_id: String, client_secret: Secret) -> Self {
        Self {
            client_id,
            client_secret,
            api_url: API_URL.to_owned(),
            login_url: LOGIN_URL.to_owned(),
            allow_http: false,
            version: ApiVersion::default(),
            username_in_query: false,
            non_ascii_usernames: false,
            scopes: Vec::new(),
            client_auth: ClientAuth::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            shortest_poll_pause: Duration::from_millis(300),
            retry: RetryPolicy::default(),
            roots: Roots::Bundled,
            client_certificate: None,
            proxy: ProxySetting::Environment(Arc::new(Environment::of_the_process())),
            user_agent_suffix: None,
            max_response_body: 1 << 20,
            token_store: None,
            transport: None,
            resolver: None,
            clock: Arc::new(SystemClock),
            observer: Observer::default(),
        }
    }

    /// Sets the base URL of the API, without a version. A path prefix is kept,
    /// and a trailing slash is ignored. `build` refuses userinfo, a query, a
    /// fragment, a missing host, a path that ends in `/v3` or `/v4`, and
    /// `http://` (see [`allow_http_on_loopback`](Self::allow_http_on_loopback)).
    /// Defaults to `https://api.autharmor.com`.
    pub fn api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = url.into();
        self
    }

    /// Sets the base URL of the token endpoint, under the same rules.
    /// `/connect/token` is added. Defaults to `https://login.autharmor.com`.
    pub fn login_url(mut self, url: impl Into<String>) -> Self {
        self.login_url = url.into();
        self
    }

    /// Allows `http://` for loopback addresses (`127.0.0.0/8` and `::1`, but not
    /// the name `localhost`), for tests. Defaults to `false`.
    ///
    /// ```
    /// let client = autharmor::Client::builder("id", "secret")
    ///     .api_url("http://127.0.0.1:8080")
    ///     .login_url("http://127.0.0.1:8080")
    ///     .allow_http_on_loopback(true)
    ///     .build()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn allow_http_on_loopback(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    /// Sets the version of the API. Defaults to [`ApiVersion::V3`].
    pub fn api_version(mut self, version: ApiVersion) -> Self {
        self.version = version;
        self
    }

    /// Allows usernames in the query of v4 URLs. v4 takes them nowhere else.
    /// **They then appear wherever URLs are logged**: in proxies, in the
    /// service's access log, and on this machine in ureq's debug records, if the
    /// log filter also lets ureq's trace records pass. Without this setting, a
    /// call by username under [`ApiVersion::V4`] is an error, and nothing is
    /// sent. Defaults to `false`.
    pub fn username_in_query(mut self, allow: bool) -> Self {
        self.username_in_query = allow;
        self
    }

    /// Allows usernames that are not ASCII in the v3 header. They are sent as raw
    /// UTF-8. Whether the service reads them correctly is unverified, so by
    /// default they are refused before anything is sent; an id always works.
    /// Defaults to `false`.
    pub fn non_ascii_usernames(mut self, allow: bool) -> Self {
        self.non_ascii_usernames = allow;
        self
    }

    /// Sets the OAuth2 scopes to request, such as `aarmor.api.request_auth`.
    /// Defaults to none, which requests all scopes that the client has.
    ///
    /// ```
    /// let client = autharmor::Client::builder("id", "secret")
    ///     .scopes(["aarmor.api.request_auth", "aarmor.api.generate_invite_code"])
    ///     .build()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how the client id and secret are sent to the token endpoint. Defaults
    /// to [`ClientAuth::SecretPost`].
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Sets how long connecting may take: TCP to all addresses of the host, a
    /// proxy's `CONNECT`, and TLS together. Zero is refused. Defaults to 5
    /// seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a whole call may take, including the token fetch, the name
    /// look-up, and retries with their pauses. Zero is refused. Others for single
    /// calls: [`Client::with_timeout`] and
    /// [`Request::timeout`](crate::Request::timeout). Defaults to 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the lower bound of [`WaitPolicy::poll_every`](crate::flow::WaitPolicy::poll_every).
    #[cfg(feature = "emulator")]
    pub(crate) fn shortest_poll_pause(mut self, pause: Duration) -> Self {
        self.shortest_poll_pause = pause;
        self
    }

    /// Sets which failures are retried, and how often. Defaults to
    /// [`RetryPolicy::default`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Trusts these root certificates (PEM) as well as the bundled ones and
    /// those of earlier calls. `build` refuses a text without a certificate or
    /// with a damaged one. Defaults to the bundled roots of webpki-roots alone.
    pub fn add_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        let pem = pem.as_ref().to_vec();
        match &mut self.roots {
            Roots::BundledAnd(pems) => pems.push(pem),
            roots => *roots = Roots::BundledAnd(vec![pem]),
        }
        self
    }

    /// Trusts only these root certificates (PEM), with the same checks.
    /// Defaults to the bundled roots.
    ///
    /// ```no_run
    /// let pem = std::fs::read("/etc/ssl/our-root.pem")?;
    /// let client = autharmor::Client::builder("id", "secret")
    ///     .only_root_certificates(pem)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn only_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots = Roots::Only(vec![pem.as_ref().to_vec()]);
        self
    }

    /// Trusts what the operating system trusts, which may include a company's
    /// proxy that inspects TLS. On Unix systems other than macOS, the
    /// environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` choose the
    /// roots: do not use this in a setuid or PAM program. Defaults to the
    /// bundled roots.
    #[cfg(feature = "platform-verifier")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-verifier")))]
    pub fn platform_verifier(mut self) -> Self {
        self.roots = Roots::Platform;
        self
    }

    /// Sets a client certificate chain and its private key, both PEM. `build`
    /// refuses them if they are damaged or do not belong together. Defaults to
    /// none.
    ///
    /// ```no_run
    /// let chain = std::fs::read("/etc/ssl/me.pem")?;
    /// let key = std::fs::read_to_string("/etc/ssl/private/me.pem")?;
    /// let client = autharmor::Client::builder("id", "secret")
    ///     .client_certificate(chain, key)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_certificate(mut self, chain: impl AsRef<[u8]>, key: impl Into<Secret>) -> Self {
        self.client_certificate = Some(ClientCertificate {
            chain: chain.as_ref().to_vec(),
            key: Zeroizing::new(key.into().expose().as_bytes().to_vec()),
        });
        self
    }

    /// Sets the proxy, such as `http://user:password@proxy.example:3128`.
    /// Special characters in user and password are percent-encoded. Only HTTP
    /// and HTTPS proxies are supported. Defaults to what `HTTPS_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY` say, for hosts that are not loopback
    /// addresses.
    ///
    /// ```
    /// let client = autharmor::Client::builder("id", "secret")
    ///     .proxy("http://user:password@proxy.example:3128")
    ///     .build()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = ProxySetting::Url(url.into());
        self
    }

    /// Uses no proxy and ignores those of the environment. Defaults to the
    /// environment's, see [`proxy`](Self::proxy).
    pub fn no_proxy(mut self) -> Self {
        self.proxy = ProxySetting::Off;
        self
    }

    /// Appends a product token such as `door-daemon/2.1` to this crate's
    /// `User-Agent`. `build` refuses an empty text, more than 256 bytes, and
    /// anything but visible ASCII and spaces. Defaults to none.
    pub fn user_agent_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent_suffix = Some(suffix.into());
        self
    }

    /// Sets the size limit of response bodies, in bytes. Zero is refused.
    /// Defaults to 1 MiB.
    pub fn max_response_body(mut self, bytes: usize) -> Self {
        self.max_response_body = bytes;
        self
    }

    /// Also keeps the access token in this store, for other processes and later
    /// runs, see [`TokenStore`]. Defaults to none: the token is kept in memory
    /// only.
    pub fn token_store(mut self, store: impl TokenStore + 'static) -> Self {
        self.token_store = Some(Arc::new(store));
        self
    }

    /// Sends requests through this transport or closure instead of the crate's
    /// own. The settings for connect timeout, roots, client certificate, proxy
    /// and resolver are then not used. Defaults to the crate's own, see
    /// [`Transport`].
    pub fn transport(mut self, transport: impl Transport + 'static) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Resolves host names with a function of host name and port instead of
    /// the operating system, for service discovery and for tests. It runs in a
    /// thread of its own and may block: a call does not wait for it beyond its
    /// deadline. If the system has no thread left, it runs in the calling
    /// thread. The addresses are cached for a minute. Not used with a
    /// [`transport`](Self::transport) of your own.
    pub fn resolver(
        mut self,
        resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Sets the source of time, for tests. Defaults to [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Calls a function after each attempt of a call or of a token fetch, for
    /// metrics and tracing. See [`Attempt`] and
    /// [Logging and secrets](crate::guide::logging). Defaults to none.
    ///
    /// It runs exactly once for each HTTP request that was sent or failed to
    /// be, in the thread of the call, before the pause of a retry. Keep it
    /// short: it takes from the call's timeout, and while a token is fetched
    /// other calls wait for it. A panic in it does not harm the call.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use autharmor::Client;
    ///
    /// let failures = Arc::new(AtomicU64::new(0));
    /// let counter = Arc::clone(&failures);
    /// let client = Client::builder("my-client-id", "my-client-secret")
    ///     .on_attempt(move |attempt| {
    ///         if attempt.error_kind().is_some() {
    ///             counter.fetch_add(1, Ordering::Relaxed);
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn on_attempt(mut self, observer: impl Fn(&Attempt) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Checks the settings and creates the client. Nothing is sent. Fails with
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a setting is wrong; the
    /// error names the setting.
    pub fn build(self) -> Result<Client, Error> {
        let credentials = Credentials::new(&self.client_id, self.client_secret.expose())?;
        let api = BaseUrl::parse(&self.api_url, "api_url", self.allow_http)?;
        let login = BaseUrl::parse(&self.login_url, "login_url", self.allow_http)?;
        not_zero(self.timeout, "timeout")?;
        not_zero(self.connect_timeout, "connect_timeout")?;
        if self.max_response_body == 0 {
            return Err(Error::config("max_response_body is zero"));
        }
        let user_agent = user_agent(self.user_agent_suffix.as_deref())?;
        let scopes = scope_text(&self.scopes)?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(AgentTransport::new(TransportSettings {
                connect_timeout: self.connect_timeout,
                roots: self.roots,
                client_certificate: self.client_certificate,
                proxy: self.proxy,
                hosts: vec![api.join("/")?, login.join("/")?],
                user_agent: user_agent.clone(),
                resolver: self.resolver,
                preconnect: Some(api.join("/")?),
                clock: Arc::clone(&self.clock),
            })?),
        };
        let budget = Arc::new(Budget::jittered(&*self.clock));
        let settings = TokenSettings {
            grant: Grant {
                url: login.join("/connect/token")?,
                scopes,
                client_auth: self.client_auth,
                user_agent: user_agent.clone(),
            },
            retry: self.retry.clone(),
            max_response_body: self.max_response_body,
            store: self.token_store,
            observer: self.observer.clone(),
        };
        let tokens = TokenCache::new(
            credentials,
            settings,
            Arc::clone(&transport),
            Arc::clone(&self.clock),
            Arc::clone(&budget),
        );
        let target = Target::at(api)
            .version(self.version)
            .username_in_query(self.username_in_query)
            .non_ascii_usernames(self.non_ascii_usernames);
        let inner = Inner {
            target,
            tokens,
            transport,
            clock: self.clock,
            budget,
            retry: self.retry,
            shortest_poll_pause: self.shortest_poll_pause,
            max_response_body: self.max_response_body,
            user_agent,
            observer: self.observer,
        };
        Ok(Client::assemble(inner, self.timeout))
    }
}

/// Shows some settings, but no URL and no secret.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("version", &self.version)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("max_response_body", &self.max_response_body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
