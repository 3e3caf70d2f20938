//! Sign-in with the authenticator app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{AuthRequestStatus, StartAuthenticatorAuth, ValidateAuth};
use crate::client::Client;
use crate::error::Error;
use crate::flow::pending::{Browser, Pending, State, required_token};
use crate::flow::verify::{Expected, Identity, SignIn, judge, refused};
use crate::flow::wait::{AuthWait, WaitPolicy, request_life};
use crate::http::Endpoint;
use crate::secret::Secret;
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
    /// How long the user may take, in seconds.
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

    /// Waits for the user, then validates.
    ///
    /// It waits as long as the request lives, unless the policy has a timeout.
    /// After [`SignIn::StillPending`] it can be called again. Fails as
    /// [`Client::wait_for_auth`] and [`complete`](Self::complete) do.
    pub fn wait(&self, client: &Client, policy: &WaitPolicy<'_>) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        match client.wait_for_auth_within(state.id, state.life, policy)? {
            AuthWait::ReadyToValidate => self.complete(client),
            AuthWait::StillPending | AuthWait::GivenUp => Ok(SignIn::StillPending),
            AuthWait::Ended(code) => Ok(refused(Some(AuthRequestStatus::Completed), code)),
        }
    }

    /// Validates at once, without waiting. Calls
    /// [`validate_authenticator_auth`](Client::validate_authenticator_auth)
    /// and fails as that does, with
    /// [`Mismatch`](crate::ErrorKind::Mismatch) if the response does not match
    /// the request, and with [`InvalidInput`](crate::ErrorKind::InvalidInput)
    /// if the client speaks another API version than the one under which the
    /// sign-in was begun.
    pub fn complete(&self, client: &Client) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        let mut request = ValidateAuth::new(state.id, state.token.clone());
        request.nonce = Some(state.nonce.clone());
        request.ip_address = state.browser.ip_address();
        request.user_agent = state.browser.user_agent();
        let expected = Expected {
            identity: Identity {
                user: state.user.clone(),
                started_for: state.user_id,
                finished_by: None,
                ignore_case: state.ignore_case,
            },
            auth_request_id: state.id,
            nonce: Some(state.nonce.clone()),
        };
        judge(client.validate_authenticator_auth(&request)?, &expected)
    }
}
