//! [`ClientBuilder::from_env`]: settings from environment variables.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::ClientBuilder;
use crate::environment::Environment;
use crate::error::Error;
use crate::http::buffer::WipedBuffer;
use crate::secret::Secret;
use crate::transport::ProxySetting;

const SECRET: &str = "AUTHARMOR_CLIENT_SECRET";
const SECRET_FILE: &str = "AUTHARMOR_CLIENT_SECRET_FILE";
const CA_FILE: &str = "AUTHARMOR_CA_FILE";

/// The size limit of the files, in bytes.
const MAX_FILE: usize = 1 << 20;

impl ClientBuilder {
    /// Creates a builder from environment variables:
    ///
    /// | variable | |
    /// | --- | --- |
    /// | `AUTHARMOR_CLIENT_ID` | required |
    /// | `AUTHARMOR_CLIENT_SECRET` or `AUTHARMOR_CLIENT_SECRET_FILE` | one is required: the secret, or a file that holds it. A line end after it is removed. |
    /// | `AUTHARMOR_API_URL` | [`api_url`](Self::api_url) |
    /// | `AUTHARMOR_LOGIN_URL` | [`login_url`](Self::login_url) |
    /// | `AUTHARMOR_CA_FILE` | a file for [`only_root_certificates`](Self::only_root_certificates) |
    ///
    /// An empty variable counts as unset. A file may have 1 MiB; a pipe is read
    /// to its end.
    ///
    /// Fails with [`ErrorKind::Config`](crate::ErrorKind::Config) if the id or
    /// the secret is not set, if the secret is set twice, if a variable is not
    /// UTF-8, or if a file cannot be read. The error names the variable, and
    /// neither its value nor the content of the file.
    ///
    /// **Whoever sets the environment chooses the hosts that the secret and all
    /// calls are sent to, and the file that holds the secret.** A program that
    /// runs with more rights than the user who starts it (setuid, PAM, sudo)
    /// must not use this function.
    ///
    /// ```no_run
    /// use autharmor::{ApiVersion, ClientBuilder};
    ///
    /// let client = ClientBuilder::from_env()?.api_version(ApiVersion::V4).build()?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(Environment::of_the_process())
    }

    pub(crate) fn from_variables(env: Environment) -> Result<Self, Error> {
        let id = env
            .get("AUTHARMOR_CLIENT_ID")?
            .ok_or_else(|| Error::config("AUTHARMOR_CLIENT_ID is not set"))?;
        let mut builder = Self::new(id, client_secret(&env)?);
        if let Some(url) = env.get("AUTHARMOR_API_URL")? {
            builder = builder.api_url(url);
        }
        if let Some(url) = env.get("AUTHARMOR_LOGIN_URL")? {
            builder = builder.login_url(url);
        }
        if let Some(path) = env.path(CA_FILE) {
            builder = builder.only_root_certificates(&*read(&path, CA_FILE)?);
        }
        builder.proxy = ProxySetting::Environment(Arc::new(env));
        Ok(builder)
    }
}

fn client_secret(env: &Environment) -> Result<Secret, Error> {
    match (env.get(SECRET)?, env.path(SECRET_FILE)) {
        (Some(_), Some(_)) => Err(Error::config(format!(
            "{SECRET} and {SECRET_FILE} are both set"
        ))),
        (Some(secret), None) => Ok(secret.into()),
        (None, Some(path)) => {
            let content = read(&path, SECRET_FILE)?;
            let text = std::str::from_utf8(&content)
                .map_err(|_| Error::config(format!("{SECRET_FILE}: the file is not UTF-8")))?;
            Ok(text.into())
        }
        (None, None) => Err(Error::config(format!("{SECRET} is not set"))),
    }
}

/// Reads the file that a variable names.
fn read(path: &Path, variable: &str) -> Result<WipedBuffer, Error> {
    let mut content = WipedBuffer::with_capacity(4096);
    File::open(path)
        .and_then(|mut file| content.read_from(&mut file, MAX_FILE))
        .map_err(|error| {
            let detail = format!("{variable}: the file cannot be read: {}", error.kind());
            Error::config(detail).with_source(Arc::new(error))
        })?;
    let why = match content.len() {
        0 => "empty",
        1..=MAX_FILE => return Ok(content),
        _ => "larger than 1 MiB",
    };
    Err(Error::config(format!("{variable}: the file is {why}")))
}
