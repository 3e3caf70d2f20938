//! Passkeys (WebAuthn): the service's half, which checks what a browser hands
//! over, and the person's half, an authenticator made of software.
//!
//! The service knows one kind of key, ES256 on P-256, and two attestations:
//! none at all and a `packed` one that the credential signed itself. Everything
//! else is refused.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minicbor::{Decoder, Encoder};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Value, json};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

const CREATE: &str = "webauthn.create";
const GET: &str = "webauthn.get";

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

/// COSE's number for ECDSA on P-256 with SHA-256.
const ES256: i64 = -7;

/// Why a passkey was refused, or could not be made or used.
///
/// Its text names the check that failed and never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasskeyError {
    /// A binary field is not base64url text.
    Encoding,
    /// The client data is not the JSON object that WebAuthn describes.
    ClientData,
    /// The client data belongs to the other ceremony: a registration was
    /// presented as a sign-in or the reverse.
    Ceremony,
    /// The client data answers another challenge.
    Challenge,
    /// The client data was made for another origin, or inside a foreign frame.
    Origin,
    /// The relying party is not the expected one, or not one that the origin
    /// may speak for.
    RelyingParty,
    /// The attestation object is not readable.
    AttestationObject,
    /// The attestation is of a format that is not supported.
    AttestationFormat,
    /// The authenticator data is not readable.
    AuthenticatorData,
    /// The authenticator does not say that a person was there.
    UserPresence,
    /// The registration carries no credential.
    NoAttestedCredential,
    /// The credential id is not the expected one.
    CredentialId,
    /// The public key is not an ES256 key on P-256.
    PublicKey,
    /// The signature is not one of this credential over this data.
    Signature,
    /// The signature counter did not grow: the authenticator may be a copy.
    Counter,
    /// The options are not readable.
    Options,
    /// The options allow no algorithm that the authenticator has.
    Algorithm,
    /// The authenticator already holds one of the credentials that the options
    /// exclude.
    Excluded,
    /// The authenticator holds no credential that the options allow.
    NoCredential,
    /// The system gave no randomness for a key or a signature.
    Random,
}

impl fmt::Display for PasskeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "passkey: a field is not base64url",
            Self::ClientData => "passkey: the client data is malformed",
            Self::Ceremony => "passkey: the client data is of another ceremony",
            Self::Challenge => "passkey: the challenge does not match",
            Self::Origin => "passkey: the origin does not match",
            Self::RelyingParty => "passkey: the relying party does not match",
            Self::AttestationObject => "passkey: the attestation object is malformed",
            Self::AttestationFormat => "passkey: the attestation format is not supported",
            Self::AuthenticatorData => "passkey: the authenticator data is malformed",
            Self::UserPresence => "passkey: nobody was present",
            Self::NoAttestedCredential => "passkey: the registration holds no credential",
            Self::CredentialId => "passkey: the credential id does not match",
            Self::PublicKey => "passkey: the public key is not ES256 on P-256",
            Self::Signature => "passkey: the signature is wrong",
            Self::Counter => "passkey: the signature counter did not grow",
            Self::Options => "passkey: the options are malformed",
            Self::Algorithm => "passkey: no algorithm in common",
            Self::Excluded => "passkey: the authenticator is registered already",
            Self::NoCredential => "passkey: no matching credential",
            Self::Random => "passkey: no randomness available",
        })
    }
}

impl std::error::Error for PasskeyError {}

/// What the service keeps of a registration that passed every check.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(super) struct VerifiedRegistration {
    /// The credential's id as base64url without padding.
    pub credential_id: String,
    /// The public key as an uncompressed P-256 point, 65 bytes. That the point
    /// lies on the curve shows only when a signature is checked with it.
    pub public_key: Vec<u8>,
    /// The signature counter at registration.
    pub counter: u32,
}

impl fmt::Debug for VerifiedRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedRegistration")
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

/// The kept parts of a credential, lent for checking a sign-in with it.
#[derive(Clone, Copy)]
pub(super) struct StoredCredential<'a> {
    /// The credential's id as base64url.
    pub credential_id: &'a str,
    /// The public key as an uncompressed P-256 point.
    pub public_key: &'a [u8],
    /// The signature counter of the last use.
    pub counter: u32,
}

impl fmt::Debug for StoredCredential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredCredential")
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

/// Checks a registration as the relying party.
///
/// `challenge` is the one that was handed out, `id`, `attestation_object` and
/// `client_data` are base64url text from the browser.
///
/// Returns the [`PasskeyError`] of the first check that failed.
pub(super) fn verify_registration(
    challenge: &[u8],
    origin: &str,
    rp_id: &str,
    id: &str,
    attestation_object: &str,
    client_data: &str,
) -> Result<VerifiedRegistration, PasskeyError> {
    let id = base64url(id)?;
    let client_data = base64url(client_data)?;
    check_client_data(&client_data, CREATE, challenge, origin)?;

    let object = base64url(attestation_object)?;
    let object = Attestation::parse(&object)?;
    let data = AuthenticatorData::parse(object.auth_data)?;
    data.check(rp_id)?;
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

/// Checks a sign-in as the relying party and returns the new signature
/// counter, which the caller stores for the next time.
///
/// `challenge` is the one that was handed out, `id`, `authenticator_data`,
/// `client_data` and `signature` are base64url text from the browser.
///
/// Returns the [`PasskeyError`] of the first check that failed.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a distinct input of the ceremony and is used once"
)]
pub(super) fn verify_assertion(
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
    data.check(rp_id)?;
    let signature = base64url(signature)?;
    check_signature(stored.public_key, &raw_data, &client_data, &signature)?;

    // Authenticators without a counter send zero for ever.
    let uncounted = data.counter == 0 && stored.counter == 0;
    if data.counter <= stored.counter && !uncounted {
        return Err(PasskeyError::Counter);
    }
    Ok(data.counter)
}

fn base64url(text: &str) -> Result<Vec<u8>, PasskeyError> {
    BASE64URL.decode(text).map_err(|_| PasskeyError::Encoding)
}

fn sha256(data: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, data).as_ref());
    hash
}

/// What an authenticator signs, in both ceremonies.
fn signed_bytes(auth_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    [auth_data, &sha256(client_data)].concat()
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

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
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

/// The outer layer of a registration, borrowed from its bytes.
struct Attestation<'a> {
    format: &'a str,
    /// The statement, still encoded.
    statement: &'a [u8],
    auth_data: &'a [u8],
}

impl<'a> Attestation<'a> {
    fn parse(raw: &'a [u8]) -> Result<Self, PasskeyError> {
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

    /// The signature of a `packed` statement, which the credential itself must
    /// have made; nothing for the format `none`.
    fn self_signature(&self) -> Result<Option<&'a [u8]>, PasskeyError> {
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
    /// There is more, such as a certificate chain.
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

/// Fills a slot; a second value for the same name makes the input malformed.
fn once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

/// The bytes of the next CBOR item.
fn item<'a>(decoder: &mut Decoder<'a>) -> Option<&'a [u8]> {
    let start = decoder.position();
    decoder.skip().ok()?;
    decoder.input().get(start..decoder.position())
}

struct AuthenticatorData<'a> {
    rp_id_hash: &'a [u8; 32],
    flags: u8,
    counter: u32,
    attested: Option<AttestedCredential<'a>>,
}

struct AttestedCredential<'a> {
    id: &'a [u8],
    cose_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    fn parse(raw: &'a [u8]) -> Result<Self, PasskeyError> {
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

    fn check(&self, rp_id: &str) -> Result<(), PasskeyError> {
        if *self.rp_id_hash != sha256(rp_id.as_bytes()) {
            return Err(PasskeyError::RelyingParty);
        }
        if self.flags & USER_PRESENT == 0 {
            return Err(PasskeyError::UserPresence);
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
fn ec_point(cose_key: &[u8]) -> Result<Vec<u8>, PasskeyError> {
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

/// A person's browser and passkeys in one, for driving the ceremonies without
/// either.
///
/// Credential ids follow from the seed and the order of creation, so that runs
/// can be compared; keys and signatures are random.
pub(super) struct SoftwareAuthenticator {
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
    /// An authenticator without credentials. Those with the same seed hand out
    /// the same credential ids.
    #[must_use]
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            created: 0,
            credentials: Vec::new(),
        }
    }

    /// Makes a credential, as `navigator.credentials.create` would on a page of
    /// `origin`, and returns what the page sends back: `id`, `rawId`,
    /// `attestation_object`, `client_data` and `extensions`.
    ///
    /// Returns [`PasskeyError::Options`] for options that cannot be read,
    /// [`PasskeyError::RelyingParty`] where the origin may not speak for the
    /// relying party, [`PasskeyError::Algorithm`] where ES256 is not asked for,
    /// [`PasskeyError::Excluded`] where a listed credential lives here already,
    /// and [`PasskeyError::Random`] if the system has no randomness.
    pub(super) fn create(
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
        let flags = USER_PRESENT | USER_VERIFIED | ATTESTED;
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
    /// `navigator.credentials.get` would on a page of `origin`, and returns
    /// what the page sends back: `id`, `rawId`, `authenticator_data` (under the
    /// name `attestation_object` as well, as the service's own page does),
    /// `client_data`, `user_handle`, `signature` and `extensions`.
    ///
    /// Returns [`PasskeyError::Options`] for options that cannot be read,
    /// [`PasskeyError::RelyingParty`] where the origin may not speak for the
    /// relying party, [`PasskeyError::NoCredential`] where none fits, and
    /// [`PasskeyError::Random`] if the system has no randomness.
    pub(super) fn get(&mut self, options_json: &str, origin: &str) -> Result<Value, PasskeyError> {
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
        let flags = USER_PRESENT | USER_VERIFIED;
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

/// The options of either ceremony, as far as they matter here.
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

    fn challenge(&self) -> Result<Vec<u8>, PasskeyError> {
        any_base64(&self.challenge)
    }

    /// The relying party, which is the page's own host or a parent of it. An
    /// origin without a host, such as an app's, is not judged.
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

/// The service writes binary options in either alphabet.
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
mod tests {
    use super::*;

    const CHALLENGE: &[u8] = b"one challenge";
    const ORIGIN: &str = "https://app.example.com";
    const RP: &str = "example.com";

    fn encode(data: &[u8]) -> String {
        BASE64URL.encode(data)
    }

    fn field<'a>(response: &'a Value, name: &str) -> &'a str {
        response[name].as_str().unwrap()
    }

    fn create_options() -> Value {
        json!({
            "challenge": encode(CHALLENGE),
            "rp": {"id": RP, "name": "Example"},
            "user": {"id": encode(b"user 1"), "name": "ada", "displayName": "Ada"},
            "pubKeyCredParams": [
                {"type": "public-key", "alg": -257},
                {"type": "public-key", "alg": -7},
            ],
            "timeout": 60000,
            "excludeCredentials": [],
            "status": "ok",
        })
    }

    fn get_options() -> Value {
        json!({"challenge": encode(CHALLENGE), "rpId": RP, "allowCredentials": null})
    }

    fn create(person: &mut SoftwareAuthenticator) -> Value {
        person
            .create(&create_options().to_string(), ORIGIN)
            .unwrap()
    }

    fn register(response: &Value) -> Result<VerifiedRegistration, PasskeyError> {
        verify_registration(
            CHALLENGE,
            ORIGIN,
            RP,
            field(response, "id"),
            field(response, "attestation_object"),
            field(response, "client_data"),
        )
    }

    fn sign_in(stored: &VerifiedRegistration, response: &Value) -> Result<u32, PasskeyError> {
        verify_assertion(
            CHALLENGE,
            ORIGIN,
            RP,
            &StoredCredential {
                credential_id: &stored.credential_id,
                public_key: &stored.public_key,
                counter: stored.counter,
            },
            field(response, "id"),
            field(response, "authenticator_data"),
            field(response, "client_data"),
            field(response, "signature"),
        )
    }

    /// A key of the test's own, to build every kind of wrong message that is
    /// still properly signed.
    struct Forger {
        key: EcdsaKeyPair,
    }

    impl Forger {
        fn new() -> Self {
            let key = new_key().unwrap();
            Self { key }
        }

        fn stored(&self, counter: u32) -> VerifiedRegistration {
            VerifiedRegistration {
                credential_id: encode(b"id"),
                public_key: self.key.public_key().as_ref().to_vec(),
                counter,
            }
        }

        fn cose(&self) -> Vec<u8> {
            cose_key(self.key.public_key().as_ref())
        }

        fn auth_data(&self) -> Vec<u8> {
            auth_data_with(&self.cose())
        }

        fn assertion(&self, auth_data: &[u8], client_data: &[u8]) -> Value {
            let signature = sign(&self.key, &signed_bytes(auth_data, client_data)).unwrap();
            json!({
                "id": encode(b"id"),
                "authenticator_data": encode(auth_data),
                "client_data": encode(client_data),
                "signature": encode(&signature),
            })
        }

        fn packed(&self, alg: i64, signature: &[u8], certificates: bool) -> Vec<u8> {
            let auth_data = self.auth_data();
            cbor(|e| {
                e.map(3)?.str("fmt")?.str("packed")?.str("attStmt")?;
                e.map(if certificates { 3 } else { 2 })?;
                e.str("alg")?.i64(alg)?.str("sig")?.bytes(signature)?;
                if certificates {
                    e.str("x5c")?.array(1)?.bytes(b"certificate")?;
                }
                e.str("authData")?.bytes(&auth_data)?.ok()
            })
        }
    }

    fn auth_data_with(cose: &[u8]) -> Vec<u8> {
        let attested = attested_credential(b"id", cose);
        authenticator_data(RP, USER_PRESENT | ATTESTED, 0, &attested)
    }

    fn registration(object: &[u8]) -> Value {
        json!({
            "id": encode(b"id"),
            "attestation_object": encode(object),
            "client_data": encode(&client_data(CREATE, CHALLENGE, ORIGIN)),
        })
    }

    fn present(counter: u32) -> Vec<u8> {
        authenticator_data(RP, USER_PRESENT, counter, &[])
    }

    fn client(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut data = json!({
            "type": GET,
            "challenge": encode(CHALLENGE),
            "origin": ORIGIN,
            "androidPackageName": "an unknown member",
        });
        change(&mut data);
        data.to_string().into_bytes()
    }

    #[test]
    fn a_person_registers_and_signs_in_repeatedly() {
        let mut person = SoftwareAuthenticator::new(1);
        let response = create(&mut person);
        assert_eq!(response["id"], response["rawId"]);
        assert_eq!(response["extensions"], json!({}));
        let mut stored = register(&response).unwrap();
        assert_eq!(stored.credential_id, field(&response, "id"));
        assert_eq!(stored.public_key.len(), 65);

        for expected in 1..=3 {
            let response = person.get(&get_options().to_string(), ORIGIN).unwrap();
            assert_eq!(
                response["attestation_object"],
                response["authenticator_data"]
            );
            assert_eq!(field(&response, "user_handle"), encode(b"user 1"));
            stored.counter = sign_in(&stored, &response).unwrap();
            assert_eq!(stored.counter, expected);
            assert_eq!(sign_in(&stored, &response), Err(PasskeyError::Counter));
        }
    }

    #[test]
    fn padding_is_optional() {
        let mut response = create(&mut SoftwareAuthenticator::new(1));
        for name in ["id", "attestation_object", "client_data"] {
            let mut text = field(&response, name).to_owned();
            text.push_str(["", "", "==", "="][text.len() % 4]);
            response[name] = text.into();
        }
        let stored = register(&response).unwrap();
        assert!(!stored.credential_id.ends_with('='));
    }

    #[test]
    fn ids_follow_from_the_seed() {
        let ids = |seed| {
            let mut person = SoftwareAuthenticator::new(seed);
            [
                create(&mut person)["id"].take(),
                create(&mut person)["id"].take(),
            ]
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        assert_ne!(ids(7)[0], ids(7)[1]);
    }

    #[test]
    fn registration_checks_the_client_data() {
        let response = create(&mut SoftwareAuthenticator::new(1));
        let (id, object) = (
            field(&response, "id"),
            field(&response, "attestation_object"),
        );
        let verify = |challenge: &[u8], origin, rp, client_data: &[u8]| {
            verify_registration(challenge, origin, rp, id, object, &encode(client_data))
        };
        let good = client_data(CREATE, CHALLENGE, ORIGIN);
        assert!(verify(CHALLENGE, ORIGIN, RP, &good).is_ok());
        let wrong_type = client_data(GET, CHALLENGE, ORIGIN);
        for (result, expected) in [
            (
                verify(b"another", ORIGIN, RP, &good),
                PasskeyError::Challenge,
            ),
            (verify(b"", ORIGIN, RP, &good), PasskeyError::Challenge),
            (
                verify(CHALLENGE, "https://evil.example", RP, &good),
                PasskeyError::Origin,
            ),
            (
                verify(CHALLENGE, ORIGIN, "evil.example", &good),
                PasskeyError::RelyingParty,
            ),
            (
                verify(CHALLENGE, ORIGIN, RP, &wrong_type),
                PasskeyError::Ceremony,
            ),
            (
                verify(CHALLENGE, ORIGIN, RP, b"[]"),
                PasskeyError::ClientData,
            ),
            (
                verify(CHALLENGE, ORIGIN, RP, b"\xff"),
                PasskeyError::ClientData,
            ),
        ] {
            assert_eq!(result, Err(expected));
        }
    }

    #[test]
    fn registration_checks_the_credential_id() {
        let mut person = SoftwareAuthenticator::new(1);
        let other = create(&mut person);
        let mut response = create(&mut person);
        response["id"] = other["id"].clone();
        assert_eq!(register(&response), Err(PasskeyError::CredentialId));
        response["id"] = "".into();
        assert_eq!(register(&response), Err(PasskeyError::CredentialId));
        response["id"] = "not base64!".into();
        assert_eq!(register(&response), Err(PasskeyError::Encoding));
    }

    #[test]
    fn registration_checks_the_authenticator_data() {
        let forger = Forger::new();
        let attested = attested_credential(b"id", &forger.cose());
        let verify = |data: &[u8]| register(&registration(&unattested(data)));
        let data = |flags, rest: &[u8]| authenticator_data(RP, flags, 0, rest);

        assert!(verify(&forger.auth_data()).is_ok());
        let mut extended = attested.clone();
        extended.extend(cbor(|e| e.map(1)?.str("x")?.bool(true)?.ok()));
        assert!(verify(&data(USER_PRESENT | ATTESTED | EXTENSIONS, &extended)).is_ok());

        for (bytes, expected) in [
            (data(ATTESTED, &attested), PasskeyError::UserPresence),
            (data(USER_PRESENT, &[]), PasskeyError::NoAttestedCredential),
            (
                data(USER_PRESENT, &attested),
                PasskeyError::AuthenticatorData,
            ),
            (
                data(USER_PRESENT | ATTESTED, &extended),
                PasskeyError::AuthenticatorData,
            ),
            (
                data(USER_PRESENT | ATTESTED, &attested[..40]),
                PasskeyError::AuthenticatorData,
            ),
            (
                data(USER_PRESENT | ATTESTED | EXTENSIONS, &attested),
                PasskeyError::AuthenticatorData,
            ),
            (Vec::new(), PasskeyError::AuthenticatorData),
        ] {
            assert_eq!(verify(&bytes), Err(expected));
        }
    }

    #[test]
    fn registration_takes_only_es256_keys() {
        let forger = Forger::new();
        let point = forger.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let cose = |kind: i64, alg: i64, curve: i64, x: &[u8], y: &[u8]| {
            cbor(|e| {
                e.map(5)?.i64(1)?.i64(kind)?.i64(3)?.i64(alg)?;
                e.i64(-1)?
                    .i64(curve)?
                    .i64(-2)?
                    .bytes(x)?
                    .i64(-3)?
                    .bytes(y)?
                    .ok()
            })
        };
        let verify = |cose: &[u8]| register(&registration(&unattested(&auth_data_with(cose))));
        assert_eq!(verify(&cose(2, -7, 1, x, y)).unwrap().public_key, point);
        for cose in [
            cose(3, -7, 1, x, y),
            cose(2, -257, 1, x, y),
            cose(2, -7, 2, x, y),
            cose(2, -7, 1, &x[1..], y),
            cose(2, -7, 1, x, &[0; 33]),
            cbor(|e| e.map(0)?.ok()),
            cbor(|e| e.bytes(point)?.ok()),
            cbor(|e| e.map(2)?.i64(1)?.i64(2)?.i64(1)?.i64(2)?.ok()),
        ] {
            assert_eq!(verify(&cose), Err(PasskeyError::PublicKey));
        }
    }

    #[test]
    fn registration_checks_the_attestation() {
        let forger = Forger::new();
        let data = forger.auth_data();
        let client_data = client_data(CREATE, CHALLENGE, ORIGIN);
        let signature = sign(&forger.key, &signed_bytes(&data, &client_data)).unwrap();
        let foreign = sign(&new_key().unwrap(), &signed_bytes(&data, &client_data)).unwrap();
        let verify = |object: &[u8]| register(&registration(object));

        assert!(verify(&forger.packed(ES256, &signature, false)).is_ok());
        let named = |format: &str| {
            cbor(|e| {
                e.map(3)?.str("fmt")?.str(format)?.str("attStmt")?.map(0)?;
                e.str("authData")?.bytes(&data)?.ok()
            })
        };
        assert!(verify(&named("none")).is_ok());
        let none_with_statement = cbor(|e| {
            e.map(3)?.str("fmt")?.str("none")?.str("attStmt")?;
            e.map(1)?
                .str("sig")?
                .bytes(b"s")?
                .str("authData")?
                .bytes(&data)?
                .ok()
        });
        let twice = cbor(|e| {
            e.map(4)?.str("fmt")?.str("none")?.str("attStmt")?.map(0)?;
            e.str("authData")?
                .bytes(&data)?
                .str("authData")?
                .bytes(&data)?
                .ok()
        });
        let trailing = [named("none"), vec![0]].concat();
        for (object, expected) in [
            (
                forger.packed(ES256, &foreign, false),
                PasskeyError::Signature,
            ),
            (
                forger.packed(-257, &signature, false),
                PasskeyError::AttestationFormat,
            ),
            (
                forger.packed(ES256, &signature, true),
                PasskeyError::AttestationFormat,
            ),
            (named("packed"), PasskeyError::AttestationFormat),
            (named("fido-u2f"), PasskeyError::AttestationFormat),
            (none_with_statement, PasskeyError::AttestationFormat),
            (twice, PasskeyError::AttestationObject),
            (trailing, PasskeyError::AttestationObject),
            (data.clone(), PasskeyError::AttestationObject),
            (Vec::new(), PasskeyError::AttestationObject),
        ] {
            assert_eq!(verify(&object), Err(expected));
        }
    }

    #[test]
    fn sign_in_checks_the_client_data() {
        let forger = Forger::new();
        let stored = forger.stored(0);
        let verify = |data: &[u8]| sign_in(&stored, &forger.assertion(&present(1), data));
        assert_eq!(verify(&client(|_| {})), Ok(1));
        assert_eq!(verify(&client(|c| c["crossOrigin"] = false.into())), Ok(1));
        for (data, expected) in [
            (
                client(|c| c["type"] = CREATE.into()),
                PasskeyError::Ceremony,
            ),
            (
                client(|c| c["challenge"] = encode(b"x").into()),
                PasskeyError::Challenge,
            ),
            (
                client(|c| c["challenge"] = "%".into()),
                PasskeyError::Challenge,
            ),
            (
                client(|c| c["origin"] = "https://example.com".into()),
                PasskeyError::Origin,
            ),
            (
                client(|c| c["crossOrigin"] = true.into()),
                PasskeyError::Origin,
            ),
            (
                client(|c| c["origin"] = Value::Null),
                PasskeyError::ClientData,
            ),
            (b"{}".to_vec(), PasskeyError::ClientData),
        ] {
            assert_eq!(verify(&data), Err(expected));
        }
    }

    #[test]
    fn sign_in_checks_the_authenticator_data() {
        let forger = Forger::new();
        let verify = |before, data: &[u8]| {
            sign_in(
                &forger.stored(before),
                &forger.assertion(data, &client(|_| {})),
            )
        };
        assert_eq!(verify(0, &present(0)), Ok(0));
        assert_eq!(verify(5, &present(6)), Ok(6));
        let absent = authenticator_data(RP, USER_VERIFIED, 6, &[]);
        let elsewhere = authenticator_data("evil.example", USER_PRESENT, 6, &[]);
        for (before, data, expected) in [
            (5, present(5), PasskeyError::Counter),
            (5, present(4), PasskeyError::Counter),
            (5, present(0), PasskeyError::Counter),
            (5, absent, PasskeyError::UserPresence),
            (5, elsewhere, PasskeyError::RelyingParty),
            (
                5,
                present(6)[..36].to_vec(),
                PasskeyError::AuthenticatorData,
            ),
            (
                5,
                [present(6), vec![0]].concat(),
                PasskeyError::AuthenticatorData,
            ),
        ] {
            assert_eq!(verify(before, &data), Err(expected));
        }
    }

    #[test]
    fn sign_in_checks_id_key_and_signature() {
        let forger = Forger::new();
        let stored = forger.stored(0);
        let good = forger.assertion(&present(1), &client(|_| {}));
        assert_eq!(sign_in(&stored, &good), Ok(1));

        let changed = |name: &str, value: String| {
            let mut response = good.clone();
            response[name] = value.into();
            sign_in(&stored, &response)
        };
        assert_eq!(
            changed("id", encode(b"di")),
            Err(PasskeyError::CredentialId)
        );
        assert_eq!(
            changed("id", String::new()),
            Err(PasskeyError::CredentialId)
        );
        assert_eq!(
            changed("signature", "*".into()),
            Err(PasskeyError::Encoding)
        );
        assert_eq!(
            changed("signature", String::new()),
            Err(PasskeyError::Signature)
        );
        // Everything is right but for what was signed.
        assert_eq!(
            changed("authenticator_data", encode(&present(2))),
            Err(PasskeyError::Signature)
        );
        assert_eq!(
            changed("client_data", encode(&client(|c| c["extra"] = 1.into()))),
            Err(PasskeyError::Signature)
        );
        assert_eq!(
            sign_in(&Forger::new().stored(0), &good),
            Err(PasskeyError::Signature)
        );
        let mut broken = stored.clone();
        broken.public_key.clear();
        assert_eq!(sign_in(&broken, &good), Err(PasskeyError::Signature));
    }

    #[test]
    fn the_authenticator_obeys_the_options() {
        let mut person = SoftwareAuthenticator::new(1);
        let mut try_create = |origin: &str, change: &dyn Fn(&mut Value)| {
            let mut options = create_options();
            change(&mut options);
            person.create(&options.to_string(), origin).map(|_| ())
        };
        let same = |_: &mut Value| {};
        assert_eq!(try_create(ORIGIN, &same), Ok(()));
        assert_eq!(try_create("https://example.com:8443", &same), Ok(()));
        assert_eq!(try_create("android:apk-key-hash:abc", &same), Ok(()));
        assert_eq!(
            try_create(ORIGIN, &|o| o["rp"] = json!({"name": "x"})),
            Ok(())
        );
        assert_eq!(
            try_create(ORIGIN, &|o| o["challenge"] = "+/+/".into()),
            Ok(())
        );
        assert_eq!(
            try_create(ORIGIN, &|o| o["challenge"] = "-_-_".into()),
            Ok(())
        );
        assert_eq!(
            try_create(ORIGIN, &|o| o["pubKeyCredParams"] = json!([])),
            Ok(())
        );
        for (origin, change, expected) in [
            (
                "https://badexample.com",
                &same as &dyn Fn(&mut Value),
                PasskeyError::RelyingParty,
            ),
            (
                ORIGIN,
                &|o| o["rp"]["id"] = "".into(),
                PasskeyError::RelyingParty,
            ),
            (
                ORIGIN,
                &|o| o["pubKeyCredParams"] = json!([{"type": "public-key", "alg": -257}]),
                PasskeyError::Algorithm,
            ),
            (
                ORIGIN,
                &|o| o["challenge"] = "?".into(),
                PasskeyError::Options,
            ),
            (
                ORIGIN,
                &|o| o["challenge"] = Value::Null,
                PasskeyError::Options,
            ),
            (ORIGIN, &|o| o["user"] = Value::Null, PasskeyError::Options),
        ] {
            assert_eq!(try_create(origin, change), Err(expected));
        }
        assert_eq!(
            person.create("not json", ORIGIN),
            Err(PasskeyError::Options)
        );
    }

    #[test]
    fn the_authenticator_chooses_among_its_credentials() {
        let mut person = SoftwareAuthenticator::new(1);
        assert_eq!(
            person.get(&get_options().to_string(), ORIGIN),
            Err(PasskeyError::NoCredential)
        );
        let (first, second) = (create(&mut person), create(&mut person));
        let mut get = |change: &dyn Fn(&mut Value)| {
            let mut options = get_options();
            change(&mut options);
            let origin = "https://example.com";
            let response = person.get(&options.to_string(), origin);
            response.map(|mut response| response["id"].take())
        };
        assert_eq!(get(&|_| {}), Ok(second["id"].clone()));
        let listed = |id: &Value| json!([{"type": "public-key", "id": id}]);
        assert_eq!(
            get(&|o| o["allowCredentials"] = listed(&first["id"])),
            Ok(first["id"].clone())
        );
        assert_eq!(
            get(&|o| o["allowCredentials"] = listed(&"AAAA".into())),
            Err(PasskeyError::NoCredential)
        );
        assert_eq!(
            get(&|o| o["rpId"] = "com".into()),
            Err(PasskeyError::NoCredential)
        );
        assert_eq!(
            get(&|o| o["rpId"] = "example.org".into()),
            Err(PasskeyError::RelyingParty)
        );
        assert_eq!(get(&|o| o["rpId"] = Value::Null), Ok(second["id"].clone()));

        let mut options = create_options();
        options["excludeCredentials"] = listed(&first["id"]);
        assert_eq!(
            person.create(&options.to_string(), ORIGIN),
            Err(PasskeyError::Excluded)
        );
    }

    #[test]
    fn debug_and_display_keep_ids_and_keys() {
        let mut person = SoftwareAuthenticator::new(1);
        let stored = register(&create(&mut person)).unwrap();
        let lent = StoredCredential {
            credential_id: &stored.credential_id,
            public_key: &stored.public_key,
            counter: 3,
        };
        assert_eq!(
            format!("{person:?} {stored:?} {lent:?}"),
            "SoftwareAuthenticator { credentials: 1, .. } \
             VerifiedRegistration { counter: 0, .. } StoredCredential { counter: 3, .. }"
        );
        assert_eq!(
            PasskeyError::Counter.to_string(),
            "passkey: the signature counter did not grow"
        );
    }

    /// xorshift64: the same mutations in every run.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, below: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % below.max(1)
        }

        fn mutate(&mut self, data: &[u8]) -> Vec<u8> {
            let mut data = data.to_vec();
            for _ in 0..=self.roll(3) {
                let at = self.roll(data.len());
                match self.roll(5) {
                    0 if at < data.len() => data[at] ^= 1 << self.roll(8),
                    1 if at < data.len() => data[at] = u8::try_from(self.roll(256)).unwrap(),
                    2 => data.truncate(at),
                    3 => data.insert(at, u8::try_from(self.roll(256)).unwrap()),
                    _ if at < data.len() => drop(data.drain(at..=at)),
                    _ => {}
                }
            }
            data
        }
    }

    #[test]
    fn mutated_input_is_refused_without_a_panic() {
        let mut person = SoftwareAuthenticator::new(1);
        let response = create(&mut person);
        let stored = register(&response).unwrap();
        let assertion = person.get(&get_options().to_string(), ORIGIN).unwrap();
        let forger = Forger::new();
        let client_data = client_data(CREATE, CHALLENGE, ORIGIN);
        let signature = sign(
            &forger.key,
            &signed_bytes(&forger.auth_data(), &client_data),
        )
        .unwrap();
        let packed = registration(&forger.packed(ES256, &signature, false));
        let mut dice = Dice(0x5eed);

        for _ in 0..4000 {
            for (valid, names) in [
                (&response, &["id", "attestation_object", "client_data"][..]),
                (&packed, &["attestation_object", "client_data"]),
                (
                    &assertion,
                    &["id", "authenticator_data", "client_data", "signature"],
                ),
            ] {
                let mut changed = valid.clone();
                let name = names[dice.roll(names.len())];
                let before = field(valid, name).to_owned();
                let after = if dice.roll(4) == 0 {
                    let text = dice.mutate(before.as_bytes());
                    String::from_utf8_lossy(&text).into_owned()
                } else {
                    encode(&dice.mutate(&base64url(&before).unwrap()))
                };
                let same = base64url(&after) == base64url(&before);
                changed[name] = after.into();
                if name == "signature" || valid.get("signature").is_some() {
                    assert_eq!(sign_in(&stored, &changed).is_ok(), same, "{name}");
                } else {
                    let _ = register(&changed);
                }
            }
            let options = dice.mutate(create_options().to_string().as_bytes());
            let options = String::from_utf8_lossy(&options);
            let _ = SoftwareAuthenticator::new(1).get(&options, ORIGIN);
            let noise: Vec<u8> = (0..dice.roll(80))
                .map(|_| u8::try_from(dice.roll(256)).unwrap())
                .collect();
            let _ = Attestation::parse(&noise);
            let _ = AuthenticatorData::parse(&noise);
            let _ = ec_point(&noise);
        }
    }
}
