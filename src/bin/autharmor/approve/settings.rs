//! [`ApproveFile`]: the table `approve` of the configuration file.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;

/// The table `approve` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(not(unix), allow(dead_code))]
pub(crate) struct ApproveFile {
    pub(crate) failmode: Failmode,
    pub(crate) unenrolled: Unenrolled,
    /// The time for everything, in seconds.
    pub(crate) deadline: Option<u64>,
    /// The template that makes an Auth Armor user of a login name.
    pub(crate) user: Option<String>,
    /// A file with a login name and an Auth Armor user in each line.
    pub(crate) users_file: Option<PathBuf>,
    /// The login names that are let in without being asked.
    pub(crate) exempt_users: Vec<String>,
    /// The groups whose members are let in without being asked.
    pub(crate) exempt_groups: Vec<String>,
    /// The template of the title on the phone.
    pub(crate) action: Option<String>,
    /// The template of the message on the phone.
    pub(crate) message: Option<String>,
    /// Whether the person has to find a number in the app.
    pub(crate) visual_verify: bool,
    pub(crate) log: Option<LogTo>,
    /// The program that `--exec` runs for `internal-sftp`.
    pub(crate) sftp_server: Option<PathBuf>,
}

/// The decision if the service cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Failmode {
    /// Nobody is let in.
    #[default]
    Secure,
    /// Everybody is let in.
    Safe,
}

/// The decision about users who do not have the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unenrolled {
    /// They are refused.
    #[default]
    Deny,
    /// They are let in.
    Allow,
    /// They scan a QR code with the app, and then approve.
    Enrol,
}

/// The destination of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogTo {
    /// The facility authpriv of syslog.
    Syslog,
    /// Standard error.
    Stderr,
}
