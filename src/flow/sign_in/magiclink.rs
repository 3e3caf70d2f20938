//! Sign-in with a magic link by mail.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{StartMagiclinkEmailAuth, ValidateAuth};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::flow::callback::{Callback, required};
use crate::flow::pending::{Browser, Pending, State};
use crate::flow::proof::Requirement;
use crate::flow::verify::{Expected, Identity, SignIn, judge};
use crate::secret::Private;
use crate::user_key::UserKey;

/// A sign-in that waits until the user opens a magic link.
///
/// It can be serialised, and another process can complete it. It **holds
/// personal data**, and whoever can change it can sign in as somebody else: see
/// [how to store it](crate::flow#storing-a-pending-state). `Debug` prints no
/// personal data.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "without it the sign-in cannot be completed"]
pub struct PendingMagiclink(Pending<MagiclinkState>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct MagiclinkState {
    id: Uuid,
    user: UserKey,
    /// The user's id in the start response.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_case: bool,
    #[serde(flatten)]
    browser: Browser,
}

impl State for MagiclinkState {
    const FLOW: &'static str = "magiclink_sign_in";
}

impl Client {
    /// Begins a sign-in with a magic link: the service sends the mail. Calls
    /// [`start_magiclink_email_auth`](Self::start_magiclink_email_auth) and
    /// fails as that does.
    ///
    /// ```no_run
    /// use autharmor::auth::StartMagiclinkEmailAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let url_or_query = "";
    /// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://app.example/in");
    /// let pending = client.begin_magiclink_sign_in(&request)?;
    /// // The user's browser arrives with a query.
    /// let end = pending.complete(&client, url_or_query)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn begin_magiclink_sign_in(
        &self,
        request: &StartMagiclinkEmailAuth,
    ) -> Result<PendingMagiclink, Error> {
        let response = self.start_magiclink_email_auth(request)?;
        let state = MagiclinkState {
            id: response.auth_request_id,
            user: request.user.clone(),
            user_id: response.user_id,
            ignore_case: false,
            browser: Browser::new(request.ip_address.as_deref(), request.user_agent.as_deref()),
        };
        Ok(PendingMagiclink(Pending::new(self, state)))
    }
}

impl PendingMagiclink {
    /// Returns the id of the auth request.
    #[must_use]
    pub fn auth_request_id(&self) -> Uuid {
        self.0.state.id
    }

    /// Accepts a username that differs in ASCII case from the one in the
    /// request. By default it must be the same to the letter. The username is
    /// compared only if no user id is known.
    pub fn ignore_username_case(mut self) -> Self {
        self.0.state.ignore_case = true;
        self
    }

    /// Reports this IP address of the browser that completes the sign-in, in
    /// place of the one that was given at the start. The service compares the
    /// two, and can refuse a browser that did not begin the sign-in.
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.0.state.browser.ip_address = Some(Private::from(address.into()));
        self
    }

    /// Reports this user agent of the browser that completes the sign-in, in
    /// place of the one that was given at the start.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.0.state.browser.user_agent = Some(Private::from(user_agent.into()));
        self
    }

    /// Validates with the URL, or the query, with which the user's browser
    /// arrived. Calls
    /// [`validate_magiclink_email_auth`](Client::validate_magiclink_email_auth)
    /// and fails as that does, with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the URL lacks a
    /// parameter or has one twice or the client speaks another API version than
    /// the one under which the sign-in was begun, and with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the link belongs to another
    /// request or the response does not match the request.
    #[inline]
    pub fn complete(&self, client: &Client, url_or_query: &str) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        let callback = Callback::parse(url_or_query)?;
        let id = required(callback.auth_request_id, "auth_request_id")?;
        let token = required(callback.auth_validation_token, "auth_validation_token")?;
        if id != state.id {
            let error = Error::new(ErrorKind::Mismatch, "the link belongs to another request");
            return Err(error.in_area("flow"));
        }
        let mut request = ValidateAuth::new(id, token);
        request.ip_address = state.browser.ip_address();
        request.user_agent = state.browser.user_agent();
        let expected = Expected {
            identity: Identity {
                user: Some(state.user.clone()),
                started_for: state.user_id,
                finished_by: None,
                ignore_case: state.ignore_case,
            },
            auth_request_id: id,
            nonce: None,
            // Nothing is signed.
            proof: Requirement::default(),
        };
        judge(client.validate_magiclink_email_auth(&request)?, &expected)
    }
}
