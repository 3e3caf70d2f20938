//! The constructors of [`Client`].

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
