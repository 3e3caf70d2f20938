//! [`Failure`]: why the program ends without success, and its exit status.

use std::fmt;
use std::io;
use std::process::ExitCode;

use autharmor::{Error, ErrorKind};

/// Why the program ends without success.
///
/// The exit statuses are part of the interface. clap reports usage errors that
/// it finds itself, with the same status.
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
    /// The reader of standard output has gone, as in `autharmor … | head`. It
    /// has what it wanted: no message, exit status 0.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ClosedPipe => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 3,
            Self::Unreachable(_) => 4,
        })
    }

    /// The failure of a write to standard output.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Failed(format!("cannot write the output: {error}")),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Config(text)
            | Self::Unreachable(text) => f.write_str(text),
            Self::ClosedPipe => f.write_str("the reader of the output has gone"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // With the server's message, which is escaped.
        let text = format!("{error:#}");
        match error.kind() {
            ErrorKind::Config | ErrorKind::Auth => Self::Config(text),
            ErrorKind::InvalidInput => Self::Usage(text),
            ErrorKind::UsernameInUrl => Self::Usage(format!(
                "{text}\ngive the user's id, or set username_in_query in the configuration file"
            )),
            _ if error.is_transient() => Self::Unreachable(text),
            _ => Self::Failed(text),
        }
    }
}
