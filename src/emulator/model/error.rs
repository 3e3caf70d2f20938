//! [`EmulatorError`].

use std::fmt;

use super::passkey::PasskeyError;

/// The reason why an action of the person's side failed, such as approving a
/// sign-in.
///
/// Its text holds no name, id or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmulatorError {
    /// There is no such user.
    UnknownUser,
    /// There is no such auth request.
    UnknownRequest,
    /// No sign-in became pending in time.
    NoRequest,
    /// There is no such registration.
    UnknownRegistration,
    /// No sign-in or registration has this QR code.
    UnknownCode,
    /// No mail has this magic link, or the link was used before.
    UnknownLink,
    /// The request, registration or link has ended: decided, timed out or
    /// revoked.
    Over,
    /// The request is for another user.
    WrongUser,
    /// The request is for no user in particular: name the user.
    NoUser,
    /// The method of the request or registration has no such action.
    WrongMethod,
    /// The user has no enabled credential of that method.
    NotEnrolled,
    /// The username or address is in use or malformed.
    BadUser,
    /// The passkey could not be made or used.
    Passkey(PasskeyError),
}

impl fmt::Display for EmulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUser => "emulator: no such user",
            Self::UnknownRequest => "emulator: no such auth request",
            Self::NoRequest => "emulator: no sign-in became pending in time",
            Self::UnknownRegistration => "emulator: no such registration",
            Self::UnknownCode => "emulator: no such QR code",
            Self::UnknownLink => "emulator: no such magic link, or it was used",
            Self::Over => "emulator: the request, registration or link has ended",
            Self::WrongUser => "emulator: the request is for another user",
            Self::NoUser => "emulator: the request is for no user; name one",
            Self::WrongMethod => "emulator: the method has no such action",
            Self::NotEnrolled => "emulator: the user has not enrolled this method",
            Self::BadUser => "emulator: the username or address is in use or malformed",
            Self::Passkey(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for EmulatorError {}

impl From<PasskeyError> for EmulatorError {
    fn from(error: PasskeyError) -> Self {
        Self::Passkey(error)
    }
}
