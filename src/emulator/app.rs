//! The emulated service: from a request to what goes back.

use std::{fmt, sync::Mutex};

use super::{
    api,
    config::Config,
    control,
    faults::{Damage, Faults},
    http::{Message, Reply},
    passkey::SoftwareAuthenticator,
    pending::EmulatorError,
    record::{Record, RecordedRequest},
    routes::Route,
    server::{Outcome, Service, Stop, lock},
    state::State,
};

pub(super) struct App {
    pub(super) config: Config,
    pub(super) state: Mutex<State>,
    pub(super) faults: Mutex<Faults>,
    pub(super) record: Mutex<Record>,
    /// The person's passkeys; the other half of the state.
    pub(super) passkeys: Mutex<SoftwareAuthenticator>,
    pub(super) base_url: String,
    pub(super) ca_pem: String,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Back to the beginning: the same users, the same ids again.
    pub(super) fn reset(&self) -> Result<(), EmulatorError> {
        let phone = lock(&self.state).phone.fresh();
        let state = State::new(&self.config, phone)?;
        *lock(&self.state) = state;
        *lock(&self.passkeys) = SoftwareAuthenticator::new(self.config.seed);
        lock(&self.faults).clear();
        lock(&self.record).clear();
        Ok(())
    }

    fn serve(&self, message: Message, stop: &Stop) -> Outcome {
        let route = Route::of(&message.method, message.path());
        if route == Route::Control {
            return Outcome::Answer(control::answer(self, &message));
        }
        let request = RecordedRequest::new(message, route.name());
        // Before anything slow, so that a test can see a request that hangs.
        lock(&self.record).push(request.clone(), self.config.kept_requests);
        let plan = match route.name() {
            Some(name) => lock(&self.faults).plan(name),
            None => None,
        };
        let Some(plan) = plan else {
            let reply = api::answer(self, &request, &route);
            self.observe(&request, reply.status);
            return Outcome::Answer(reply);
        };
        for latency in &plan.latencies {
            stop.sleep(*latency);
        }
        let spoilt = api::bearer(request.message()).filter(|_| plan.expires_token);
        if let Some(token) = spoilt {
            lock(&self.state).revoke_token(token);
        }
        let processed = plan.processed.then(|| api::answer(self, &request, &route));
        let outcome = plan.damage.apply(processed, &request);
        let status = match (&outcome, &plan.damage) {
            (Outcome::Answer(reply), _) => reply.status,
            (_, Damage::None) => 200,
            // Nothing that a client could call a status.
            _ => 0,
        };
        self.observe(&request, status);
        outcome
    }

    fn observe(&self, request: &RecordedRequest, status: u16) {
        if let Some(observer) = &self.config.observer {
            observer(request, status);
        }
    }
}

/// What the server talks to; the app is shared with the handle of the
/// emulator.
pub(super) struct Front(pub(super) std::sync::Arc<App>);

impl Service for Front {
    fn answer(&self, message: Message, stop: &Stop) -> Outcome {
        self.0.serve(message, stop)
    }

    fn refuse(&self, status: u16) -> Reply {
        api::protocol_error(&self.0, status)
    }
}
