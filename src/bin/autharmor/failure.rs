//! [`Failure`]: why the program ends without success, and its exit status.

use std::fmt;
use std::process::ExitCode;

use autharmor::{Error, ErrorKind};

/// Why the program ends without success.
///
/// The exit statuses are part of the interface. Usage errors (2) are reported
/// by clap.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It did not work, or the login is not approved. Exit status 1.
    Failed(String),
    /// The command line does not make sense. Exit status 2.
    Usage(String),
    /// A setting is missing or wrong, or a file cannot be trusted. Exit
    /// status 3.
    Config(String),
    /// The service could not be asked. Exit status 4.
    Unreachable(String),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 3,
            Self::Unreachable(_) => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Config(text)
            | Self::Unreachable(text) => f.write_str(text),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let text = format!("{error:#}");
        match error.kind() {
            ErrorKind::Config => Self::Config(text),
            _ if error.is_transient() => Self::Unreachable(text),
            _ => Self::Failed(text),
        }
    }
}
