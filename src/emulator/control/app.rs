//! [`App`]: the emulated service and everything that controls it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    faults::Faults,
    record::{Record, RecordedRequest},
    sender::OwnNames,
};
use crate::emulator::{
    model::{Model, auth_request::Decision, error::EmulatorError, state::State},
    person::{
        passkey::SoftwareAuthenticator,
        pending::{PendingRequest, Scanned},
    },
    sync::{Stop, lock},
};

/// Called with every request and the status of its response.
pub(crate) type Observer = Box<dyn Fn(&RecordedRequest, u16) + Send + Sync>;

/// Called with the reason why input was not a valid request.
pub(crate) type InvalidObserver = Box<dyn Fn(&str) + Send + Sync>;

/// Decides sign-ins on a phone.
pub(crate) type SignInHandler = Arc<dyn Fn(&PendingRequest) -> Decision + Send + Sync>;

pub(crate) struct App {
    pub(crate) model: Model,
    pub(crate) passkeys: Mutex<SoftwareAuthenticator>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) record: Mutex<Record>,
    pub(crate) observer: Option<Observer>,
    pub(crate) invalid_observer: Option<InvalidObserver>,
    pub(crate) own_names: OwnNames,
    /// The certificate authority in PEM; empty without TLS.
    pub(crate) ca_pem: String,
    pub(crate) sign_in_handler: Mutex<Option<SignInHandler>>,
}

impl App {
    /// The state, after the automatic decisions that are due.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.model.state();
        state.decide_due();
        state
    }

    /// The variables of `Client::from_env`.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 4] {
        let Model {
            config, base_url, ..
        } = &self.model;
        [
            ("AUTHARMOR_CLIENT_ID", &config.client_id),
            ("AUTHARMOR_CLIENT_SECRET", &config.client_secret),
            ("AUTHARMOR_API_URL", base_url),
            ("AUTHARMOR_LOGIN_URL", base_url),
        ]
    }

    /// Restores the state after the start: the same users, the same ids. Access
    /// tokens stay valid.
    pub(crate) fn reset(&self) -> Result<(), EmulatorError> {
        let mut state = self.model.state();
        let mut fresh = State::new(&self.model.config, state.phone.fresh())?;
        fresh.keep_tokens(&state);
        *state = fresh;
        drop(state);
        *lock(&self.passkeys) = SoftwareAuthenticator::new(self.model.config.seed.unwrap_or(0));
        *lock(&self.sign_in_handler) = None;
        lock(&self.faults).clear();
        lock(&self.record).clear();
        Ok(())
    }

    /// Waits until a sign-in is pending on a phone.
    pub(crate) fn wait_for_request(
        &self,
        timeout: Duration,
        stop: Option<&Stop>,
    ) -> Result<PendingRequest, EmulatorError> {
        // Looks again in between: the clock may be advanced, the emulator dropped.
        const SLICE: Duration = Duration::from_millis(50);
        let began = Instant::now();
        loop {
            let state = self.state();
            if let Some(request) = state.next_request() {
                return Ok(request);
            }
            let left = timeout.saturating_sub(began.elapsed());
            if left.is_zero() || stop.is_some_and(Stop::is_set) {
                return Err(EmulatorError::NoRequest);
            }
            self.model.wait(state, left.min(SLICE));
        }
    }

    /// Scans a QR code, whose sign-in the phone then shows.
    pub(crate) fn scan(
        &self,
        code: &str,
        username: Option<&str>,
    ) -> Result<Scanned, EmulatorError> {
        let scanned = self.state().scan(code, username)?;
        if let Scanned::SignIn { auth_request_id } = scanned {
            self.sign_in_shown(auth_request_id);
        }
        Ok(scanned)
    }

    /// Lets the handler decide a sign-in that a phone shows.
    pub(crate) fn sign_in_shown(&self, id: Uuid) {
        let Some(handler) = lock(&self.sign_in_handler).clone() else {
            return;
        };
        // No lock is held: the handler may use the emulator.
        let pending = self.state().pending_request(id);
        let Some(request) = pending.filter(|request| request.username.is_some()) else {
            return;
        };
        let approve = match handler(&request) {
            Decision::Approve => true,
            Decision::Decline => false,
            Decision::Ignore => return,
        };
        // An error means that the handler or a test has decided it already.
        let _ = self.state().decide(id, None, approve);
    }
}
