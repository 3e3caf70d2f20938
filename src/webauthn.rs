//! Reads what browsers and authenticators make: client data, authenticator data,
//! attestation objects and COSE keys.
//!
//! The input is untrusted. CBOR is read as CTAP2 has it: without tags and
//! indefinite lengths, and at most four levels deep.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minicbor::Decoder;
use minicbor::data::Type;
use ring::digest::{SHA256, digest};
use serde::Deserialize;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// Base64url, without padding when it encodes.
pub(crate) const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
/// Standard base64, without padding when it encodes.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// `type` in the client data of a sign-in.
pub(crate) const GET: &str = "webauthn.get";

pub(crate) const USER_PRESENT: u8 = 0x01;
pub(crate) const USER_VERIFIED: u8 = 0x04;
pub(crate) const ATTESTED: u8 = 0x40;
pub(crate) const EXTENSIONS: u8 = 0x80;

/// COSE's number for ECDSA on P-256 with SHA-256.
pub(crate) const ES256: i64 = -7;

/// The most levels of arrays and maps in CBOR.
const MAX_DEPTH: u8 = 4;

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, data).as_ref());
    hash
}

/// Returns the bytes that an authenticator signs, in both ceremonies.
pub(crate) fn signed_bytes(auth_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [auth_data, &sha256(client_data)].concat()
}

/// The JSON that a browser makes.
#[derive(Deserialize)]
pub(crate) struct ClientData {
    #[serde(rename = "type")]
    pub(crate) ceremony: String,
    pub(crate) challenge: String,
    pub(crate) origin: String,
    #[serde(rename = "crossOrigin", default)]
    pub(crate) cross_origin: bool,
}

/// An attestation object.
#[cfg_attr(
    not(feature = "emulator"),
    expect(dead_code, reason = "only the emulator verifies attestations")
)]
pub(crate) struct Attestation<'a> {
    pub(crate) format: &'a str,
    /// The statement, still encoded.
    pub(crate) statement: &'a [u8],
    pub(crate) auth_data: &'a [u8],
}

impl<'a> Attestation<'a> {
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(raw);
        let (mut format, mut statement, mut auth_data) = (None, None, None);
        for _ in 0..decoder.map().ok()?? {
            match decoder.str().ok()? {
                "fmt" => once(&mut format, decoder.str().ok()?)?,
                "attStmt" => once(&mut statement, item(&mut decoder)?)?,
                "authData" => once(&mut auth_data, decoder.bytes().ok()?)?,
                _ => skip(&mut decoder, MAX_DEPTH)?,
            }
        }
        (decoder.position() == raw.len()).then_some(Self {
            format: format?,
            statement: statement?,
            auth_data: auth_data?,
        })
    }
}

pub(crate) struct AuthenticatorData<'a> {
    pub(crate) rp_id_hash: &'a [u8; 32],
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    pub(crate) attested: Option<AttestedCredential<'a>>,
}

pub(crate) struct AttestedCredential<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) cose_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
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
}

/// The members of a COSE key. Which of them it must have depends on its type.
pub(crate) struct CoseKey<'a> {
    pub(crate) kind: i64,
    pub(crate) algorithm: i64,
    /// Label -1 of an elliptic curve key.
    pub(crate) curve: Option<i64>,
    /// Label -1 of an RSA key.
    pub(crate) modulus: Option<&'a [u8]>,
    /// Label -2: a coordinate, or the exponent of an RSA key.
    pub(crate) x: Option<&'a [u8]>,
    pub(crate) y: Option<&'a [u8]>,
}

impl<'a> CoseKey<'a> {
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(raw);
        let (mut kind, mut algorithm, mut curve) = (None, None, None);
        let (mut modulus, mut x, mut y) = (None, None, None);
        for _ in 0..decoder.map().ok()?? {
            match decoder.i64().ok()? {
                1 => once(&mut kind, decoder.i64().ok()?)?,
                3 => once(&mut algorithm, decoder.i64().ok()?)?,
                -1 if decoder.datatype().ok()? == Type::Bytes => {
                    once(&mut modulus, decoder.bytes().ok()?)?;
                }
                -1 => once(&mut curve, decoder.i64().ok()?)?,
                -2 => once(&mut x, decoder.bytes().ok()?)?,
                -3 => once(&mut y, decoder.bytes().ok()?)?,
                _ => skip(&mut decoder, MAX_DEPTH)?,
            }
        }
        (decoder.position() == raw.len()).then_some(Self {
            kind: kind?,
            algorithm: algorithm?,
            curve,
            modulus,
            x,
            y,
        })
    }
}

/// Sets a value. Returns `None` if it was set before: a name that is given
/// twice is malformed.
pub(crate) fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

/// Returns the bytes of the next CBOR item.
fn item<'a>(decoder: &mut Decoder<'a>) -> Option<&'a [u8]> {
    let start = decoder.position();
    skip(decoder, MAX_DEPTH)?;
    decoder.input().get(start..decoder.position())
}

fn split_item(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut decoder = Decoder::new(raw);
    skip(&mut decoder, MAX_DEPTH)?;
    raw.split_at_checked(decoder.position())
}

/// Skips the next CBOR item, which has at most `depth` levels.
pub(crate) fn skip(decoder: &mut Decoder<'_>, depth: u8) -> Option<()> {
    let items = match decoder.datatype().ok()? {
        Type::Array => decoder.array().ok()??,
        Type::Map => decoder.map().ok()??.checked_mul(2)?,
        Type::ArrayIndef
        | Type::MapIndef
        | Type::BytesIndef
        | Type::StringIndef
        | Type::Tag
        | Type::Break
        | Type::Unknown(_) => return None,
        _ => return decoder.skip().ok(),
    };
    let depth = depth.checked_sub(1)?;
    // A length that is too large ends with the input.
    for _ in 0..items {
        skip(decoder, depth)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(raw: &[u8]) -> Option<usize> {
        let mut decoder = Decoder::new(raw);
        skip(&mut decoder, MAX_DEPTH).map(|()| decoder.position())
    }

    #[test]
    fn cbor_is_read_to_four_levels() {
        assert_eq!(skipped(&[0x81, 0x81, 0x81, 0x81, 0x00]), Some(5));
        assert_eq!(skipped(&[0x81, 0x81, 0x81, 0x81, 0x80]), None);
        assert_eq!(skipped(&[0xa1, 0x00, 0xa1, 0x00, 0x61, b'x']), Some(6));
        assert_eq!(skipped(&[0x81; 4096]), None);
    }

    #[test]
    fn what_ctap2_forbids_is_refused() {
        for raw in [
            &[0x9f, 0xff][..],
            &[0xbf, 0xff],
            &[0x5f, 0xff],
            &[0x7f, 0xff],
            &[0xc1, 0x00],
            &[0xff],
            &[],
        ] {
            assert_eq!(skipped(raw), None, "{raw:02x?}");
        }
    }

    #[test]
    fn a_length_beyond_the_input_ends_at_once() {
        let mut raw = vec![0x9b];
        raw.extend([0xff; 8]);
        assert_eq!(skipped(&raw), None);
        raw[0] = 0xbb;
        assert_eq!(skipped(&raw), None);
        raw[0] = 0x5b;
        assert_eq!(skipped(&raw), None);
    }

    #[test]
    fn a_cose_key_has_each_member_once_and_nothing_after_it() {
        let key = [0xa2, 0x01, 0x02, 0x03, 0x26];
        let read = CoseKey::read(&key).unwrap();
        assert_eq!((read.kind, read.algorithm), (2, ES256));
        assert!(CoseKey::read(&[&key[..], &[0]].concat()).is_none());
        assert!(CoseKey::read(&[0xa3, 0x01, 0x02, 0x03, 0x26, 0x01, 0x02]).is_none());
        assert!(CoseKey::read(&[0xa1, 0x01, 0x02]).is_none());
    }
}
