//! Users in the [`State`].

use uuid::Uuid;

use super::{Result, State};
use crate::emulator::model::{
    decisions::name_key,
    error::EmulatorError,
    ids::Kind,
    mail::is_address,
    user::{Credential, Method, NewUser, Passkey, User},
};

impl State {
    pub(crate) fn add_new_user(&mut self, new: &NewUser) -> Result<Uuid> {
        let malformed = new.username.is_empty()
            || new.username.chars().any(char::is_control)
            || new.email.as_deref().is_some_and(|email| !is_address(email));
        if malformed || self.name_is_taken(&new.username) {
            return Err(EmulatorError::BadUser);
        }
        if new
            .email
            .as_deref()
            .is_some_and(|email| self.address_owner(email).is_some())
        {
            return Err(EmulatorError::BadUser);
        }
        let id = self.ids.uuid(Kind::User);
        let (username, email) = (new.username.clone(), new.email.clone());
        self.insert_user(User::new(id, username, email, self.clock.now()));
        if new.authenticator {
            self.enrol(&id, Method::Authenticator, "Emulated Phone", None);
        }
        if let Some(email) = new.email.as_deref().filter(|_| new.magiclink) {
            self.enrol(&id, Method::Magiclink, email, None);
        }
        Ok(id)
    }

    pub(crate) fn user(&self, id: &Uuid) -> Option<&User> {
        self.users.get(id)
    }

    pub(crate) fn user_mut(&mut self, id: &Uuid) -> Option<&mut User> {
        self.users.get_mut(id)
    }

    pub(crate) fn user_by_name(&self, username: &str) -> Option<&User> {
        self.users.get(self.by_name.get(&name_key(username))?)
    }

    /// All users, oldest first.
    pub(crate) fn users(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.user_order.iter().filter_map(|id| self.users.get(id))
    }

    /// The ids of all users, oldest first.
    pub(crate) fn user_ids(&self) -> &[Uuid] {
        &self.user_order
    }

    /// Whether a user has this name or, as address, this text.
    pub(crate) fn name_is_taken(&self, username: &str) -> bool {
        self.address_owner(username).is_some()
    }

    /// The user who has this address, or else this name.
    pub(crate) fn address_owner(&self, address: &str) -> Option<&User> {
        let key = name_key(address);
        let owner = self.by_address.get(&key).or_else(|| self.by_name.get(&key));
        self.users.get(owner?)
    }

    /// The user who registered a passkey.
    pub(crate) fn passkey_owner(&self, credential_id: &str) -> Option<&User> {
        self.users.get(self.by_passkey.get(credential_id)?)
    }

    /// Sets a user's address.
    pub(crate) fn set_address(&mut self, id: &Uuid, address: &str) {
        let Some(user) = self.users.get_mut(id) else {
            return;
        };
        if let Some(before) = user.email.replace(address.to_owned()) {
            self.by_address.remove(&name_key(&before));
        }
        self.by_address.insert(name_key(address), *id);
    }

    /// Adds a user. Returns false if the name or id is in use.
    pub(crate) fn insert_user(&mut self, user: User) -> bool {
        if self.name_is_taken(&user.username) || self.users.contains_key(&user.id) {
            return false;
        }
        self.by_name.insert(name_key(&user.username), user.id);
        if let Some(address) = &user.email {
            self.by_address.insert(name_key(address), user.id);
        }
        self.user_order.push(user.id);
        self.users.insert(user.id, user);
        true
    }

    /// Renames a user. Returns false if another user has the name, or has it as
    /// address.
    pub(crate) fn rename_user(&mut self, id: &Uuid, username: &str) -> bool {
        let key = name_key(username);
        let owners = [self.by_name.get(&key), self.by_address.get(&key)];
        if owners.into_iter().flatten().any(|owner| owner != id) {
            return false;
        }
        let Some(user) = self.users.get_mut(id) else {
            return false;
        };
        self.by_name.remove(&name_key(&user.username));
        username.clone_into(&mut user.username);
        self.by_name.insert(key, *id);
        true
    }

    /// Adds a credential to a user.
    pub(crate) fn enrol(
        &mut self,
        user: &Uuid,
        method: Method,
        name: &str,
        passkey: Option<Passkey>,
    ) -> Option<Uuid> {
        let id = self.ids.uuid(Kind::Credential);
        let created = self.clock.now();
        let user = self.users.get_mut(user)?;
        if let Some(passkey) = &passkey {
            let credential_id = passkey.credential_id.clone();
            self.by_passkey.insert(credential_id, user.id);
        }
        user.credentials.push(Credential {
            id,
            method,
            name: name.to_owned(),
            created,
            enabled: true,
            passkey,
        });
        Some(id)
    }
}
