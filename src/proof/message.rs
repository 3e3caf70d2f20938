//! Reads the parts of a signed message.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::error::ProofError;
use super::{MAX_LEN, Proof};
use crate::auth::{HashType, SignedMessageType};
use crate::secret::Secret;
use crate::types::{Object, object};
use crate::webauthn::{BASE64, BASE64URL, sha256};

/// The parts of a message, decoded as far as it takes to check the signature.
pub(super) struct Message<'a> {
    /// The base64 text that is hashed.
    pub(super) signed_text: &'a str,
    /// The hash of that text.
    pub(super) hash: [u8; 32],
    /// Whether the message says that this is the hash.
    pub(super) hash_agrees: bool,
    pub(super) form: Form,
    details: Option<&'a str>,
}

/// The forms of a signature.
pub(super) enum Form {
    Passkey(Assertion),
    Phone(PhoneSignature),
}

pub(super) struct Assertion {
    pub(super) credential_id: Vec<u8>,
    pub(super) authenticator_data: Vec<u8>,
    pub(super) client_data: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

pub(super) struct PhoneSignature {
    pub(super) signature: Vec<u8>,
    /// Text that should be the hash in hexadecimal digits.
    pub(super) challenge: String,
    pub(super) counter: Option<u64>,
}

impl<'a> Message<'a> {
    pub(super) fn read(proof: &'a Proof) -> Result<Self, ProofError> {
        let message = &proof.message;
        let is_known = message.signed_data_type.as_ref();
        if is_known.is_some_and(|kind| *kind != SignedMessageType::AuthResponse) {
            return Err(ProofError::Unsupported);
        }
        let signed_text = message.signed_data.as_deref();
        let signed_text = limited(signed_text.ok_or(ProofError::SignedData)?)?;
        let signature = message.signature_data.as_ref();
        let signature = signature.ok_or(ProofError::SignatureData)?;
        if signature.hash_method != Some(HashType::Sha256) {
            return Err(ProofError::Unsupported);
        }
        let hash = sha256(signed_text.as_bytes());
        let text = signature.signature_data.as_deref();
        let details = message.signature_validation_details.as_deref();
        Ok(Self {
            signed_text,
            hash,
            hash_agrees: is_hex_of(signature.hash_value.as_deref(), &hash),
            form: Form::read(limited(text.ok_or(ProofError::SignatureData)?)?)?,
            details: details.map(limited).transpose()?,
        })
    }

    /// Returns the public key in the message.
    pub(super) fn public_key(&self) -> Result<Vec<u8>, ProofError> {
        let unreadable = ProofError::ValidationDetails;
        let details = self.details.ok_or(unreadable)?;
        let Object(details) =
            serde_json::from_str::<Object<Details>>(details).map_err(|_| unreadable)?;
        let differs = |value: Option<String>, known| value.is_some_and(|value| value != known);
        if differs(details.signing_algorithm, "SHA256")
            || differs(details.curve_type, "secp256r1")
            || differs(details.key_format, "x.509")
        {
            return Err(ProofError::Unsupported);
        }
        let key = details.public_key.ok_or(unreadable)?;
        BASE64.decode(key).map_err(|_| unreadable)
    }

    pub(super) fn signed(&self) -> Result<Signed, ProofError> {
        let malformed = ProofError::SignedData;
        let json = BASE64.decode(self.signed_text).map_err(|_| malformed)?;
        let Object(data) =
            serde_json::from_slice::<Object<SignedData>>(&json).map_err(|_| malformed)?;
        Ok(Signed {
            message: data.message_data.unwrap_or_default(),
            signing: data.signing_data.unwrap_or_default(),
        })
    }
}

fn limited(text: &str) -> Result<&str, ProofError> {
    if text.len() > MAX_LEN {
        return Err(ProofError::TooLarge);
    }
    Ok(text)
}

/// Returns whether a text is the hash in hexadecimal digits of either case.
pub(super) fn is_hex_of(text: Option<&str>, hash: &[u8; 32]) -> bool {
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.is_some_and(|text| {
        text.len() == 64
            && text
                .chars()
                .zip(nibbles)
                .all(|(digit, nibble)| digit.to_digit(16) == Some(nibble.into()))
    })
}

impl Form {
    fn read(text: &str) -> Result<Self, ProofError> {
        let malformed = ProofError::SignatureData;
        let Object(text) =
            serde_json::from_str::<Object<SignatureText>>(text).map_err(|_| malformed)?;
        let binary = |text: Option<String>| {
            let text = text.filter(|text| !text.is_empty()).ok_or(malformed)?;
            BASE64URL.decode(text).map_err(|_| malformed)
        };
        match (text.client_data, text.signature_data) {
            (Some(client_data), None) => Ok(Self::Passkey(Assertion {
                credential_id: binary(text.id)?,
                authenticator_data: binary(text.attestation_object)?,
                client_data: binary(Some(client_data))?,
                signature: binary(text.signature)?,
            })),
            (None, Some(phone)) => Ok(Self::Phone(PhoneSignature {
                signature: BASE64
                    .decode(phone.signature_value.ok_or(malformed)?)
                    .map_err(|_| malformed)?,
                challenge: phone.challenge.ok_or(malformed)?,
                counter: phone.counter,
            })),
            (Some(_), Some(_)) => Err(malformed),
            // Security keys (U2F), whose public key no source describes.
            (None, None) => Err(ProofError::Unsupported),
        }
    }
}

/// The text of a signature, in all known forms.
#[derive(Deserialize)]
struct SignatureText {
    id: Option<String>,
    /// The authenticator data.
    attestation_object: Option<String>,
    client_data: Option<String>,
    signature: Option<String>,
    #[serde(default, deserialize_with = "object")]
    signature_data: Option<PhoneText>,
}

#[derive(Deserialize)]
struct PhoneText {
    signature_value: Option<String>,
    challenge: Option<String>,
    counter: Option<u64>,
}

#[derive(Deserialize)]
struct Details {
    public_key: Option<String>,
    signing_algorithm: Option<String>,
    curve_type: Option<String>,
    key_format: Option<String>,
}

#[derive(Deserialize)]
struct SignedData {
    #[serde(default, deserialize_with = "object")]
    message_data: Option<MessageData>,
    #[serde(default, deserialize_with = "object")]
    signing_data: Option<SigningData>,
}

/// The values of the signed data.
pub(super) struct Signed {
    pub(super) message: MessageData,
    pub(super) signing: SigningData,
}

#[derive(Default, Deserialize)]
pub(super) struct MessageData {
    #[serde(rename = "auth_request_id")]
    pub(super) request: Option<Uuid>,
    #[serde(rename = "auth_profile_id")]
    pub(super) user: Option<Uuid>,
    #[serde(rename = "project_id")]
    pub(super) project: Option<Uuid>,
}

#[derive(Default, Deserialize)]
pub(super) struct SigningData {
    pub(super) nonce: Option<Secret>,
    date_signed: Option<String>,
    #[serde(rename = "profile_device_counter")]
    pub(super) counter: Option<u64>,
}

impl SigningData {
    /// Returns the date in milliseconds since 1970.
    pub(super) fn date(&self) -> Option<i64> {
        let text = self.date_signed.as_deref()?;
        let date = OffsetDateTime::parse(text, &Rfc3339)
            .or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339));
        let nanos = date.ok()?.unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000_000)).ok()
    }
}

/// Returns the time of so many milliseconds since 1970, if there is one.
pub(super) fn system_time(millis: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis.is_negative() {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}
