//! Proofs of sign-ins: what a flow keeps for them, and what it can require.

use std::sync::Arc;

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::SecureSignedMessage;
use crate::error::{Error, ErrorKind};
use crate::proof::{Expectation, Proof, ProofError, VerifiedProof};
use crate::secret::Secret;
use crate::webauthn::{BASE64, BASE64URL};

/// The part of a pending state that is about the proof.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Requirement {
    /// The program requires a valid proof.
    #[serde(
        rename = "required_proof",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    required: Option<Expectation>,
    /// The challenge of the page's options, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
}

impl Requirement {
    /// Keeps the challenge of the options for the page.
    pub(super) fn with_options(fido2_json_options: Option<&str>) -> Self {
        #[derive(Deserialize)]
        struct Options {
            challenge: String,
        }
        let options = fido2_json_options.and_then(|json| serde_json::from_str(json).ok());
        Self {
            required: None,
            challenge: options.map(|Options { challenge }| challenge),
        }
    }

    pub(super) fn require(&mut self, expectation: Expectation) {
        self.required = Some(expectation);
    }
}

/// The proof of a sign-in, and what the flow knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    pub(super) proof: Option<Proof>,
    nonce: Option<Secret>,
    challenge: Option<Vec<u8>>,
    pub(super) verified: Option<VerifiedProof>,
}

impl Evidence {
    /// Keeps the message. Fails if a valid proof is required and it is none.
    pub(super) fn collect(
        message: Option<SecureSignedMessage>,
        requirement: &Requirement,
        auth_request_id: Uuid,
        user_id: Uuid,
        nonce: Option<&Secret>,
    ) -> Result<Self, Error> {
        let challenge = requirement.challenge.as_deref();
        let mut evidence = Self {
            proof: message.and_then(Proof::from_message),
            nonce: nonce.cloned(),
            challenge: challenge.and_then(|text| {
                let challenge = BASE64URL.decode(text);
                challenge.or_else(|_| BASE64.decode(text)).ok()
            }),
            verified: None,
        };
        if let Some(expectation) = &requirement.required {
            match evidence.verify(expectation.clone(), auth_request_id, user_id) {
                Ok(verified) => evidence.verified = Some(verified),
                Err(error) => return refuse(error),
            }
        }
        Ok(evidence)
    }

    pub(super) fn complete(
        &self,
        expectation: Expectation,
        auth_request_id: Uuid,
        user_id: Uuid,
    ) -> Result<Expectation, ProofError> {
        let challenge = self.challenge.as_deref();
        expectation.complete(auth_request_id, user_id, self.nonce.as_ref(), challenge)
    }

    fn verify(
        &self,
        expectation: Expectation,
        auth_request_id: Uuid,
        user_id: Uuid,
    ) -> Result<VerifiedProof, ProofError> {
        let expectation = self.complete(expectation, auth_request_id, user_id)?;
        let proof = self.proof.as_ref().ok_or(ProofError::Missing)?;
        proof.verify(&expectation)
    }
}

fn refuse<T>(error: ProofError) -> Result<T, Error> {
    Err(
        Error::new(ErrorKind::Mismatch, "the required proof is not valid")
            .in_area("flow")
            .with_sent(true)
            .with_source(Arc::new(error)),
    )
}
