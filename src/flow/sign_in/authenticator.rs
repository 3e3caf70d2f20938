//! Sign-in with the authenticator app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{self, AuthRequestStatus, ResultCode, StartAuthenticatorAuth, ValidateAuth};
use crate::client::Client;
use crate::error::Error;
use crate::flow::pending::{Browser, Pending, State, required_token};
use crate::flow::proof::Requirement;
use crate::flow::verify::{Expected, Identity, SignIn, judge, refused};
use crate::flow::wait::{AuthWait, WaitPolicy, poll_auth, poll_timeout, request_life};
use crate::http::Endpoint;
use crate::secret::{Private, Secret};
use crate::transport::random_secret;
use crate::user_key::UserKey;

/// A sign-in that waits for the user's phone.
///
/// It can be serialised, and another process can complete it. It **holds
/// secrets**, and whoever can change it can sign in as somebody else: see
/// [how to store it](crate::flow#storing-a-pending-state). `Debug` prints no
/// secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "without it the sign-in cannot be completed"]
pub struct PendingAuthenticator(Pending<AuthenticatorState>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AuthenticatorState {
    id: Uuid,
    /// The user whom the program asked for; `None` is anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserKey>,
    /// The user's id in the start response.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_case: bool,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    token: Secret,
    #[serde(serialize_with = "Secret::serialize_exposed")]
    nonce: Secret,
    #[serde(flatten)]
    browser: Browser,
    #[serde(flatten)]
    proof: Requirement,
    /// The time that the user has, in seconds.
    life: u64,
}

impl State for AuthenticatorState {
    const FLOW: &'static str = "authenticator_sign_in";
}

/// The result of [`Client::begin_authenticator_sign_in`].
#[derive(Debug)]
#[non_exhaustive]
pub struct AuthenticatorStarted {
    /// Text to draw as a QR code for the user's phone. It is a URL, which the
    /// phone can open as well.
    pub qr_code_data: Option<Secret>,
    /// A value to show next to the QR code, if the request asked for one. The
    /// app asks the user for it.
    pub visual_verify_value: Option<String>,
    /// Whether a push notification was sent to the user's phone.
    pub push_message_sent: bool,
    /// Completes the sign-in.
    pub pending: PendingAuthenticator,
}

impl Client {
    /// Begins a sign-in with the authenticator app. Calls
    /// [`start_authenticator_auth`](Self::start_authenticator_auth) and fails
    /// as that does.
    ///
    /// The request gets a nonce, unless it has one. A push notification is sent
    /// if the request names a user, unless `send_push` is `false`. If it names
    /// no user, whoever scans the QR code signs in.
    ///
    /// ```no_run
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// use autharmor::flow::{SignIn, WaitPolicy};
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// let request = StartAuthenticatorAuth::new()
    ///     .user("ada@example.com")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you");
    /// let started = client.begin_authenticator_sign_in(&request)?;
    /// match started.pending.wait(&client, &WaitPolicy::new())? {
    ///     SignIn::SignedIn(user) => println!("hello {}", user.user_id()),
    ///     SignIn::Declined => println!("you declined"),
    ///     other => println!("not signed in: {other:?}"),
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn begin_authenticator_sign_in(
        &self,
        request: &StartAuthenticatorAuth,
    ) -> Result<AuthenticatorStarted, Error> {
        let mut request = request.clone();
        let nonce = request.nonce.take().map_or_else(random_secret, Ok)?;
        request.nonce = Some(nonce.clone());
        request.send_push = request.send_push.or(request.user.as_ref().map(|_| true));
        let response = self.start_authenticator_auth(&request)?;
        let token = required_token(
            response.auth_validation_token,
            Endpoint::StartAuthenticatorAuth,
        )?;
        let state = AuthenticatorState {
            id: response.auth_request_id,
            user_id: response.user_id,
            ignore_case: false,
            token,
            nonce,
            browser: Browser::new(request.ip_address.as_deref(), request.user_agent.as_deref()),
            proof: Requirement::default(),
            life: request_life(response.timeout_in_seconds, request.timeout_in_seconds),
            user: request.user,
        };
        Ok(AuthenticatorStarted {
            qr_code_data: response.qr_code_data,
            visual_verify_value: response
                .visual_verify_value
                .filter(|value| !value.is_empty()),
            push_message_sent: response.push_message_sent == Some(true),
            pending: PendingAuthenticator(Pending::new(self, state)),
        })
    }
}

impl PendingAuthenticator {
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

    /// Signs the user in only if the signed message is valid. Request, user and
    /// nonce are added to the expectation.
    ///
    /// If the proof is not valid, the sign-in fails with
    /// [`Mismatch`](crate::ErrorKind::Mismatch), whose source is a
    /// [`ProofError`](crate::proof::ProofError), and the user has to begin again.
    /// See [`proof`](crate::proof) for what a proof is worth.
    #[cfg(feature = "proof")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
    pub fn require_proof(mut self, expectation: crate::proof::Expectation) -> Self {
        self.0.state.proof.require(expectation);
        self
    }

    /// Waits for the user, then validates.
    ///
    /// It waits as long as the request lives, unless the policy has a timeout
    /// or the client a [deadline](Client::with_deadline). After
    /// [`StillPending`](SignIn::StillPending),
    /// [`ServiceUnavailable`](SignIn::ServiceUnavailable) and
    /// [`Cancelled`](SignIn::Cancelled) it can be called again. The validation
    /// cannot be cancelled. Fails as [`Client::wait_for_auth`] and
    /// [`complete`](Self::complete) do.
    #[inline]
    pub fn wait(&self, client: &Client, policy: &WaitPolicy<'_>) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        match client.wait_for_auth_within(state.id, state.life, policy)? {
            AuthWait::ReadyToValidate => self.complete(client),
            AuthWait::StillPending => Ok(SignIn::StillPending),
            AuthWait::ServiceUnavailable(outage) => Ok(SignIn::ServiceUnavailable(outage)),
            AuthWait::Cancelled => Ok(SignIn::Cancelled),
            AuthWait::Ended(code) => Ok(ended(code)),
        }
    }

    /// Asks once whether the user has responded, and validates if the user has
    /// approved. It does not pause and retries nothing: for the status route of
    /// a web page, and for async programs. Call it again after
    /// [`SignIn::StillPending`], one to five seconds later, until the time of
    /// the request is over. Every other outcome is an end.
    ///
    /// Calls [`get_auth_info`](Client::get_auth_info), for at most 5 seconds,
    /// and then what [`complete`](Self::complete) calls. Fails as they do. After
    /// an error that [is transient](Error::is_transient) it can be called again.
    ///
    /// ```no_run
    /// use autharmor::flow::{PendingAuthenticator, SignIn};
    /// # fn poll(client: &autharmor::Client, pending: &PendingAuthenticator)
    /// # -> Result<(), autharmor::Error> {
    /// match pending.poll(client)? {
    ///     SignIn::StillPending => println!("not yet"),
    ///     SignIn::SignedIn(user) => println!("hello {}", user.user_id()),
    ///     other => println!("not signed in: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn poll(&self, client: &Client) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        match poll_auth(client, state.id, poll_timeout(client))? {
            None => Ok(SignIn::StillPending),
            Some(AuthWait::Ended(code)) => Ok(ended(code)),
            Some(_) => {
                let request = state.validate_request();
                let request = auth::validate_authenticator_auth(&request).without_retries();
                judge(client.send(&request)?, &state.expected())
            }
        }
    }

    /// Validates at once, without waiting. Calls
    /// [`validate_authenticator_auth`](Client::validate_authenticator_auth)
    /// and fails as that does, with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the response does not match
    /// the request, and with [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// if the client speaks another API version than the one under which the
    /// sign-in was begun.
    #[inline]
    pub fn complete(&self, client: &Client) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        let response = client.validate_authenticator_auth(&state.validate_request())?;
        judge(response, &state.expected())
    }
}

impl AuthenticatorState {
    fn validate_request(&self) -> ValidateAuth {
        let mut request = ValidateAuth::new(self.id, self.token.clone());
        request.nonce = Some(self.nonce.clone());
        request.ip_address = self.browser.ip_address();
        request.user_agent = self.browser.user_agent();
        request
    }

    fn expected(&self) -> Expected {
        Expected {
            identity: Identity {
                user: self.user.clone(),
                started_for: self.user_id,
                finished_by: None,
                ignore_case: self.ignore_case,
            },
            auth_request_id: self.id,
            nonce: Some(self.nonce.clone()),
            proof: self.proof.clone(),
        }
    }
}

/// Returns the outcome of a request that is over and was not validated.
fn ended(code: Option<ResultCode>) -> SignIn {
    refused(Some(AuthRequestStatus::Completed), code)
}
