//! The fields of request bodies.

use serde_json::{Map, Value};

use super::{
    decisions::{LONGEST_BINARY, LONGEST_TEXT, LONGEST_URL, REGISTRATION_TIMEOUTS, is_missing},
    refusal::{Leniency, Refusal, Result, escaped},
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
    /// A JSON object as text.
    Json,
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
    may("authenticator_response_data", Kind::Json),
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

/// Checks a body. In tolerant mode it also removes unknown fields and converts
/// values.
pub(super) fn check(
    fields: &[Field],
    body: &mut Map<String, Value>,
    leniency: &mut Leniency,
) -> Result<()> {
    let known = |name: &str| fields.iter().any(|field| field.name == name);
    for name in body.keys().filter(|name| !known(name)) {
        // A page's response at another call than finish: to ignore it would be to
        // start something else.
        if name == "authenticator_response_data" {
            return Err(unknown(name));
        }
        leniency.tolerate(unknown(&escaped(name)))?;
    }
    if leniency.is_tolerant() {
        body.retain(|name, _| known(name));
    }
    for field in fields {
        match body.get_mut(field.name).filter(|value| !is_missing(value)) {
            Some(value) => field.kind.check(field.name, value, leniency)?,
            None if field.required => {
                return Err(Refusal::bad(format!("{} is required", field.name)));
            }
            None => {}
        }
    }
    Ok(())
}

fn unknown(path: &str) -> Refusal {
    Refusal::bad(format!("unknown field: {path}"))
}

fn wrong_type(name: &str) -> Refusal {
    Refusal::bad(format!("{name} has the wrong type"))
}

/// Members that a page sends besides the declared ones of a registration: those
/// of the browser's credential, and those that the vendor's page helper adds.
const PAGE_MEMBERS: [&str; 10] = [
    "authenticatorAttachment",
    "authenticator_data",
    "clientExtensionResults",
    "extensions",
    "rawId",
    "raw_id",
    "signature",
    "transports",
    "type",
    "user_handle",
];

impl Kind {
    fn check(self, name: &str, value: &mut Value, leniency: &mut Leniency) -> Result<()> {
        self.convert(name, value, leniency)?;
        match (self, value) {
            (Self::Text(least, most), Value::String(text)) => {
                let length = text.chars().count();
                if (least..=most).contains(&length) {
                    return Ok(());
                }
                Err(Refusal::bad(format!(
                    "{name} must have {least} to {most} characters"
                )))
            }
            (Self::Json, value @ Value::String(_)) => BINARY.check(name, value, leniency),
            (Self::Bool, Value::Bool(_)) => Ok(()),
            (Self::Int(least, most), Value::Number(number)) => match number.as_i64() {
                Some(n) if (least..=most).contains(&n) => Ok(()),
                _ => Err(Refusal::bad(format!(
                    "{name} must be a whole number from {least} to {most}"
                ))),
            },
            (Self::OneOf(words), Value::String(text)) => {
                if words.contains(&text.as_str()) {
                    return Ok(());
                }
                Err(Refusal::bad(format!(
                    "{name} must be one of {}",
                    words.join(", ")
                )))
            }
            (Self::Location, Value::Object(inner)) => {
                let known = ["latitude", "longitude", "ip_address"];
                check_texts(name, inner, Some(&known), TEXT, leniency)
            }
            (Self::Context, Value::Object(inner)) => check_texts(name, inner, None, TEXT, leniency),
            (Self::Fido2, Value::Object(inner)) => {
                inner.retain(|key, _| !PAGE_MEMBERS.contains(&key.as_str()));
                let known = ["id", "attestation_object", "client_data"];
                check_texts(name, inner, Some(&known), BINARY, leniency)
            }
            _ => Err(wrong_type(name)),
        }
    }

    /// Converts a value that has another type but can mean only one thing. It
    /// remains as it is in strict mode, which then refuses it.
    fn convert(self, name: &str, value: &mut Value, leniency: &mut Leniency) -> Result<()> {
        let converted = match (self, &*value) {
            _ if !leniency.is_tolerant() => None,
            (Self::Int(..), Value::String(text)) => text.parse::<i64>().ok().map(Value::from),
            (Self::OneOf(words), Value::String(text)) => words
                .iter()
                .find(|word| **word != text && word.eq_ignore_ascii_case(text))
                .map(|word| Value::from(*word)),
            // Vendor clients differ in which of the two finish calls has a text
            // and which an object.
            (Self::Fido2, Value::String(text)) => serde_json::from_str(text)
                .ok()
                .filter(|parsed: &Value| parsed.is_object()),
            (Self::Json, Value::Object(_)) => Some(Value::String(value.to_string())),
            _ => None,
        };
        if let Some(converted) = converted {
            leniency.tolerate(wrong_type(name))?;
            *value = converted;
        }
        Ok(())
    }
}

/// Checks an object of texts and nulls, with any names or those `known`.
fn check_texts(
    name: &str,
    inner: &mut Map<String, Value>,
    known: Option<&[&str]>,
    kind: Kind,
    leniency: &mut Leniency,
) -> Result<()> {
    let is_known = |key: &str| known.is_none_or(|known| known.contains(&key));
    for (key, value) in inner.iter_mut() {
        let path = format!("{name}.{}", escaped(key));
        if !is_known(key) {
            leniency.tolerate(unknown(&path))?;
            continue;
        }
        if value.is_number() || value.is_boolean() {
            leniency.tolerate(wrong_type(&path))?;
            *value = Value::String(value.to_string());
        }
        if !value.is_null() {
            kind.check(&path, value, leniency)?;
        }
    }
    if leniency.is_tolerant() {
        inner.retain(|key, _| is_known(key));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(endpoint: Endpoint, body: &Value) -> std::result::Result<(), String> {
        let Value::Object(mut body) = body.clone() else {
            panic!()
        };
        let mut strict = Leniency::new(false);
        let fields = fields(endpoint, ApiVersion::V4).unwrap();
        check(fields, &mut body, &mut strict).map_err(|refusal| refusal.message)
    }

    #[test]
    fn nulls_count_as_missing() {
        for &endpoint in Endpoint::ALL {
            for version in [ApiVersion::V3, ApiVersion::V4] {
                let Some(fields) = fields(endpoint, version) else {
                    continue;
                };
                let mut nulls: Map<_, _> = fields
                    .iter()
                    .filter(|field| !field.required)
                    .map(|field| (field.name.to_owned(), Value::Null))
                    .collect();
                let needs_more = fields.iter().any(|field| field.required);
                let checked = check(fields, &mut nulls, &mut Leniency::new(false));
                assert_eq!(checked.is_err(), needs_more, "{endpoint:?}");
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
