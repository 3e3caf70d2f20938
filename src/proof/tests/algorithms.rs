//! The algorithms of passkeys.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use minicbor::Encoder;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::Value;

use super::*;
use crate::proof::tests::maker::{key_pair, passkey_with};

type CborResult = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn cbor(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> CborResult) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).unwrap();
    out
}

fn curve_key(kind: i64, algorithm: i64, curve: i64, x: &[u8], y: Option<&[u8]>) -> Vec<u8> {
    cbor(|e| {
        e.map(4 + u64::from(y.is_some()))?;
        e.i64(1)?.i64(kind)?.i64(3)?.i64(algorithm)?;
        e.i64(-1)?.i64(curve)?.i64(-2)?.bytes(x)?;
        if let Some(y) = y {
            e.i64(-3)?.bytes(y)?;
        }
        Ok(())
    })
}

fn rsa_key(algorithm: i64, modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    cbor(|e| {
        e.map(4)?.i64(1)?.i64(3)?.i64(3)?.i64(algorithm)?;
        e.i64(-1)?.bytes(modulus)?.i64(-2)?.bytes(exponent)?;
        Ok(())
    })
}

fn pinned(cose: &[u8]) -> Result<PinnedKey, ProofError> {
    PinnedKey::passkey(CREDENTIAL.to_vec(), cose.to_vec())
}

#[test]
fn es384_verifies() {
    let (algorithm, random) = (&ECDSA_P384_SHA384_ASN1_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(48);
    let cose = curve_key(2, -35, 2, x, Some(y));
    let sign = |message: &[u8]| pair.sign(&random, message).unwrap().as_ref().to_vec();
    assert_verifies(&cose, &sign);
}

#[test]
fn ed25519_verifies() {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let cose = curve_key(1, -8, 6, pair.public_key().as_ref(), None);
    assert_verifies(&cose, &|message| pair.sign(message).as_ref().to_vec());
}

fn assert_verifies(cose: &[u8], sign: &dyn Fn(&[u8]) -> Vec<u8>) {
    let made = passkey_with(&Passkey::default(), cose, sign);
    let verified = made.proof.verify(&full(made.key)).unwrap();
    assert_eq!(verified.checks(), Check::ALL);
    let forged = Passkey {
        badly_signed: true,
        ..Passkey::default()
    };
    let made = passkey_with(&forged, cose, sign);
    let error = made.proof.verify(&full(made.key)).unwrap_err();
    assert_eq!(error, ProofError::Failed(Check::Signature));
}

/// The signatures were made by another implementation.
#[test]
fn rsa_verifies_by_its_own_algorithm_alone() {
    let made: Value = serde_json::from_str(include_str!("rsa.json")).unwrap();
    let bytes = |value: &Value| {
        BASE64_URL_SAFE_NO_PAD
            .decode(value.as_str().unwrap())
            .unwrap()
    };
    let (modulus, exponent) = (bytes(&made["modulus"]), bytes(&made["exponent"]));
    let message = made["message"].as_str().unwrap().as_bytes();
    let algorithms = [-257, -258, -259, -37, -38, -39];
    for of_key in algorithms {
        let key = pinned(&rsa_key(of_key, &modulus, &exponent)).unwrap();
        for of_signature in algorithms {
            let signature = bytes(&made["signatures"][of_signature.to_string()]);
            let verifies = key.verifies(message, &signature).unwrap();
            assert_eq!(verifies, of_key == of_signature, "{of_key} {of_signature}");
        }
        let short = pinned(&rsa_key(of_key, &modulus[..128], &exponent)).unwrap();
        assert_eq!(short.verifies(message, &modulus), Ok(false));
    }
}

#[test]
fn other_algorithms_are_unsupported_and_malformed_keys_refused() {
    let unsupported = Err(ProofError::Unsupported);
    let malformed = Err(ProofError::PublicKey);
    let (x, y) = ([1; 32], [2; 32]);
    for (cose, expected) in [
        // ES512, an unknown algorithm, and curves of other algorithms.
        (curve_key(2, -36, 3, &[1; 66], Some(&[2; 66])), &unsupported),
        (curve_key(2, -47, 8, &x, Some(&y)), &unsupported),
        (curve_key(2, -7, 2, &x, Some(&y)), &unsupported),
        (curve_key(2, -35, 1, &x, Some(&y)), &unsupported),
        (curve_key(1, -8, 7, &x, None), &unsupported),
        (curve_key(1, -7, 1, &x, Some(&y)), &unsupported),
        // RSA with SHA-1.
        (rsa_key(-65535, &[1; 256], &[1, 0, 1]), &unsupported),
        (curve_key(2, -7, 1, &x[1..], Some(&y)), &malformed),
        (curve_key(2, -7, 1, &x, Some(&y[1..])), &malformed),
        (curve_key(2, -7, 1, &x, None), &malformed),
        (curve_key(1, -8, 6, &x[1..], None), &malformed),
        (b"\x30\x59".to_vec(), &malformed),
        (vec![], &malformed),
    ] {
        assert_eq!(&pinned(&cose).map(drop), expected, "{cose:02x?}");
    }
    // A point that is not on the curve.
    let key = pinned(&curve_key(2, -7, 1, &x, Some(&y))).unwrap();
    assert_eq!(key.verifies(b"", b""), Ok(false));
}

#[test]
fn a_phone_s_key_is_a_point_on_p_256() {
    let pair = key_pair();
    let made = phone(&Phone::default());
    let spki = made.key.public_key();
    assert!(PinnedKey::phone(spki.to_vec()).is_ok());
    let short = PinnedKey::phone(spki[..spki.len() - 1].to_vec());
    assert_eq!(short.unwrap_err(), ProofError::PublicKey);
    let bare = PinnedKey::phone(pair.public_key().as_ref().to_vec());
    assert_eq!(bare.unwrap_err(), ProofError::Unsupported);
    for (name, value) in [
        ("signing_algorithm", "SHA512"),
        ("curve_type", "secp384r1"),
        ("key_format", "jwk"),
    ] {
        let mut details = made.json()["message"]["signature_validation_details"].clone();
        let mut parsed: Value = serde_json::from_str(details.as_str().unwrap()).unwrap();
        parsed[name] = json!(value);
        details = json!(parsed.to_string());
        let proof = made.with("/signature_validation_details", details);
        let error = proof.verify(&full(made.key.clone())).unwrap_err();
        assert_eq!(error, ProofError::Unsupported, "{name}");
    }
}
