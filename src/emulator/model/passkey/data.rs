//! Parsers of attestation objects, authenticator data and COSE keys.

use minicbor::Decoder;

use super::{ATTESTED, ES256, EXTENSIONS, PasskeyError, USER_PRESENT, USER_VERIFIED, sha256};

/// An attestation object.
pub(crate) struct Attestation<'a> {
    format: &'a str,
    /// The statement, still encoded.
    statement: &'a [u8],
    pub(crate) auth_data: &'a [u8],
}

impl<'a> Attestation<'a> {
    pub(crate) fn parse(raw: &'a [u8]) -> Result<Self, PasskeyError> {
        Self::read(raw).ok_or(PasskeyError::AttestationObject)
    }

    fn read(raw: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(raw);
        let (mut format, mut statement, mut auth_data) = (None, None, None);
        for _ in 0..decoder.map().ok()?? {
            match decoder.str().ok()? {
                "fmt" => once(&mut format, decoder.str().ok()?)?,
                "attStmt" => once(&mut statement, item(&mut decoder)?)?,
                "authData" => once(&mut auth_data, decoder.bytes().ok()?)?,
                _ => decoder.skip().ok()?,
            }
        }
        (decoder.position() == raw.len()).then_some(Self {
            format: format?,
            statement: statement?,
            auth_data: auth_data?,
        })
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

/// Sets a value. Returns `None` if it was set before: a name that is given
/// twice is malformed.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

/// The bytes of the next CBOR item.
fn item<'a>(decoder: &mut Decoder<'a>) -> Option<&'a [u8]> {
    let start = decoder.position();
    decoder.skip().ok()?;
    decoder.input().get(start..decoder.position())
}

pub(crate) struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8; 32],
    flags: u8,
    pub(crate) counter: u32,
    pub(crate) attested: Option<AttestedCredential<'a>>,
}

pub(crate) struct AttestedCredential<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) cose_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(crate) fn parse(raw: &'a [u8]) -> Result<Self, PasskeyError> {
        Self::read(raw).ok_or(PasskeyError::AuthenticatorData)
    }

    fn read(raw: &'a [u8]) -> Option<Self> {
        let (rp_id_hash, rest) = raw.split_first_chunk::<32>()?;
        let (&flags, rest) = rest.split_first()?;
        let (&counter, mut rest) = rest.split_first_chunk::<4>()?;
        let mut attested = None;
        if flags & ATTESTED != 0 {
            let (_aaguid, tail) = rest.split_first_chunk::<16>()?;
            let (&length, tail) = tail.split_first_chunk::<2>()?;
            let (id, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
            let (cose_key, tail) = split_item(tail)?;
            attested = Some(AttestedCredential { id, cose_key });
            rest = tail;
        }
        if flags & EXTENSIONS != 0 {
            Decoder::new(rest).map().ok()??;
            (_, rest) = split_item(rest)?;
        }
        rest.is_empty().then_some(Self {
            rp_id_hash,
            flags,
            counter: u32::from_be_bytes(counter),
            attested,
        })
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

fn split_item(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut decoder = Decoder::new(raw);
    decoder.skip().ok()?;
    raw.split_at_checked(decoder.position())
}

/// The uncompressed point of a COSE key.
pub(crate) fn ec_point(cose_key: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    read_ec_point(cose_key).ok_or(PasskeyError::PublicKey)
}

fn read_ec_point(cose_key: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(cose_key);
    let (mut kind, mut algorithm, mut curve) = (None, None, None);
    let (mut x, mut y) = (None, None);
    for _ in 0..decoder.map().ok()?? {
        match decoder.i64().ok()? {
            1 => once(&mut kind, decoder.i64().ok()?)?,
            3 => once(&mut algorithm, decoder.i64().ok()?)?,
            -1 => once(&mut curve, decoder.i64().ok()?)?,
            -2 => once(&mut x, decoder.bytes().ok()?)?,
            -3 => once(&mut y, decoder.bytes().ok()?)?,
            _ => decoder.skip().ok()?,
        }
    }
    let (x, y) = (x?, y?);
    // Key type 2 is an elliptic curve with two coordinates, curve 1 is P-256.
    ((kind, algorithm, curve) == (Some(2), Some(ES256), Some(1)) && x.len() == 32 && y.len() == 32)
        .then(|| [&[4], x, y].concat())
}
