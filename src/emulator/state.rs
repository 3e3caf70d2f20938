//! What the emulator knows: users, tokens, and everything in flight.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use uuid::Uuid;

use super::{
    EmulatorError,
    auth::AuthRequest,
    clock::{Clock, Stamp},
    config::Config,
    decisions::name_key,
    ids::{Ids, Kind},
    mail::{Link, Mail},
    registration::Registration,
    signed::PhoneKey,
};

/// How many auth requests, registrations, mails and tokens are kept before
/// the oldest are forgotten: an emulator that serves a million sign-ins must
/// not hold them all.
const KEPT: usize = 10_000;

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Authenticator,
    Magiclink,
    Webauthn,
}

impl Method {
    /// The name in `auth_methods`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Authenticator => "AuthArmorAuthenticator",
            Self::Magiclink => "Magiclink_Email",
            Self::Webauthn => "WebAuthN",
        }
    }

    pub(super) const fn id(self) -> i32 {
        match self {
            Self::Authenticator => 4,
            Self::Magiclink => 20,
            Self::Webauthn => 30,
        }
    }

    /// The name in `credential_type`.
    pub(super) const fn credential_type(self) -> &'static str {
        match self {
            Self::Authenticator => "autharmor_authenticator",
            Self::Magiclink => "magiclink_email",
            Self::Webauthn => "webauthn",
        }
    }
}

#[derive(Clone)]
pub(super) struct User {
    pub(super) id: Uuid,
    pub(super) username: String,
    pub(super) email: Option<String>,
    pub(super) created: Stamp,
    pub(super) credentials: Vec<Credential>,
    /// Auth requests about this user, oldest first.
    pub(super) history: VecDeque<Uuid>,
}

impl User {
    pub(super) fn credential(&self, method: Method) -> Option<&Credential> {
        self.credentials
            .iter()
            .find(|credential| credential.method == method && credential.enabled)
    }
}

#[derive(Clone)]
pub(super) struct Credential {
    pub(super) id: Uuid,
    pub(super) method: Method,
    pub(super) name: String,
    pub(super) created: Stamp,
    pub(super) enabled: bool,
    pub(super) passkey: Option<Passkey>,
}

/// The public half of a passkey, and how it was enrolled.
#[derive(Clone)]
pub(super) struct Passkey {
    pub(super) credential_id: String,
    pub(super) public_key: Vec<u8>,
    pub(super) counter: u32,
    pub(super) attestation: String,
    pub(super) client_data: String,
}

/// A map that remembers the order of insertion and forgets the oldest.
pub(super) struct Kept<T> {
    map: HashMap<Uuid, T>,
    order: VecDeque<Uuid>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<T> Kept<T> {
    /// Adds one and returns those that had to go for it.
    pub(super) fn insert(&mut self, id: Uuid, value: T) -> Option<T> {
        self.map.insert(id, value);
        self.order.push_back(id);
        if self.order.len() > KEPT {
            let oldest = self.order.pop_front()?;
            return self.map.remove(&oldest);
        }
        None
    }

    pub(super) fn get(&self, id: &Uuid) -> Option<&T> {
        self.map.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &Uuid) -> Option<&mut T> {
        self.map.get_mut(id)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order.iter().filter_map(|id| self.map.get(id))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.map.values_mut()
    }
}

pub(super) struct State {
    pub(super) ids: Ids,
    pub(super) clock: Clock,
    pub(super) project: Uuid,
    pub(super) phone: PhoneKey,
    users: HashMap<Uuid, User>,
    user_order: Vec<Uuid>,
    by_name: HashMap<String, Uuid>,
    by_address: HashMap<String, Uuid>,
    /// Whose a passkey is, by its credential id.
    by_passkey: HashMap<String, Uuid>,
    tokens: HashMap<String, Stamp>,
    token_order: VecDeque<String>,
    pub(super) auth: Kept<AuthRequest>,
    /// The credential that an auth request was sent to or approved with, by the
    /// request's id.
    used: HashMap<Uuid, Uuid>,
    pub(super) registrations: Kept<Registration>,
    pub(super) outbox: Kept<Mail>,
    pub(super) links: HashMap<String, Link>,
}

impl State {
    pub(super) fn new(config: &Config, phone: PhoneKey) -> Result<Self, EmulatorError> {
        let mut ids = Ids::new(config.seed);
        let mut state = Self {
            project: ids.uuid(Kind::Project),
            ids,
            clock: Clock::new(config.clock_start),
            phone,
            users: HashMap::new(),
            user_order: Vec::new(),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            by_passkey: HashMap::new(),
            tokens: HashMap::new(),
            token_order: VecDeque::new(),
            auth: Kept::default(),
            used: HashMap::new(),
            registrations: Kept::default(),
            outbox: Kept::default(),
            links: HashMap::new(),
        };
        for user in &config.users {
            state.add_new_user(user)?;
        }
        Ok(state)
    }

    // Users.

    pub(super) fn user(&self, id: &Uuid) -> Option<&User> {
        self.users.get(id)
    }

    pub(super) fn user_mut(&mut self, id: &Uuid) -> Option<&mut User> {
        self.users.get_mut(id)
    }

    pub(super) fn user_by_name(&self, username: &str) -> Option<&User> {
        self.users.get(self.by_name.get(&name_key(username))?)
    }

    /// All users, oldest first.
    pub(super) fn users(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.user_order.iter().filter_map(|id| self.users.get(id))
    }

    /// The ids of all users, oldest first.
    pub(super) fn user_ids(&self) -> &[Uuid] {
        &self.user_order
    }

    /// Whether somebody has this name, or an address that reads like it.
    pub(super) fn name_is_taken(&self, username: &str) -> bool {
        self.address_owner(username).is_some()
    }

    /// The user to whom an address belongs, as address or else as name.
    pub(super) fn address_owner(&self, address: &str) -> Option<&User> {
        let key = name_key(address);
        let owner = self.by_address.get(&key).or_else(|| self.by_name.get(&key));
        self.users.get(owner?)
    }

    /// The user who has enrolled a passkey.
    pub(super) fn passkey_owner(&self, credential_id: &str) -> Option<&User> {
        self.users.get(self.by_passkey.get(credential_id)?)
    }

    /// Gives a user a new address.
    pub(super) fn set_address(&mut self, id: &Uuid, address: &str) {
        let Some(user) = self.users.get_mut(id) else {
            return;
        };
        if let Some(before) = user.email.replace(address.to_owned()) {
            self.by_address.remove(&name_key(&before));
        }
        self.by_address.insert(name_key(address), *id);
    }

    pub(super) fn insert_user(&mut self, user: User) -> bool {
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

    /// False if another user has the name, or has it as address.
    pub(super) fn rename_user(&mut self, id: &Uuid, username: &str) -> bool {
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

    /// A credential for a user, newest last.
    pub(super) fn enrol(
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

    // Tokens.

    pub(super) fn issue_token(&mut self, lifetime: Duration) -> String {
        let now = self.clock.now();
        let token = self.ids.token(Kind::AccessToken);
        // In the shape of a JWT, but without a date, which would make two
        // runs differ.
        let token = format!("eyJhbGciOiJub25lIn0.{token}.emulator");
        self.tokens.insert(token.clone(), now.plus(lifetime));
        self.token_order.push_back(token.clone());
        if self.token_order.len() > KEPT {
            if let Some(oldest) = self.token_order.pop_front() {
                self.tokens.remove(&oldest);
            }
        }
        token
    }

    pub(super) fn token_is_valid(&self, token: &str) -> bool {
        self.tokens
            .get(token)
            .is_some_and(|expires| self.clock.now() < *expires)
    }

    pub(super) fn revoke_token(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    pub(super) fn revoke_all_tokens(&mut self) {
        self.tokens.clear();
        self.token_order.clear();
    }

    // Auth requests.

    pub(super) fn insert_auth(&mut self, request: AuthRequest) {
        if let Some(id) = request.user {
            self.remember(&id, request.id);
        }
        let Some(gone) = self.auth.insert(request.id, request) else {
            return;
        };
        self.used.remove(&gone.id);
        if let Some(user) = gone.user.and_then(|id| self.users.get_mut(&id)) {
            let at = user.history.iter().position(|id| *id == gone.id);
            at.and_then(|at| user.history.remove(at));
        }
    }

    /// Says with which credential an auth request is answered.
    pub(super) fn answered_with(&mut self, request: Uuid, credential: Uuid) {
        self.used.insert(request, credential);
    }

    /// Whether the credential of an auth request was disabled in the meantime.
    pub(super) fn credential_is_disabled(&self, request: &AuthRequest) -> bool {
        let Some(used) = self.used.get(&request.id) else {
            return false;
        };
        let owner = request.user.and_then(|id| self.users.get(&id));
        !owner.is_some_and(|owner| {
            owner
                .credentials
                .iter()
                .any(|credential| credential.id == *used && credential.enabled)
        })
    }

    /// Adds an auth request to a user's history.
    pub(super) fn remember(&mut self, user: &Uuid, request: Uuid) {
        if let Some(user) = self.users.get_mut(user) {
            user.history.push_back(request);
        }
    }
}
