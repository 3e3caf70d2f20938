//! What the person's side is asked and told.

use std::fmt;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{mail::is_address, passkey::PasskeyError};

/// Why the person could not do something.
///
/// Its text holds no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmulatorError {
    /// There is no such user.
    UnknownUser,
    /// There is no such auth request.
    UnknownRequest,
    /// There is no such registration.
    UnknownRegistration,
    /// No such code was shown.
    UnknownCode,
    /// No such link was sent, or it was used before.
    UnknownLink,
    /// The request, registration or link is over: answered, timed out or
    /// withdrawn.
    Over,
    /// The request was made for another user.
    WrongUser,
    /// The request was made for nobody in particular; say whose phone it is.
    NoUser,
    /// The request is not one that is answered this way.
    WrongMethod,
    /// The user has no enabled credential of that method.
    NotEnrolled,
    /// The username, or the address, is in use or cannot be one.
    BadUser,
    /// The authenticator refused.
    Passkey(PasskeyError),
}

impl fmt::Display for EmulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownUser => "emulator: no such user",
            Self::UnknownRequest => "emulator: no such auth request",
            Self::UnknownRegistration => "emulator: no such registration",
            Self::UnknownCode => "emulator: no such code was shown",
            Self::UnknownLink => "emulator: no such link is waiting",
            Self::Over => "emulator: it is over",
            Self::WrongUser => "emulator: it is for another user",
            Self::NoUser => "emulator: nobody was named",
            Self::WrongMethod => "emulator: it is not answered this way",
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

/// A user to start with.
///
/// From a plain name comes a user who has a phone and, if the name is an
/// address, can sign in by mail.
#[derive(Clone)]
pub struct NewUser {
    pub(super) username: String,
    pub(super) email: Option<String>,
    pub(super) authenticator: bool,
    pub(super) magiclink: bool,
}

impl NewUser {
    /// A user with this name and an enrolled phone; if the name is an address,
    /// it is the user's and enrolled, too.
    #[must_use]
    pub fn new(username: impl Into<String>) -> Self {
        let username = username.into();
        let email = is_address(&username).then(|| username.clone());
        Self {
            magiclink: email.is_some(),
            username,
            email,
            authenticator: true,
        }
    }

    /// Gives the user this address, enrolled for magic links.
    #[must_use]
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.email = Some(address.into());
        self.magiclink = true;
        self
    }

    /// Takes away phone and magic link: a user who has to enrol first.
    #[must_use]
    pub fn without_methods(mut self) -> Self {
        self.authenticator = false;
        self.magiclink = false;
        self
    }
}

impl From<&str> for NewUser {
    fn from(username: &str) -> Self {
        Self::new(username)
    }
}

impl From<String> for NewUser {
    fn from(username: String) -> Self {
        Self::new(username)
    }
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("authenticator", &self.authenticator)
            .field("magiclink", &self.magiclink)
            .finish_non_exhaustive()
    }
}

/// A sign-in that waits for a person.
#[derive(Clone)]
#[non_exhaustive]
pub struct PendingRequest {
    /// Its id.
    pub auth_request_id: Uuid,
    /// How it is to be answered, such as `AuthArmorAuthenticator`.
    pub auth_method: &'static str,
    /// Whom it is for, or who has scanned its code.
    pub username: Option<String>,
    /// The action that the phone shows.
    pub action_name: Option<String>,
    /// The message that the phone shows.
    pub short_msg: Option<String>,
    /// The number to compare, if there is one.
    pub visual_verify_value: Option<String>,
    /// Until when it can be answered, as the service writes dates.
    pub timeout_utc_datetime: String,
}

impl fmt::Debug for PendingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRequest")
            .field("auth_request_id", &self.auth_request_id)
            .field("auth_method", &self.auth_method)
            .finish_non_exhaustive()
    }
}

impl PendingRequest {
    pub(super) fn json(&self) -> Value {
        json!({
            "auth_request_id": self.auth_request_id,
            "auth_method": self.auth_method,
            "username": self.username,
            "action_name": self.action_name,
            "short_msg": self.short_msg,
            "visual_verify_value": self.visual_verify_value,
            "timeout_utc_datetime": self.timeout_utc_datetime,
        })
    }
}

/// A registration that waits for a person.
#[derive(Clone)]
#[non_exhaustive]
pub struct PendingRegistration {
    /// Its id.
    pub registration_id: Uuid,
    /// What is being enrolled, such as `AuthArmorAuthenticator`.
    pub auth_method: &'static str,
    /// The name of the user, also if it does not exist yet.
    pub username: String,
    /// Until when it can be answered, as the service writes dates.
    pub date_expires: String,
}

impl fmt::Debug for PendingRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingRegistration")
            .field("registration_id", &self.registration_id)
            .field("auth_method", &self.auth_method)
            .finish_non_exhaustive()
    }
}

impl PendingRegistration {
    pub(super) fn json(&self) -> Value {
        json!({
            "registration_id": self.registration_id,
            "auth_method": self.auth_method,
            "username": self.username,
            "date_expires": self.date_expires,
        })
    }
}

/// What a scanned code turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scanned {
    /// A sign-in, which is now on the phone, to be approved or declined.
    SignIn {
        /// The request's id.
        auth_request_id: Uuid,
    },
    /// A registration, which is done as far as the person is concerned.
    Registration {
        /// The registration's id.
        registration_id: Uuid,
    },
}
