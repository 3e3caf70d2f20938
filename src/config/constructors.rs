//! The constructors of [`Client`], and the proxy of a builder.

use super::ClientBuilder;
use crate::client::Client;
use crate::error::Error;
use crate::secret::Secret;

impl Client {
    /// Creates a client with the default settings. A line end after the secret is
    /// removed. Nothing is sent.
    ///
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config) if the id or
    /// the secret is empty or holds control characters, or if the environment
    /// names a proxy that cannot be used.
    ///
    /// ```
    /// let client = autharmor::Client::new("my-client-id", "my-client-secret")?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn new(
        client_id: impl Into<String>,
        client_secret: impl Into<Secret>,
    ) -> Result<Self, Error> {
        Self::builder(client_id, client_secret).build()
    }

    /// Creates a builder, to change settings before the client is created.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let client = autharmor::Client::builder("my-client-id", "my-client-secret")
    ///     .timeout(Duration::from_secs(10))
    ///     .build()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn builder(
        client_id: impl Into<String>,
        client_secret: impl Into<Secret>,
    ) -> ClientBuilder {
        ClientBuilder::new(client_id.into(), client_secret.into())
    }

    /// Creates a client from environment variables, see
    /// [`ClientBuilder::from_env`].
    ///
    /// ```no_run
    /// let client = autharmor::Client::from_env()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }
}

impl ClientBuilder {
    /// Returns host and port of the proxy through which a client with these
    /// settings reaches a URL, or `None` if it connects directly. Nothing is
    /// sent.
    ///
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config) if the URL has
    /// no host or if the proxy cannot be used.
    ///
    /// ```
    /// let builder = autharmor::Client::builder("id", "secret")
    ///     .proxy("http://user:password@proxy.example:3128");
    /// let proxy = builder.proxy_for("https://api.autharmor.com")?;
    /// assert_eq!(proxy.as_deref(), Some("proxy.example:3128"));
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn proxy_for(&self, url: &str) -> Result<Option<String>, Error> {
        let wrong = || Error::config("the URL is not an http or https one with a host");
        let uri: http::Uri = url.parse().map_err(|_| wrong())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong());
        }
        self.proxy.place_for(&uri)
    }
}
