//! Registration of the Auth Armor authenticator app.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::validate::{ValidateRegistration, ValidateRegistrationResponse};
use crate::client::Client;
use crate::endpoints::checks::{check_int32, check_length, first_set};
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{Timestamp, lenient, setters};
use crate::user_key::{UserKey, check_name};

/// The bounds of the length of a new user's name, in characters.
const USERNAME: RangeInclusive<usize> = 2..=42;

/// The body of [`start_authenticator_registration`].
///
/// ```
/// use autharmor::registrations::StartAuthenticatorRegistration;
///
/// let request = StartAuthenticatorRegistration::new("ada@example.com").timeout_in_seconds(120);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartAuthenticatorRegistration {
    pub(crate) username: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reset_and_reinvite: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revoke_previous_invites: Option<bool>,
}

impl StartAuthenticatorRegistration {
    /// Registers a new user of this name: 2 to 42 characters, no control
    /// character, no white space at either end.
    #[must_use]
    pub fn new(username: impl Into<Private>) -> Self {
        Self {
            username: username.into(),
            timeout_in_seconds: None,
            reset_and_reinvite: None,
            revoke_previous_invites: None,
        }
    }

    setters! {
        /// Sets how long the user may take, in seconds, at most 2,147,483,647.
        /// The default and the real limits are the service's.
        timeout_in_seconds: u32,
        /// Sets whether to reset a user who is already registered and to invite
        /// again. v3 only.
        reset_and_reinvite: bool,
        /// Sets whether to cancel older invitations, which otherwise stay valid
        /// until they are used. v3 only.
        revoke_previous_invites: bool,
    }
}

impl Payload for StartAuthenticatorRegistration {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.username, "the username")?;
        check_length(&self.username, "username", &USERNAME)?;
        check_int32(self.timeout_in_seconds, "timeout_in_seconds")
    }

    fn v3_only(&self) -> Option<&'static str> {
        first_set([
            ("reset_and_reinvite", self.reset_and_reinvite.is_some()),
            (
                "revoke_previous_invites",
                self.revoke_previous_invites.is_some(),
            ),
        ])
    }
}

/// The response of [`start_authenticator_registration`] and
/// [`start_authenticator_registration_for_user`].
///
/// Its [`Secret`]s are left out when it is serialised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartAuthenticatorRegistrationResponse {
    /// The id of the registration.
    pub registration_id: Uuid,
    /// The user. May be missing under v3.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The user's name.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<Private>,
    /// When the invitation ends.
    #[serde(default, deserialize_with = "lenient")]
    pub date_expires: Option<Timestamp>,
    /// The method, in the service's words.
    #[serde(default, deserialize_with = "lenient")]
    pub auth_method: Option<String>,
    /// The text to draw as a QR code for the app.
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub qr_code_data: Option<Secret>,
    /// The token for [`ValidateRegistration::new`]. Do not give it to the page.
    /// Probably missing under v3.
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub registration_validation_token: Option<Secret>,
}

/// Builds the request of [`Client::start_authenticator_registration`].
#[inline]
pub fn start_authenticator_registration(
    request: &StartAuthenticatorRegistration,
) -> Request<StartAuthenticatorRegistrationResponse> {
    Request::new(Endpoint::StartAuthenticatorRegistration).body(request)
}

/// Builds the request of [`Client::start_authenticator_registration_for_user`].
pub fn start_authenticator_registration_for_user(
    user: impl Into<UserKey>,
) -> Request<StartAuthenticatorRegistrationResponse> {
    Request::new(Endpoint::StartAuthenticatorRegistrationForUser).user(user)
}

/// Builds the request of [`Client::validate_authenticator_registration`].
#[inline]
pub fn validate_authenticator_registration(
    registration_id: Uuid,
    request: &ValidateRegistration,
) -> Request<ValidateRegistrationResponse> {
    Request::new(Endpoint::ValidateAuthenticatorRegistration)
        .id(registration_id)
        .body(request)
}

/// Registration of the authenticator app, see
/// [`registrations`](crate::registrations).
impl Client {
    /// Creates a new user and an invitation into the authenticator app, as a
    /// QR code: `POST /v3/users/authenticator/register/start`,
    /// `POST /v4/users/registrations/authenticator/start`. **It is sent at most
    /// once.**
    ///
    /// Then call [`get_registration_info`](Self::get_registration_info) until
    /// the user has scanned it, and end with
    /// [`validate_authenticator_registration`](Self::validate_authenticator_registration).
    /// Both exist in v4 only. With v3 alone, call
    /// [`get_user`](Self::get_user) until it shows the app among the user's
    /// methods.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the name
    /// or the timeout is out of bounds, or under v4 if one of the two v3
    /// options is set; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartAuthenticatorRegistration;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartAuthenticatorRegistration::new("ada@example.com");
    /// let started = client.start_authenticator_registration(&request)?;
    /// if let Some(qr) = &started.qr_code_data {
    ///     println!("a QR code of {} bytes", qr.expose().len());
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn start_authenticator_registration(
        &self,
        request: &StartAuthenticatorRegistration,
    ) -> Result<StartAuthenticatorRegistrationResponse, Error> {
        self.send(&start_authenticator_registration(request))
    }

    /// Invites an existing user into the authenticator app, as a QR code:
    /// `POST /v3/users/{user_id}/authenticator/register/start`,
    /// `POST /v4/users/{user_id}/registrations/authenticator/start`, without a
    /// body. **It is sent at most once.** The next steps are
    /// those of [`start_authenticator_registration`](Self::start_authenticator_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the user
    /// key is out of bounds; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// let client = autharmor::Client::from_env()?;
    /// let started = client.start_authenticator_registration_for_user("ada@example.com")?;
    /// println!("valid until {:?}", started.date_expires);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn start_authenticator_registration_for_user(
        &self,
        user: impl Into<UserKey>,
    ) -> Result<StartAuthenticatorRegistrationResponse, Error> {
        self.send(&start_authenticator_registration_for_user(user))
    }

    /// Validates a registration of the authenticator app:
    /// `POST /v4/users/registrations/authenticator/{registration_id}/validate`,
    /// under v3 too. Without it, a page could claim a registration that is not
    /// its own.
    ///
    /// How the service refuses a wrong token is unverified: probably with an
    /// error of status 401 or 403.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty or the id is nil; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, token) = (uuid::Uuid::from_u128(7), "token");
    /// let request = ValidateRegistration::new(token);
    /// let response = client.validate_authenticator_registration(registration_id, &request)?;
    /// println!("registered: {:?}", response.credential_id);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn validate_authenticator_registration(
        &self,
        registration_id: Uuid,
        request: &ValidateRegistration,
    ) -> Result<ValidateRegistrationResponse, Error> {
        self.send(&validate_authenticator_registration(
            registration_id,
            request,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiVersion;
    use crate::endpoints::checks::{assert_accepted, assert_refused, refusal};

    #[test]
    fn name_has_bounds() {
        let start = |name: &str| {
            start_authenticator_registration(&StartAuthenticatorRegistration::new(name))
        };
        // Characters count, not bytes.
        for name in ["ab", "éé", &"é".repeat(42)] {
            assert_accepted(&start(name));
        }
        for name in ["a", "é", &"a".repeat(43)] {
            assert_refused(&start(name), "username must be 2 to 42 characters long");
        }
        for (name, why) in [
            ("", "the username is empty"),
            ("ada\0", "the username holds a control character"),
            ("ada\u{a0}", "the username begins or ends with white space"),
            (&"a".repeat(1025), "the username is longer than 1,024 bytes"),
        ] {
            assert_refused(&start(name), why);
        }
    }

    #[test]
    fn timeout_fits_int32() {
        let start = |seconds| {
            let request = StartAuthenticatorRegistration::new("ada");
            start_authenticator_registration(&request.timeout_in_seconds(seconds))
        };
        for seconds in [0, 2_147_483_647] {
            assert_accepted(&start(seconds));
        }
        for seconds in [2_147_483_648, u32::MAX] {
            assert_refused(
                &start(seconds),
                "timeout_in_seconds is larger than 2147483647",
            );
        }
    }

    #[test]
    fn v4_refuses_what_it_cannot_carry() {
        let plain = || StartAuthenticatorRegistration::new("ada");
        for (request, field) in [
            (plain().reset_and_reinvite(true), "reset_and_reinvite"),
            // `false` is a value, too.
            (plain().reset_and_reinvite(false), "reset_and_reinvite"),
            (
                plain().revoke_previous_invites(true),
                "revoke_previous_invites",
            ),
        ] {
            let request = start_authenticator_registration(&request);
            let why = refusal(&request, ApiVersion::V4);
            assert_eq!(why, format!("v4 cannot carry {field}"));
        }
    }

    #[test]
    fn debug_shows_no_name() {
        let text = format!("{:?}", StartAuthenticatorRegistration::new("h1dden"));
        assert!(!text.contains("h1dden"), "{text}");
    }
}
