//! Sign-ins and registrations that wait for a person.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::emulator::model::{
    auth_request::{AuthRequest, Phase},
    state::State,
    user::Method,
};

/// A sign-in that waits for a person.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct PendingRequest {
    /// The id.
    pub auth_request_id: Uuid,
    /// The method, such as `AuthArmorAuthenticator`.
    pub auth_method: &'static str,
    /// The user, or whoever scanned the QR code.
    pub username: Option<String>,
    /// The action that the phone shows.
    pub action_name: Option<String>,
    /// The message that the phone shows.
    pub short_msg: Option<String>,
    /// The number to compare, if visual verification is used.
    pub visual_verify_value: Option<String>,
    /// The date of the time-out, in the service's format.
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

/// A registration that waits for a person.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct PendingRegistration {
    /// The id.
    pub registration_id: Uuid,
    /// The method, such as `AuthArmorAuthenticator`.
    pub auth_method: &'static str,
    /// The username, also if the user does not exist yet.
    pub username: String,
    /// The date of the time-out, in the service's format.
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

/// The sign-in or registration of a scanned QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scanned {
    /// A sign-in, which the phone now shows.
    SignIn {
        /// The request's id.
        auth_request_id: Uuid,
    },
    /// A registration, for which the phone has enrolled.
    Registration {
        /// The registration's id.
        registration_id: Uuid,
    },
}

impl State {
    /// The sign-ins that wait for a person, oldest first.
    pub(crate) fn pending_requests(&self) -> Vec<PendingRequest> {
        let waiting = self.waiting();
        waiting.map(|request| self.pending(request)).collect()
    }

    /// The oldest sign-in that waits for a phone.
    pub(crate) fn next_request(&self) -> Option<PendingRequest> {
        self.waiting()
            .find(|request| request.method == Method::Authenticator)
            .map(|request| self.pending(request))
    }

    /// A sign-in that waits for a person.
    pub(crate) fn pending_request(&self, id: Uuid) -> Option<PendingRequest> {
        let request = self.auth.get(&id)?;
        (request.phase(self.clock.now()) == Phase::Waiting).then(|| self.pending(request))
    }

    fn waiting(&self) -> impl Iterator<Item = &AuthRequest> {
        let now = self.clock.now();
        self.auth
            .iter()
            .filter(move |request| request.phase(now) == Phase::Waiting)
    }

    fn pending(&self, request: &AuthRequest) -> PendingRequest {
        let user = request.user.and_then(|id| self.user(&id));
        PendingRequest {
            auth_request_id: request.id,
            auth_method: request.method.name(),
            username: user.map(|user| user.username.clone()),
            action_name: request.action_name.clone(),
            short_msg: request.short_msg.clone(),
            visual_verify_value: request.visual_verify.clone(),
            timeout_utc_datetime: request.expires.iso(),
        }
    }

    /// The registrations that wait for a person, oldest first.
    pub(crate) fn pending_registrations(&self) -> Vec<PendingRegistration> {
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
}
