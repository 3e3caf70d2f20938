//! The service's routes: the backend API and the token endpoint.

mod auth;
pub(crate) mod body;
mod call;
mod credentials;
pub(crate) mod decisions;
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
    decisions::{BEARER_CHALLENGE, error_code},
    refusal::{Refusal, Result},
    routes::{Ids, Route},
};
use super::{
    message::{Request, Response},
    model::{Model, ids::Kind},
};
use crate::{ApiVersion, Endpoint};

/// Processes a call of the API or the token endpoint.
pub(crate) fn respond(model: &Model, request: &Request, route: &Route) -> Response {
    let version = route.version().unwrap_or(ApiVersion::V4);
    let outcome = match route {
        Route::Token => return token::respond(model, request),
        Route::Endpoint(version, endpoint, ids) => {
            let token = bearer(request);
            if !token.is_some_and(|token| model.state().token_is_valid(token)) {
                return Response::empty(401).with_header("www-authenticate", BEARER_CHALLENGE);
            }
            call(model, request, *version, *endpoint, ids)
        }
        Route::WrongMethod(_, allow) => {
            return refusal(model, version, &Refusal::new(405, "method not allowed"))
                .with_header("allow", allow);
        }
        Route::Unknown(_) => Err(Refusal::not_found("route")),
    };
    match outcome {
        Ok(value) => Response::json(200, &value),
        Err(refused) => refusal(model, version, &refused),
    }
}

/// The response to a malformed request.
pub(crate) fn refuse_malformed(model: &Model, status: u16) -> Response {
    refusal(
        model,
        ApiVersion::V4,
        &Refusal::new(status, "malformed request"),
    )
}

fn refusal(model: &Model, version: ApiVersion, refused: &Refusal) -> Response {
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
) -> Result<Value> {
    let call = Call {
        model,
        request,
        version,
        endpoint,
        ids,
        query: body::query(request, version, endpoint)?,
        body: body::body(request, version, endpoint)?,
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
