//! [`PasskeyError`].

use std::fmt;

/// The reason why a passkey was refused, or could not be made or used.
///
/// Its text names the failed check and holds no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasskeyError {
    /// A binary field is not base64url text.
    Encoding,
    /// The client data is not the JSON object that WebAuthn describes.
    ClientData,
    /// The client data belongs to the other ceremony: to a registration instead
    /// of a sign-in, or the reverse.
    Ceremony,
    /// The client data is for another challenge.
    Challenge,
    /// The client data is for another origin, or from a cross-origin frame.
    Origin,
    /// The relying party is not the expected one, or the origin does not belong
    /// to it.
    RelyingParty,
    /// The attestation object is malformed.
    AttestationObject,
    /// The attestation format is not supported.
    AttestationFormat,
    /// The authenticator data is malformed.
    AuthenticatorData,
    /// The flag for user presence is not set.
    UserPresence,
    /// The flag for user verification is not set, and the passkey was registered
    /// with the requirement that it is.
    UserVerification,
    /// The registration holds no credential.
    NoAttestedCredential,
    /// The credential id is not the expected one.
    CredentialId,
    /// The public key is not an ES256 key on P-256.
    PublicKey,
    /// The signature does not verify.
    Signature,
    /// The signature counter did not grow: the authenticator may be a clone.
    Counter,
    /// The options are malformed.
    Options,
    /// The options do not allow ES256.
    Algorithm,
    /// The authenticator holds a credential that the options exclude.
    Excluded,
    /// The authenticator holds no credential that the options allow.
    NoCredential,
    /// The system has no randomness for a key or a signature.
    Random,
}

impl fmt::Display for PasskeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "passkey: a field is not base64url",
            Self::ClientData => "passkey: the client data is malformed",
            Self::Ceremony => "passkey: the client data is for another ceremony",
            Self::Challenge => "passkey: the challenge does not match",
            Self::Origin => "passkey: the origin does not match",
            Self::RelyingParty => "passkey: the relying party does not match",
            Self::AttestationObject => "passkey: the attestation object is malformed",
            Self::AttestationFormat => "passkey: the attestation format is not supported",
            Self::AuthenticatorData => "passkey: the authenticator data is malformed",
            Self::UserPresence => "passkey: the user was not present",
            Self::UserVerification => "passkey: the user was not verified",
            Self::NoAttestedCredential => "passkey: the registration holds no credential",
            Self::CredentialId => "passkey: the credential id does not match",
            Self::PublicKey => "passkey: the public key is not ES256 on P-256",
            Self::Signature => "passkey: the signature does not verify",
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
