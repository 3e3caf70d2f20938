//! [`PinnedKey`] and the algorithms of signatures.

use std::fmt;

use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};

use super::MAX_LEN;
use super::error::ProofError;
use super::format::{Bytes, Format};
use crate::webauthn::{Attestation, AuthenticatorData, CoseKey, ES256};

/// A public key of a user, which the program keeps in its own database.
///
/// A key that comes with a message proves nothing: whoever forges the message
/// chooses the key. What a key is worth depends on where the program has it
/// from:
///
/// | the key is from | a valid proof means |
/// | --- | --- |
/// | the passkey's registration: [`RegisteredUser::pinned_key`](crate::flow::RegisteredUser::pinned_key), [`from_attestation_object`](Self::from_attestation_object) | the passkey that the user's browser made in your registration signed. The service cannot forge it |
/// | the first sign-in: [`VerifiedProof::key`](super::VerifiedProof::key) | the device of the first sign-in signed. The service could have chosen that one |
/// | the message itself: [`Expectation::key_in_message`](super::Expectation::key_in_message) | the message is consistent in itself. **It is no proof of anything** |
///
/// Store it with the user's id, and give [`Expectation`](super::Expectation) the
/// keys of the expected user only. It holds the counter of its last use, so
/// store it again after each sign-in.
///
/// It serialises with serde. A key of another format, and one that
/// [`verify`](super::Proof::verify) could not use, do not deserialise. `Debug`
/// does not print it. Two keys are equal if the counter is equal as well.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct PinnedKey {
    kind: Kind,
    public_key: Vec<u8>,
    last_counter: Option<u64>,
}

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// The public key is a COSE key.
    Passkey { credential_id: Vec<u8> },
    /// The public key is a `SubjectPublicKeyInfo`.
    Phone,
}

impl PinnedKey {
    /// Takes a passkey's key from the attestation object of its registration, as
    /// the browser sends it (`attestationObject`, decoded from base64url).
    ///
    /// The attestation itself is not verified. That the object is of your
    /// registration is for the caller to know:
    /// [`RegisteredUser::pinned_key`](crate::flow::RegisteredUser::pinned_key)
    /// returns the key of a registration that the service has accepted.
    ///
    /// Fails with [`TooLarge`](ProofError::TooLarge) above 64 KiB, with
    /// [`AttestationObject`](ProofError::AttestationObject) if it is malformed or
    /// has no credential, and with [`PublicKey`](ProofError::PublicKey) or
    /// [`Unsupported`](ProofError::Unsupported) for a key that cannot be used.
    pub fn from_attestation_object(object: &[u8]) -> Result<Self, ProofError> {
        if object.len() > MAX_LEN {
            return Err(ProofError::TooLarge);
        }
        let malformed = ProofError::AttestationObject;
        let object = Attestation::read(object).ok_or(malformed)?;
        let data = AuthenticatorData::read(object.auth_data).ok_or(malformed)?;
        let credential = data.attested.ok_or(malformed)?;
        let key = Self::passkey(credential.id.to_vec(), credential.cose_key.to_vec())?;
        Ok(key.with_last_counter(data.counter.into()))
    }

    pub(super) fn passkey(credential_id: Vec<u8>, cose: Vec<u8>) -> Result<Self, ProofError> {
        let kind = Kind::Passkey { credential_id };
        Self::new(kind, cose)
    }

    pub(super) fn phone(spki: Vec<u8>) -> Result<Self, ProofError> {
        Self::new(Kind::Phone, spki)
    }

    fn new(kind: Kind, public_key: Vec<u8>) -> Result<Self, ProofError> {
        let key = Self {
            kind,
            public_key,
            last_counter: None,
        };
        key.parsed()?;
        Ok(key)
    }

    /// Returns the id of the passkey, or `None` for a phone's key.
    #[must_use]
    pub fn credential_id(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Passkey { credential_id } => Some(credential_id),
            Kind::Phone => None,
        }
    }

    /// Returns the public key: a COSE key of a passkey, a `SubjectPublicKeyInfo`
    /// in DER of a phone.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns the counter of the last use, if it is known.
    #[must_use]
    pub fn last_counter(&self) -> Option<u64> {
        self.last_counter
    }

    /// Sets the counter of the last use.
    #[must_use]
    pub fn with_last_counter(mut self, counter: u64) -> Self {
        self.last_counter = Some(counter);
        self
    }

    /// Returns whether two keys are the same, whatever their counters are.
    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        self.kind == other.kind && self.public_key == other.public_key
    }

    /// Returns whether this is a signature over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> Result<bool, ProofError> {
        Ok(self.parsed()?.verifies(message, signature))
    }

    fn parsed(&self) -> Result<PublicKey, ProofError> {
        match &self.kind {
            Kind::Passkey { .. } => PublicKey::from_cose(&self.public_key),
            Kind::Phone => PublicKey::from_spki(&self.public_key),
        }
    }
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedKey").finish_non_exhaustive()
    }
}

/// The serialised form of a [`PinnedKey`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    v: Format,
    /// Of a passkey only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential_id: Option<Bytes>,
    public_key: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_counter: Option<u64>,
}

impl From<PinnedKey> for Stored {
    fn from(key: PinnedKey) -> Self {
        Self {
            v: Format,
            credential_id: match key.kind {
                Kind::Passkey { credential_id } => Some(Bytes(credential_id)),
                Kind::Phone => None,
            },
            public_key: Bytes(key.public_key),
            last_counter: key.last_counter,
        }
    }
}

impl TryFrom<Stored> for PinnedKey {
    type Error = ProofError;

    fn try_from(stored: Stored) -> Result<Self, ProofError> {
        let key = match stored.credential_id {
            Some(Bytes(id)) => Self::passkey(id, stored.public_key.0),
            None => Self::phone(stored.public_key.0),
        }?;
        Ok(Self {
            last_counter: stored.last_counter,
            ..key
        })
    }
}

/// A public key that ring can use.
enum PublicKey {
    /// An elliptic curve, and the point as ring wants it.
    Curve(&'static dyn VerificationAlgorithm, Vec<u8>),
    Rsa(&'static RsaParameters, RsaPublicKeyComponents<Vec<u8>>),
}

impl PublicKey {
    /// Reads a COSE key (RFC 9053, RFC 8812).
    fn from_cose(raw: &[u8]) -> Result<Self, ProofError> {
        let key = CoseKey::read(raw).ok_or(ProofError::PublicKey)?;
        let rsa = |parameters| {
            let (n, e) = key.modulus.zip(key.x).ok_or(ProofError::PublicKey)?;
            let (n, e) = (n.to_vec(), e.to_vec());
            Ok(Self::Rsa(parameters, RsaPublicKeyComponents { n, e }))
        };
        let of_len = |value: Option<&[u8]>, len| {
            let value = value.filter(|value| value.len() == len);
            value.map(<[u8]>::to_vec).ok_or(ProofError::PublicKey)
        };
        let point = |len| {
            let (x, y) = (of_len(key.x, len)?, of_len(key.y, len)?);
            Ok::<_, ProofError>([vec![4], x, y].concat())
        };
        match (key.kind, key.algorithm, key.curve) {
            (2, ES256, Some(1)) => Ok(Self::Curve(&ECDSA_P256_SHA256_ASN1, point(32)?)),
            (2, -35, Some(2)) => Ok(Self::Curve(&ECDSA_P384_SHA384_ASN1, point(48)?)),
            (1, -8, Some(6)) => Ok(Self::Curve(&ED25519, of_len(key.x, 32)?)),
            (3, -257, None) => rsa(&RSA_PKCS1_2048_8192_SHA256),
            (3, -258, None) => rsa(&RSA_PKCS1_2048_8192_SHA384),
            (3, -259, None) => rsa(&RSA_PKCS1_2048_8192_SHA512),
            (3, -37, None) => rsa(&RSA_PSS_2048_8192_SHA256),
            (3, -38, None) => rsa(&RSA_PSS_2048_8192_SHA384),
            (3, -39, None) => rsa(&RSA_PSS_2048_8192_SHA512),
            _ => Err(ProofError::Unsupported),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` with an uncompressed point on P-256, the
    /// only key that is known of phones.
    fn from_spki(der: &[u8]) -> Result<Self, ProofError> {
        const HEADER: [u8; 26] = [
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        let point = der.strip_prefix(&HEADER).ok_or(ProofError::Unsupported)?;
        if point.len() == 65 {
            Ok(Self::Curve(&ECDSA_P256_SHA256_ASN1, point.to_vec()))
        } else {
            Err(ProofError::PublicKey)
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Curve(algorithm, point) => UnparsedPublicKey::new(*algorithm, point)
                .verify(message, signature)
                .is_ok(),
            Self::Rsa(parameters, key) => key.verify(parameters, message, signature).is_ok(),
        }
    }
}
