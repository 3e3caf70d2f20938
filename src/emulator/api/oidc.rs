//! OIDC discovery: where the token endpoint and its keys are.

use serde_json::{Value, json};

use super::decisions::SCOPES;
use crate::emulator::{message::Request, model::Model};

/// The base URL under which the client has reached the emulator: discovery
/// clients refuse an issuer of another name, `127.0.0.1` for `localhost`.
pub(super) fn issuer(model: &Model, request: &Request) -> String {
    let host = request
        .header("host")
        .and_then(|host| std::str::from_utf8(host).ok())
        .filter(|host| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte);
            (1..=255).contains(&host.len()) && host.bytes().all(fits)
        });
    match (host, model.base_url.split_once("://")) {
        (Some(host), Some((scheme, _))) => format!("{scheme}://{host}"),
        _ => model.base_url.clone(),
    }
}

/// The discovery document.
pub(super) fn discovery(model: &Model, request: &Request) -> Value {
    let issuer = issuer(model, request);
    json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/connect/token"),
        "jwks_uri": format!("{issuer}/.well-known/openid-configuration/jwks"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "scopes_supported": SCOPES,
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// The JWK set.
pub(super) fn keys(model: &Model) -> Value {
    json!({ "keys": [model.token_key.public_key()] })
}
