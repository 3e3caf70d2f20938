//! The token endpoint: OAuth 2 client credentials.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    body::{form, form_decode},
    decisions::{AUDIENCES, SCOPES, TOKEN_ERROR},
    multipart, oidc,
    refusal::{Leniency, Refusal, escaped},
};
use crate::emulator::{
    message::{Request, Response},
    model::{Model, access_token::Claims, ids::Kind},
};

pub(super) fn respond(model: &Model, request: &Request, leniency: &mut Leniency) -> Response {
    let response = match issue(model, request, leniency) {
        Ok(response) => response,
        Err(error) => {
            let mut body = json!({ "error": error.code });
            if error.code == INVALID {
                body = json!({ "error": error.code, "error_description": error.reason });
            }
            Response::json(TOKEN_ERROR, &body)
                .with_reason(format!("{}: {}", error.code, error.reason))
        }
    };
    response.with_header("cache-control", "no-store")
}

const INVALID: &str = "invalid_request";
const WRONG_CLIENT: &str = "invalid_client";

/// An error code of OAuth 2, and why.
struct Error {
    code: &'static str,
    reason: String,
}

fn error(code: &'static str, reason: &str) -> Error {
    Error {
        code,
        reason: reason.to_owned(),
    }
}

/// Tolerant mode accepts what leads to such a refusal.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: INVALID,
            reason: refusal.message,
        }
    }
}

fn issue(model: &Model, request: &Request, leniency: &mut Leniency) -> Result<Response, Error> {
    if request.method != "POST" {
        return Err(error(INVALID, "the method is not POST"));
    }
    if request.query().is_some() {
        leniency.tolerate(Refusal::bad("a query is not allowed"))?;
    }
    let pairs = fields(request, leniency)?;
    let mut names = HashSet::new();
    for (name, _) in &pairs {
        if !names.insert(name) {
            let message = format!("{} is given twice", escaped(name));
            return Err(Refusal::bad(message).into());
        }
    }
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    };
    match value("grant_type") {
        None | Some("") => return Err(error(INVALID, "grant_type is missing")),
        Some("client_credentials") => {}
        Some(_) => {
            return Err(error(
                "unsupported_grant_type",
                "grant_type is not client_credentials",
            ));
        }
    }
    let in_body = value("client_id").zip(value("client_secret"));
    let headers = request.all("authorization").count();
    let (id, secret) = match (headers, in_body) {
        (0, None) => return Err(error(WRONG_CLIENT, "client_id or client_secret is missing")),
        (0, Some((id, secret))) => (id.to_owned(), secret.to_owned()),
        // Credentials in both places are refused.
        (1, None) if value("client_secret").is_none() => {
            basic(request).ok_or_else(|| error(WRONG_CLIENT, "the Basic header is malformed"))?
        }
        _ => return Err(error(INVALID, "the credentials are given twice")),
    };
    if id != model.config.client_id {
        return Err(error(WRONG_CLIENT, "client_id is wrong"));
    }
    if secret != model.config.client_secret {
        return Err(error(WRONG_CLIENT, "client_secret is wrong"));
    }
    let scopes = match value("scope") {
        None | Some("") => SCOPES.to_vec(),
        Some(asked) if asked.split(' ').all(|asked| SCOPES.contains(&asked)) => SCOPES
            .into_iter()
            .filter(|scope| asked.split(' ').any(|asked| asked == *scope))
            .collect(),
        Some(_) => return Err(error("invalid_scope", "scope holds an unknown scope")),
    };
    let lifetime = model.config.token_lifetime;
    let scope = scopes.join(" ");
    let mut state = model.state();
    let claims = Claims {
        issuer: &oidc::issuer(model, request),
        audiences: &AUDIENCES,
        client_id: &model.config.client_id,
        scopes: &scopes,
        id: &state.ids.token(Kind::AccessToken),
    };
    let token = model.token_key.sign(&claims, state.clock.now(), lifetime);
    state.insert_token(token.clone(), lifetime, scopes);
    Ok(Response::json(
        200,
        &json!({
            "access_token": token,
            "expires_in": lifetime.as_secs(),
            "token_type": "Bearer",
            "scope": scope,
        }),
    ))
}

/// The fields of the form.
fn fields(request: &Request, leniency: &mut Leniency) -> Result<Vec<(String, String)>, Error> {
    let no_form = || Refusal::bad("content-type is not application/x-www-form-urlencoded");
    let malformed = || error(INVALID, "the body is malformed");
    let mut all = request.all("content-type");
    let content_type = all
        .next()
        .and_then(|value| std::str::from_utf8(value).ok())
        .filter(|_| all.next().is_none())
        .ok_or_else(no_form)?;
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return form(&request.body).ok_or_else(malformed);
    }
    if !essence.eq_ignore_ascii_case("multipart/form-data") {
        return Err(no_form().into());
    }
    leniency.tolerate(no_form())?;
    multipart::form(content_type, &request.body).ok_or_else(malformed)
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
