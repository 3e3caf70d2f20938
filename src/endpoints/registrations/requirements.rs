//! Which authenticators a registration with WebAuthn accepts.

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
