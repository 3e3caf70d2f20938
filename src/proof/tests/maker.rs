//! Makes proofs, right and wrong, with keys of its own.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{PROJECT, REQUEST, USER};
use crate::proof::{PinnedKey, Proof};
use crate::webauthn::{GET, USER_PRESENT, USER_VERIFIED, sha256, signed_bytes};

pub(super) const CHALLENGE: &[u8] = b"the challenge of the page";
pub(super) const NONCE: &str = "bm9uY2Utb2Ytb3Vycw";
pub(super) const ORIGIN: &str = "https://app.example";
pub(super) const RP: &str = "app.example";
pub(super) const CREDENTIAL: &[u8] = b"credential id";

/// A proof, and the key that is pinned for it, whose last counter is 6.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) proof: Proof,
    pub(super) key: PinnedKey,
}

impl Made {
    /// The message as JSON.
    pub(super) fn json(&self) -> Value {
        serde_json::to_value(&self.proof).unwrap()
    }

    /// The proof with another value at a pointer into its message.
    pub(super) fn with(&self, pointer: &str, value: Value) -> Proof {
        let mut json = self.json();
        *json["message"].pointer_mut(pointer).expect(pointer) = value;
        serde_json::from_value(json).unwrap()
    }

    /// The proof with a changed member of the signature text.
    pub(super) fn with_signature(&self, pointer: &str, change: impl FnOnce(&mut Value)) -> Proof {
        let mut text: Value = serde_json::from_str(self.signature_text().as_str()).unwrap();
        change(text.pointer_mut(pointer).expect(pointer));
        self.with("/signature_data/signature_data", json!(text.to_string()))
    }

    pub(super) fn signature_text(&self) -> String {
        let json = self.json();
        let text = &json["message"]["signature_data"]["signature_data"];
        text.as_str().unwrap().to_owned()
    }
}

/// The signed data of the default proofs.
pub(super) fn signed_data() -> Value {
    json!({
        "message_data": {
            "auth_request_id": REQUEST,
            "auth_profile_id": USER,
            "project_id": PROJECT,
        },
        "signing_data": {
            "nonce": NONCE,
            "date_signed": "2026-01-02T03:04:05.1234567Z",
            "profile_device_id": "00000000-0000-0000-0000-000000000006",
            "profile_device_counter": 7,
        },
    })
}

/// The signed data with another value at a pointer.
pub(super) fn changed(pointer: &str, value: Value) -> Value {
    let mut data = signed_data();
    *data.pointer_mut(pointer).expect(pointer) = value;
    data
}

pub(super) fn base64url(data: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(data)
}

pub(super) fn hex(hash: [u8; 32]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[derive(Clone)]
pub(super) enum Challenge {
    Is(Vec<u8>),
    HashText,
    HashBytes,
}

/// What a passkey signs.
#[derive(Clone)]
pub(super) struct Passkey {
    pub(super) credential_id: Vec<u8>,
    pub(super) ceremony: &'static str,
    pub(super) challenge: Challenge,
    pub(super) origin: &'static str,
    pub(super) cross_origin: bool,
    pub(super) rp: &'static str,
    pub(super) flags: u8,
    pub(super) counter: u32,
    pub(super) data: Value,
    /// The hash in the message, if it is wrong.
    pub(super) hash: Option<[u8; 32]>,
    /// Whether the signature is over other bytes.
    pub(super) badly_signed: bool,
}

impl Default for Passkey {
    fn default() -> Self {
        Self {
            credential_id: CREDENTIAL.to_vec(),
            ceremony: GET,
            challenge: Challenge::Is(CHALLENGE.to_vec()),
            origin: ORIGIN,
            cross_origin: false,
            rp: RP,
            flags: USER_PRESENT | USER_VERIFIED,
            counter: 7,
            data: signed_data(),
            hash: None,
            badly_signed: false,
        }
    }
}

impl Passkey {
    pub(super) fn client_data(&self) -> String {
        let hash = sha256(BASE64_STANDARD.encode(self.data.to_string()).as_bytes());
        let challenge = match &self.challenge {
            Challenge::Is(bytes) => bytes.clone(),
            Challenge::HashText => hex(hash).into_bytes(),
            Challenge::HashBytes => hash.to_vec(),
        };
        json!({
            "type": self.ceremony,
            "challenge": base64url(&challenge),
            "origin": self.origin,
            "crossOrigin": self.cross_origin,
        })
        .to_string()
    }

    pub(super) fn authenticator_data(&self) -> Vec<u8> {
        [
            &sha256(self.rp.as_bytes())[..],
            &[self.flags],
            &self.counter.to_be_bytes(),
        ]
        .concat()
    }
}

pub(super) fn key_pair() -> EcdsaKeyPair {
    let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap()
}

fn sign(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    let signature = pair.sign(&SystemRandom::new(), message).unwrap();
    signature.as_ref().to_vec()
}

/// The COSE key of a point on P-256.
pub(super) fn cose_es256(point: &[u8]) -> Vec<u8> {
    let (x, y) = point[1..].split_at(32);
    let head = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
    [&head[..], x, &[0x22, 0x58, 32], y].concat()
}

/// A message in which `sign` signs.
pub(super) fn passkey_with(
    made: &Passkey,
    cose: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Made {
    let (client_data, auth_data) = (made.client_data(), made.authenticator_data());
    passkey_raw(made, cose, client_data.as_bytes(), &auth_data, sign)
}

/// A message with any client data and authenticator data.
pub(super) fn passkey_raw(
    made: &Passkey,
    cose: &[u8],
    client_data: &[u8],
    auth_data: &[u8],
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Made {
    let data = BASE64_STANDARD.encode(made.data.to_string());
    let mut signed = signed_bytes(auth_data, client_data);
    if made.badly_signed {
        signed.push(0);
    }
    let text = json!({
        "id": base64url(&made.credential_id),
        "attestation_object": base64url(auth_data),
        "client_data": base64url(client_data),
        "signature": base64url(&sign(&signed)),
        "client_extension_data": null,
    });
    let proof = proof(
        &data,
        made.hash,
        &text,
        &json!({
            "fido2_options_json": "{}",
            "expected_origin": ORIGIN,
            "rpid": RP,
            "public_key": BASE64_STANDARD.encode(cose),
            "aa_guid": "",
            "authenticator_enrollment_data": null,
        }),
    );
    let key = PinnedKey::passkey(made.credential_id.clone(), cose.to_vec()).unwrap();
    Made {
        proof,
        key: key.with_last_counter(6),
    }
}

pub(super) fn passkey(made: &Passkey) -> Made {
    let pair = key_pair();
    let cose = cose_es256(pair.public_key().as_ref());
    passkey_with(made, &cose, |message| sign(&pair, message))
}

/// The bytes that a phone signs.
#[derive(Clone, Copy)]
pub(super) enum Signs {
    Text,
    Bytes,
    Data,
    Another,
}

/// What a phone signs.
#[derive(Clone)]
pub(super) struct Phone {
    pub(super) data: Value,
    pub(super) hash: Option<[u8; 32]>,
    pub(super) signs: Signs,
    /// The challenge, if it is wrong.
    pub(super) challenge: Option<&'static str>,
    /// The counter in the signed data.
    pub(super) counter: Value,
    /// The counter beside the signature, if it is another one.
    pub(super) outer_counter: Value,
}

impl Default for Phone {
    fn default() -> Self {
        Self {
            data: signed_data(),
            hash: None,
            signs: Signs::Text,
            challenge: None,
            counter: json!(7),
            outer_counter: Value::Null,
        }
    }
}

pub(super) fn phone(made: &Phone) -> Made {
    let pair = key_pair();
    let mut data = made.data.clone();
    data["signing_data"]["profile_device_counter"] = made.counter.clone();
    let data = BASE64_STANDARD.encode(data.to_string());
    let hash = sha256(data.as_bytes());
    let challenge = made.challenge.map_or_else(|| hex(hash), str::to_owned);
    let signature = match made.signs {
        Signs::Text => sign(&pair, challenge.as_bytes()),
        Signs::Bytes => sign(&pair, &hash),
        Signs::Data => sign(&pair, data.as_bytes()),
        Signs::Another => sign(&pair, b"another"),
    };
    let outer_counter = match &made.outer_counter {
        Value::Null => &made.counter,
        another => another,
    };
    let text = json!({
        "signature_data": {
            "counter": outer_counter,
            "signature_value": BASE64_STANDARD.encode(signature),
            "challenge": challenge,
        },
        "metaData": {},
        "version": 1,
        "format": 1,
        "key_Id": "00000000-0000-0000-0000-000000000006",
    });
    let mut spki = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00".to_vec();
    spki.extend(pair.public_key().as_ref());
    let details = json!({
        "public_key": BASE64_STANDARD.encode(&spki),
        "key_size": "256",
        "key_type": "EC",
        "signing_algorithm": "SHA256",
        "curve_type": "secp256r1",
        "key_format": "x.509",
    });
    Made {
        proof: proof(&data, made.hash, &text, &details),
        key: PinnedKey::phone(spki).unwrap().with_last_counter(6),
    }
}

fn proof(data: &str, hash: Option<[u8; 32]>, text: &Value, details: &Value) -> Proof {
    let message = json!({
        "signed_data": data,
        "signed_data_type": "AuthResponse",
        "signature_data": {
            "hash_value": hex(hash.unwrap_or_else(|| sha256(data.as_bytes()))),
            "hash_method": "Sha256",
            "signature_data": text.to_string(),
            "auth_method": "WebAuthN",
            "auth_method_usetype": "fido2",
            "signing_method": "FIDO_U2F",
        },
        "signature_validation_details": details,
    });
    Proof::from_message(serde_json::from_value(message).unwrap()).unwrap()
}
