//! The details of an auth request, as the info and validate endpoints send
//! them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::start::LocationData;
use crate::secret::Private;
use crate::types::{Timestamp, empty_as_none, object, open_text_enum, private_json};

open_text_enum! {
    /// A method of signing in.
    AuthMethod {
        /// A mobile device, of an older version of the service.
        MobileDevice = "MobileDevice",
        /// A security key, of an older version of the service.
        SecurityKey = "SecurityKey",
        /// The authenticator app.
        AuthArmorAuthenticator = "AuthArmorAuthenticator",
        /// A magic link sent by email.
        MagiclinkEmail = "Magiclink_Email",
        /// A magic link sent by text message. The service misspells it
        /// `Maigclink_SMS`.
        MagiclinkSms = "Maigclink_SMS",
        /// WebAuthn.
        WebAuthn = "WebAuthN",
    }
}

open_text_enum! {
    /// The way in which the user approved.
    AuthMethodUseType {
        /// Biometrics of the phone.
        Biometric = "biometric",
        /// The PIN of the phone.
        Pin = "pin",
        /// The PIN of the app.
        AutharmorPin = "autharmor_pin",
        /// A U2F security key.
        U2fSecuritykey = "u2f_securitykey",
        /// U2F over USB.
        U2fUsb = "u2f_usb",
        /// U2F over Lightning.
        U2fLightning = "u2f_lightning",
        /// U2F over Bluetooth.
        U2fBluetooth = "u2f_bluetooth",
        /// U2F over NFC.
        U2fNfc = "u2f_nfc",
        /// FIDO2 over Bluetooth.
        Fido2Bluetooth = "fido2_bluetooth",
        /// FIDO2 over USB.
        Fido2Usb = "fido2_usb",
        /// FIDO2 over Lightning.
        Fido2Lightning = "fido2_lightning",
        /// FIDO2 over NFC.
        Fido2Nfc = "fido2_nfc",
        /// FIDO2.
        Fido2 = "fido2",
        /// FIDO2 with a mobile device.
        Fido2Mobiledevice = "fido2_mobiledevice",
        /// FIDO2 with an authenticator that is not part of the device.
        Fido2Crossplatform = "fido2_crossplatform",
        /// A magic link sent by email.
        MagiclinkEmail = "magiclink_email",
    }
}

open_text_enum! {
    /// The hash algorithm of a signed message.
    HashType {
        /// SHA-256.
        Sha256 = "Sha256",
    }
}

open_text_enum! {
    /// The kind of a signed message.
    SignedMessageType {
        /// The response to an auth request.
        AuthResponse = "AuthResponse",
    }
}

open_text_enum! {
    /// The method that signed a message.
    SigningMethod {
        /// ECDSA with a key of the app.
        AuthArmorEcdsa = "AuthArmor_ECDsa",
        /// A FIDO U2F security key.
        FidoU2f = "FIDO_U2F",
    }
}

/// Details of an auth request and of the user's response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthDetails {
    /// The request.
    #[serde(default, deserialize_with = "object")]
    pub request_details: Option<AuthRequestDetails>,
    /// The user's response. Missing while the request is pending, partly empty
    /// if it was declined or timed out.
    #[serde(default, deserialize_with = "object")]
    pub response_details: Option<AuthResponseDetails>,
}

/// Details of an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthRequestDetails {
    /// The time of the request.
    pub date: Option<Timestamp>,
    /// The user who was asked.
    #[serde(default, deserialize_with = "object")]
    pub auth_profile_details: Option<AuthProfileDetails>,
    /// The place that the sign-in comes from.
    #[serde(default, deserialize_with = "object")]
    pub origin_location_data: Option<LocationData>,
    /// The method. Plain text here; in [`AuthResponseDetails`] an object has
    /// this name.
    pub auth_method: Option<AuthMethod>,
}

/// Details of a user's response to an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponseDetails {
    /// The time of the response.
    pub date: Option<Timestamp>,
    /// The method, and how it was used. An object here; in
    /// [`AuthRequestDetails`] plain text has this name.
    #[serde(default, deserialize_with = "object")]
    pub auth_method: Option<ResponseAuthMethod>,
    /// The signed response. Magic links probably have none.
    #[serde(default, deserialize_with = "object")]
    pub secure_signed_message: Option<SecureSignedMessage>,
    /// The phone that was used.
    #[serde(default, deserialize_with = "object")]
    pub mobile_device_details: Option<MobileDeviceDetails>,
    /// The user who responded. In a validate response that is authorized: the
    /// user who signed in.
    #[serde(default, deserialize_with = "object")]
    pub auth_profile_details: Option<AuthProfileDetails>,
}

/// The method of a user's response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseAuthMethod {
    /// The method.
    pub name: Option<AuthMethod>,
    /// The way in which the user approved.
    pub usetype: Option<AuthMethodUseType>,
}

/// A user, in the details of an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthProfileDetails {
    /// The user's id.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub user_id: Option<Uuid>,
    /// The user's name.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub username: Option<Private>,
}

/// The phone that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MobileDeviceDetails {
    /// Its operating system.
    pub platform: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// The user's response, signed by the user's device. The feature `proof` checks
/// the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecureSignedMessage {
    /// The signed message: JSON in standard base64. It holds the nonce, the
    /// request and the project.
    pub signed_data: Option<Private>,
    /// The kind of the message.
    pub signed_data_type: Option<SignedMessageType>,
    /// The signature.
    #[serde(default, deserialize_with = "object")]
    pub signature_data: Option<SignatureData>,
    /// The data needed to check the signature, such as the public key, as JSON
    /// text. The service may send it as text or as an object.
    #[serde(default, deserialize_with = "private_json")]
    pub signature_validation_details: Option<Private>,
}

/// The signature of a [`SecureSignedMessage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignatureData {
    /// The hash of the signed base64 text, as 64 hex digits.
    pub hash_value: Option<String>,
    /// The hash algorithm.
    pub hash_method: Option<HashType>,
    /// The signature as JSON text, whose shape depends on the method.
    #[serde(default, deserialize_with = "private_json")]
    pub signature_data: Option<Private>,
    /// The method.
    pub auth_method: Option<AuthMethod>,
    /// The way in which the user approved.
    pub auth_method_usetype: Option<AuthMethodUseType>,
    /// The method that signed it.
    pub signing_method: Option<SigningMethod>,
}
