//! Values of a registration with WebAuthn: the accepted authenticators and the
//! browser's response.

use serde::Serialize;

use crate::endpoints::checks::check_filled;
use crate::error::Error;
use crate::types::open_text_enum;

open_text_enum! {
    /// Which authenticators may be registered.
    AuthenticatorAttachment {
        /// Any.
        Any = "Any",
        /// One that is not part of the device, such as a security key.
        CrossPlatform = "CrossPlatform",
        /// One that is part of the device, such as a fingerprint reader.
        Platform = "Platform",
    }
}

open_text_enum! {
    /// Whether the key must be one that is found without a username.
    ResidentKeyRequirement {
        /// Required.
        Required = "required",
        /// Preferred, but not required.
        Preferred = "preferred",
        /// Better not.
        Discouraged = "discouraged",
    }
}

open_text_enum! {
    /// Whether the authenticator must verify the user, by a PIN or a
    /// fingerprint.
    UserVerificationRequirement {
        /// Required.
        Required = "required",
        /// Preferred, but not required.
        Preferred = "preferred",
        /// Better not.
        Discouraged = "discouraged",
    }
}

/// The browser's response to `navigator.credentials.create`, in base64url
/// without padding.
///
/// ```
/// use autharmor::registrations::Fido2RegistrationData;
///
/// let data = Fido2RegistrationData::new("Y3JlZA", "o2NmbXQ", "eyJ0eXBl");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fido2RegistrationData {
    pub(crate) id: String,
    pub(crate) attestation_object: String,
    pub(crate) client_data: String,
}

impl Fido2RegistrationData {
    /// Takes the credential's id, the attestation object and the client data.
    /// None of them may be empty.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        attestation_object: impl Into<String>,
        client_data: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            attestation_object: attestation_object.into(),
            client_data: client_data.into(),
        }
    }

    /// Checks that no part is empty.
    pub(super) fn check(&self) -> Result<(), Error> {
        check_filled(&self.id, "id")?;
        check_filled(&self.attestation_object, "attestation_object")?;
        check_filled(&self.client_data, "client_data")
    }
}
