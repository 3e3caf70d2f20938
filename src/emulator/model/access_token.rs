//! Access tokens: JWTs, and the key that signs them.

use std::{io, time::Duration};

use base64::Engine as _;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use super::{
    clock::Stamp,
    passkey::{BASE64URL, sha256},
};

/// The rights of a token, and the time of its end.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) expires: Stamp,
    pub(crate) scopes: Vec<&'static str>,
}

/// The claims of a token that do not depend on the clock.
pub(crate) struct Claims<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) audiences: &'a [&'a str],
    pub(crate) client_id: &'a str,
    pub(crate) scopes: &'a [&'static str],
    /// Makes two tokens of the same second differ.
    pub(crate) id: &'a str,
}

/// The key that signs access tokens with ES256.
#[derive(Debug)]
pub(crate) struct TokenKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl TokenKey {
    pub(crate) fn new() -> io::Result<Self> {
        let failed = || io::Error::other("no key for access tokens");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| failed())?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|_| failed())?;
        let id = BASE64URL.encode(sha256(pair.public_key().as_ref()));
        Ok(Self { pair, random, id })
    }

    /// The signed token, valid from `now` for `lifetime`.
    pub(crate) fn sign(&self, claims: &Claims<'_>, now: Stamp, lifetime: Duration) -> String {
        let header = json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" });
        let payload = json!({
            "nbf": now.since_epoch().as_secs(),
            "exp": now.plus(lifetime).since_epoch().as_secs(),
            "iss": claims.issuer,
            "aud": claims.audiences,
            "client_id": claims.client_id,
            "scope": claims.scopes,
            "jti": claims.id,
        });
        let mut token = BASE64URL.encode(header.to_string());
        token.push('.');
        BASE64URL.encode_string(payload.to_string(), &mut token);
        // Signing fails only without randomness, and then TLS does not work either.
        let signature = self
            .pair
            .sign(&self.random, token.as_bytes())
            .map(|signature| BASE64URL.encode(signature.as_ref()))
            .unwrap_or_default();
        token.push('.');
        token.push_str(&signature);
        token
    }

    /// The public key as a JWK.
    pub(crate) fn public_key(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        // The first byte tells that both coordinates follow.
        let (x, y) = point
            .get(1..)
            .and_then(|point| point.split_at_checked(32))
            .unwrap_or_default();
        json!({
            "kty": "EC",
            "use": "sig",
            "alg": "ES256",
            "kid": self.id,
            "crv": "P-256",
            "x": BASE64URL.encode(x),
            "y": BASE64URL.encode(y),
        })
    }
}
