//! [`AppService`]: from a request to its response.

use std::{mem, sync::Arc};

use serde::Deserialize;
use uuid::Uuid;

use super::{
    api::{self, routes::Route},
    control::{
        self,
        app::App,
        faults::{Damage, Plan, replace_user},
        record::RecordedRequest,
    },
    message::{Request, Response},
    sync::{Stop, lock},
};
use crate::Endpoint;

/// The start response of a sign-in.
#[derive(Deserialize)]
struct Started {
    auth_request_id: Uuid,
}

/// Routes requests to the API and to the control routes, records them and
/// applies faults.
#[derive(Clone)]
pub(crate) struct AppService(pub(crate) Arc<App>);

impl AppService {
    /// The response to a request, and the damage that the server does to it.
    pub(crate) fn respond(&self, request: Request, stop: &Stop) -> (Response, Damage) {
        let app = &*self.0;
        if control::is_control_path(request.path()) {
            return (control::respond(app, &request, stop), Damage::None);
        }
        let tolerant = app.model.config.tolerant;
        let route = Route::find(&request.method, request.path(), tolerant);
        let request = RecordedRequest::new(request, route.name());
        // Before anything slow, so that a test sees a request that is delayed.
        lock(&app.record).push(request.clone());
        let plan = route.name().and_then(|name| lock(&app.faults).plan(name));
        let process = || self.process(&request, &route);
        let (response, damage) = match plan {
            None => (process(), Damage::None),
            Some(plan) => self.respond_with_fault(plan, &request, process, stop),
        };
        if let Some(observer) = &app.observer {
            let status = match damage {
                Damage::None | Damage::SlowBody(_) => response.status,
                _ => 0,
            };
            observer(&request, status);
        }
        (response, damage)
    }

    fn process(&self, request: &RecordedRequest, route: &Route) -> Response {
        let app = &*self.0;
        drop(app.state());
        let mut response = api::respond(&app.model, request.request(), route);
        app.model.notify();
        if !response.warnings.is_empty() {
            request.set_warnings(mem::take(&mut response.warnings));
        }
        if route.name() == Some(Endpoint::StartAuthenticatorAuth.name()) {
            if let Ok(Started { auth_request_id }) = serde_json::from_slice(&response.body) {
                app.sign_in_shown(auth_request_id);
            }
        }
        response
    }

    fn respond_with_fault(
        &self,
        plan: Plan,
        request: &RecordedRequest,
        process: impl Fn() -> Response,
        stop: &Stop,
    ) -> (Response, Damage) {
        for latency in plan.latencies {
            stop.sleep(latency);
        }
        let token = api::bearer(request.request()).filter(|_| plan.expires_token);
        if let Some(token) = token {
            self.0.model.state().revoke_token(token);
        }
        let mut processed = plan.processed.then(process);
        if let Some(response) = processed.as_mut().filter(|_| plan.other_user) {
            let state = self.0.model.state();
            let users = state.users();
            replace_user(
                response,
                users.map(|user| (user.id, user.username.as_str(), user.email.as_deref())),
            );
        }
        let response = plan
            .replacement
            .or(processed)
            .unwrap_or_else(|| Response::empty(200));
        (response, plan.damage)
    }

    /// The response to input that is not a valid request.
    pub(crate) fn refuse(&self, status: u16) -> Response {
        api::refuse_malformed(&self.0.model, status)
    }
}
