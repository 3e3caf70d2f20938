//! Passkeys (WebAuthn): the service's half, which checks what a browser hands
//! over, and the person's half, an authenticator made of software.
//!
//! The service knows one kind of key, ES256 on P-256, and two attestations:
//! none at all and a `packed` one that the credential signed itself. Everything
//! else is refused.

mod authenticator;
mod data;
mod error;
mod relying_party;
#[cfg(test)]
mod tests;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use ring::digest::{SHA256, digest};

pub use self::error::PasskeyError;
pub(in crate::emulator) use self::{
    authenticator::SoftwareAuthenticator,
    relying_party::{StoredCredential, verify_assertion, verify_registration},
};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

const CREATE: &str = "webauthn.create";
const GET: &str = "webauthn.get";

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// COSE's number for ECDSA on P-256 with SHA-256.
const ES256: i64 = -7;

fn base64url(text: &str) -> Result<Vec<u8>, PasskeyError> {
    BASE64URL.decode(text).map_err(|_| PasskeyError::Encoding)
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, data).as_ref());
    hash
}

/// What an authenticator signs, in both ceremonies.
fn signed_bytes(auth_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [auth_data, &sha256(client_data)].concat()
}
