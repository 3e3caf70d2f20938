//! Registration of a mail address with a magic link.

use serde::{Deserialize, Serialize};

use super::{Registration, identity, registered};
use crate::client::Client;
use crate::error::Error;
use crate::flow::callback::{Callback, required};
use crate::flow::pending::{Browser, Pending, State};
use crate::flow::verify::{known_text, mismatch};
use crate::http::ApiVersion;
use crate::registrations::{
    MagiclinkEmailRegistrationType, StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration,
    ValidateMagiclinkEmailRegistration, ValidateMagiclinkEmailRegistrationResponse,
};
use crate::secret::Private;
use crate::user_key::UserKey;

/// A registration, or a change of address, that waits until the user opens a
/// magic link.
///
/// It can be serialised, and another process can complete it. It **holds
/// personal data**, and whoever can change it can register as somebody else:
/// see [how to store it](crate::flow#storing-a-pending-state). `Debug` prints
/// no personal data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "without it the registration cannot be completed"]
pub struct PendingMagiclinkRegistration(Pending<MagiclinkState>);

// It has no id: the first one arrives in the link.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct MagiclinkState {
    purpose: MagiclinkEmailRegistrationType,
    address: Private,
    /// The user who gets the address. A new user does not exist yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserKey>,
    #[serde(flatten)]
    browser: Browser,
}

impl State for MagiclinkState {
    const FLOW: &'static str = "magiclink_registration";
}

impl Client {
    /// Begins the registration of a new user by mail: the service sends a magic
    /// link. Calls
    /// [`start_magiclink_email_registration`](Self::start_magiclink_email_registration)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let url_or_query = "";
    /// let request =
    ///     StartMagiclinkEmailRegistration::new("ada@example.com", "https://app.example/welcome");
    /// let pending = client.begin_magiclink_registration(&request)?;
    /// // The user's browser arrives with a query.
    /// let end = pending.complete(&client, url_or_query)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn begin_magiclink_registration(
        &self,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<PendingMagiclinkRegistration, Error> {
        self.start_magiclink_email_registration(request)?;
        let state = MagiclinkState {
            purpose: MagiclinkEmailRegistrationType::NewUser,
            address: request.email_address.clone(),
            user: None,
            browser: Browser::new(request.ip_address.as_deref(), request.user_agent.as_deref()),
        };
        Ok(PendingMagiclinkRegistration(Pending::new(self, state)))
    }

    /// Begins to add sign-in by mail to a user. Calls
    /// [`start_magiclink_email_registration_for_user`](Self::start_magiclink_email_registration_for_user)
    /// and fails as that does.
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request =
    ///     StartMagiclinkEmailRegistration::new("ada@example.com", "https://app.example/welcome");
    /// let pending = client.begin_magiclink_registration_for_user("ada", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_magiclink_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<PendingMagiclinkRegistration, Error> {
        let user = user.into();
        self.start_magiclink_email_registration_for_user(&user, request)?;
        let state = MagiclinkState {
            purpose: MagiclinkEmailRegistrationType::NewEnrollment,
            address: request.email_address.clone(),
            user: Some(user),
            browser: Browser::new(request.ip_address.as_deref(), request.user_agent.as_deref()),
        };
        Ok(PendingMagiclinkRegistration(Pending::new(self, state)))
    }

    /// Begins to change the mail address of a user: the magic link goes to the
    /// new address. Calls
    /// [`start_change_magiclink_email`](Self::start_change_magiclink_email)
    /// and fails as that does. The username does not change with the address,
    /// see [`update_user`](Self::update_user).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartChangeMagiclinkEmail;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request = StartChangeMagiclinkEmail::new("countess@example.com", "https://app.example/new");
    /// let pending = client.begin_magiclink_change("ada@example.com", &request)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_magiclink_change(
        &self,
        user: impl Into<UserKey>,
        request: &StartChangeMagiclinkEmail,
    ) -> Result<PendingMagiclinkRegistration, Error> {
        let user = user.into();
        self.start_change_magiclink_email(&user, request)?;
        let state = MagiclinkState {
            purpose: MagiclinkEmailRegistrationType::ChangeEmail,
            address: request.new_email_address.clone(),
            user: Some(user),
            // The call has no fields for them.
            browser: Browser::new(None, None),
        };
        Ok(PendingMagiclinkRegistration(Pending::new(self, state)))
    }
}

impl PendingMagiclinkRegistration {
    /// Reports this IP address of the browser that completes the registration, in
    /// place of the one that was given at the start. The service compares the
    /// two, and can refuse a browser that did not begin the registration.
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.0.state.browser.ip_address = Some(Private::from(address.into()));
        self
    }

    /// Reports this user agent of the browser that completes the registration, in
    /// place of the one that was given at the start.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.0.state.browser.user_agent = Some(Private::from(user_agent.into()));
        self
    }

    /// Validates with the URL, or the query, with which the user's browser
    /// arrived. Calls [`Client::validate_magiclink_email_registration`] and
    /// fails as that does, with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the URL lacks a
    /// parameter or has one twice or the client speaks another API version than
    /// the one under which the registration was begun, and with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the link is for another
    /// user, address or purpose.
    #[inline]
    pub fn complete(&self, client: &Client, url_or_query: &str) -> Result<Registration, Error> {
        let state = self.0.state_for(client)?;
        let callback = Callback::parse(url_or_query)?;
        let token = required(
            callback.registration_validation_token,
            "registration_validation_token",
        )?;
        let mut request = ValidateMagiclinkEmailRegistration::new(token);
        let registration_id = match client.api_version() {
            ApiVersion::V3 => None,
            ApiVersion::V4 => Some(required(callback.registration_id, "registration_id")?),
        };
        request.ip_address = state.browser.ip_address();
        request.user_agent = state.browser.user_agent();
        let response = client.validate_magiclink_email_registration(registration_id, &request)?;

        state.check_link(&response)?;
        let identity = identity(state.user.clone(), None);
        let mut user = registered(&identity, response.user_id, response.username.as_ref())?;
        user.email_address = known_text(response.email_address.as_ref()).cloned();
        user.context_data = response.context_data;
        user.is_validated = true;
        Ok(Registration::Registered(Box::new(user)))
    }
}

impl MagiclinkState {
    /// Compares purpose and address, as far as the response has them. For a new
    /// user one of address and name must be there.
    fn check_link(
        &self,
        response: &ValidateMagiclinkEmailRegistrationResponse,
    ) -> Result<(), Error> {
        let purpose = response.magiclink_email_registration_type.as_ref();
        let purpose = purpose.filter(|purpose| !purpose.as_str().is_empty());
        if purpose.is_some_and(|purpose| *purpose != self.purpose) {
            return mismatch("the link is for another purpose");
        }
        let is_new = self.purpose == MagiclinkEmailRegistrationType::NewUser;
        let mut address = known_text(response.email_address.as_ref());
        if is_new {
            // The name of a new user is the address.
            address = address.or(known_text(response.username.as_ref()));
        }
        match address {
            Some(address) if address.eq_ignore_ascii_case(&self.address) => Ok(()),
            None if !is_new => Ok(()),
            _ => mismatch("the link is for another address"),
        }
    }
}
