//! [`Settings`]: from options, the environment and a configuration file.

mod file;
mod layers;
#[cfg(test)]
mod tests;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autharmor::{ApiVersion, Client, ClientBuilder, FileTokenStore, Secret};
use clap::{Args, value_parser};

use self::file::ConfigFile;
use self::layers::Layers;
pub(crate) use self::layers::{Setting, Source, Trust};
use crate::approve::ApproveFile;
use crate::failure::Failure;
use crate::files::{self, Readers};

/// Where the client secret comes from, in the help of every command.
///
/// An option for the secret itself would show it to everyone who can list
/// processes.
const SECRET_HELP: &str = "\
File that holds the client secret [env: AUTHARMOR_CLIENT_SECRET_FILE]

Only its owner may be able to read it. Instead, AUTHARMOR_CLIENT_SECRET can hold the \
secret, or client_secret_credential in the configuration file can name a credential of \
systemd.";

/// The options of each command that calls the service.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigArgs {
    /// Configuration file
    ///
    /// Defaults to autharmor/config.toml in $XDG_CONFIG_HOME or ~/.config, then to
    /// /etc/autharmor/config.toml. `autharmor --help` lists its keys.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Client id of the project [env: AUTHARMOR_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,

    #[arg(long, value_name = "FILE", help = SECRET_HELP.lines().next(), long_help = SECRET_HELP)]
    pub(crate) client_secret_file: Option<PathBuf>,

    /// URL of the API [env: AUTHARMOR_API_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) api_url: Option<String>,

    /// URL of the token service [env: AUTHARMOR_LOGIN_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) login_url: Option<String>,

    /// Trusts only the certificates in this PEM file [env: AUTHARMOR_CA_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// File that keeps the access token between runs
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// Seconds that a call may take [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
}

/// What the commands need to know about the service and the project.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) client_id: Setting<String>,
    /// The source tells where the secret was, for `doctor`.
    pub(crate) client_secret: Setting<Secret>,
    pub(crate) api_url: Option<Setting<String>>,
    pub(crate) login_url: Option<Setting<String>>,
    pub(crate) ca_file: Option<Setting<PathBuf>>,
    pub(crate) api_version: Option<Setting<ApiVersion>>,
    pub(crate) username_in_query: Option<Setting<bool>>,
    pub(crate) non_ascii_usernames: Option<Setting<bool>>,
    pub(crate) token_file: Option<Setting<PathBuf>>,
    pub(crate) proxy: Option<Setting<Secret>>,
    pub(crate) timeout: Option<Setting<Duration>>,
    pub(crate) registration_redirect_url: Option<Setting<String>>,
    /// The configuration file that was read.
    pub(crate) file: Option<PathBuf>,
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no approve"))]
    pub(crate) approve: ApproveFile,
    trust: Trust,
}

impl Settings {
    /// Reads the settings: options come first, then the environment, then the
    /// configuration file.
    ///
    /// Fails with [`Failure::Config`], which names the setting or the file.
    pub(crate) fn load(args: &ConfigArgs, trust: Trust) -> Result<Self, Failure> {
        Self::load_from(args, trust, &|name| env::var_os(name))
    }

    fn load_from(
        args: &ConfigArgs,
        trust: Trust,
        variables: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Failure> {
        let mut layers = Layers {
            trust,
            file: None,
            variables,
        };
        let (path, file) = ConfigFile::read(args.config.as_deref(), &layers)?;
        layers.file.clone_from(&path);
        let layers = layers;
        let client_secret = client_secret(&layers, args, &file)?;
        let api_version = match file.api_version.as_deref() {
            None => None,
            Some("v3") => Some(ApiVersion::V3),
            Some("v4") => Some(ApiVersion::V4),
            Some(_) => return Err(Failure::Config("api_version is neither v3 nor v4".into())),
        };
        if file
            .timeout
            .is_some_and(|seconds| !(1..=86_400).contains(&seconds))
        {
            return Err(Failure::Config("timeout is not 1 to 86400 seconds".into()));
        }
        Ok(Self {
            client_id: layers
                .pick(
                    ("--client-id", args.client_id.clone()),
                    layers.text("AUTHARMOR_CLIENT_ID")?,
                    file.client_id,
                )
                .ok_or_else(|| {
                    not_set(&layers, "client_id", "--client-id", "AUTHARMOR_CLIENT_ID")
                })?,
            client_secret,
            api_url: layers.pick(
                ("--api-url", args.api_url.clone()),
                layers.text("AUTHARMOR_API_URL")?,
                file.api_url,
            ),
            login_url: layers.pick(
                ("--login-url", args.login_url.clone()),
                layers.text("AUTHARMOR_LOGIN_URL")?,
                file.login_url,
            ),
            ca_file: layers.pick(
                ("--ca-file", args.ca_file.clone()),
                layers.path("AUTHARMOR_CA_FILE"),
                file.ca_file,
            ),
            api_version: layers.of_file(api_version),
            username_in_query: layers.of_file(file.username_in_query),
            non_ascii_usernames: layers.of_file(file.non_ascii_usernames),
            token_file: layers.pick(
                ("--token-file", args.token_file.clone()),
                None,
                file.token_file,
            ),
            proxy: layers.of_file(file.proxy),
            timeout: layers.pick(
                ("--timeout", args.timeout.map(Duration::from_secs)),
                None,
                file.timeout.map(Duration::from_secs),
            ),
            registration_redirect_url: layers.of_file(file.registration_redirect_url),
            file: path,
            approve: file.approve,
            trust,
        })
    }

    /// Returns a builder for the client with these settings.
    pub(crate) fn builder(&self) -> Result<ClientBuilder, Failure> {
        let id = self.client_id.value.as_str();
        let mut builder = Client::builder(id, self.client_secret.value.clone());
        if let Some(url) = &self.api_url {
            builder = builder.api_url(&*url.value);
        }
        if let Some(url) = &self.login_url {
            builder = builder.login_url(&*url.value);
        }
        if let Some(file) = &self.ca_file {
            let pem = files::read_trusted(&file.value, Readers::Everyone)?;
            builder = builder.only_root_certificates(pem);
        }
        if let Some(version) = &self.api_version {
            builder = builder.api_version(version.value);
        }
        if let Some(allow) = &self.username_in_query {
            builder = builder.username_in_query(allow.value);
        }
        if let Some(allow) = &self.non_ascii_usernames {
            builder = builder.non_ascii_usernames(allow.value);
        }
        if let Some(file) = &self.token_file {
            builder = builder.token_store(FileTokenStore::new(&file.value));
        }
        if let Some(timeout) = &self.timeout {
            builder = builder.timeout(timeout.value);
        }
        builder = match (&self.proxy, self.trust) {
            (Some(proxy), _) => builder.proxy(proxy.value.clone()),
            // Otherwise the environment's proxy would be used.
            (None, Trust::Nobody) => builder.no_proxy(),
            (None, Trust::Caller) => builder,
        };
        Ok(builder.user_agent_suffix(concat!("autharmor-cli/", env!("CARGO_PKG_VERSION"))))
    }

    /// Returns a client with these settings.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(self.builder()?.build()?)
    }
}

/// Finds the client secret: in a file, in the environment, or in a systemd
/// credential.
fn client_secret(
    layers: &Layers<'_>,
    args: &ConfigArgs,
    file: &ConfigFile,
) -> Result<Setting<Secret>, Failure> {
    const OPTION: &str = "--client-secret-file";
    const SECRET: &str = "AUTHARMOR_CLIENT_SECRET";
    const SECRET_FILE: &str = "AUTHARMOR_CLIENT_SECRET_FILE";
    let in_environment = layers.path(SECRET_FILE);
    if args.client_secret_file.is_none() {
        if let Some(secret) = layers.text(SECRET)? {
            if in_environment.is_some() {
                return Err(both(SECRET, SECRET_FILE));
            }
            return Ok(Setting {
                value: secret.value.into(),
                source: secret.source,
            });
        }
    }
    let path = match layers.pick(
        (OPTION, args.client_secret_file.clone()),
        in_environment,
        None,
    ) {
        Some(path) => path,
        None => layers
            .of_file(secret_file(layers, file)?)
            .ok_or_else(|| not_set(layers, "client_secret_file", OPTION, SECRET_FILE))?,
    };
    let text = Secret::from(files::read_trusted(&path.value, Readers::Owner)?);
    match text.expose().trim_end_matches(['\r', '\n']) {
        "" => {
            let path = path.value.display();
            Err(Failure::Config(format!("{path}: the file is empty")))
        }
        secret => Ok(Setting {
            value: secret.into(),
            source: path.source,
        }),
    }
}

/// Returns the file of the secret that the configuration file names.
fn secret_file(layers: &Layers<'_>, file: &ConfigFile) -> Result<Option<PathBuf>, Failure> {
    match (&file.client_secret_file, &file.client_secret_credential) {
        (Some(_), Some(_)) => Err(both("client_secret_file", "client_secret_credential")),
        (path, None) => Ok(path.clone()),
        // systemd sets the variable for the service.
        (None, Some(name)) => match layers.variable("CREDENTIALS_DIRECTORY") {
            Some(folder) => Ok(Some(Path::new(&folder).join(name))),
            None if layers.trust == Trust::Nobody => Err(Failure::Config(
                "client_secret_credential needs the environment, which is not used here: \
                 set client_secret_file"
                    .into(),
            )),
            None => Err(Failure::Config(
                "client_secret_credential is set, and systemd has passed no credentials".into(),
            )),
        },
    }
}

fn both(a: &str, b: &str) -> Failure {
    Failure::Config(format!("{a} and {b} are both set"))
}

/// A setting that is missing, with the places where it can be set.
fn not_set(layers: &Layers<'_>, key: &str, option: &str, variable: &str) -> Failure {
    let places = match layers.trust {
        Trust::Caller => format!("{option}, {variable}"),
        Trust::Nobody => option.to_owned(),
    };
    let file = match &layers.file {
        Some(file) => file.display().to_string(),
        None => "a configuration file".to_owned(),
    };
    Failure::Config(format!(
        "{key} is not set: use {places}, or {key} in {file}"
    ))
}
