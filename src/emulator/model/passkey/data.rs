//! Checks of attestation objects, authenticator data and COSE keys.

use minicbor::Decoder;

use super::{ES256, PasskeyError, USER_PRESENT, USER_VERIFIED, sha256};
pub(crate) use crate::webauthn::{Attestation, AuthenticatorData};
use crate::webauthn::{CoseKey, once};

impl<'a> Attestation<'a> {
    pub(crate) fn parse(raw: &'a [u8]) -> Result<Self, PasskeyError> {
        Self::read(raw).ok_or(PasskeyError::AttestationObject)
    }

    /// The signature of a `packed` statement, made by the credential itself;
    /// `None` for the format `none`.
    pub(crate) fn self_signature(&self) -> Result<Option<&'a [u8]>, PasskeyError> {
        let statement = Statement::read(self.statement).ok_or(PasskeyError::AttestationObject)?;
        match (self.format, statement.algorithm, statement.signature) {
            _ if statement.other => Err(PasskeyError::AttestationFormat),
            ("none", None, None) => Ok(None),
            ("packed", Some(ES256), Some(signature)) => Ok(Some(signature)),
            _ => Err(PasskeyError::AttestationFormat),
        }
    }
}

#[derive(Default)]
struct Statement<'a> {
    algorithm: Option<i64>,
    signature: Option<&'a [u8]>,
    /// Whether there are other members, such as a certificate chain.
    other: bool,
}

impl<'a> Statement<'a> {
    fn read(raw: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(raw);
        let mut statement = Self::default();
        for _ in 0..decoder.map().ok()?? {
            match decoder.str().ok()? {
                "alg" => once(&mut statement.algorithm, decoder.i64().ok()?)?,
                "sig" => once(&mut statement.signature, decoder.bytes().ok()?)?,
                _ => {
                    statement.other = true;
                    decoder.skip().ok()?;
                }
            }
        }
        Some(statement)
    }
}

impl<'a> AuthenticatorData<'a> {
    pub(crate) fn parse(raw: &'a [u8]) -> Result<Self, PasskeyError> {
        Self::read(raw).ok_or(PasskeyError::AuthenticatorData)
    }

    pub(crate) fn check(&self, rp_id: &str, verify_user: bool) -> Result<(), PasskeyError> {
        if *self.rp_id_hash != sha256(rp_id.as_bytes()) {
            return Err(PasskeyError::RelyingParty);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(PasskeyError::UserPresence);
        }
        if verify_user && self.flags & USER_VERIFIED == 0 {
            return Err(PasskeyError::UserVerification);
        }
        Ok(())
    }
}

/// The uncompressed point of a COSE key.
pub(crate) fn ec_point(cose_key: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    match CoseKey::read(cose_key) {
        Some(CoseKey {
            kind: 2,
            algorithm: ES256,
            curve: Some(1),
            modulus: None,
            x: Some(x),
            y: Some(y),
        }) if x.len() == 32 && y.len() == 32 => Ok([&[4], x, y].concat()),
        _ => Err(PasskeyError::PublicKey),
    }
}
