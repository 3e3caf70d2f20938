//! The token endpoint: OAuth 2 client credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    body::{form, form_decode},
    decisions::{SCOPES, invalid_client_status},
};
use crate::emulator::{
    message::{Request, Response},
    model::Model,
};

pub(super) fn respond(model: &Model, request: &Request) -> Response {
    match issue(model, request) {
        Ok(response) => response.with_header("cache-control", "no-store"),
        Err((status, code)) => {
            let response = Response::json(status, &json!({ "error": code }));
            if status == 401 {
                response.with_header("www-authenticate", "Basic")
            } else {
                response
            }
        }
    }
}

fn issue(model: &Model, request: &Request) -> Result<Response, (u16, &'static str)> {
    const INVALID: (u16, &str) = (400, "invalid_request");
    if !is_form(request) {
        return Err((415, "invalid_request"));
    }
    if request.query().is_some() {
        return Err(INVALID);
    }
    let pairs = form(&request.body).ok_or(INVALID)?;
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs.iter().skip(at + 1).any(|(other, _)| other == name) {
            return Err(INVALID);
        }
    }
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    };
    match value("grant_type") {
        None | Some("") => return Err(INVALID),
        Some("client_credentials") => {}
        Some(_) => return Err((400, "unsupported_grant_type")),
    }
    let in_body = value("client_id").zip(value("client_secret"));
    let header = request.all("authorization").count();
    let given = match (header, in_body) {
        (0, None) => return Err((invalid_client_status(false), "invalid_client")),
        (0, Some((id, secret))) => (id.to_owned(), secret.to_owned()),
        // Credentials in both places are refused.
        (1, None) if value("client_secret").is_none() => {
            basic(request).ok_or((invalid_client_status(true), "invalid_client"))?
        }
        _ => return Err(INVALID),
    };
    if given.0 != model.config.client_id || given.1 != model.config.client_secret {
        return Err((invalid_client_status(header > 0), "invalid_client"));
    }
    let scope = match value("scope") {
        None | Some("") => SCOPES.join(" "),
        Some(asked) => {
            if asked.split(' ').any(|scope| !SCOPES.contains(&scope)) {
                return Err((400, "invalid_scope"));
            }
            asked.to_owned()
        }
    };
    let token = model.state().issue_token(model.config.token_lifetime);
    Ok(Response::json(
        200,
        &json!({
            "access_token": token,
            "expires_in": model.config.token_lifetime.as_secs(),
            "token_type": "Bearer",
            "scope": scope,
        }),
    ))
}

fn is_form(request: &Request) -> bool {
    let mut all = request.all("content-type");
    let first = all
        .next()
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| {
            essence
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
    first && all.next().is_none()
}

/// Id and secret of a Basic header, each form-encoded as OAuth 2 requires.
fn basic(request: &Request) -> Option<(String, String)> {
    let value = std::str::from_utf8(request.header("authorization")?).ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, secret) = decoded.split_at(colon);
    Some((form_decode(id)?, form_decode(secret.get(1..)?)?))
}
