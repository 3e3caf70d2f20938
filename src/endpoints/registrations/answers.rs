//! What the registration calls answer.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::endpoints::checks::private_json;
use crate::secret::{Private, Secret};
use crate::types::{
    ContextData, Timestamp, lenient_context, open_number_enum, open_text_enum, optional_number,
};

open_text_enum! {
    /// What a mailed link was for.
    MagiclinkEmailRegistrationType {
        /// A new user.
        NewUser = "new_user",
        /// A new way to sign in for a user that there was.
        NewEnrollment = "new_enrollment",
        /// Another mail address for a user that there was.
        ChangeEmail = "change_email",
    }
}

open_number_enum! {
    /// How far a registration has come.
    RegistrationStatus {
        /// The service does not say.
        Unknown = 0,
        /// Waiting for the user.
        PendingUserAcceptance = 1,
        /// Done.
        Registered = 2,
        /// The user declined.
        Declined = 3,
        /// The signature of the user's device is wrong.
        InvalidSignature = 4,
        /// The user did not answer in time.
        Timeout = 5,
        /// The user accepted; the app is still setting itself up.
        AcceptedPendingDeviceEnrollment = 6,
        /// Waiting for the validate call.
        PendingValidation = 8,
        /// The validate call came too late.
        ValidationTimeout = 9,
        /// A check failed, such as an IP address that is not the one of the
        /// start call.
        SecurityException = 10,
    }
}

/// The answer of [`start_authenticator_registration`](super::start_authenticator_registration) and
/// [`start_authenticator_registration_for_user`](super::start_authenticator_registration_for_user).
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAuthenticatorRegistrationResponse {
    /// Names this registration from now on.
    pub registration_id: Uuid,
    /// The user. Not sure to be there under v3.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
    /// When the invitation ends.
    pub date_expires: Option<Timestamp>,
    /// The method, in the service's words.
    pub auth_method: Option<String>,
    /// Text to draw as a QR code for the app.
    #[serde(skip_serializing)]
    pub qr_code_data: Option<Secret>,
    /// What [`ValidateRegistration::new`](super::ValidateRegistration::new) wants. Not for the page. Probably
    /// missing under v3.
    #[serde(skip_serializing)]
    pub registration_validation_token: Option<Secret>,
}

/// The answer of [`start_webauthn_registration`](super::start_webauthn_registration) and
/// [`start_webauthn_registration_for_user`](super::start_webauthn_registration_for_user): what the page needs.
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartWebauthnRegistrationResponse {
    /// Names this registration from now on.
    pub registration_id: Uuid,
    /// Goes back with the finish call.
    #[serde(skip_serializing)]
    pub aa_sig: Option<Secret>,
    /// The options for `navigator.credentials.create`, as JSON text, whether
    /// the service sent them as text or as an object: hand them to the page as
    /// they are.
    #[serde(default, deserialize_with = "private_json")]
    pub fido2_json_options: Option<Private>,
    /// The user, if it is not a new one; v4 only.
    pub user_id: Option<Uuid>,
}

/// The answer of [`finish_webauthn_registration`](super::finish_webauthn_registration) and
/// [`finish_webauthn_registration_for_user`](super::finish_webauthn_registration_for_user).
///
/// Its [`Secret`] is left out when it is serialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FinishWebauthnRegistrationResponse {
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
    /// What [`ValidateRegistration::new`](super::ValidateRegistration::new) wants. Probably missing under v3.
    #[serde(skip_serializing)]
    pub registration_validation_token: Option<Secret>,
}

/// The answer of [`validate_authenticator_registration`](super::validate_authenticator_registration) and
/// [`validate_webauthn_registration`](super::validate_webauthn_registration): who has what new way to sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ValidatedOnTheWire")]
#[non_exhaustive]
pub struct ValidateRegistrationResponse {
    /// The new credential. One of the vendor's SDKs calls it `device_id`,
    /// which is read as well.
    pub credential_id: Option<Uuid>,
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name.
    pub username: Option<Private>,
}

/// Both names of the credential's id. (An alias would refuse an answer that
/// has both.)
#[derive(Deserialize)]
struct ValidatedOnTheWire {
    credential_id: Option<Uuid>,
    device_id: Option<Uuid>,
    user_id: Option<Uuid>,
    username: Option<Private>,
}

impl From<ValidatedOnTheWire> for ValidateRegistrationResponse {
    fn from(wire: ValidatedOnTheWire) -> Self {
        Self {
            credential_id: wire.credential_id.or(wire.device_id),
            user_id: wire.user_id,
            username: wire.username,
        }
    }
}

/// The answer of [`start_magiclink_email_registration`](super::start_magiclink_email_registration),
/// [`start_magiclink_email_registration_for_user`](super::start_magiclink_email_registration_for_user) and
/// [`start_change_magiclink_email`](super::start_change_magiclink_email). It has no id: that, if any, travels in the
/// mailed link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailRegistrationResponse {
    /// How long the user may take, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time is up.
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The answer of [`validate_magiclink_email_registration`](super::validate_magiclink_email_registration).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateMagiclinkEmailRegistrationResponse {
    /// Which of the three start calls the link came from.
    pub magiclink_email_registration_type: Option<MagiclinkEmailRegistrationType>,
    /// The user.
    pub user_id: Option<Uuid>,
    /// The user's name. It does not follow a change of the address.
    pub username: Option<Private>,
    /// The user's mail address.
    pub email_address: Option<Private>,
    /// What was given as `context_data` to the start call.
    #[serde(default, deserialize_with = "lenient_context")]
    pub context_data: ContextData,
}

/// The answer of [`get_registration_info`](super::get_registration_info).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegistrationInfo {
    /// How far the registration has come.
    pub registration_status_code: Option<RegistrationStatus>,
    /// The same in words.
    pub registration_status_name: Option<String>,
    /// The method, in the service's words.
    pub auth_method: Option<String>,
}
