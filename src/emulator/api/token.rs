//! The token endpoint: OAuth 2 client credentials.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    body::{form, form_decode},
    decisions::{AUDIENCES, SCOPES, TOKEN_ERROR},
    multipart, oidc,
    refusal::{Leniency, Refusal, Result},
};
use crate::emulator::{
    message::{Request, Response},
    model::{Model, access_token::Claims, ids::Kind},
};

pub(super) fn respond(model: &Model, request: &Request, leniency: &mut Leniency) -> Response {
    let response = match issue(model, request, leniency) {
        Ok(response) => response,
        Err(refused) => {
            let code = refused.message;
            let mut body = json!({ "error": code });
            // What is wrong with an invalid request.
            if let (INVALID, Some(field)) = (code.as_str(), &refused.field) {
                body = json!({ "error": code, "error_description": field });
            }
            Response::json(refused.status, &body).with_refusal(refused.field.as_deref(), code)
        }
    };
    response.with_header("cache-control", "no-store")
}

const INVALID: &str = "invalid_request";

/// A refusal with an error code of OAuth 2, because of a field.
fn refusal(code: &str, field: &str) -> Refusal {
    Refusal::new(TOKEN_ERROR, code).about(field)
}

fn issue(model: &Model, request: &Request, leniency: &mut Leniency) -> Result<Response> {
    if request.method != "POST" {
        return Err(refusal(INVALID, "method"));
    }
    if request.query().is_some() {
        leniency.tolerate(refusal(INVALID, "query"))?;
    }
    let pairs = fields(request, leniency)?;
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs.iter().skip(at + 1).any(|(other, _)| other == name) {
            return Err(refusal(INVALID, name));
        }
    }
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    };
    match value("grant_type") {
        None | Some("") => return Err(refusal(INVALID, "grant_type")),
        Some("client_credentials") => {}
        Some(_) => return Err(refusal("unsupported_grant_type", "grant_type")),
    }
    let in_body = value("client_id").zip(value("client_secret"));
    let headers = request.all("authorization").count();
    let (id, secret) = match (headers, in_body) {
        (0, None) => return Err(refusal("invalid_client", "client_id")),
        (0, Some((id, secret))) => (id.to_owned(), secret.to_owned()),
        // Credentials in both places are refused.
        (1, None) if value("client_secret").is_none() => {
            basic(request).ok_or_else(|| refusal("invalid_client", "authorization"))?
        }
        _ => return Err(refusal(INVALID, "authorization")),
    };
    if id != model.config.client_id {
        return Err(refusal("invalid_client", "client_id"));
    }
    if secret != model.config.client_secret {
        return Err(refusal("invalid_client", "client_secret"));
    }
    let scopes = match value("scope") {
        None | Some("") => SCOPES.to_vec(),
        Some(asked) => asked
            .split(' ')
            .map(|asked| SCOPES.into_iter().find(|scope| *scope == asked))
            .collect::<Option<_>>()
            .ok_or_else(|| refusal("invalid_scope", "scope"))?,
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
fn fields(request: &Request, leniency: &mut Leniency) -> Result<Vec<(String, String)>> {
    let no_form = || refusal(INVALID, "content-type");
    let malformed = || refusal(INVALID, "body");
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
        return Err(no_form());
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
