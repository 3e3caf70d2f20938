//! The service's data: users, sign-ins, registrations, mails, tokens and the
//! clock. Nothing here knows HTTP.

pub(crate) mod access_token;
pub(crate) mod auth_request;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod decisions;
pub(crate) mod error;
pub(crate) mod ids;
mod kept;
pub(crate) mod mail;
pub(crate) mod passkey;
pub(crate) mod rate_limit;
pub(crate) mod registration;
pub(crate) mod signed_message;
pub(crate) mod state;
pub(crate) mod user;

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use self::{access_token::TokenKey, config::Config, state::State};
use super::sync::lock;

/// The state that all routes work on.
pub(crate) struct Model {
    pub(crate) config: Config,
    /// Scheme, address and port, without a slash at the end.
    pub(crate) base_url: String,
    pub(crate) token_key: TokenKey,
    state: Mutex<State>,
    /// Notified after each call of the API.
    changed: Condvar,
}

impl Model {
    pub(crate) fn new(config: Config, base_url: String, token_key: TokenKey, state: State) -> Self {
        Self {
            config,
            base_url,
            token_key,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Releases the state and waits for the next call of the API, at most for
    /// `time`.
    pub(crate) fn wait(&self, state: MutexGuard<'_, State>, time: Duration) {
        drop(
            self.changed
                .wait_timeout(state, time)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}
