mod authenticator;
mod mutations;
mod registration;
mod sign_in;

use super::*;
use crate::emulator::model::passkey::{
    EXTENSIONS, StoredCredential, VerifiedRegistration, base64url,
    data::{Attestation, AuthenticatorData, ec_point},
    verify_assertion, verify_registration,
};

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
        false,
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
            verify_user: false,
        },
        field(response, "id"),
        field(response, "authenticator_data"),
        field(response, "client_data"),
        field(response, "signature"),
    )
}

/// A key of the test, which signs wrong messages correctly.
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
