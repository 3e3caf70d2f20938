//! Users and their credentials.

use std::{collections::VecDeque, fmt};

use uuid::Uuid;

use super::{clock::Stamp, mail::is_address};

/// A method of signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Method {
    Authenticator,
    Magiclink,
    Webauthn,
}

impl Method {
    pub(crate) const ALL: [Self; 3] = [Self::Authenticator, Self::Magiclink, Self::Webauthn];

    /// The name in `auth_methods`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authenticator => "AuthArmorAuthenticator",
            Self::Magiclink => "Magiclink_Email",
            Self::Webauthn => "WebAuthN",
        }
    }

    pub(crate) const fn id(self) -> i32 {
        match self {
            Self::Authenticator => 4,
            Self::Magiclink => 20,
            Self::Webauthn => 30,
        }
    }

    /// The name in `credential_type`.
    pub(crate) const fn credential_type(self) -> &'static str {
        match self {
            Self::Authenticator => "autharmor_authenticator",
            Self::Magiclink => "magiclink_email",
            Self::Webauthn => "webauthn",
        }
    }
}

#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) created: Stamp,
    pub(crate) credentials: Vec<Credential>,
    /// Auth requests of this user, oldest first.
    pub(crate) history: VecDeque<Uuid>,
}

impl User {
    /// A user without credentials.
    pub(crate) fn new(id: Uuid, username: String, email: Option<String>, created: Stamp) -> Self {
        Self {
            id,
            username,
            email,
            created,
            credentials: Vec::new(),
            history: VecDeque::new(),
        }
    }

    /// The enabled credential of a method.
    pub(crate) fn credential(&self, method: Method) -> Option<&Credential> {
        self.credentials
            .iter()
            .find(|credential| credential.method == method && credential.enabled)
    }

    /// The passkeys that are enabled.
    pub(crate) fn passkeys(&self) -> impl Iterator<Item = &Passkey> {
        self.credentials
            .iter()
            .filter(|credential| credential.enabled)
            .filter_map(|credential| credential.passkey.as_ref())
    }
}

#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) id: Uuid,
    pub(crate) method: Method,
    pub(crate) name: String,
    pub(crate) created: Stamp,
    pub(crate) enabled: bool,
    pub(crate) passkey: Option<Passkey>,
}

/// The service's part of a passkey, and how it was registered.
#[derive(Clone)]
pub(crate) struct Passkey {
    pub(crate) credential_id: String,
    pub(crate) public_key: Vec<u8>,
    pub(crate) counter: u32,
    /// `user_verification_requirement_type` of the registration.
    pub(crate) verification: String,
    pub(crate) attestation: String,
    pub(crate) client_data: String,
}

/// A user to add to an [`Emulator`](crate::emulator::Emulator).
///
/// A plain name makes a user with a phone; if the name is an e-mail address,
/// the user can also sign in by magic link.
#[derive(Clone)]
pub struct NewUser {
    pub(crate) username: String,
    pub(crate) email: Option<String>,
    pub(crate) authenticator: bool,
    pub(crate) magiclink: bool,
}

impl NewUser {
    /// Creates a user with this name and an enrolled phone. If the name is an e-mail
    /// address, it is the user's address and enrolled for magic links.
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

    /// Sets the user's e-mail address and enrols it for magic links.
    #[must_use]
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.email = Some(address.into());
        self.magiclink = true;
        self
    }

    /// Removes phone and magic link: the user has to enrol first.
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
