//! [`ConfigFile`]: finds and reads the configuration file.

use std::path::{Path, PathBuf};

use autharmor::Secret;
use serde::Deserialize;

use super::layers::Layers;
use crate::approve::ApproveFile;
use crate::failure::Failure;
use crate::files::{self, Readers};

/// The configuration of the whole machine.
const SYSTEM_FILE: &str = "/etc/autharmor/config.toml";

/// The content of a configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConfigFile {
    pub(super) client_id: Option<String>,
    pub(super) client_secret_file: Option<PathBuf>,
    /// The name of a systemd credential, see `LoadCredential` of systemd.exec.
    pub(super) client_secret_credential: Option<String>,
    pub(super) api_url: Option<String>,
    pub(super) login_url: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) api_version: Option<String>,
    pub(super) username_in_query: Option<bool>,
    pub(super) non_ascii_usernames: Option<bool>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) proxy: Option<Secret>,
    pub(super) timeout: Option<u64>,
    /// The page that the magic link of `autharmor invite` leads to.
    pub(super) registration_redirect_url: Option<String>,
    /// Settings of `autharmor approve`.
    pub(super) approve: ApproveFile,
}

impl ConfigFile {
    /// Reads this file, or the first one that exists. Returns its path as well;
    /// without any file, an empty configuration.
    pub(super) fn read(
        path: Option<&Path>,
        layers: &Layers<'_>,
    ) -> Result<(Option<PathBuf>, Self), Failure> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => match places(layers).into_iter().find(|path| path.exists()) {
                Some(path) => path,
                None => return Ok((None, Self::default())),
            },
        };
        let text = files::read_trusted(&path, Readers::Everyone)?;
        let mut file: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            // The message has names and types, and nothing else of the file.
            let path = path.display();
            Failure::Config(format!("{path}, line {line}: {}", error.message()))
        })?;
        // The caller may have chosen the current folder.
        if let Some(folder) = path.parent() {
            for path in [
                &mut file.client_secret_file,
                &mut file.ca_file,
                &mut file.token_file,
                &mut file.approve.users_file,
                &mut file.approve.sftp_server,
            ] {
                *path = path.take().map(|path| folder.join(path));
            }
        }
        Ok((Some(path), file))
    }
}

/// Returns where a configuration file is looked for.
fn places(layers: &Layers<'_>) -> Vec<PathBuf> {
    let own = layers
        .variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| Some(Path::new(&layers.variable("HOME")?).join(".config")));
    own.map(|folder| folder.join("autharmor/config.toml"))
        .into_iter()
        .chain([PathBuf::from(SYSTEM_FILE)])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::layers::Trust;

    fn places_with(trust: Trust, xdg: &str, home: &str) -> Vec<PathBuf> {
        let variables = |name: &str| {
            let value = match name {
                "XDG_CONFIG_HOME" => xdg,
                "HOME" => home,
                _ => "",
            };
            Some(OsString::from(value))
        };
        let layers = Layers {
            trust,
            file: None,
            variables: &variables,
        };
        places(&layers)
    }

    #[test]
    fn the_users_file_comes_before_that_of_the_machine() {
        let system = Path::new("/etc/autharmor/config.toml");
        let in_xdg = if cfg!(windows) { "C:/x" } else { "/x" };
        let (home, in_home) = ("/home/ada", "/home/ada/.config");
        for (xdg, own) in [
            (in_xdg, in_xdg),
            ("", in_home),
            // The specification of this variable wants an absolute path.
            ("x", in_home),
        ] {
            let own = Path::new(own).join("autharmor/config.toml");
            assert_eq!(
                places_with(Trust::Caller, xdg, home),
                [own.as_path(), system]
            );
            assert_eq!(places_with(Trust::Nobody, xdg, home), [system]);
        }
        assert_eq!(places_with(Trust::Caller, "", ""), [system]);
    }
}
