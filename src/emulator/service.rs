//! [`AppService`]: from a request to its response.

use std::{borrow::Cow, mem, sync::Arc, time::UNIX_EPOCH};

use httpdate::fmt_http_date;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    api::{self, routes::Route},
    control::{
        self,
        app::App,
        faults::{Damage, Plan, replace_user},
        record::{Outcome, RecordedRequest, error_of},
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
            let response = control::respond(app, &request, stop);
            return (self.dated(response), Damage::None);
        }
        let tolerant = app.model.config.tolerant;
        let route = Route::find(&request.method, request.path(), tolerant);
        // Before anything slow, so that a test sees a request that is delayed.
        let now = app.state().clock.now();
        let request = lock(&app.record).add(request, route.name(), now);
        let plan = route.name().and_then(|name| lock(&app.faults).plan(name));
        let process = || self.process(&request, &route);
        let fault = plan.as_ref().and_then(|plan| plan.kind);
        let (mut response, damage) = match plan {
            None => (process(), Damage::None),
            Some(plan) => self.respond_with_fault(plan, &request, process, stop),
        };
        let whole = matches!(damage, Damage::None | Damage::SlowBody(_));
        let status = whole.then_some(response.status);
        let error = error_of(&response);
        let error = match fault {
            None => error,
            Some(kind) => {
                let error = error.map(|error| format!(": {error}"));
                Some(format!("fault {kind}{}", error.unwrap_or_default()))
            }
        };
        request.end(Outcome {
            status,
            error,
            warnings: mem::take(&mut response.warnings),
        });
        if let Some(observer) = &app.observer {
            observer(&request, status.unwrap_or(0));
        }
        (self.dated(response), damage)
    }

    /// Adds the date by the emulator's clock, as servers do.
    fn dated(&self, response: Response) -> Response {
        let date = UNIX_EPOCH + self.0.state().clock.now().since_epoch();
        response.with_header("date", fmt_http_date(date))
    }

    fn process(&self, request: &RecordedRequest, route: &Route) -> Response {
        let app = &*self.0;
        drop(app.state());
        let response = api::respond(&app.model, request.request(), route);
        app.model.notify();
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
        let warnings = processed.as_mut().map(|own| mem::take(&mut own.warnings));
        let mut response = plan
            .replacement
            .or(processed)
            .unwrap_or_else(|| Response::empty(200));
        response.warnings = warnings.unwrap_or_default();
        (response, plan.damage)
    }

    /// The response to input that is not a valid request.
    pub(crate) fn refuse(&self, status: u16) -> Response {
        let reason = match status {
            408 => "the request was not complete in time",
            413 => "the body is larger than 1 MiB",
            414 => "the request target is longer than 8 KiB",
            431 => "the headers are larger than 32 KiB or more than 96",
            501 => "the transfer coding is not `chunked`",
            505 => "the version of HTTP is not 1.0 or 1.1",
            _ => "malformed HTTP",
        };
        self.record_invalid(Some(status), reason.into());
        self.dated(api::refuse_malformed(&self.0.model, status))
    }

    /// Records input that is not a valid request.
    pub(crate) fn record_invalid(&self, status: Option<u16>, reason: Cow<'_, str>) {
        let app = &*self.0;
        let now = app.state().clock.now();
        if let Some(observer) = &app.invalid_observer {
            observer(&reason);
        }
        lock(&app.record).add_invalid(now, status, reason.into_owned());
    }
}
