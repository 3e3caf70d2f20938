//! [`App`]: the emulated service and everything that controls it.

use std::sync::Mutex;

use super::{
    faults::Faults,
    record::{Record, RecordedRequest},
};
use crate::emulator::{
    model::{Model, error::EmulatorError, state::State},
    person::passkey::SoftwareAuthenticator,
    sync::lock,
};

/// Called with every request and the status of its response.
pub(crate) type Observer = Box<dyn Fn(&RecordedRequest, u16) + Send + Sync>;

pub(crate) struct App {
    pub(crate) model: Model,
    pub(crate) passkeys: Mutex<SoftwareAuthenticator>,
    pub(crate) faults: Mutex<Faults>,
    pub(crate) record: Mutex<Record>,
    pub(crate) observer: Option<Observer>,
}

impl App {
    /// Restores the state after the start: the same users, the same ids.
    pub(crate) fn reset(&self) -> Result<(), EmulatorError> {
        let mut state = self.model.state();
        let phone = state.phone.fresh();
        *state = State::new(&self.model.config, phone)?;
        drop(state);
        *lock(&self.passkeys) = SoftwareAuthenticator::new(self.model.config.seed);
        lock(&self.faults).clear();
        lock(&self.record).clear();
        Ok(())
    }
}
