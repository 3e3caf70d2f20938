//! The person's side: the phone, the inbox and the browser.

use std::collections::VecDeque;

use uuid::Uuid;

use super::{
    auth::{AuthRequest, Phase, Progress},
    decisions::{LINK_WORKS_ONCE, ONE_ADDRESS, enrolling_completes},
    ids::Kind,
    mail::{Link, LinkPurpose, Mail, MailKind, is_address, with_query},
    pending::{EmulatorError, NewUser, PendingRegistration, PendingRequest, Scanned},
    registration::{self, Registration},
    routes::Version,
    state::{Method, State, User},
};

type Result<T> = std::result::Result<T, EmulatorError>;

/// A mail before it is sent.
pub(super) struct Draft<'a> {
    pub(super) kind: MailKind,
    pub(super) purpose: LinkPurpose,
    pub(super) to: &'a str,
    pub(super) subject: String,
    pub(super) short_msg: Option<String>,
    pub(super) redirect: &'a str,
}

pub(super) fn send_mail(state: &mut State, base_url: &str, draft: Draft<'_>) {
    let code = state.ids.token(Kind::Link);
    let id = state.ids.uuid(Kind::Link);
    let now = state.clock.now();
    let mail = Mail {
        id,
        to: draft.to.to_owned(),
        subject: draft.subject,
        short_msg: draft.short_msg,
        link: format!("{base_url}/_emulator/link/{code}"),
        kind: draft.kind,
        date: now.iso(),
    };
    if let Some(gone) = state.outbox.insert(id, mail) {
        state.links.remove(link_code(&gone.link));
    }
    state.links.insert(
        code,
        Link {
            redirect: draft.redirect.to_owned(),
            purpose: draft.purpose,
        },
    );
}

/// The last segment of a link or code, which is what identifies it.
fn link_code(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or_default()
}

impl State {
    pub(super) fn add_new_user(&mut self, new: &NewUser) -> Result<Uuid> {
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
        self.insert_user(User {
            id,
            username: new.username.clone(),
            email: new.email.clone(),
            created: self.clock.now(),
            credentials: Vec::new(),
            history: VecDeque::new(),
        });
        if new.authenticator {
            self.enrol(&id, Method::Authenticator, "Emulated Phone", None);
        }
        if let Some(email) = new.email.as_deref().filter(|_| new.magiclink) {
            self.enrol(&id, Method::Magiclink, email, None);
        }
        Ok(id)
    }

    pub(super) fn pending_requests(&self) -> Vec<PendingRequest> {
        let now = self.clock.now();
        self.auth
            .iter()
            .filter(|request| request.phase(now) == Phase::Waiting)
            .map(|request| PendingRequest {
                auth_request_id: request.id,
                auth_method: request.method.name(),
                username: request
                    .user
                    .and_then(|id| self.user(&id))
                    .map(|user| user.username.clone()),
                action_name: request.action_name.clone(),
                short_msg: request.short_msg.clone(),
                visual_verify_value: request.visual_verify.clone(),
                timeout_utc_datetime: request.expires.iso(),
            })
            .collect()
    }

    pub(super) fn pending_registrations(&self) -> Vec<PendingRegistration> {
        let now = self.clock.now();
        self.registrations
            .iter()
            .filter(|registration| registration.is_open(now))
            .map(|registration| PendingRegistration {
                registration_id: registration.id,
                auth_method: registration.method.name(),
                username: registration.username.clone(),
                date_expires: registration.expires.iso(),
            })
            .collect()
    }

    /// The request that a phone is about to answer.
    fn on_the_phone(&self, id: Uuid) -> Result<&AuthRequest> {
        let request = self.auth.get(&id).ok_or(EmulatorError::UnknownRequest)?;
        if request.method != Method::Authenticator {
            return Err(EmulatorError::WrongMethod);
        }
        if request.phase(self.clock.now()) != Phase::Waiting {
            return Err(EmulatorError::Over);
        }
        Ok(request)
    }

    /// Binds a request to the user whose phone it is on.
    fn claim(&mut self, id: Uuid, username: Option<&str>) -> Result<Uuid> {
        let request = self.on_the_phone(id)?;
        let named = match username {
            Some(name) => Some(
                self.user_by_name(name)
                    .ok_or(EmulatorError::UnknownUser)?
                    .id,
            ),
            None => None,
        };
        let user = match (request.user, named) {
            (None, None) => return Err(EmulatorError::NoUser),
            (Some(user), Some(named)) if user != named && request.targeted => {
                return Err(EmulatorError::WrongUser);
            }
            (_, Some(named)) => named,
            (Some(user), None) => user,
        };
        let phone = self.user(&user).ok_or(EmulatorError::UnknownUser)?;
        if phone.credential(Method::Authenticator).is_none() {
            return Err(EmulatorError::NotEnrolled);
        }
        let before = request.user;
        if before != Some(user) {
            if let Some(before) = before.and_then(|before| self.user_mut(&before)) {
                before.history.retain(|have| *have != id);
            }
            self.remember(&user, id);
            if let Some(request) = self.auth.get_mut(&id) {
                request.user = Some(user);
            }
        }
        Ok(user)
    }

    /// Approves or declines a request on the phone of the user it is for, or
    /// of the one named.
    pub(super) fn decide(&mut self, id: Uuid, username: Option<&str>, approve: bool) -> Result<()> {
        let user = self.claim(id, username)?;
        let now = self.clock.now();
        let device = self
            .user(&user)
            .and_then(|user| user.credential(Method::Authenticator))
            .cloned()
            .ok_or(EmulatorError::NotEnrolled)?;
        let project = self.project;
        let request = self
            .auth
            .get_mut(&id)
            .ok_or(EmulatorError::UnknownRequest)?;
        request.progress = if approve {
            Progress::Approved(now)
        } else {
            Progress::Declined(now)
        };
        request.signed = Some(self.phone.sign(request, user, project, &device, now));
        self.answered_with(id, device.id);
        Ok(())
    }

    pub(super) fn scan(&mut self, code: &str, username: Option<&str>) -> Result<Scanned> {
        let is_it = |shown: &Option<String>| {
            shown
                .as_deref()
                .is_some_and(|shown| shown == code || link_code(shown) == code)
        };
        // The newest are the ones that are being scanned.
        let request = self
            .auth
            .iter()
            .rev()
            .find(|request| is_it(&request.qr_code));
        if let Some(auth_request_id) = request.map(|request| request.id) {
            self.claim(auth_request_id, username)?;
            return Ok(Scanned::SignIn { auth_request_id });
        }
        let registration_id = self
            .registrations
            .iter()
            .rev()
            .find(|registration| is_it(&registration.qr_code))
            .map(|registration| registration.id)
            .ok_or(EmulatorError::UnknownCode)?;
        self.enrol_phone(registration_id)?;
        Ok(Scanned::Registration { registration_id })
    }

    fn phone_registration(&mut self, id: Uuid) -> Result<&mut Registration> {
        let now = self.clock.now();
        let registration = self
            .registrations
            .get_mut(&id)
            .ok_or(EmulatorError::UnknownRegistration)?;
        if registration.method != Method::Authenticator {
            return Err(EmulatorError::WrongMethod);
        }
        if !registration.is_open(now) {
            return Err(EmulatorError::Over);
        }
        Ok(registration)
    }

    /// The phone accepts and begins to enrol.
    pub(super) fn accept_registration(&mut self, id: Uuid) -> Result<()> {
        self.phone_registration(id)?.progress = registration::Progress::Accepted;
        Ok(())
    }

    pub(super) fn decline_registration(&mut self, id: Uuid) -> Result<()> {
        self.phone_registration(id)?.progress = registration::Progress::Declined;
        Ok(())
    }

    /// The phone accepts and enrols. Under v3 that is all there is to it.
    pub(super) fn enrol_phone(&mut self, id: Uuid) -> Result<()> {
        let now = self.clock.now();
        let registration = self.phone_registration(id)?;
        registration.progress = registration::Progress::Enrolled(now);
        if enrolling_completes(registration.version) {
            self.complete(id).ok_or(EmulatorError::BadUser)?;
        }
        Ok(())
    }

    /// Makes a registration come true: the user exists and has the method.
    /// Gives the new credential's id, or nothing if the name or address was
    /// taken in the meantime.
    pub(super) fn complete(&mut self, id: Uuid) -> Option<Uuid> {
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
        if purpose == registration::Purpose::NewUser {
            let created = self.clock.now();
            let inserted = self.insert_user(User {
                id: user,
                username,
                email: email.clone(),
                created,
                credentials: Vec::new(),
                history: VecDeque::new(),
            });
            if !inserted {
                return None;
            }
        }
        if let Some(email) = &email {
            self.set_address(&user, email);
        }
        let stored = self.user_mut(&user)?;
        // An invitation that resets clears the phones there were.
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
        self.registrations.get_mut(&id)?.progress = registration::Progress::Registered;
        Some(credential)
    }

    /// Clicks a link, given in full or by its code; gives the URL on which
    /// the browser lands.
    pub(super) fn click(&mut self, link: &str) -> Result<String> {
        let code = link_code(link);
        let link = self
            .links
            .get(code)
            .cloned()
            .ok_or(EmulatorError::UnknownLink)?;
        let now = self.clock.now();
        let landing = match link.purpose {
            LinkPurpose::SignIn(id) => {
                let request = self.auth.get(&id).ok_or(EmulatorError::UnknownRequest)?;
                if request.phase(now) != Phase::Waiting {
                    return Err(EmulatorError::Over);
                }
                if self.credential_is_disabled(request) {
                    return Err(EmulatorError::NotEnrolled);
                }
                let request = self
                    .auth
                    .get_mut(&id)
                    .ok_or(EmulatorError::UnknownRequest)?;
                request.progress = Progress::Approved(now);
                with_query(
                    &link.redirect,
                    &[
                        ("auth_validation_token", &request.token),
                        ("auth_request_id", &id.to_string()),
                    ],
                )
            }
            LinkPurpose::Registration(id) => {
                let registration = self
                    .registrations
                    .get_mut(&id)
                    .ok_or(EmulatorError::UnknownRegistration)?;
                if !registration.is_open(now) {
                    return Err(EmulatorError::Over);
                }
                registration.progress = registration::Progress::Enrolled(now);
                let id = id.to_string();
                let mut pairs =
                    vec![("registration_validation_token", registration.token.as_str())];
                if registration.version == Version::V4 {
                    pairs.push(("registration_id", &id));
                }
                with_query(&link.redirect, &pairs)
            }
        };
        if LINK_WORKS_ONCE {
            self.links.remove(code);
        }
        Ok(landing)
    }
}
