//! [`SoftwareAuthenticator`]: makes and uses passkeys.

use std::fmt;

use base64::Engine as _;
use minicbor::Encoder;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::emulator::model::passkey::{
    ATTESTED, BASE64, BASE64URL, CREATE, ES256, GET, PasskeyError, USER_PRESENT, USER_VERIFIED,
    sha256, signed_bytes,
};

/// A browser and its passkeys.
///
/// Credential ids depend on the seed and the order of creation alone; keys and
/// signatures are random.
pub(crate) struct SoftwareAuthenticator {
    seed: u64,
    created: u64,
    credentials: Vec<Credential>,
}

struct Credential {
    id: Vec<u8>,
    rp_id: String,
    user_handle: Vec<u8>,
    key: EcdsaKeyPair,
    counter: u32,
}

impl fmt::Debug for SoftwareAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareAuthenticator")
            .field("credentials", &self.credentials.len())
            .finish_non_exhaustive()
    }
}

impl SoftwareAuthenticator {
    /// An authenticator without credentials.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            created: 0,
            credentials: Vec::new(),
        }
    }

    /// Makes a credential, as `navigator.credentials.create` does on a page of
    /// `origin`. Returns what the page sends to the service: `id`, `rawId`,
    /// `attestation_object`, `client_data` and `extensions`. It verifies the user
    /// unless the options discourage it.
    pub(crate) fn create(
        &mut self,
        options_json: &str,
        origin: &str,
    ) -> Result<Value, PasskeyError> {
        let options = Options::parse(options_json)?;
        let rp_id = options.rp_id(origin)?;
        let user_id = options.user.as_ref().and_then(|user| user.id.as_deref());
        let user_handle = any_base64(user_id.ok_or(PasskeyError::Options)?)?;
        let algorithms = options.algorithms.as_deref().unwrap_or_default();
        if !algorithms.is_empty() && !algorithms.iter().any(|p| p.alg == ES256) {
            return Err(PasskeyError::Algorithm);
        }
        let excluded = ids(options.excluded.as_deref())?;
        if self
            .credentials
            .iter()
            .any(|c| c.rp_id == rp_id && excluded.contains(&c.id))
        {
            return Err(PasskeyError::Excluded);
        }

        let challenge = options.challenge()?;

        let key = new_key()?;
        let id = self.next_id();
        let attested = attested_credential(&id, &cose_key(key.public_key().as_ref()));
        let flags = USER_PRESENT | options.verified() | ATTESTED;
        let auth_data = authenticator_data(&rp_id, flags, 0, &attested);
        let client_data = client_data(CREATE, &challenge, origin);
        let id_text = BASE64URL.encode(&id);
        self.credentials.push(Credential {
            id,
            rp_id,
            user_handle,
            key,
            counter: 0,
        });
        Ok(json!({
            "id": id_text,
            "rawId": id_text,
            "attestation_object": BASE64URL.encode(unattested(&auth_data)),
            "client_data": BASE64URL.encode(client_data),
            "extensions": {},
        }))
    }

    /// Signs in with the newest credential that the options allow, as
    /// `navigator.credentials.get` does on a page of `origin`. Returns what the
    /// page sends to the service: `id`, `rawId`, `authenticator_data` (also
    /// under the name `attestation_object`, as the vendor's page does),
    /// `client_data`, `user_handle`, `signature` and `extensions`.
    pub(crate) fn get(&mut self, options_json: &str, origin: &str) -> Result<Value, PasskeyError> {
        let options = Options::parse(options_json)?;
        let rp_id = options.rp_id(origin)?;
        let challenge = options.challenge()?;
        let allowed = ids(options.allowed.as_deref())?;
        let credential = self
            .credentials
            .iter_mut()
            .rev()
            .find(|c| c.rp_id == rp_id && (allowed.is_empty() || allowed.contains(&c.id)))
            .ok_or(PasskeyError::NoCredential)?;

        credential.counter = credential.counter.saturating_add(1);
        let flags = USER_PRESENT | options.verified();
        let auth_data = authenticator_data(&rp_id, flags, credential.counter, &[]);
        let client_data = client_data(GET, &challenge, origin);
        let signature = sign(&credential.key, &signed_bytes(&auth_data, &client_data))?;
        let id_text = BASE64URL.encode(&credential.id);
        let data_text = BASE64URL.encode(&auth_data);
        Ok(json!({
            "id": id_text,
            "rawId": id_text,
            "attestation_object": data_text,
            "authenticator_data": data_text,
            "client_data": BASE64URL.encode(client_data),
            "user_handle": BASE64URL.encode(&credential.user_handle),
            "signature": BASE64URL.encode(signature),
            "extensions": {},
        }))
    }

    fn next_id(&mut self) -> Vec<u8> {
        let source = [self.seed.to_be_bytes(), self.created.to_be_bytes()].concat();
        self.created = self.created.wrapping_add(1);
        sha256(&source).to_vec()
    }
}

/// The options of either ceremony, as far as they are used.
#[derive(Deserialize)]
struct Options {
    challenge: String,
    rp: Option<RelyingParty>,
    #[serde(rename = "rpId")]
    rp_id: Option<String>,
    user: Option<User>,
    #[serde(rename = "pubKeyCredParams")]
    algorithms: Option<Vec<Algorithm>>,
    #[serde(rename = "excludeCredentials")]
    excluded: Option<Vec<Descriptor>>,
    #[serde(rename = "allowCredentials")]
    allowed: Option<Vec<Descriptor>>,
    /// In the options of a registration.
    #[serde(rename = "authenticatorSelection")]
    selection: Option<Selection>,
    /// In the options of a sign-in.
    #[serde(rename = "userVerification")]
    verification: Option<String>,
}

#[derive(Deserialize)]
struct Selection {
    #[serde(rename = "userVerification")]
    verification: Option<String>,
}

#[derive(Deserialize)]
struct RelyingParty {
    id: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: Option<String>,
}

#[derive(Deserialize)]
struct Algorithm {
    alg: i64,
}

#[derive(Deserialize)]
struct Descriptor {
    id: String,
}

impl Options {
    fn parse(json: &str) -> Result<Self, PasskeyError> {
        serde_json::from_str(json).map_err(|_| PasskeyError::Options)
    }

    /// The flag for user verification, if the user is verified.
    fn verified(&self) -> u8 {
        let selected = self.selection.as_ref();
        let selected = selected.and_then(|selection| selection.verification.as_deref());
        match selected.or(self.verification.as_deref()) {
            Some("discouraged") => 0,
            _ => USER_VERIFIED,
        }
    }

    fn challenge(&self) -> Result<Vec<u8>, PasskeyError> {
        any_base64(&self.challenge)
    }

    /// The relying party, which is the page's host or a parent domain of it. An
    /// origin without a host, such as an app's, is not checked.
    fn rp_id(&self, origin: &str) -> Result<String, PasskeyError> {
        let host = host(origin);
        let named = self.rp.as_ref().and_then(|rp| rp.id.as_deref());
        let id = named
            .or(self.rp_id.as_deref())
            .or(host)
            .ok_or(PasskeyError::RelyingParty)?;
        let covered = host.is_none_or(|host| {
            host.strip_suffix(id)
                .is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
        });
        if id.is_empty() || !covered {
            return Err(PasskeyError::RelyingParty);
        }
        Ok(id.to_owned())
    }
}

fn host(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => Some(host),
        _ => Some(authority),
    }
}

fn ids(descriptors: Option<&[Descriptor]>) -> Result<Vec<Vec<u8>>, PasskeyError> {
    let descriptors = descriptors.unwrap_or_default();
    descriptors.iter().map(|d| any_base64(&d.id)).collect()
}

/// Decodes base64 in either alphabet: the service uses both.
fn any_base64(text: &str) -> Result<Vec<u8>, PasskeyError> {
    BASE64URL
        .decode(text)
        .or_else(|_| BASE64.decode(text))
        .map_err(|_| PasskeyError::Options)
}

fn new_key() -> Result<EcdsaKeyPair, PasskeyError> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let document =
        EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| PasskeyError::Random)?;
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
        .map_err(|_| PasskeyError::Random)
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, PasskeyError> {
    key.sign(&SystemRandom::new(), message)
        .map(|signature| signature.as_ref().to_vec())
        .map_err(|_| PasskeyError::Random)
}

fn client_data(ceremony: &str, challenge: &[u8], origin: &str) -> Vec<u8> {
    json!({
        "type": ceremony,
        "challenge": BASE64URL.encode(challenge),
        "origin": origin,
        "crossOrigin": false,
    })
    .to_string()
    .into_bytes()
}

fn authenticator_data(rp_id: &str, flags: u8, counter: u32, rest: &[u8]) -> Vec<u8> {
    [
        &sha256(rp_id.as_bytes()),
        &[flags][..],
        &counter.to_be_bytes(),
        rest,
    ]
    .concat()
}

fn attested_credential(id: &[u8], cose_key: &[u8]) -> Vec<u8> {
    let aaguid = [0; 16];
    let length = u16::try_from(id.len()).unwrap_or(u16::MAX);
    [&aaguid[..], &length.to_be_bytes(), id, cose_key].concat()
}

fn cose_key(point: &[u8]) -> Vec<u8> {
    // A map of five: type 2, algorithm -7, curve 1, then x and y of 32 bytes.
    const HEAD: [u8; 10] = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
    let (x, y) = point
        .get(1..)
        .and_then(|xy| xy.split_at_checked(32))
        .unwrap_or_default();
    [&HEAD[..], x, &[0x22, 0x58, 32], y].concat()
}

/// An attestation object without an attestation.
fn unattested(auth_data: &[u8]) -> Vec<u8> {
    cbor(|e| {
        e.map(3)?.str("fmt")?.str("none")?.str("attStmt")?.map(0)?;
        e.str("authData")?.bytes(auth_data)?.ok()
    })
}

type CborResult = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn cbor(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> CborResult) -> Vec<u8> {
    let mut out = Vec::new();
    // A vector takes every write, and the encoder has no other way to fail.
    let _ = write(&mut Encoder::new(&mut out));
    out
}

#[cfg(test)]
mod tests;
