//! The message that a device signs when a person decides.

use std::{io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    auth_request::AuthRequest,
    clock::Stamp,
    decisions::PASSKEY_SIGNING_METHOD,
    user::{Credential, Method, Passkey},
};

/// The key of the emulated phone.
#[derive(Clone, Debug)]
pub(crate) struct PhoneKey {
    pair: Arc<EcdsaKeyPair>,
    random: SystemRandom,
    counter: u64,
}

impl PhoneKey {
    pub(crate) fn new() -> io::Result<Self> {
        let random = SystemRandom::new();
        let failed = |_| io::Error::other("no key for the emulated phone");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
            .map_err(failed)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
                .map_err(|_| io::Error::other("no key for the emulated phone"))?;
        Ok(Self {
            pair: Arc::new(pair),
            random,
            counter: 0,
        })
    }

    /// The same key before its first use.
    pub(crate) fn fresh(&self) -> Self {
        Self {
            counter: 0,
            ..self.clone()
        }
    }

    /// `SubjectPublicKeyInfo` of the key.
    fn public_key(&self) -> Vec<u8> {
        // The header of every P-256 key; the point follows.
        let mut der = vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        der.extend_from_slice(self.pair.public_key().as_ref());
        der
    }

    /// `secure_signed_message` of a decision on the phone.
    pub(crate) fn sign(
        &mut self,
        request: &AuthRequest,
        user: Uuid,
        project: Uuid,
        device: &Credential,
        now: Stamp,
    ) -> Value {
        self.counter += 1;
        let (data, hash) = signed_data(request, user, project, device, Some(self.counter), now);
        let signature = self
            .pair
            .sign(&self.random, hash.as_bytes())
            .map(|signature| STANDARD.encode(signature.as_ref()))
            .unwrap_or_default();
        let text = json!({
            "signature_data": {
                "counter": self.counter,
                "signature_value": signature,
                "challenge": hash,
            },
            "metaData": {},
            "version": 1,
            "format": 1,
            "key_Id": device.id,
        });
        message(
            request,
            &data,
            &hash,
            &text,
            &json!({
                "public_key": STANDARD.encode(self.public_key()),
                "key_size": "256",
                "key_type": "EC",
                "signing_algorithm": "SHA256",
                "curve_type": "secp256r1",
                "key_format": "x.509",
            }),
        )
    }
}

/// The data that a page sends after a sign-in with a passkey.
pub(crate) struct Assertion<'a> {
    pub(crate) id: &'a str,
    pub(crate) authenticator_data: &'a str,
    pub(crate) client_data: &'a str,
    pub(crate) signature: &'a str,
}

/// `secure_signed_message` of a sign-in by passkey.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the message and comes from elsewhere"
)]
pub(crate) fn passkey_message(
    request: &AuthRequest,
    user: Uuid,
    project: Uuid,
    device: &Credential,
    passkey: &Passkey,
    assertion: &Assertion<'_>,
    site: (&str, &str),
    now: Stamp,
) -> Value {
    let counter = Some(u64::from(passkey.counter));
    let (data, hash) = signed_data(request, user, project, device, counter, now);
    let (options, secret) = request
        .passkey
        .as_ref()
        .map(|ceremony| (ceremony.options.as_str(), ceremony.secret.as_str()))
        .unwrap_or_default();
    let text = json!({
        "id": assertion.id,
        "attestation_object": assertion.authenticator_data,
        "client_data": assertion.client_data,
        "signature": assertion.signature,
        "client_extension_data": null,
    });
    message(
        request,
        &data,
        &hash,
        &text,
        &json!({
            "fido2_options_json": options,
            "expected_origin": site.0,
            "rpid": site.1,
            "public_key": STANDARD.encode(cose_key(&passkey.public_key)),
            "aa_guid": secret,
            "authenticator_enrollment_data": {
                "client_data_json": passkey.client_data,
                "attestation_data": passkey.attestation,
                "Id": passkey.credential_id,
            },
        }),
    )
}

fn message(
    request: &AuthRequest,
    data: &str,
    hash: &str,
    signature: &Value,
    validation: &Value,
) -> Value {
    json!({
        "signed_data": data,
        "signed_data_type": "AuthResponse",
        "signature_data": {
            "hash_value": hash,
            "hash_method": "Sha256",
            "signature_data": signature.to_string(),
            "auth_method": request.method.name(),
            "auth_method_usetype": use_type(request.method),
            "signing_method": signing_method(request.method),
        },
        "signature_validation_details": validation,
    })
}

/// The signed text in base64, and its hash in hexadecimal digits.
fn signed_data(
    request: &AuthRequest,
    user: Uuid,
    project: Uuid,
    device: &Credential,
    counter: Option<u64>,
    now: Stamp,
) -> (String, String) {
    let text = json!({
        "message_data": {
            "auth_request_id": request.id,
            "auth_profile_id": user,
            "project_id": project,
        },
        "signing_data": {
            "nonce": request.pairing.nonce.as_deref().unwrap_or_default(),
            "date_signed": now.iso(),
            "profile_device_id": device.id,
            "profile_device_counter": counter,
        },
    });
    let data = STANDARD.encode(text.to_string());
    let mut hash = String::with_capacity(64);
    for byte in digest::digest(&digest::SHA256, data.as_bytes()).as_ref() {
        use std::fmt::Write as _;
        // Writing to a `String` cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    (data, hash)
}

/// The COSE form of an uncompressed P-256 point.
fn cose_key(point: &[u8]) -> Vec<u8> {
    let Some((x, y)) = point
        .split_first()
        .and_then(|(_, rest)| rest.split_at_checked(32))
    else {
        return Vec::new();
    };
    // {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
    let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
    key.extend_from_slice(x);
    key.extend_from_slice(&[0x22, 0x58, 0x20]);
    key.extend_from_slice(y);
    key
}

pub(crate) const fn use_type(method: Method) -> &'static str {
    match method {
        Method::Authenticator => "biometric",
        Method::Magiclink => "magiclink_email",
        Method::Webauthn => "fido2",
    }
}

const fn signing_method(method: Method) -> &'static str {
    match method {
        Method::Authenticator | Method::Magiclink => "AuthArmor_ECDsa",
        Method::Webauthn => PASSKEY_SIGNING_METHOD,
    }
}

/// `secure_signed_message` of a request that nothing was signed for.
pub(crate) fn unsigned(method: Method) -> Value {
    json!({
        "signed_data": null,
        "signed_data_type": "AuthResponse",
        "signature_data": {
            "hash_value": null,
            "hash_method": "Sha256",
            "signature_data": null,
            "auth_method": method.name(),
            "auth_method_usetype": use_type(method),
            "signing_method": signing_method(method),
        },
        "signature_validation_details": null,
    })
}
