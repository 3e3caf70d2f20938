//! Registration flows, one file per method.

mod authenticator;
mod magiclink;
mod webauthn;

use uuid::Uuid;

use crate::credentials::CredentialId;
use crate::error::Error;
use crate::flow::verify::{Identity, check_user, known, known_text, mismatch};
use crate::flow::wait::Outage;
use crate::registrations::{RegistrationStatus, ValidateRegistrationResponse};
use crate::secret::Private;
use crate::types::ContextData;
use crate::user_key::UserKey;

pub use self::authenticator::{AuthenticatorRegistrationStarted, PendingAuthenticatorRegistration};
pub use self::magiclink::PendingMagiclinkRegistration;
pub use self::webauthn::{PendingWebauthnRegistration, WebauthnRegistrationStarted};

/// The outcome of a registration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Registration {
    /// The user has registered.
    Registered(Box<RegisteredUser>),
    /// The user declined.
    Declined,
    /// The user did not respond in time.
    TimedOut,
    /// The user responded, but the validation came too late.
    ValidatedTooLate,
    /// The service refused for security reasons.
    RefusedForSecurity,
    /// The signature of the user's device is wrong.
    FailedSignature,
    /// The user has not responded yet.
    StillPending,
    /// The time of a wait is over, and the last poll failed: whether the user
    /// has responded is unknown. The same state can be waited for again.
    ServiceUnavailable(Outage),
    /// The progress callback or the cancel flag of a wait ended it.
    Cancelled,
}

impl Registration {
    /// Returns the user, if one registered.
    #[must_use]
    pub fn user(&self) -> Option<&RegisteredUser> {
        match self {
            Self::Registered(user) => Some(user),
            _ => None,
        }
    }
}

/// A user who has registered a method, or changed an address.
///
/// Under v4 a validate call has confirmed that it was this registration. v3
/// has no such call for the authenticator and WebAuthn: there the flow ends
/// with what the service says about the user, which is weaker
/// ([`is_validated`](Self::is_validated) is `false`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredUser {
    user_id: Uuid,
    username: Option<Private>,
    email_address: Option<Private>,
    credential_id: Option<CredentialId>,
    context_data: ContextData,
    is_validated: bool,
    #[cfg(feature = "proof")]
    pinned_key: Option<crate::proof::PinnedKey>,
}

impl RegisteredUser {
    /// Returns the user's id.
    #[must_use]
    pub fn user_id(&self) -> Uuid {
        self.user_id
    }

    /// Returns the user's name, if the response has it.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// Returns the mail address; magic links only.
    #[must_use]
    pub fn email_address(&self) -> Option<&str> {
        self.email_address.as_deref()
    }

    /// Returns the id of the new credential; authenticator and WebAuthn under
    /// v4 only.
    #[must_use]
    pub fn credential_id(&self) -> Option<&CredentialId> {
        self.credential_id.as_ref()
    }

    /// Returns the context data of the start call; magic links only.
    #[must_use]
    pub fn context_data(&self) -> &ContextData {
        &self.context_data
    }

    /// Returns whether a validate call confirmed the registration.
    #[must_use]
    pub fn is_validated(&self) -> bool {
        self.is_validated
    }

    /// Returns the public key of the passkey that was registered, for
    /// [proofs](crate::proof) of later sign-ins. It is from the page's JSON, and
    /// not from the service. `None` for other methods, and for a key whose
    /// algorithm is not supported.
    #[cfg(feature = "proof")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
    #[must_use]
    pub fn pinned_key(&self) -> Option<&crate::proof::PinnedKey> {
        self.pinned_key.as_ref()
    }
}

/// Returns the user in a response, if it is the one for whom the registration
/// was begun.
fn registered(
    identity: &Identity,
    user_id: Option<Uuid>,
    username: Option<&Private>,
) -> Result<RegisteredUser, Error> {
    let Some(user_id) = known(user_id) else {
        return mismatch("the response does not say who registered");
    };
    let username = known_text(username);
    check_user(user_id, username, identity)?;
    Ok(RegisteredUser {
        user_id,
        username: username.cloned(),
        email_address: None,
        credential_id: None,
        context_data: ContextData::new(),
        is_validated: false,
        #[cfg(feature = "proof")]
        pinned_key: None,
    })
}

/// Returns the user in a validate response of v4.
fn validated(
    identity: &Identity,
    response: &ValidateRegistrationResponse,
) -> Result<RegisteredUser, Error> {
    let mut user = registered(identity, response.user_id, response.username.as_ref())?;
    user.credential_id.clone_from(&response.credential_id);
    user.is_validated = true;
    Ok(user)
}

/// Returns the key in an attestation object in base64, if it can be used.
#[cfg(feature = "proof")]
fn pinned_key(attestation_object: &str) -> Option<crate::proof::PinnedKey> {
    use crate::webauthn::{BASE64, BASE64URL};
    use base64::Engine as _;

    let object = BASE64URL.decode(attestation_object);
    let object = object.or_else(|_| BASE64.decode(attestation_object)).ok()?;
    crate::proof::PinnedKey::from_attestation_object(&object).ok()
}

/// Returns the user whom a registration must be about.
fn identity(user: Option<UserKey>, user_id: Option<Uuid>) -> Identity {
    Identity {
        user,
        started_for: user_id,
        finished_by: None,
        // The service may spell a name in its own way.
        ignore_case: true,
    }
}

/// Returns the outcome for a status that ended a wait.
fn failed(status: RegistrationStatus) -> Registration {
    match status {
        RegistrationStatus::Declined => Registration::Declined,
        RegistrationStatus::Timeout => Registration::TimedOut,
        RegistrationStatus::ValidationTimeout => Registration::ValidatedTooLate,
        RegistrationStatus::SecurityException => Registration::RefusedForSecurity,
        RegistrationStatus::InvalidSignature => Registration::FailedSignature,
        // Only the failures above end a wait.
        _ => Registration::StillPending,
    }
}

#[cfg(test)]
mod tests;
