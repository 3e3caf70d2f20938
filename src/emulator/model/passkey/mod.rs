//! Passkeys (WebAuthn): the relying party, which verifies what a browser sends.
//!
//! Supported are ES256 keys on P-256 and two attestations: `none`, and `packed`
//! signed by the credential itself. Everything else is refused.

pub(crate) mod data;
mod error;
mod relying_party;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use ring::digest::{SHA256, digest};

pub use self::error::PasskeyError;
#[cfg(test)]
pub(crate) use self::relying_party::VerifiedRegistration;
pub(crate) use self::relying_party::{StoredCredential, verify_assertion, verify_registration};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
pub(crate) const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

pub(crate) const CREATE: &str = "webauthn.create";
pub(crate) const GET: &str = "webauthn.get";

pub(crate) const USER_PRESENT: u8 = 0x01;
pub(crate) const USER_VERIFIED: u8 = 0x04;
pub(crate) const ATTESTED: u8 = 0x40;
pub(crate) const EXTENSIONS: u8 = 0x80;

/// COSE's number for ECDSA on P-256 with SHA-256.
pub(crate) const ES256: i64 = -7;

/// Decodes base64url, with or without padding.
pub(crate) fn base64url(text: &str) -> Result<Vec<u8>, PasskeyError> {
    BASE64URL.decode(text).map_err(|_| PasskeyError::Encoding)
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, data).as_ref());
    hash
}

/// Returns the bytes that an authenticator signs, in both ceremonies.
pub(crate) fn signed_bytes(auth_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [auth_data, &sha256(client_data)].concat()
}
