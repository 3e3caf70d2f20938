//! Proofs of sign-ins: what a flow keeps for them, and what it can require.

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::verify::{SignedInUser, mismatch};
use crate::auth::SecureSignedMessage;
use crate::error::Error;
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
    proof: Option<Proof>,
    nonce: Option<Secret>,
    challenge: Option<Vec<u8>>,
    verified: Option<VerifiedProof>,
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

    fn complete(
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
    mismatch("the required proof is not valid")
        .map_err(|mismatch: Error| mismatch.with_source(std::sync::Arc::new(error)))
}

impl SignedInUser {
    /// Returns the signed message of the sign-in, or `None` if nothing was
    /// signed, as for magic links. It is not verified, unless the flow
    /// [required](super::PendingWebauthn::require_proof) it.
    #[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.evidence.proof.as_ref()
    }

    /// Adds what the flow knows to an expectation: the auth request, this user,
    /// the nonce, and the challenge of a passkey.
    ///
    /// Fails with [`ProofError::Failed`] if it expects another value already.
    /// The result holds the nonce. Keep it with the proof, if somebody is to
    /// verify it later.
    #[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
    pub fn expectation(&self, expectation: Expectation) -> Result<Expectation, ProofError> {
        let (request, user) = (self.auth_request_id(), self.user_id());
        self.evidence.complete(expectation, request, user)
    }

    /// Returns the verified proof, if the flow required one.
    #[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
    #[must_use]
    pub fn verified_proof(&self) -> Option<&VerifiedProof> {
        self.evidence.verified.as_ref()
    }
}
