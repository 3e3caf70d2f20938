//! Finds out which bytes a device signed.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;

use super::points::{Open, Reading, Settled};

/// The length of an uncompressed P-256 point, with which a
/// `SubjectPublicKeyInfo` ends.
const POINT: usize = 65;

/// Reads the signed message within a response. `None` if there is none.
pub(super) fn read(body: &Value) -> Option<Reading> {
    let message = find(body)?;
    let signed = message["signed_data"].as_str()?;
    let hash = message["signature_data"]["hash_value"].as_str()?;
    let decoded = BASE64_STANDARD.decode(signed).unwrap_or_default();
    let hashed = match hash.to_ascii_lowercase() {
        hash if hash == hex(signed.as_bytes()) => "hash_value is the SHA-256 of the base64 text",
        hash if hash == hex(&decoded) => "hash_value is the SHA-256 of the decoded text",
        _ => "hash_value is the SHA-256 of something else",
    };
    let candidates: [(&str, &[u8]); 4] = [
        ("the digits of hash_value", hash.as_bytes()),
        ("the base64 text of signed_data", signed.as_bytes()),
        ("the decoded signed_data", &decoded),
        ("the bytes of hash_value", &unhex(hash)),
    ];
    let Some((key, signature)) = key_and_signature(message) else {
        return Some(Open(format!("{hashed}; the signature has another form")));
    };
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
    let found = candidates
        .into_iter()
        .find(|(_, bytes)| key.verify(bytes, &signature).is_ok());
    Some(match found {
        Some((what, _)) => Settled(format!("{hashed}; signed are {what}")),
        None => Open(format!("{hashed}; signed are none of the likely bytes")),
    })
}

/// Reads the form of the mobile app.
fn key_and_signature(message: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let text = message["signature_data"]["signature_data"].as_str()?;
    let outer: Value = serde_json::from_str(text).ok()?;
    let inner = ["signature_data", "signature_data_details"]
        .iter()
        .map(|name| &outer[name])
        .find(|inner| inner.is_object())?;
    let signature = BASE64_STANDARD
        .decode(inner["signature_value"].as_str()?)
        .ok()?;
    let details = match &message["signature_validation_details"] {
        Value::String(text) => serde_json::from_str(text).ok()?,
        details => details.clone(),
    };
    let key = BASE64_STANDARD
        .decode(details["public_key"].as_str()?)
        .ok()?;
    let point = key.get(key.len().checked_sub(POINT)?..)?;
    Some((point.to_vec(), signature))
}

/// Finds the first signed message that has data.
pub(super) fn find(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            if key == "secure_signed_message" && value["signed_data"].is_string() {
                Some(value)
            } else {
                find(value)
            }
        }),
        Value::Array(elements) => elements.iter().find_map(find),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .filter_map(|at| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok())
        .collect()
}
