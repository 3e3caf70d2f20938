//! The state of a registration.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Request};
use crate::types::open_number_enum;

open_number_enum! {
    /// The state of a registration.
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
        /// The user did not respond in time.
        Timeout = 5,
        /// The user accepted; the app is still setting itself up.
        AcceptedPendingDeviceEnrollment = 6,
        /// Waiting for the validate call.
        PendingValidation = 8,
        /// The validate call came too late.
        ValidationTimeout = 9,
        /// A check failed. For example, the IP address of the validate call
        /// is not that of the start call.
        SecurityException = 10,
    }
}

/// The response of [`get_registration_info`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RegistrationInfo {
    /// The state.
    pub registration_status_code: Option<RegistrationStatus>,
    /// The name of the state.
    pub registration_status_name: Option<String>,
    /// The method, in the service's words.
    pub auth_method: Option<String>,
}

/// Builds the request of [`Client::get_registration_info`].
#[inline]
pub fn get_registration_info(registration_id: Uuid) -> Request<RegistrationInfo> {
    Request::new(Endpoint::GetRegistrationInfo).id(registration_id)
}

/// The state of a registration, see [`registrations`](crate::registrations).
impl Client {
    /// Returns the state of a registration:
    /// `GET /v4/users/registrations/{registration_id}`, under v3 too.
    ///
    /// Wait while it is
    /// [`PendingUserAcceptance`](RegistrationStatus::PendingUserAcceptance) or
    /// [`AcceptedPendingDeviceEnrollment`](RegistrationStatus::AcceptedPendingDeviceEnrollment).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id is
    /// nil; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::RegistrationStatus;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let registration_id = uuid::Uuid::from_u128(7);
    /// let info = client.get_registration_info(registration_id)?;
    /// if info.registration_status_code == Some(RegistrationStatus::PendingValidation) {
    ///     println!("accepted: now validate it");
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn get_registration_info(&self, registration_id: Uuid) -> Result<RegistrationInfo, Error> {
        self.send(&get_registration_info(registration_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::checks::assert_refused;

    #[test]
    fn nil_id_is_refused() {
        assert_refused(&get_registration_info(Uuid::nil()), "an id is the nil UUID");
    }
}
