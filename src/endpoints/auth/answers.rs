//! What the sign-in calls answer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::requests::LocationData;
use crate::endpoints::checks::private_json;
use crate::secret::{Private, Secret};
use crate::types::{
    ContextData, Timestamp, lenient_context, lenient_text, object, open_number_enum,
    open_text_enum, optional_number, strict_bool,
};

open_text_enum! {
    /// A way to sign in.
    AuthMethod {
        /// A mobile device, of an older version of the service.
        MobileDevice = "MobileDevice",
        /// A security key, of an older version of the service.
        SecurityKey = "SecurityKey",
        /// The authenticator app.
        AuthArmorAuthenticator = "AuthArmorAuthenticator",
        /// A link in a mail.
        MagiclinkEmail = "Magiclink_Email",
        /// A link in a text message. The service misspells it `Maigclink_SMS`.
        MagiclinkSms = "Maigclink_SMS",
        /// WebAuthn.
        WebAuthn = "WebAuthN",
    }
}

open_text_enum! {
    /// What the user did to approve.
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
        /// A link in a mail.
        MagiclinkEmail = "magiclink_email",
    }
}

open_text_enum! {
    /// How the signed message was hashed.
    HashType {
        /// SHA-256.
        Sha256 = "Sha256",
    }
}

open_text_enum! {
    /// What was signed.
    SignedMessageType {
        /// The answer to an auth request.
        AuthResponse = "AuthResponse",
    }
}

open_text_enum! {
    /// How a message was signed.
    SigningMethod {
        /// ECDSA with a key of the app.
        AuthArmorEcdsa = "AuthArmor_ECDsa",
        /// A FIDO U2F security key.
        FidoU2f = "FIDO_U2F",
    }
}

open_number_enum! {
    /// How far an auth request has come. **No status is a sign-in.**
    AuthRequestStatus {
        /// The service does not say.
        Unknown = 0,
        /// It is over, well or badly: nothing can be approved or validated any
        /// more.
        Completed = 2,
        /// Waiting for the user.
        PendingApproval = 3,
        /// The user approved; waiting for the validate call.
        PendingValidation = 4,
    }
}

open_number_enum! {
    /// How an auth request ended, or what it waits for. **No code is a
    /// sign-in**; `authorized` of a validate answer is.
    ResultCode {
        /// Nothing yet, like [`PendingApproval`](Self::PendingApproval).
        Unknown = 0,
        /// Waiting for the user.
        PendingApproval = 1,
        /// Approved and validated.
        Success = 2,
        /// The user declined.
        Declined = 3,
        /// The signature of the user's device is wrong.
        InvalidSignature = 4,
        /// The user did not answer in time.
        Timeout = 5,
        /// The user approved; waiting for the validate call.
        PendingValidation = 8,
        /// The user approved; the validate call came too late.
        ValidationTimeout = 9,
        /// A check failed, such as an IP address that is not the one of the
        /// start call.
        SecurityException = 10,
    }
}

/// The answer of [`start_authenticator_auth`](super::start_authenticator_auth).
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAuthenticatorAuthResponse {
    /// Names this sign-in from now on.
    pub auth_request_id: Uuid,
    /// The user, if the request named one.
    pub user_id: Option<Uuid>,
    /// What [`ValidateAuth::new`](super::ValidateAuth::new) wants. Not for the page.
    #[serde(skip_serializing)]
    pub auth_validation_token: Option<Secret>,
    /// What your page shows to the user, who finds it again in the app. Empty
    /// or missing if the request did not ask for it.
    #[serde(default, deserialize_with = "lenient_text")]
    pub visual_verify_value: Option<String>,
    /// Text to draw as a QR code; a phone can open it as a link as well.
    #[serde(skip_serializing)]
    pub qr_code_data: Option<Secret>,
    /// Whether a push message went out.
    #[serde(default, deserialize_with = "strict_bool")]
    pub push_message_sent: Option<bool>,
    /// Its meaning is unverified.
    #[serde(default, deserialize_with = "optional_number")]
    pub response_code: Option<i64>,
    /// Its meaning is unverified; it may name a user.
    pub response_message: Option<Private>,
    /// How long the user may take, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time is up.
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The answer of [`start_webauthn_auth`](super::start_webauthn_auth): what the page needs.
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartWebauthnAuthResponse {
    /// Names this sign-in from now on.
    pub auth_request_id: Uuid,
    /// Goes back as [`aa_sig`](super::FinishWebauthnAuth::new) of the finish call,
    /// under that other name.
    #[serde(skip_serializing)]
    pub aa_guid: Option<Secret>,
    /// The options for `navigator.credentials.get`, as JSON text: hand it to
    /// the page as it is.
    #[serde(default, deserialize_with = "private_json")]
    pub fido2_json_options: Option<Private>,
}

/// The answer of [`finish_webauthn_auth`](super::finish_webauthn_auth). It signs nobody in: go on with
/// [`validate_webauthn_auth`](super::validate_webauthn_auth).
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishWebauthnAuthResponse {
    /// The sign-in.
    pub auth_request_id: Uuid,
    /// What [`ValidateAuth::new`](super::ValidateAuth::new) wants.
    #[serde(skip_serializing)]
    pub auth_validation_token: Option<Secret>,
    /// Who is about to be signed in.
    pub user_id: Option<Uuid>,
    /// Who is about to be signed in.
    pub username: Option<Private>,
}

/// The answer of [`start_magiclink_email_auth`](super::start_magiclink_email_auth). The validation token is not
/// in it: it travels in the mailed link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailAuthResponse {
    /// Names this sign-in from now on.
    pub auth_request_id: Uuid,
    /// The user who gets the mail.
    pub user_id: Option<Uuid>,
    /// How long the user may take, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time is up.
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The answer of [`get_auth_info`](super::get_auth_info), and a record of a user's history: how far
/// an auth request has come. **It signs nobody in.**
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthInfo {
    /// How far it has come.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The same in words, which are not stable: go by the id.
    pub auth_request_status_name: Option<String>,
    /// What the user did. Missing while the request is pending.
    #[serde(default, deserialize_with = "object")]
    pub auth_response: Option<AuthResponse>,
}

/// What a user did about an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponse {
    /// Names it in the user's history. Whether it is the auth request's id is
    /// unverified.
    pub auth_history_id: Option<Uuid>,
    /// How it ended, or what it waits for.
    pub result_code: Option<ResultCode>,
    /// The same in the service's words, which may name a user.
    pub result_message: Option<Private>,
    /// What the service says about an auth request that may not be validated
    /// yet. **Do not sign a user in by it**: only
    /// [`ValidateAuthDetails::authorized`] does that. Anything but a JSON bool
    /// is read as `None`.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Who did what, and how.
    #[serde(default, deserialize_with = "object")]
    pub auth_details: Option<AuthDetails>,
}

/// The answer of the three `validate_*_auth` calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateAuthResponse {
    /// How far the request has come.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The same in words, which are not stable: go by the id.
    pub auth_request_status_name: Option<String>,
    /// The verdict.
    #[serde(default, deserialize_with = "object")]
    pub validate_auth_response_details: Option<ValidateAuthDetails>,
}

/// The verdict of a validate call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateAuthDetails {
    /// Names it in the user's history. Whether it is the auth request's id is
    /// unverified.
    pub auth_history_id: Option<Uuid>,
    /// How it ended.
    pub result_code: Option<ResultCode>,
    /// The same in the service's words, which may name a user.
    pub result_message: Option<Private>,
    /// **`Some(true)` means that the user of
    /// [`auth_profile_details`](AuthResponseDetails::auth_profile_details) is
    /// signed in.** Nothing else does, and anything but a JSON bool is read as
    /// `None`. Compare the user with the one you expect.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Who did what, and how.
    #[serde(default, deserialize_with = "object")]
    pub auth_details: Option<AuthDetails>,
    /// What was given to [`StartMagiclinkEmailAuth::context_data`](super::StartMagiclinkEmailAuth::context_data).
    #[serde(default, deserialize_with = "lenient_context")]
    pub context_data: ContextData,
}

/// The question and the answer of an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthDetails {
    /// What was asked.
    #[serde(default, deserialize_with = "object")]
    pub request_details: Option<AuthRequestDetails>,
    /// What the user answered. Missing while the request is pending, partly
    /// empty if it was declined or timed out.
    #[serde(default, deserialize_with = "object")]
    pub response_details: Option<AuthResponseDetails>,
}

/// What an auth request asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthRequestDetails {
    /// When.
    pub date: Option<Timestamp>,
    /// Whom.
    #[serde(default, deserialize_with = "object")]
    pub auth_profile_details: Option<AuthProfileDetails>,
    /// From where.
    #[serde(default, deserialize_with = "object")]
    pub origin_location_data: Option<LocationData>,
    /// By which method. Here the service sends plain text; in
    /// [`AuthResponseDetails`] an object has this name.
    pub auth_method: Option<AuthMethod>,
}

/// What a user answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponseDetails {
    /// When.
    pub date: Option<Timestamp>,
    /// By which method, and with what. Here the service sends an object; in
    /// [`AuthRequestDetails`] plain text has this name.
    #[serde(default, deserialize_with = "object")]
    pub auth_method: Option<ResponseAuthMethod>,
    /// The signed answer. Magic links probably have none.
    #[serde(default, deserialize_with = "object")]
    pub secure_signed_message: Option<SecureSignedMessage>,
    /// The phone that was used.
    #[serde(default, deserialize_with = "object")]
    pub mobile_device_details: Option<MobileDeviceDetails>,
    /// Who answered. In a validate answer that is authorized: who signed in.
    #[serde(default, deserialize_with = "object")]
    pub auth_profile_details: Option<AuthProfileDetails>,
}

/// How a user answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ResponseAuthMethod {
    /// The method.
    pub name: Option<AuthMethod>,
    /// What the user did to approve.
    pub usetype: Option<AuthMethodUseType>,
}

/// A user, in the details of an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthProfileDetails {
    /// The user's id.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
}

/// The phone that was used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MobileDeviceDetails {
    /// Its system.
    pub platform: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// The user's answer, signed on the user's device, for a check of your own.
///
/// This crate does not check it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecureSignedMessage {
    /// What was signed: JSON in standard base64, with the nonce, the request
    /// and the project in it.
    pub signed_data: Option<Private>,
    /// What kind of message that is.
    pub signed_data_type: Option<SignedMessageType>,
    /// The signature.
    #[serde(default, deserialize_with = "object")]
    pub signature_data: Option<SignatureData>,
    /// What is needed to check it, such as the public key, as JSON text,
    /// whether the service sent it as text or as an object.
    #[serde(default, deserialize_with = "private_json")]
    pub signature_validation_details: Option<Private>,
}

/// The signature of a [`SecureSignedMessage`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SignatureData {
    /// The hash of the base64 text that was signed, in 64 hex digits.
    pub hash_value: Option<String>,
    /// How it was hashed.
    pub hash_method: Option<HashType>,
    /// The signature as JSON text, whose shape depends on the method.
    #[serde(default, deserialize_with = "private_json")]
    pub signature_data: Option<Private>,
    /// The method.
    pub auth_method: Option<AuthMethod>,
    /// What the user did to approve.
    pub auth_method_usetype: Option<AuthMethodUseType>,
    /// How it was signed.
    pub signing_method: Option<SigningMethod>,
}
