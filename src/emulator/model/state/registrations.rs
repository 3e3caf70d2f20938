//! Registrations in the [`State`].

use uuid::Uuid;

use super::State;
use crate::emulator::model::{
    decisions::ONE_ADDRESS,
    registration::{Progress, Purpose},
    user::{Method, User},
};

impl State {
    /// Completes a registration: creates the user if necessary and adds the
    /// credential. Returns the credential's id, or `None` if another user has
    /// the name or address by now.
    pub(crate) fn complete(&mut self, id: Uuid) -> Option<Uuid> {
        let registration = self.registrations.get(&id)?;
        let (user, method) = (registration.user, registration.method);
        let (username, email) = (registration.username.clone(), registration.email.clone());
        let (purpose, resets) = (registration.purpose, registration.resets);
        let passkey = registration.passkey.clone();

        let taken = email
            .as_deref()
            .and_then(|email| self.address_owner(email))
            .is_some_and(|owner| owner.id != user);
        if taken {
            return None;
        }
        if purpose == Purpose::NewUser {
            let created = self.clock.now();
            if !self.insert_user(User::new(user, username, email.clone(), created)) {
                return None;
            }
        }
        if let Some(email) = &email {
            self.set_address(&user, email);
        }
        let stored = self.user_mut(&user)?;
        // An invite with `reset_and_reinvite` disables the phones so far.
        let replaces = (method == Method::Magiclink && ONE_ADDRESS) || resets;
        for credential in &mut stored.credentials {
            if credential.method == method && replaces {
                credential.enabled = false;
            }
        }
        let name = match method {
            Method::Authenticator => "Emulated Phone".to_owned(),
            Method::Webauthn => "Passkey".to_owned(),
            Method::Magiclink => email.unwrap_or_default(),
        };
        let credential = self.enrol(&user, method, &name, passkey)?;
        self.registrations.get_mut(&id)?.progress = Progress::Registered;
        Some(credential)
    }
}
