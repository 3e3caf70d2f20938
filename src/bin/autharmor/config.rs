//! [`Settings`]: from options, the environment and a configuration file.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autharmor::{ApiVersion, Client, ClientBuilder, FileTokenStore, Secret};
use clap::Args;
use serde::Deserialize;

use crate::failure::Failure;
use crate::files::{self, Readers};

/// The configuration of the whole machine.
const SYSTEM_FILE: &str = "/etc/autharmor/config.toml";

/// The options of each command that calls the service.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigArgs {
    /// Configuration file
    ///
    /// Defaults to autharmor/config.toml in $XDG_CONFIG_HOME or ~/.config, then to
    /// /etc/autharmor/config.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Client id of the project [env: AUTHARMOR_CLIENT_ID]
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: Option<String>,

    /// File that holds the client secret [env: AUTHARMOR_CLIENT_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
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

    /// Seconds that a call may take
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

/// The content of a configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConfigFile {
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret_file: Option<PathBuf>,
    /// The name of a systemd credential, see `LoadCredential` of systemd.exec.
    pub(crate) client_secret_credential: Option<String>,
    pub(crate) api_url: Option<String>,
    pub(crate) login_url: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) api_version: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) proxy: Option<String>,
    pub(crate) timeout: Option<u64>,
    /// Settings of `autharmor approve`.
    pub(crate) approve: crate::approve::ApproveFile,
}

/// How much of its surroundings the program may believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The caller runs the program with its own rights: the environment counts.
    Caller,
    /// The program decides about somebody else. The environment is ignored, and
    /// each file must belong to root or to the program's own user.
    Nobody,
}

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Option(&'static str),
    Variable(&'static str),
    File(PathBuf),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(name) | Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
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
    pub(crate) token_file: Option<Setting<PathBuf>>,
    pub(crate) proxy: Option<Setting<Secret>>,
    pub(crate) timeout: Option<Setting<Duration>>,
    /// The configuration file that was read.
    pub(crate) file: Option<PathBuf>,
    pub(crate) approve: crate::approve::ApproveFile,
    trust: Trust,
}

impl Settings {
    /// Reads the settings: options come first, then the environment, then the
    /// configuration file.
    ///
    /// Fails with [`Failure::Config`], which names the setting or the file.
    pub(crate) fn load(args: &ConfigArgs, trust: Trust) -> Result<Self, Failure> {
        let (path, file) = read_file(args, trust)?;
        let layers = Layers {
            trust,
            path: path.clone(),
        };
        let client_secret = layers.secret(args, &file)?;
        let required = |name: &str| Failure::Config(format!("{name} is not set"));
        let api_version = match file.api_version.as_deref() {
            None => None,
            Some("v3") => layers.of_file(ApiVersion::V3),
            Some("v4") => layers.of_file(ApiVersion::V4),
            Some(_) => return Err(Failure::Config("api_version is neither v3 nor v4".into())),
        };
        Ok(Self {
            client_id: layers
                .text(
                    "--client-id",
                    args.client_id.clone(),
                    "AUTHARMOR_CLIENT_ID",
                    file.client_id,
                )?
                .ok_or_else(|| required("client_id"))?,
            client_secret,
            api_url: layers.text(
                "--api-url",
                args.api_url.clone(),
                "AUTHARMOR_API_URL",
                file.api_url,
            )?,
            login_url: layers.text(
                "--login-url",
                args.login_url.clone(),
                "AUTHARMOR_LOGIN_URL",
                file.login_url,
            )?,
            ca_file: layers.path(
                "--ca-file",
                args.ca_file.clone(),
                Some("AUTHARMOR_CA_FILE"),
                file.ca_file,
            ),
            api_version,
            token_file: layers.path(
                "--token-file",
                args.token_file.clone(),
                None,
                file.token_file,
            ),
            proxy: file
                .proxy
                .and_then(|proxy| layers.of_file(Secret::from(proxy))),
            timeout: match (args.timeout, file.timeout) {
                (Some(seconds), _) => Some(Setting {
                    value: Duration::from_secs(seconds),
                    source: Source::Option("--timeout"),
                }),
                (None, Some(seconds)) => layers.of_file(Duration::from_secs(seconds)),
                (None, None) => None,
            },
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

/// Finds and reads the configuration file.
fn read_file(args: &ConfigArgs, trust: Trust) -> Result<(Option<PathBuf>, ConfigFile), Failure> {
    let path = match &args.config {
        Some(path) => path.clone(),
        None => match default_files(trust).into_iter().find(|path| path.exists()) {
            Some(path) => path,
            None => return Ok((None, ConfigFile::default())),
        },
    };
    let text = files::read_trusted(&path, Readers::Everyone)?;
    let file = toml::from_str(&text)
        .map_err(|error| Failure::Config(format!("{}: {}", path.display(), error.message())))?;
    Ok((Some(path), file))
}

fn default_files(trust: Trust) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if trust == Trust::Caller {
        let folder = variable("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| Some(Path::new(&variable("HOME")?).join(".config")));
        files.extend(folder.map(|folder| folder.join("autharmor/config.toml")));
    }
    files.push(PathBuf::from(SYSTEM_FILE));
    files
}

/// Returns the value of a variable. An empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Decides between the places that a value can come from.
struct Layers {
    trust: Trust,
    /// The configuration file.
    path: Option<PathBuf>,
}

impl Layers {
    fn text(
        &self,
        option: &'static str,
        given: Option<String>,
        name: &'static str,
        in_file: Option<String>,
    ) -> Result<Option<Setting<String>>, Failure> {
        if let Some(value) = given {
            let source = Source::Option(option);
            return Ok(Some(Setting { value, source }));
        }
        if let Some(value) = self.variable(name) {
            let value = value
                .into_string()
                .map_err(|_| Failure::Config(format!("{name} is not UTF-8")))?;
            let source = Source::Variable(name);
            return Ok(Some(Setting { value, source }));
        }
        Ok(in_file.and_then(|value| self.of_file(value)))
    }

    fn path(
        &self,
        option: &'static str,
        given: Option<PathBuf>,
        name: Option<&'static str>,
        in_file: Option<PathBuf>,
    ) -> Option<Setting<PathBuf>> {
        if let Some(value) = given {
            let source = Source::Option(option);
            return Some(Setting { value, source });
        }
        if let Some((name, value)) = name.and_then(|name| Some((name, self.variable(name)?))) {
            let source = Source::Variable(name);
            return Some(Setting {
                value: value.into(),
                source,
            });
        }
        in_file.and_then(|value| self.of_file(value))
    }

    /// Finds the client secret: in a file, in the environment, or in a systemd
    /// credential.
    fn secret(&self, args: &ConfigArgs, file: &ConfigFile) -> Result<Setting<Secret>, Failure> {
        const VARIABLE: &str = "AUTHARMOR_CLIENT_SECRET";
        if args.client_secret_file.is_none() {
            if let Some(value) = self.variable(VARIABLE) {
                let value = value
                    .into_string()
                    .map_err(|_| Failure::Config(format!("{VARIABLE} is not UTF-8")))?;
                return Ok(Setting {
                    value: Secret::from(value),
                    source: Source::Variable(VARIABLE),
                });
            }
        }
        let credential = file.client_secret_credential.as_ref().and_then(|name| {
            // systemd sets the variable for the service; the folder is
            // readable by nobody else.
            Some(Path::new(&variable("CREDENTIALS_DIRECTORY")?).join(name))
        });
        let path = self
            .path(
                "--client-secret-file",
                args.client_secret_file.clone(),
                Some("AUTHARMOR_CLIENT_SECRET_FILE"),
                file.client_secret_file.clone().or(credential),
            )
            .ok_or_else(|| Failure::Config("the client secret is not set".into()))?;
        let text = files::read_trusted(&path.value, Readers::Owner)?;
        Ok(Setting {
            value: Secret::from(text.trim_end_matches(['\r', '\n'])),
            source: path.source,
        })
    }

    fn variable(&self, name: &str) -> Option<OsString> {
        match self.trust {
            Trust::Caller => variable(name),
            Trust::Nobody => None,
        }
    }

    fn of_file<T>(&self, value: T) -> Option<Setting<T>> {
        let source = Source::File(self.path.clone()?);
        Some(Setting { value, source })
    }
}
