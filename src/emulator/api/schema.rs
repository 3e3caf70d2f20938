//! The fields of request bodies.

use serde_json::{Map, Value};

use super::decisions::{
    LONGEST_BINARY, LONGEST_TEXT, LONGEST_URL, REGISTRATION_TIMEOUTS, is_missing,
};
use crate::{ApiVersion, Endpoint};

/// The type of a field. A field that is not required may be null.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A text with the least and the most characters.
    Text(usize, usize),
    Bool,
    Int(i64, i64),
    OneOf(&'static [&'static str]),
    Location,
    Context,
    Fido2,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

const fn must(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

const TEXT: Kind = Kind::Text(0, LONGEST_TEXT);
const URL: Kind = Kind::Text(0, LONGEST_URL);
const BINARY: Kind = Kind::Text(0, LONGEST_BINARY);
const AUTH_TIMEOUT: Field = may("timeout_in_seconds", Kind::Int(15, 300));
const REGISTRATION_TIMEOUT: Field = may(
    "timeout_in_seconds",
    Kind::Int(REGISTRATION_TIMEOUTS.0, REGISTRATION_TIMEOUTS.1),
);
const ATTACHMENT: Field = may(
    "attachment_type",
    Kind::OneOf(&["Any", "CrossPlatform", "Platform"]),
);
const REQUIREMENT: Kind = Kind::OneOf(&["required", "preferred", "discouraged"]);
const RESIDENT_KEY: Field = may("resident_key_requirement_type", REQUIREMENT);
const VERIFICATION: Field = may("user_verification_requirement_type", REQUIREMENT);

const START_AUTHENTICATOR_AUTH: &[Field] = &[
    may("user_id", TEXT),
    may("username", TEXT),
    may("nonce", TEXT),
    may("send_push", Kind::Bool),
    may("use_visual_verify", Kind::Bool),
    AUTH_TIMEOUT,
    may("origin_location_data", Kind::Location),
    may("action_name", TEXT),
    may("short_msg", TEXT),
    may("ip_address", TEXT),
    may("user_agent", TEXT),
];

const START_WEBAUTHN_AUTH: &[Field] = &[
    may("user_id", TEXT),
    may("username", TEXT),
    AUTH_TIMEOUT,
    may("origin_location_data", Kind::Location),
    may("action_name", TEXT),
    may("short_msg", TEXT),
    may("webauthn_client_id", TEXT),
    may("ip_address", TEXT),
    may("user_agent", TEXT),
    may("nonce", TEXT),
];

const FINISH_WEBAUTHN_AUTH: &[Field] = &[
    may("auth_request_id", TEXT),
    may("aa_sig", TEXT),
    may("authenticator_response_data", BINARY),
    may("webauthn_client_id", TEXT),
];

const START_MAGICLINK_AUTH: &[Field] = &[
    may("user_id", TEXT),
    may("username", TEXT),
    AUTH_TIMEOUT,
    may("origin_location_data", Kind::Location),
    may("action_name", Kind::Text(2, 32)),
    may("short_msg", TEXT),
    may("auth_redirect_url", URL),
    may("context_data", Kind::Context),
    may("ip_address", TEXT),
    may("user_agent", TEXT),
];

const VALIDATE_AUTH: &[Field] = &[
    may("auth_request_id", TEXT),
    may("auth_validation_token", TEXT),
    may("ip_address", TEXT),
    may("user_agent", TEXT),
    may("nonce", TEXT),
];

const UPDATE_USER: &[Field] = &[may("new_username", TEXT)];

const START_AUTHENTICATOR_REGISTRATION_V3: &[Field] = &[
    must("username", Kind::Text(2, 42)),
    REGISTRATION_TIMEOUT,
    may("reset_and_reinvite", Kind::Bool),
    may("revoke_previous_invites", Kind::Bool),
];

const START_AUTHENTICATOR_REGISTRATION_V4: &[Field] =
    &[must("username", Kind::Text(2, 42)), REGISTRATION_TIMEOUT];

const START_WEBAUTHN_REGISTRATION: &[Field] = &[
    may("username", TEXT),
    may("email_address", TEXT),
    REGISTRATION_TIMEOUT,
    may("webauthn_client_id", TEXT),
    ATTACHMENT,
    RESIDENT_KEY,
    VERIFICATION,
];

const ADD_WEBAUTHN: &[Field] = &[
    REGISTRATION_TIMEOUT,
    may("webauthn_client_id", TEXT),
    ATTACHMENT,
    RESIDENT_KEY,
    VERIFICATION,
];

const FINISH_WEBAUTHN_V4: &[Field] = &[
    must("aa_sig", Kind::Text(1, LONGEST_TEXT)),
    must("authenticator_response_data", Kind::Fido2),
    may("webauthn_client_id", TEXT),
];

const FINISH_WEBAUTHN_V3: &[Field] = &[
    must("registration_id", TEXT),
    must("aa_sig", Kind::Text(1, LONGEST_TEXT)),
    must("authenticator_response_data", Kind::Fido2),
    may("webauthn_client_id", TEXT),
];

const VALIDATE_REGISTRATION: &[Field] = &[may("registration_validation_token", TEXT)];

const START_MAGICLINK_REGISTRATION: &[Field] = &[
    may("email_address", TEXT),
    REGISTRATION_TIMEOUT,
    may("registration_redirect_url", URL),
    may("action_name", TEXT),
    may("short_msg", TEXT),
    may("context_data", Kind::Context),
    may("ip_address", TEXT),
    may("user_agent", TEXT),
];

const CHANGE_MAGICLINK: &[Field] = &[
    may("new_email_address", TEXT),
    REGISTRATION_TIMEOUT,
    may("registration_redirect_url", URL),
    may("action_name", TEXT),
    may("short_msg", TEXT),
    may("context_data", Kind::Context),
];

const VALIDATE_MAGICLINK_REGISTRATION: &[Field] = &[
    may("registration_validation_token", TEXT),
    may("ip_address", TEXT),
    may("user_agent", TEXT),
];

/// The fields of an endpoint's body; `None` if it has no body.
pub(crate) fn fields(endpoint: Endpoint, version: ApiVersion) -> Option<&'static [Field]> {
    use Endpoint as E;
    let v3 = version == ApiVersion::V3;
    Some(match endpoint {
        E::StartAuthenticatorAuth => START_AUTHENTICATOR_AUTH,
        E::StartWebauthnAuth => START_WEBAUTHN_AUTH,
        E::FinishWebauthnAuth => FINISH_WEBAUTHN_AUTH,
        E::StartMagiclinkEmailAuth => START_MAGICLINK_AUTH,
        E::ValidateAuthenticatorAuth | E::ValidateWebauthnAuth | E::ValidateMagiclinkEmailAuth => {
            VALIDATE_AUTH
        }
        E::UpdateUser => UPDATE_USER,
        E::StartAuthenticatorRegistration if v3 => START_AUTHENTICATOR_REGISTRATION_V3,
        E::StartAuthenticatorRegistration => START_AUTHENTICATOR_REGISTRATION_V4,
        E::StartWebauthnRegistration => START_WEBAUTHN_REGISTRATION,
        E::StartWebauthnRegistrationForUser => ADD_WEBAUTHN,
        E::FinishWebauthnRegistration | E::FinishWebauthnRegistrationForUser if v3 => {
            FINISH_WEBAUTHN_V3
        }
        E::FinishWebauthnRegistration | E::FinishWebauthnRegistrationForUser => FINISH_WEBAUTHN_V4,
        E::ValidateAuthenticatorRegistration | E::ValidateWebauthnRegistration => {
            VALIDATE_REGISTRATION
        }
        E::StartMagiclinkEmailRegistration | E::StartMagiclinkEmailRegistrationForUser => {
            START_MAGICLINK_REGISTRATION
        }
        E::StartChangeMagiclinkEmail => CHANGE_MAGICLINK,
        E::ValidateMagiclinkEmailRegistration => VALIDATE_MAGICLINK_REGISTRATION,
        E::GetAuthInfo
        | E::ListUsers
        | E::GetUser
        | E::GetUserAuthHistory
        | E::StartAuthenticatorRegistrationForUser
        | E::GetRegistrationInfo
        | E::ListUserCredentials
        | E::ListUserAuthenticatorCredentials
        | E::ListUserWebauthnCredentials
        | E::ListUserMagiclinkEmailCredentials
        | E::GetUserCredential
        | E::DisableUserCredential => return None,
    })
}

/// Checks a body. The error names the first wrong field.
pub(crate) fn check(fields: &[Field], body: &Map<String, Value>) -> Result<(), String> {
    for name in body.keys() {
        if !fields.iter().any(|field| field.name == name) {
            return Err(format!("unknown field: {}", escaped(name)));
        }
    }
    for field in fields {
        let value = body.get(field.name);
        match value.filter(|_| !is_missing(value)) {
            Some(value) => field.kind.check(field.name, value)?,
            None if field.required => return Err(format!("{} is required", field.name)),
            None => {}
        }
    }
    Ok(())
}

/// A field name of a request, escaped and cut for a message.
fn escaped(name: &str) -> String {
    name.chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}

impl Kind {
    fn check(self, name: &str, value: &Value) -> Result<(), String> {
        match (self, value) {
            (Self::Text(least, most), Value::String(text)) => {
                let length = text.chars().count();
                if (least..=most).contains(&length) {
                    Ok(())
                } else {
                    Err(format!("{name} must have {least} to {most} characters"))
                }
            }
            (Self::Bool, Value::Bool(_)) => Ok(()),
            (Self::Int(least, most), Value::Number(number)) => match number.as_i64() {
                Some(n) if (least..=most).contains(&n) => Ok(()),
                _ => Err(format!(
                    "{name} must be a whole number from {least} to {most}"
                )),
            },
            (Self::OneOf(words), Value::String(text)) => {
                if words.contains(&text.as_str()) {
                    Ok(())
                } else {
                    Err(format!("{name} must be one of {}", words.join(", ")))
                }
            }
            (Self::Location, Value::Object(inner)) => texts(
                name,
                inner,
                Some(&["latitude", "longitude", "ip_address"]),
                TEXT,
            ),
            (Self::Context, Value::Object(inner)) => texts(name, inner, None, TEXT),
            (Self::Fido2, Value::Object(inner)) => texts(
                name,
                inner,
                Some(&["id", "attestation_object", "client_data"]),
                BINARY,
            ),
            _ => Err(format!("{name} has the wrong type")),
        }
    }
}

/// Checks an object of texts and nulls, with any names or those `known`.
fn texts(
    name: &str,
    inner: &Map<String, Value>,
    known: Option<&[&str]>,
    kind: Kind,
) -> Result<(), String> {
    for (key, value) in inner {
        let path = format!("{name}.{}", escaped(key));
        if known.is_some_and(|known| !known.contains(&key.as_str())) {
            return Err(format!("unknown field: {path}"));
        }
        if !value.is_null() {
            kind.check(&path, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(endpoint: Endpoint, body: &Value) -> Result<(), String> {
        let Value::Object(body) = body else { panic!() };
        check(fields(endpoint, ApiVersion::V4).unwrap(), body)
    }

    #[test]
    fn nulls_count_as_missing() {
        for &endpoint in Endpoint::ALL {
            for version in [ApiVersion::V3, ApiVersion::V4] {
                let Some(fields) = fields(endpoint, version) else {
                    continue;
                };
                let nulls: Map<_, _> = fields
                    .iter()
                    .filter(|field| !field.required)
                    .map(|field| (field.name.to_owned(), Value::Null))
                    .collect();
                let needs_more = fields.iter().any(|field| field.required);
                assert_eq!(check(fields, &nulls).is_err(), needs_more, "{endpoint:?}");
            }
        }
    }

    #[test]
    fn wrong_values_are_named() {
        use Endpoint as E;
        for (endpoint, body, expected) in [
            (E::UpdateUser, json!({"a\n": 1}), "unknown field: a\\n"),
            (
                E::UpdateUser,
                json!({"new_username": 1}),
                "new_username has the wrong type",
            ),
            (
                E::StartAuthenticatorAuth,
                json!({"timeout_in_seconds": 14}),
                "timeout_in_seconds must be a whole number from 15 to 300",
            ),
            (
                E::StartAuthenticatorAuth,
                json!({"timeout_in_seconds": 20.5}),
                "timeout_in_seconds must be a whole number from 15 to 300",
            ),
            (
                E::StartAuthenticatorAuth,
                json!({"send_push": "true"}),
                "send_push has the wrong type",
            ),
            (
                E::StartAuthenticatorAuth,
                json!({"origin_location_data": {"altitude": "1"}}),
                "unknown field: origin_location_data.altitude",
            ),
            (
                E::StartAuthenticatorRegistration,
                json!({"username": "x"}),
                "username must have 2 to 42 characters",
            ),
            (
                E::StartAuthenticatorRegistration,
                json!({"username": null}),
                "username is required",
            ),
            (
                E::StartAuthenticatorRegistration,
                json!({"username": "xx", "reset_and_reinvite": true}),
                "unknown field: reset_and_reinvite",
            ),
            (
                E::StartMagiclinkEmailAuth,
                json!({"context_data": {"a": 1}}),
                "context_data.a has the wrong type",
            ),
            (
                E::StartWebauthnRegistration,
                json!({"attachment_type": "any"}),
                "attachment_type must be one of Any, CrossPlatform, Platform",
            ),
            (
                E::FinishWebauthnRegistration,
                json!({"aa_sig": "x", "authenticator_response_data": "{}"}),
                "authenticator_response_data has the wrong type",
            ),
        ] {
            assert_eq!(checked(endpoint, &body), Err(expected.to_owned()));
        }
    }

    #[test]
    fn lengths_are_in_characters() {
        let body = json!({"username": "é".repeat(42)});
        assert_eq!(
            checked(Endpoint::StartAuthenticatorRegistration, &body),
            Ok(())
        );
    }
}
