//! [`ProofError`] and [`Check`].

use std::fmt;

/// A check of [`Proof::verify`](super::Proof::verify).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// The hash in the message is that of the signed data.
    Hash,
    /// The signature is of the key in [`VerifiedProof::key`](super::VerifiedProof::key).
    Signature,
    /// The client data is of a sign-in. Passkeys only.
    Ceremony,
    /// The signed challenge is the expected one, or the hash of the signed data.
    Challenge,
    /// The page is of an expected origin, and was not in a frame of another
    /// site. Passkeys only.
    Origin,
    /// The authenticator signed for the expected relying party. Passkeys only.
    RelyingParty,
    /// A person was present. Passkeys only.
    UserPresence,
    /// The authenticator verified the user, by a PIN or biometrics. Passkeys
    /// only.
    UserVerification,
    /// The counter is greater than the last one of the key.
    Counter,
    /// The signed data names the expected auth request.
    RequestId,
    /// The signed data names the expected user.
    UserId,
    /// The signed data names the expected project.
    ProjectId,
    /// The signed data has the expected nonce.
    Nonce,
    /// The date in the signed data is within the expected window.
    Date,
}

impl Check {
    /// All checks, in the order in which they are made.
    pub const ALL: [Self; 14] = [
        Self::Hash,
        Self::Signature,
        Self::Ceremony,
        Self::Challenge,
        Self::Origin,
        Self::RelyingParty,
        Self::UserPresence,
        Self::UserVerification,
        Self::Counter,
        Self::RequestId,
        Self::UserId,
        Self::ProjectId,
        Self::Nonce,
        Self::Date,
    ];
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hash => "hash",
            Self::Signature => "signature",
            Self::Ceremony => "ceremony",
            Self::Challenge => "challenge",
            Self::Origin => "origin",
            Self::RelyingParty => "relying party",
            Self::UserPresence => "user presence",
            Self::UserVerification => "user verification",
            Self::Counter => "counter",
            Self::RequestId => "request id",
            Self::UserId => "user id",
            Self::ProjectId => "project id",
            Self::Nonce => "nonce",
            Self::Date => "date",
        })
    }
}

/// The reason why a proof is not valid, or a key cannot be used.
///
/// Its text holds no value of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofError {
    /// The response has no signed message.
    Missing,
    /// A check failed.
    Failed(Check),
    /// The expectation lacks the value for a check that is always made.
    Unspecified(Check),
    /// The key that the message names is none of the pinned ones.
    UnknownKey,
    /// The form of the signature, its algorithm, the hash or the kind of the
    /// message is not supported. **The proof may be genuine or forged.**
    Unsupported,
    /// The challenge is not the hash of the signed data, but the expectation
    /// [requires](super::Expectation::require_signed_data) that the signature
    /// covers the signed data.
    NotCovered,
    /// A part of the message is longer than 64 KiB.
    TooLarge,
    /// The signed data is not the JSON that is known, in base64.
    SignedData,
    /// The signature text lacks a part, or one is not base64.
    SignatureData,
    /// The validation details have no readable public key.
    ValidationDetails,
    /// The client data is not the JSON that `WebAuthn` describes.
    ClientData,
    /// The authenticator data is malformed.
    AuthenticatorData,
    /// The attestation object of a registration is malformed.
    AttestationObject,
    /// The public key is malformed.
    PublicKey,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("proof: ")?;
        f.write_str(match self {
            Self::Failed(check) => {
                return match check {
                    Check::Hash => f.write_str("the hash is not that of the signed data"),
                    Check::Signature => f.write_str("the signature does not verify"),
                    Check::UserPresence => f.write_str("no person was present"),
                    Check::UserVerification => f.write_str("the user was not verified"),
                    Check::Counter => f.write_str("the counter did not grow"),
                    Check::Date => f.write_str("the date is not within the expected window"),
                    other => write!(f, "the {other} is not the expected one"),
                };
            }
            Self::Unspecified(check) => {
                return write!(f, "the expectation does not say which {check} is valid");
            }
            Self::Missing => "the response has no signed message",
            Self::UnknownKey => "the key is not pinned",
            Self::Unsupported => "the form or algorithm is not supported",
            Self::NotCovered => "the signature does not cover the signed data",
            Self::TooLarge => "a part of the message is too large",
            Self::SignedData => "the signed data is malformed",
            Self::SignatureData => "the signature text is malformed",
            Self::ValidationDetails => "the message has no readable public key",
            Self::ClientData => "the client data is malformed",
            Self::AuthenticatorData => "the authenticator data is malformed",
            Self::AttestationObject => "the attestation object is malformed",
            Self::PublicKey => "the public key is malformed",
        })
    }
}

impl std::error::Error for ProofError {}
