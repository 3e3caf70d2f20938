//! The relying party's checks of registrations and sign-ins.

use std::fmt;

use base64::Engine as _;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::{
    BASE64URL, CREATE, GET, PasskeyError, base64url,
    data::{Attestation, AuthenticatorData, ec_point},
    signed_bytes,
};
use crate::webauthn::ClientData;

/// A verified registration.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) struct VerifiedRegistration {
    /// The credential's id as base64url without padding.
    pub(crate) credential_id: String,
    /// The public key as an uncompressed P-256 point, 65 bytes. Whether it lies
    /// on the curve is not checked before its first signature.
    pub(crate) public_key: Vec<u8>,
    /// The signature counter at registration.
    pub(crate) counter: u32,
}

impl fmt::Debug for VerifiedRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedRegistration")
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

/// The stored credential that a sign-in is checked against.
#[derive(Clone, Copy)]
pub(crate) struct StoredCredential<'a> {
    /// The credential's id as base64url.
    pub(crate) credential_id: &'a str,
    /// The public key as an uncompressed P-256 point.
    pub(crate) public_key: &'a [u8],
    /// The signature counter of the last use.
    pub(crate) counter: u32,
    /// Whether the authenticator has to verify the user, by a PIN or biometrics.
    pub(crate) verify_user: bool,
}

impl fmt::Debug for StoredCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential")
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

/// Verifies a registration.
///
/// `challenge` is the one of the options; `id`, `attestation_object` and
/// `client_data` are base64url text from the browser. `verify_user` says whether
/// the authenticator has to verify the user.
pub(crate) fn verify_registration(
    challenge: &[u8],
    origin: &str,
    rp_id: &str,
    id: &str,
    attestation_object: &str,
    client_data: &str,
    verify_user: bool,
) -> Result<VerifiedRegistration, PasskeyError> {
    let id = base64url(id)?;
    let client_data = base64url(client_data)?;
    check_client_data(&client_data, CREATE, challenge, origin)?;

    let object = base64url(attestation_object)?;
    let object = Attestation::parse(&object)?;
    let data = AuthenticatorData::parse(object.auth_data)?;
    data.check(rp_id, verify_user)?;
    let credential = data.attested.ok_or(PasskeyError::NoAttestedCredential)?;
    if credential.id.is_empty() || credential.id != id {
        return Err(PasskeyError::CredentialId);
    }
    let public_key = ec_point(credential.cose_key)?;
    if let Some(signature) = object.self_signature()? {
        check_signature(&public_key, object.auth_data, &client_data, signature)?;
    }
    Ok(VerifiedRegistration {
        credential_id: BASE64URL.encode(&id),
        public_key,
        counter: data.counter,
    })
}

/// Verifies a sign-in and returns the new signature counter, which the caller
/// has to store.
///
/// `challenge` is the one of the options; `id`, `authenticator_data`,
/// `client_data` and `signature` are base64url text from the browser.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a distinct input of the ceremony and is used once"
)]
pub(crate) fn verify_assertion(
    challenge: &[u8],
    origin: &str,
    rp_id: &str,
    stored: &StoredCredential<'_>,
    id: &str,
    authenticator_data: &str,
    client_data: &str,
    signature: &str,
) -> Result<u32, PasskeyError> {
    let id = base64url(id)?;
    if id.is_empty() || id != base64url(stored.credential_id)? {
        return Err(PasskeyError::CredentialId);
    }
    let client_data = base64url(client_data)?;
    check_client_data(&client_data, GET, challenge, origin)?;

    let raw_data = base64url(authenticator_data)?;
    let data = AuthenticatorData::parse(&raw_data)?;
    data.check(rp_id, stored.verify_user)?;
    let signature = base64url(signature)?;
    check_signature(stored.public_key, &raw_data, &client_data, &signature)?;

    // Authenticators without a counter always send zero.
    let uncounted = data.counter == 0 && stored.counter == 0;
    if data.counter <= stored.counter && !uncounted {
        return Err(PasskeyError::Counter);
    }
    Ok(data.counter)
}

fn check_signature(
    public_key: &[u8],
    auth_data: &[u8],
    client_data: &[u8],
    signature: &[u8],
) -> Result<(), PasskeyError> {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key)
        .verify(&signed_bytes(auth_data, client_data), signature)
        .map_err(|_| PasskeyError::Signature)
}

fn check_client_data(
    raw: &[u8],
    ceremony: &str,
    challenge: &[u8],
    origin: &str,
) -> Result<(), PasskeyError> {
    let data: ClientData = serde_json::from_slice(raw).map_err(|_| PasskeyError::ClientData)?;
    if data.ceremony != ceremony {
        return Err(PasskeyError::Ceremony);
    }
    if BASE64URL.decode(&data.challenge).ok().as_deref() != Some(challenge) {
        return Err(PasskeyError::Challenge);
    }
    if data.origin != origin || data.cross_origin {
        return Err(PasskeyError::Origin);
    }
    Ok(())
}
