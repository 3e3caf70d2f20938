//! What can be wrong with a passkey.

use std::fmt;

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
