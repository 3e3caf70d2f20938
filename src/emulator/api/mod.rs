//! The service's routes: the backend API and the token endpoint.

mod auth;
pub(crate) mod body;
mod call;
mod credentials;
pub(crate) mod decisions;
mod multipart;
mod oidc;
mod paging;
mod redirect;
mod refusal;
mod registrations;
pub(crate) mod routes;
mod schema;
mod token;
mod users;

use serde_json::{Value, json};

use self::{
    call::Call,
    decisions::{BEARER_CHALLENGE, NOT_FOUND, TOO_MANY, error_code, required_scope},
    refusal::{Leniency, Refusal, Result},
    routes::{Ids, Route},
};
use super::{
    message::{Request, Response},
    model::{Model, ids::Kind},
};
use crate::{ApiVersion, Endpoint};

/// Processes a call of the API or the token endpoint.
pub(crate) fn respond(model: &Model, request: &Request, route: &Route) -> Response {
    if let Some(refused) = check_rate(model, route) {
        return refused;
    }
    let mut leniency = Leniency::new(model.config.tolerant);
    if model.config.tolerant && route.differs_from(&request.method, request.path()) {
        // It is tolerated, so that it cannot fail.
        let _ = leniency.tolerate(inexact_path());
    }
    let mut response = match route {
        Route::Token => token::respond(model, request, &mut leniency),
        Route::Discovery => Response::json(200, &oidc::discovery(model, request)),
        Route::Keys => Response::json(200, &oidc::keys(model)),
        Route::Endpoint(version, endpoint, ids) => {
            if let Some(refused) = check_bearer(model, request, *endpoint) {
                return refused;
            }
            match call(model, request, *version, *endpoint, ids, &mut leniency) {
                Ok(value) => Response::json(200, &value),
                Err(refused) => refuse(model, *version, &refused),
            }
        }
        Route::WrongMethod(version, allow) => {
            let refused = Refusal::new(405, "method not allowed");
            refuse(model, version.unwrap_or(ApiVersion::V4), &refused).with_header("allow", allow)
        }
        Route::Unknown(version) => {
            let refused = unknown_route(request);
            refuse(model, version.unwrap_or(ApiVersion::V4), &refused)
        }
    };
    response.warnings = leniency.warnings;
    response
}

fn check_rate(model: &Model, route: &Route) -> Option<Response> {
    let mut state = model.state();
    if state.rate_limits.all().is_empty() {
        return None;
    }
    let now = state.clock.now();
    let wait = state.rate_limits.take(route.name()?, now)?;
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Some(
        Response::empty(TOO_MANY)
            .with_header("retry-after", seconds.to_string())
            .with_reason("the rate limit is reached"),
    )
}

/// Refuses a request whose token is not valid or lacks the scope.
fn check_bearer(model: &Model, request: &Request, endpoint: Endpoint) -> Option<Response> {
    let scope = required_scope(endpoint);
    let unauthorized = |reason| {
        Response::empty(401)
            .with_header("www-authenticate", BEARER_CHALLENGE)
            .with_reason(reason)
    };
    let Some(token) = bearer(request) else {
        return Some(unauthorized(
            "the request has no bearer token, or more than one",
        ));
    };
    let state = model.state();
    match state.check_token(token) {
        Err(reason) => Some(unauthorized(reason)),
        Ok(granted) => {
            let scope = scope.filter(|scope| !granted.contains(scope))?;
            Some(
                Response::empty(403)
                    .with_header(
                        "www-authenticate",
                        format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""),
                    )
                    .with_reason(format!("the access token lacks the scope {scope}")),
            )
        }
    }
}

/// The refusal of a path without a route. It says so if tolerant mode would find
/// one.
fn unknown_route(request: &Request) -> Refusal {
    match Route::find(&request.method, request.path(), true) {
        Route::Unknown(_) => Refusal::not_found("route"),
        _ => inexact_path(),
    }
}

fn inexact_path() -> Refusal {
    let message = "route not found: the path has another letter case or a trailing slash";
    Refusal::new(NOT_FOUND, message)
}

/// The response to a malformed request.
pub(crate) fn refuse_malformed(model: &Model, status: u16) -> Response {
    refuse(
        model,
        ApiVersion::V4,
        &Refusal::new(status, "malformed request"),
    )
}

fn refuse(model: &Model, version: ApiVersion, refused: &Refusal) -> Response {
    let tracking = model.state().ids.uuid(Kind::Tracking);
    let code = error_code(refused.status);
    let body = match version {
        ApiVersion::V3 => json!({
            "errorMessage": refused.message,
            "errorCode": code,
            "trackingGuid": tracking,
        }),
        ApiVersion::V4 => json!({
            "error_message": refused.message,
            "error_code": code,
            "tracking_id": tracking,
        }),
    };
    Response::json(refused.status, &body)
}

/// The bearer token of a request, if it has exactly one.
pub(crate) fn bearer(request: &Request) -> Option<&str> {
    let mut all = request.all("authorization");
    let value = std::str::from_utf8(all.next()?).ok()?;
    if all.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn call(
    model: &Model,
    request: &Request,
    version: ApiVersion,
    endpoint: Endpoint,
    ids: &Ids,
    leniency: &mut Leniency,
) -> Result<Value> {
    let call = Call {
        model,
        request,
        version,
        endpoint,
        ids,
        query: body::query(request, version, endpoint, leniency)?,
        body: body::body(request, version, endpoint, leniency)?,
    };
    let mut state = model.state();
    let state = &mut *state;
    match endpoint {
        Endpoint::StartAuthenticatorAuth
        | Endpoint::ValidateAuthenticatorAuth
        | Endpoint::StartWebauthnAuth
        | Endpoint::FinishWebauthnAuth
        | Endpoint::ValidateWebauthnAuth
        | Endpoint::StartMagiclinkEmailAuth
        | Endpoint::ValidateMagiclinkEmailAuth
        | Endpoint::GetAuthInfo => auth::respond(&call, state),
        Endpoint::ListUsers
        | Endpoint::GetUser
        | Endpoint::UpdateUser
        | Endpoint::GetUserAuthHistory => users::respond(&call, state),
        Endpoint::ListUserCredentials
        | Endpoint::ListUserAuthenticatorCredentials
        | Endpoint::ListUserWebauthnCredentials
        | Endpoint::ListUserMagiclinkEmailCredentials
        | Endpoint::GetUserCredential
        | Endpoint::DisableUserCredential => credentials::respond(&call, state),
        _ => registrations::respond(&call, state),
    }
}
