//! Registration of magic links sent by email, and the change of an address.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::Client;
use crate::endpoints::checks::{check_filled, check_int32};
use crate::error::Error;
use crate::http::{Endpoint, Payload, Request};
use crate::secret::{Private, Secret};
use crate::types::{
    ContextData, Timestamp, empty_as_none, lenient, lenient_context, open_text_enum,
    optional_number, setters,
};
use crate::user_key::{UserKey, check_name};

open_text_enum! {
    /// The purpose of a magic link.
    MagiclinkEmailRegistrationType {
        /// A new user.
        NewUser = "new_user",
        /// A new method of signing in for an existing user.
        NewEnrollment = "new_enrollment",
        /// Another email address for an existing user.
        ChangeEmail = "change_email",
    }
}

/// The body of [`start_magiclink_email_registration`] and
/// [`start_magiclink_email_registration_for_user`].
///
/// ```
/// use autharmor::registrations::StartMagiclinkEmailRegistration;
///
/// let request = StartMagiclinkEmailRegistration::new(
///     "ada@example.com",
///     "https://example.com/registered",
/// )
/// .action_name("Register")
/// .context_data("plan", "free");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailRegistration {
    pub(crate) email_address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    pub(crate) registration_redirect_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) context_data: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
}

impl StartMagiclinkEmailRegistration {
    /// Registers an address for magic links.
    ///
    /// * `email_address`: the recipient. A new user gets it as name. No other
    ///   user may have it. No control character, no white space at either end.
    /// * `registration_redirect_url`: the target of the link, not empty. The
    ///   service adds `registration_validation_token` (and under v4
    ///   `registration_id`) to its query. It must be on the project's list of
    ///   redirect URLs for registration.
    #[must_use]
    pub fn new(
        email_address: impl Into<Private>,
        registration_redirect_url: impl Into<String>,
    ) -> Self {
        Self {
            email_address: email_address.into(),
            timeout_in_seconds: None,
            registration_redirect_url: registration_redirect_url.into(),
            action_name: None,
            short_msg: None,
            context_data: BTreeMap::new(),
            ip_address: None,
            user_agent: None,
        }
    }

    setters! {
        /// Sets how long the user may take, in seconds, at most 2,147,483,647.
        /// The service's default is 5 minutes.
        timeout_in_seconds: u32,
        /// Sets what the link is for. It becomes part of the email's subject.
        action_name: impl Into<String>,
        /// Sets a line of explanation.
        short_msg: impl Into<String>,
        /// Sets the IP address of the user's browser. If set, the service
        /// compares it with [`ValidateMagiclinkEmailRegistration::ip_address`].
        ip_address: impl Into<String>,
        /// Sets the `User-Agent` of the user's browser. If set, the service
        /// compares it with [`ValidateMagiclinkEmailRegistration::user_agent`].
        user_agent: impl Into<String>,
    }

    /// Adds a value of your own, which the validate response returns. The last
    /// value of a key counts.
    #[must_use]
    pub fn context_data(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_data.insert(key.into(), value.into());
        self
    }
}

impl Payload for StartMagiclinkEmailRegistration {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.email_address, "the email_address")?;
        check_filled(&self.registration_redirect_url, "registration_redirect_url")?;
        check_int32(self.timeout_in_seconds, "timeout_in_seconds")
    }
}

/// The body of [`start_change_magiclink_email`].
///
/// ```
/// use autharmor::registrations::StartChangeMagiclinkEmail;
///
/// let request = StartChangeMagiclinkEmail::new("ada@example.org", "https://example.com/changed")
///     .action_name("Change address");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StartChangeMagiclinkEmail {
    pub(crate) new_email_address: Private,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_in_seconds: Option<u32>,
    pub(crate) registration_redirect_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) short_msg: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) context_data: BTreeMap<String, String>,
}

impl StartChangeMagiclinkEmail {
    /// Changes a user's address.
    ///
    /// * `new_email_address`: the recipient. No control character, no white
    ///   space at either end.
    /// * `registration_redirect_url`: the target of the link, as for
    ///   [`StartMagiclinkEmailRegistration::new`].
    #[must_use]
    pub fn new(
        new_email_address: impl Into<Private>,
        registration_redirect_url: impl Into<String>,
    ) -> Self {
        Self {
            new_email_address: new_email_address.into(),
            timeout_in_seconds: None,
            registration_redirect_url: registration_redirect_url.into(),
            action_name: None,
            short_msg: None,
            context_data: BTreeMap::new(),
        }
    }

    setters! {
        /// Sets how long the user may take, in seconds, at most 2,147,483,647.
        /// The service's default is 5 minutes.
        timeout_in_seconds: u32,
        /// Sets what the link is for.
        action_name: impl Into<String>,
        /// Sets a line of explanation.
        short_msg: impl Into<String>,
    }

    /// Adds a value of your own, which the validate response returns. The last
    /// value of a key counts.
    #[must_use]
    pub fn context_data(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context_data.insert(key.into(), value.into());
        self
    }
}

impl Payload for StartChangeMagiclinkEmail {
    fn check(&self) -> Result<(), Error> {
        check_name(&self.new_email_address, "the new_email_address")?;
        check_filled(&self.registration_redirect_url, "registration_redirect_url")?;
        check_int32(self.timeout_in_seconds, "timeout_in_seconds")
    }
}

/// The response of [`start_magiclink_email_registration`],
/// [`start_magiclink_email_registration_for_user`] and
/// [`start_change_magiclink_email`]. It has no id: that, if any, is in the
/// link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StartMagiclinkEmailRegistrationResponse {
    /// The time that the user has, in seconds.
    #[serde(default, deserialize_with = "optional_number")]
    pub timeout_in_seconds: Option<i64>,
    /// When the user's time ends.
    #[serde(default, deserialize_with = "lenient")]
    pub timeout_utc_datetime: Option<Timestamp>,
}

/// The body of [`validate_magiclink_email_registration`].
///
/// ```
/// use autharmor::registrations::ValidateMagiclinkEmailRegistration;
/// # let token_from_the_link = "token";
///
/// let request = ValidateMagiclinkEmailRegistration::new(token_from_the_link)
///     .ip_address("192.0.2.7");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValidateMagiclinkEmailRegistration {
    #[serde(serialize_with = "Secret::serialize_exposed")]
    pub(crate) registration_validation_token: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<String>,
}

impl ValidateMagiclinkEmailRegistration {
    /// Validates a registration with the token from the query of the link. It
    /// is not empty.
    #[must_use]
    pub fn new(registration_validation_token: impl Into<Secret>) -> Self {
        Self {
            registration_validation_token: registration_validation_token.into(),
            ip_address: None,
            user_agent: None,
        }
    }

    setters! {
        /// Sets the IP address of the user's browser, if one was given to the
        /// start call.
        ip_address: impl Into<String>,
        /// Sets the `User-Agent` of the user's browser, if one was given to the
        /// start call.
        user_agent: impl Into<String>,
    }
}

impl Payload for ValidateMagiclinkEmailRegistration {
    fn check(&self) -> Result<(), Error> {
        check_filled(
            self.registration_validation_token.expose(),
            "registration_validation_token",
        )
    }
}

/// The response of [`validate_magiclink_email_registration`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ValidateMagiclinkEmailRegistrationResponse {
    /// Which of the three start calls the link came from.
    pub magiclink_email_registration_type: Option<MagiclinkEmailRegistrationType>,
    /// The user.
    #[serde(default, deserialize_with = "lenient")]
    pub user_id: Option<Uuid>,
    /// The user's name. It does not follow a change of the address.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub username: Option<Private>,
    /// The user's email address.
    #[serde(default, deserialize_with = "empty_as_none")]
    pub email_address: Option<Private>,
    /// The values given as `context_data` to the start call.
    #[serde(default, deserialize_with = "lenient_context")]
    pub context_data: ContextData,
}

/// Builds the request of [`Client::start_magiclink_email_registration`].
#[inline]
pub fn start_magiclink_email_registration(
    request: &StartMagiclinkEmailRegistration,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartMagiclinkEmailRegistration).body(request)
}

/// Builds the request of [`Client::start_magiclink_email_registration_for_user`].
pub fn start_magiclink_email_registration_for_user(
    user: impl Into<UserKey>,
    request: &StartMagiclinkEmailRegistration,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartMagiclinkEmailRegistrationForUser)
        .user(user)
        .body(request)
}

/// Builds the request of [`Client::start_change_magiclink_email`].
pub fn start_change_magiclink_email(
    user: impl Into<UserKey>,
    request: &StartChangeMagiclinkEmail,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartChangeMagiclinkEmail)
        .user(user)
        .body(request)
}

/// Builds the request of [`Client::validate_magiclink_email_registration`].
pub fn validate_magiclink_email_registration(
    registration_id: impl Into<Option<Uuid>>,
    request: &ValidateMagiclinkEmailRegistration,
) -> Request<ValidateMagiclinkEmailRegistrationResponse> {
    let call = Request::new(Endpoint::ValidateMagiclinkEmailRegistration).body(request);
    match registration_id.into() {
        Some(id) => call.id(id),
        None => call,
    }
}

/// Registration of magic links, see [`registrations`](crate::registrations).
impl Client {
    /// Sends a magic link by which a new user registers:
    /// `POST /v3/users/magiclink_email/register/start`,
    /// `POST /v4/users/registrations/magiclink_email/start`. **It notifies a
    /// person, and is sent at most once.**
    ///
    /// The link leads to the redirect URL with `registration_validation_token`
    /// (and under v4 `registration_id`) in its query, for
    /// [`validate_magiclink_email_registration`](Self::validate_magiclink_email_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address or the timeout is out of bounds or the redirect URL is empty;
    /// otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartMagiclinkEmailRegistration::new("ada@example.com", "https://example.com/new")
    ///     .action_name("Register");
    /// client.start_magiclink_email_registration(&request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn start_magiclink_email_registration(
        &self,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_magiclink_email_registration(request))
    }

    /// Sends a magic link by which an existing user registers an address for
    /// magic links:
    /// `POST /v3/users/{user_id}/magiclink_email/register/start`,
    /// `POST /v4/users/{user_id}/registrations/magiclink_email/start`. **It
    /// notifies a person, and is sent at most once.** The next steps are those of
    /// [`start_magiclink_email_registration`](Self::start_magiclink_email_registration).
    /// Fails as that does, or if the user key is out of bounds.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartMagiclinkEmailRegistration::new("ada@example.com", "https://example.com/new");
    /// client.start_magiclink_email_registration_for_user("ada", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn start_magiclink_email_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_magiclink_email_registration_for_user(user, request))
    }

    /// Sends a magic link to a user's new address, by which the address
    /// changes: `POST /v3/users/{user_id}/magiclink_email/update/start`, the
    /// same under `/v4`. **It notifies a person, and is sent at most once.**
    /// The next steps are those of
    /// [`start_magiclink_email_registration`](Self::start_magiclink_email_registration).
    /// Fails as that does, or if the user key is out of bounds.
    ///
    /// The username does not follow: see [`update_user`](Self::update_user).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartChangeMagiclinkEmail;
    ///
    /// let client = autharmor::Client::from_env()?;
    /// let request = StartChangeMagiclinkEmail::new("ada@example.org", "https://example.com/new");
    /// client.start_change_magiclink_email("ada@example.com", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn start_change_magiclink_email(
        &self,
        user: impl Into<UserKey>,
        request: &StartChangeMagiclinkEmail,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_change_magiclink_email(user, request))
    }

    /// Validates the magic link of any of the three start calls:
    /// `POST /v3/users/register/magiclink_email/validate`,
    /// `POST /v4/users/registrations/magiclink_email/{registration_id}/validate`.
    /// The response says which start call it was, and returns the context data.
    ///
    /// `registration_id` is in the query of the link under v4, which requires
    /// it. v3 has none: pass `None`.
    ///
    /// How the service refuses a wrong token is unverified: probably with an
    /// error of status 401 or 403.
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty, under v4 if the registration id is `None` or nil, or under v3
    /// if it is not `None`; otherwise as [`send`](Self::send) does.
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateMagiclinkEmailRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let token_from_the_link = "token";
    /// let request = ValidateMagiclinkEmailRegistration::new(token_from_the_link);
    /// let user = client.validate_magiclink_email_registration(None, &request)?;
    /// println!("{:?}: {:?}", user.magiclink_email_registration_type, user.user_id);
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn validate_magiclink_email_registration(
        &self,
        registration_id: impl Into<Option<Uuid>>,
        request: &ValidateMagiclinkEmailRegistration,
    ) -> Result<ValidateMagiclinkEmailRegistrationResponse, Error> {
        self.send(&validate_magiclink_email_registration(
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

    const ID: Uuid = Uuid::from_u128(7);
    const ADDRESS: &str = "ada@example.org";
    const URL: &str = "https://example.com/new";

    /// All three start calls with this address, URL and timeout.
    fn starts(
        address: &str,
        url: &str,
        seconds: u32,
    ) -> [Request<StartMagiclinkEmailRegistrationResponse>; 3] {
        let register =
            StartMagiclinkEmailRegistration::new(address, url).timeout_in_seconds(seconds);
        let change = StartChangeMagiclinkEmail::new(address, url).timeout_in_seconds(seconds);
        [
            start_magiclink_email_registration(&register),
            start_magiclink_email_registration_for_user(ID, &register),
            start_change_magiclink_email(ID, &change),
        ]
    }

    #[test]
    fn address_is_checked() {
        for (address, fault) in [
            ("", "is empty"),
            ("ada\0", "holds a control character"),
            ("ada\u{a0}", "begins or ends with white space"),
            (&"a".repeat(1025), "is longer than 1,024 bytes"),
        ] {
            let [new, add, change] = starts(address, URL, 60);
            assert_refused(&new, &format!("the email_address {fault}"));
            assert_refused(&add, &format!("the email_address {fault}"));
            assert_refused(&change, &format!("the new_email_address {fault}"));
        }
    }

    #[test]
    fn redirect_url_is_not_empty() {
        for start in starts(ADDRESS, "", 60) {
            assert_refused(&start, "registration_redirect_url is empty");
        }
    }

    #[test]
    fn timeout_fits_int32() {
        for seconds in [0, 2_147_483_647] {
            for start in starts(ADDRESS, URL, seconds) {
                assert_accepted(&start);
            }
        }
        for seconds in [2_147_483_648, u32::MAX] {
            for start in starts(ADDRESS, URL, seconds) {
                assert_refused(&start, "timeout_in_seconds is larger than 2147483647");
            }
        }
    }

    #[test]
    fn validation_needs_a_token() {
        let request = ValidateMagiclinkEmailRegistration::new("");
        assert_refused(
            &validate_magiclink_email_registration(None, &request),
            "registration_validation_token is empty",
        );
    }

    #[test]
    fn registration_id_belongs_to_v4() {
        let request = ValidateMagiclinkEmailRegistration::new("t0ken");
        let with = |id: Option<Uuid>| validate_magiclink_email_registration(id, &request);
        for (id, version, why) in [
            (Some(ID), ApiVersion::V3, "v3 cannot carry registration_id"),
            (None, ApiVersion::V4, "v4 needs the registration_id"),
            (Some(Uuid::nil()), ApiVersion::V4, "an id is the nil UUID"),
        ] {
            assert_eq!(refusal(&with(id), version), why);
        }
    }

    #[test]
    fn debug_shows_no_secret_and_no_name() {
        let start = StartMagiclinkEmailRegistration::new("h1dden", URL);
        let change = StartChangeMagiclinkEmail::new("h1dden", URL);
        let validate = ValidateMagiclinkEmailRegistration::new("h1dden");
        let texts = format!("{start:?} {change:?} {validate:?}");
        assert!(!texts.contains("h1dden"), "{texts}");
    }
}
