//! Passkeys (WebAuthn): the relying party, which verifies what a browser sends.
//!
//! Supported are ES256 keys on P-256 and two attestations: `none`, and `packed`
//! signed by the credential itself. Everything else is refused.

pub(crate) mod data;
mod error;
mod relying_party;

use base64::engine::Engine as _;

pub use self::error::PasskeyError;
#[cfg(test)]
pub(crate) use self::relying_party::VerifiedRegistration;
pub(crate) use self::relying_party::{StoredCredential, verify_assertion, verify_registration};

#[cfg(test)]
pub(crate) use crate::webauthn::EXTENSIONS;
pub(crate) use crate::webauthn::{
    ATTESTED, BASE64, BASE64URL, ES256, GET, USER_PRESENT, USER_VERIFIED, sha256, signed_bytes,
};

pub(crate) const CREATE: &str = "webauthn.create";

/// Decodes base64url, with or without padding.
pub(crate) fn base64url(text: &str) -> Result<Vec<u8>, PasskeyError> {
    BASE64URL.decode(text).map_err(|_| PasskeyError::Encoding)
}
