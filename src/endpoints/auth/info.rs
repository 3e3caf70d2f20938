//! The state of an auth request.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::details::AuthDetails;
use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Request};
use crate::secret::Private;
use crate::types::{lenient, object, open_number_enum, strict_bool};

open_number_enum! {
    /// The state of an auth request. **No status signs a user in.**
    AuthRequestStatus {
        /// The service does not say.
        Unknown = 0,
        /// The request has ended, with success or without. It can no longer be
        /// approved or validated.
        Completed = 2,
        /// Waiting for the user.
        PendingApproval = 3,
        /// The user approved; waiting for the validate call.
        PendingValidation = 4,
    }
}

open_number_enum! {
    /// The result of an auth request. **No code signs a user in**; only
    /// `authorized` of a validate response does.
    ResultCode {
        /// No result yet, like [`PendingApproval`](Self::PendingApproval).
        Unknown = 0,
        /// Waiting for the user.
        PendingApproval = 1,
        /// Approved and validated.
        Success = 2,
        /// The user declined.
        Declined = 3,
        /// The signature of the user's device is wrong.
        InvalidSignature = 4,
        /// The user did not respond in time.
        Timeout = 5,
        /// The user approved; waiting for the validate call.
        PendingValidation = 8,
        /// The user approved; the validate call came too late.
        ValidationTimeout = 9,
        /// A check failed. For example, the IP address of the validate call
        /// is not that of the start call.
        SecurityException = 10,
    }
}

/// The response of [`get_auth_info`], and a record of a user's history: the
/// state of an auth request. **It does not sign a user in.**
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthInfo {
    /// The state.
    pub auth_request_status_id: Option<AuthRequestStatus>,
    /// The name of the state. Names are not stable: use the id.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_request_status_name: Option<String>,
    /// The user's response. Missing while the request is pending.
    #[serde(default, deserialize_with = "object")]
    pub auth_response: Option<AuthResponse>,
}

/// A user's response to an auth request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthResponse {
    /// The id in the user's history. Whether it equals the auth request's id
    /// is unverified.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_history_id: Option<Uuid>,
    /// The result, or what the request waits for.
    pub result_code: Option<ResultCode>,
    /// The result in the service's words, which may contain a username.
    #[serde(default, deserialize_with = "lenient")]
    pub result_message: Option<Private>,
    /// What the service says about an auth request that may not be validated
    /// yet. **Do not sign a user in by it**: only
    /// [`ValidateAuthDetails::authorized`](super::ValidateAuthDetails::authorized)
    /// does that. `None` for anything but a JSON bool.
    #[serde(default, deserialize_with = "strict_bool")]
    pub authorized: Option<bool>,
    /// Details of the request and of the response.
    #[serde(default, deserialize_with = "object")]
    pub auth_details: Option<AuthDetails>,
}

/// Builds the request of [`Client::get_auth_info`].
pub fn get_auth_info(auth_request_id: Uuid) -> Request<AuthInfo> {
    Request::new(Endpoint::GetAuthInfo).id(auth_request_id)
}

/// The state of a sign-in, see [`auth`](crate::auth).
impl Client {
    /// Returns the state of an auth request: `GET /v3/auth/{auth_request_id}`,
    /// the same under `/v4`.
    ///
    /// The request waits for the user
    /// ([`PendingApproval`](AuthRequestStatus::PendingApproval)), waits for the
    /// validate call
    /// ([`PendingValidation`](AuthRequestStatus::PendingValidation)), or has
    /// ended. **The response does not sign a user in.**
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id
    /// is nil; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::auth::AuthRequestStatus;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    /// let info = client.get_auth_info(auth_request_id)?;
    /// if info.auth_request_status_id == Some(AuthRequestStatus::PendingValidation) {
    ///     println!("approved: now validate it");
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn get_auth_info(&self, auth_request_id: Uuid) -> Result<AuthInfo, Error> {
        self.send(&get_auth_info(auth_request_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::checks::assert_refused;

    #[test]
    fn nil_id_is_refused() {
        assert_refused(&get_auth_info(Uuid::nil()), "an id is the nil UUID");
    }
}
