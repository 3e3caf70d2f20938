//! The JSON that a page sends after `navigator.credentials.get` or `create`.
//!
//! It has one of two forms: that of `PublicKeyCredential.toJSON()`, with a
//! member `response`, or that of the vendor's page SDK, which the service takes.
//! Everything is checked before anything is sent: members, types, base64, and
//! that it is the result of the right ceremony.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::registrations::Fido2RegistrationData;

/// The `type` in the client data of the two ceremonies.
const GET: &str = "webauthn.get";
const CREATE: &str = "webauthn.create";

/// Returns the result of `navigator.credentials.get` in the vendor's form.
pub(super) fn assertion(page_json: &str) -> Result<String, Error> {
    let object = page_object(page_json)?;
    let page = Members(&object);
    let id = page.binary("id")?;
    page.optional_binary("rawId")?;
    if let Some(response) = page.standard_response()? {
        let auth_data = response.binary("authenticatorData")?;
        let assertion = json!({
            "id": id,
            "rawId": id,
            "attestation_object": auth_data,
            "authenticator_data": auth_data,
            "client_data": response.client_data("clientDataJSON", GET)?,
            "signature": response.binary("signature")?,
            "user_handle": response.optional_binary("userHandle")?,
            "extensions": page.optional_object("clientExtensionResults")?,
        });
        return Ok(assertion.to_string());
    }
    page.client_data("client_data", GET)?;
    // In this form it holds the authenticator data.
    page.binary("attestation_object")?;
    // One of the vendor's page scripts omits the signature.
    for name in ["authenticator_data", "signature", "user_handle"] {
        page.optional_binary(name)?;
    }
    page.optional_object("extensions")?;
    Ok(Value::Object(object).to_string())
}

/// Returns the result of `navigator.credentials.create`.
pub(super) fn attestation(page_json: &str) -> Result<Fido2RegistrationData, Error> {
    let object = page_object(page_json)?;
    let page = Members(&object);
    let id = page.binary("id")?;
    page.optional_binary("rawId")?;
    let (attestation, client_data) = match page.standard_response()? {
        Some(response) => (
            response.binary("attestationObject")?,
            response.client_data("clientDataJSON", CREATE)?,
        ),
        None => (
            page.binary("attestation_object")?,
            page.client_data("client_data", CREATE)?,
        ),
    };
    Ok(Fido2RegistrationData::new(id, attestation, client_data))
}

/// Returns the object in the page's JSON: either the JSON is an object, or it
/// is a string that holds one, which is how one page SDK sends it.
fn page_object(page_json: &str) -> Result<Map<String, Value>, Error> {
    let value = match serde_json::from_str(page_json) {
        Ok(Value::String(inner)) => serde_json::from_str(&inner),
        other => other,
    };
    match value {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Error::invalid("the page's JSON is not an object")),
    }
}

/// The members of an object in the page's JSON.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// Returns the part of the standard form that the authenticator made.
    fn standard_response(&self) -> Result<Option<Self>, Error> {
        let Some(response) = self.0.get("response") else {
            return Ok(None);
        };
        match self.0.get("type").and_then(Value::as_str) {
            Some("public-key") => {}
            _ => return refuse("type"),
        }
        match response {
            Value::Object(response) => Ok(Some(Members(response))),
            _ => refuse("response"),
        }
    }

    /// Returns the text of a binary value in base64, which is not empty.
    fn binary(&self, name: &'static str) -> Result<&'a str, Error> {
        match self.optional_binary(name)? {
            Some(text) if !text.is_empty() => Ok(text),
            _ => refuse(name),
        }
    }

    /// Returns the text of a binary value, unless it is missing or null.
    fn optional_binary(&self, name: &'static str) -> Result<Option<&'a str>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if decode(text).is_some() => Ok(Some(text)),
            Some(_) => refuse(name),
        }
    }

    fn optional_object(&self, name: &'static str) -> Result<Option<&'a Value>, Error> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) if value.is_object() => Ok(Some(value)),
            Some(_) => refuse(name),
        }
    }

    /// Returns the text of the client data, which must be of this ceremony.
    fn client_data(&self, name: &'static str, ceremony: &str) -> Result<&'a str, Error> {
        let text = self.binary(name)?;
        let json = decode(text).and_then(|json| String::from_utf8(json).ok());
        let data: Option<Value> = json.and_then(|json| serde_json::from_str(&json).ok());
        match data {
            Some(data) if data.get("type").and_then(Value::as_str) == Some(ceremony) => Ok(text),
            _ => refuse(name),
        }
    }
}

/// Decodes base64 of either alphabet, padded or not.
fn decode(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(&URL_SAFE, LENIENT)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&STANDARD, LENIENT).decode(text))
        .ok()
}

fn refuse<T>(name: &str) -> Result<T, Error> {
    Err(Error::invalid(format!(
        "the page's JSON has no valid {name}"
    )))
}
