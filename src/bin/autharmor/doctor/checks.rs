//! Checks of the configuration and of files, and the list of all checks.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::time::Duration;
use std::time::SystemTime;

use autharmor::{ApiVersion, FileTokenStore, Secret, StoredToken};

use super::report::Finding;
#[cfg(unix)]
use super::sshd;
use super::{Doctor, network, service};
use crate::config::{Setting, Settings, Source, Trust};
use crate::failure::Failure;
use crate::link::{API_URL, LOGIN_URL, Place};

type Check = fn(&mut Doctor) -> Vec<Finding>;

/// The checks that follow [`configuration`], in their order.
pub(super) const CHECKS: [(&str, Check); 8] = [
    ("token store", token_store),
    ("proxy in use", network::proxy),
    ("name resolution", network::name_resolution),
    ("tls", network::tls),
    ("clock", network::clock),
    ("credentials", service::credentials),
    ("read", service::read),
    ("approve", approve),
];

/// The time that a person has for everything but the wait, such as typing a
/// password.
#[cfg(unix)]
const LOGIN_MARGIN: Duration = Duration::from_secs(20);

/// Reads the settings and shows where each comes from.
pub(super) fn configuration(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "configuration";
    let wrong = |failure: Failure| {
        let advice = "Correct it. `autharmor doctor --help` and the manual's chapter \
                      \"Configuration\" tell where a value may come from.";
        vec![Finding::fail(
            NAME,
            Failure::Config,
            failure.to_string(),
            advice,
        )]
    };
    let settings = match Settings::load(&doctor.options.config, Trust::Caller) {
        Ok(settings) => settings,
        Err(failure) => return wrong(failure),
    };
    let mut findings = vec![Finding::ok(
        NAME,
        match &settings.file {
            Some(file) => format!("read from {}", file.display()),
            None => "no file; options and environment only".to_owned(),
        },
    )];
    findings.extend(values(&settings));
    match settings.client() {
        Ok(_) => doctor.settings = Some(settings),
        Err(failure) => findings.extend(wrong(failure)),
    }
    findings
}

/// One line for each setting.
fn values(settings: &Settings) -> Vec<Finding> {
    fn show<T>(
        name: &'static str,
        setting: Option<&Setting<T>>,
        default: &str,
        shown: impl Fn(&T) -> String,
    ) -> Finding {
        Finding::ok(
            name,
            match setting {
                None => format!("{default} ({})", Source::Default),
                Some(Setting { value, source }) => {
                    format!("{} (from {})", shown(value), source)
                }
            },
        )
    }
    let url = |url: &String| Place::of(url).map_or("not a URL".into(), |place| place.url());
    let path = |path: &PathBuf| path.display().to_string();
    vec![
        show("client_id", Some(&settings.client_id), "", |_| "set".into()),
        show("client_secret", Some(&settings.client_secret), "", |_| {
            "set".into()
        }),
        show("api_url", settings.api_url.as_ref(), API_URL, url),
        show("login_url", settings.login_url.as_ref(), LOGIN_URL, url),
        show(
            "api_version",
            settings.api_version.as_ref(),
            ApiVersion::default().as_str(),
            |version| version.as_str().to_owned(),
        ),
        show(
            "username_in_query",
            settings.username_in_query.as_ref(),
            "false",
            ToString::to_string,
        ),
        show(
            "non_ascii_usernames",
            settings.non_ascii_usernames.as_ref(),
            "false",
            ToString::to_string,
        ),
        show(
            "registration_redirect_url",
            settings.registration_redirect_url.as_ref(),
            "none",
            url,
        ),
        show("ca_file", settings.ca_file.as_ref(), "bundled roots", path),
        show("token_file", settings.token_file.as_ref(), "none", path),
        show(
            "proxy",
            settings.proxy.as_ref(),
            "that of the environment",
            |_| "set".into(),
        ),
        show("timeout", settings.timeout.as_ref(), "30 s", |timeout| {
            format!("{} s", timeout.as_secs())
        }),
    ]
}

/// Checks whether the token file can be trusted and written.
fn token_store(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "token store";
    let setting = doctor.settings.as_ref().and_then(|s| s.token_file.as_ref());
    let Some(Setting { value: path, .. }) = setting else {
        return vec![Finding::ok(NAME, "none: each run fetches a token")];
    };
    vec![match stored_token(path) {
        Err(error) => Finding::fail(
            NAME,
            Failure::Config,
            error.to_string(),
            "Remove the file, or give it to this user with mode 0600. The token in it may be \
             known to others: rotate the client secret if they are not trusted.",
        ),
        Ok(Err(folder)) => Finding::fail(
            NAME,
            Failure::Config,
            folder,
            "Make the folder, writable for this user only, or change token_file.",
        ),
        Ok(Ok(None)) => Finding::ok(NAME, "empty: the next run fetches a token and keeps it"),
        Ok(Ok(Some(token))) => match token.expires_at().duration_since(SystemTime::now()) {
            Ok(left) => Finding::ok(NAME, format!("a token for {} more s", left.as_secs())),
            Err(_) => Finding::ok(NAME, "a token that has expired: the next run fetches one"),
        },
    }]
}

/// Reads the token file. The inner error says why a token cannot be kept.
fn stored_token(path: &Path) -> io::Result<Result<Option<StoredToken>, String>> {
    FileTokenStore::new(path).check()?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Ok(Err("its folder does not exist".to_owned()));
    }
    #[cfg(unix)]
    {
        use nix::unistd::{AccessFlags, access};
        if access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
            return Ok(Err("this user cannot write to its folder".to_owned()));
        }
    }
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ok(None)),
        text => Secret::from(String::from_utf8_lossy(&text?).into_owned()),
    };
    let content: serde_json::Value = serde_json::from_str(text.expose()).unwrap_or_default();
    Ok(Ok(StoredToken::decode(&content["token"].to_string())))
}

/// Checks the settings of `autharmor approve`, and whether sshd waits for it.
#[cfg(unix)]
fn approve(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "approve";
    let Some(settings) = &doctor.settings else {
        return Vec::new();
    };
    let file = &settings.approve;
    match file.check() {
        Err(failure) => vec![Finding::fail(
            NAME,
            Failure::Config,
            failure.to_string(),
            "Correct the table [approve] of the configuration file. `autharmor approve --check` \
             then checks a login.",
        )],
        Ok(deadline) => {
            let seen = format!(
                "deadline {} s, failmode {:?}, unenrolled {:?}",
                deadline.as_secs(),
                file.failmode,
                file.unenrolled
            );
            let settings = Finding::ok(NAME, seen.to_lowercase());
            vec![
                settings,
                login_grace_time(deadline, &doctor.options.sshd_config),
            ]
        }
    }
}

#[cfg(not(unix))]
fn approve(_: &mut Doctor) -> Vec<Finding> {
    vec![Finding::skipped(
        "approve",
        "there is no approve on this system",
    )]
}

/// Compares the deadline of `autharmor approve` with sshd's `LoginGraceTime`.
#[cfg(unix)]
fn login_grace_time(wait: Duration, file: &Path) -> Finding {
    const NAME: &str = "sshd";
    let grace = match sshd::login_grace_time(file) {
        Ok(Some(grace)) => grace,
        Ok(None) => return Finding::ok(NAME, "LoginGraceTime has no limit"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Finding::skipped(NAME, "sshd is not configured on this machine");
        }
        Err(error) => {
            let advice = "Run doctor as a user who can read the file, or name it with \
                          --sshd-config.";
            let seen = format!("{}: {error}", file.display());
            return Finding::warn(NAME, seen, advice);
        }
    };
    let seen = format!(
        "approve takes up to {} s, LoginGraceTime is {} s",
        wait.as_secs(),
        grace.as_secs()
    );
    let advice = "sshd ends a login after LoginGraceTime, password included. Raise it, or lower \
                  deadline in [approve].";
    if wait >= grace {
        Finding::fail(NAME, Failure::Config, seen, advice)
    } else if wait + LOGIN_MARGIN > grace {
        Finding::warn(NAME, seen, advice)
    } else {
        Finding::ok(NAME, seen)
    }
}
