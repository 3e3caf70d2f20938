//! The phone: approves, declines, scans and enrols.

use uuid::Uuid;

use super::pending::Scanned;
use crate::emulator::model::{
    auth_request::{AuthRequest, Decision, Phase, Progress},
    clock::Stamp,
    decisions::enrolling_completes,
    error::EmulatorError,
    registration::{self, Registration},
    state::{State, link_code},
    user::Method,
};

type Result<T> = std::result::Result<T, EmulatorError>;

impl State {
    /// The request, if a phone can decide it at this time.
    fn open_request(&self, id: Uuid, at: Stamp) -> Result<&AuthRequest> {
        let request = self.auth.get(&id).ok_or(EmulatorError::UnknownRequest)?;
        if request.method != Method::Authenticator {
            return Err(EmulatorError::WrongMethod);
        }
        if request.phase(at) != Phase::Waiting {
            return Err(EmulatorError::Over);
        }
        Ok(request)
    }

    /// Assigns a request to the user whose phone shows it.
    fn assign(&mut self, id: Uuid, username: Option<&str>, at: Stamp) -> Result<Uuid> {
        let request = self.open_request(id, at)?;
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
            self.add_to_history(&user, id);
            if let Some(request) = self.auth.get_mut(&id) {
                request.user = Some(user);
            }
        }
        Ok(user)
    }

    /// Approves or declines a request on the phone of its user, or of
    /// `username`.
    pub(crate) fn decide(&mut self, id: Uuid, username: Option<&str>, approve: bool) -> Result<()> {
        let now = self.clock.now();
        self.decide_at(id, username, approve, now)
    }

    /// Makes the automatic decisions that are due.
    pub(crate) fn decide_due(&mut self) {
        while let Some((at, id, decision)) = self.next_due() {
            // An error means that the person was faster, or has no phone any more.
            let _ = self.decide_at(id, None, decision == Decision::Approve, at);
        }
    }

    fn decide_at(
        &mut self,
        id: Uuid,
        username: Option<&str>,
        approve: bool,
        now: Stamp,
    ) -> Result<()> {
        let user = self.assign(id, username, now)?;
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
        self.use_credential(id, device.id);
        Ok(())
    }

    /// Scans a QR code, given in full or by its last segment.
    pub(crate) fn scan(&mut self, code: &str, username: Option<&str>) -> Result<Scanned> {
        let matches = |shown: &Option<String>| {
            shown
                .as_deref()
                .is_some_and(|shown| shown == code || link_code(shown) == code)
        };
        // Newest first: those are scanned.
        let request = self
            .auth
            .iter()
            .rev()
            .find(|request| matches(&request.qr_code));
        if let Some(auth_request_id) = request.map(|request| request.id) {
            self.assign(auth_request_id, username, self.clock.now())?;
            self.schedule_decision(auth_request_id);
            return Ok(Scanned::SignIn { auth_request_id });
        }
        let registration_id = self
            .registrations
            .iter()
            .rev()
            .find(|registration| matches(&registration.qr_code))
            .map(|registration| registration.id)
            .ok_or(EmulatorError::UnknownCode)?;
        self.enrol_phone(registration_id)?;
        Ok(Scanned::Registration { registration_id })
    }

    /// The registration, if a phone can accept or decline it.
    fn open_registration(&mut self, id: Uuid) -> Result<&mut Registration> {
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

    /// Accepts a registration on the phone, which has not enrolled yet.
    pub(crate) fn accept_registration(&mut self, id: Uuid) -> Result<()> {
        self.open_registration(id)?.progress = registration::Progress::Accepted;
        Ok(())
    }

    /// Declines a registration on the phone.
    pub(crate) fn decline_registration(&mut self, id: Uuid) -> Result<()> {
        self.open_registration(id)?.progress = registration::Progress::Declined;
        Ok(())
    }

    /// Accepts a registration on the phone and enrols the phone. This completes
    /// a registration of v3.
    pub(crate) fn enrol_phone(&mut self, id: Uuid) -> Result<()> {
        let now = self.clock.now();
        let registration = self.open_registration(id)?;
        registration.progress = registration::Progress::Enrolled(now);
        if enrolling_completes(registration.version) {
            self.complete(id).ok_or(EmulatorError::BadUser)?;
        }
        Ok(())
    }
}
