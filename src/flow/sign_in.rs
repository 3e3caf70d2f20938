//! Verified sign-in, one road per method.

use serde_json::Value;
use uuid::Uuid;

use super::link::{Callback, required};
use super::state::{Flow, State, pending};
use super::verify::{Expected, SignIn, judge, mismatch, refused};
use super::wait::{AuthWait, WaitPolicy};
use crate::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth, ValidateAuthResponse,
};
use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::http::ApiVersion;
use crate::secret::{Private, Secret};
use crate::transport::random_secret;
use crate::user_key::UserKey;

pending! {
    /// A sign-in that waits for the user's phone.
    PendingAuthenticator: AuthenticatorSignIn,
    /// A sign-in that waits for the page's answer.
    PendingWebauthn: WebauthnSignIn,
    /// A sign-in that waits for a click in a mail.
    PendingMagiclink: MagiclinkSignIn,
}

/// What the pending states of all sign-ins have.
macro_rules! common {
    ($($name:ident)+) => {
        $(
            impl $name {
                /// The auth request.
                #[must_use]
                pub fn auth_request_id(&self) -> Uuid {
                    self.0.id()
                }

                /// Accepts a username that differs in ASCII case from the one
                /// asked for, where no id is known. By default it must be the
                /// same to the letter.
                pub fn ignore_username_case(mut self) -> Self {
                    self.0.ignore_case = true;
                    self
                }
            }
        )+
    };
}
common!(PendingAuthenticator PendingWebauthn PendingMagiclink);

/// What [`Client::begin_authenticator_sign_in`] hands out.
#[derive(Debug)]
#[non_exhaustive]
pub struct AuthenticatorStarted {
    /// To be drawn as a QR code for the user's phone, or opened on it.
    pub qr_code_data: Option<Secret>,
    /// To be shown next to it, if it was asked for: the app asks for it.
    pub visual_verify_value: Option<String>,
    /// Whether a push went to the user's phone.
    pub push_message_sent: bool,
    /// What ends the sign-in.
    pub pending: PendingAuthenticator,
}

/// What [`Client::begin_webauthn_sign_in`] hands out.
#[derive(Debug)]
#[non_exhaustive]
pub struct WebauthnStarted {
    /// JSON for the page, which gives it to `navigator.credentials.get`.
    pub fido2_json_options: Private,
    /// What ends the sign-in.
    pub pending: PendingWebauthn,
}

impl Client {
    /// Begins a sign-in with the authenticator app. Calls
    /// [`start_authenticator_auth`](Self::start_authenticator_auth) and fails
    /// as that does.
    ///
    /// A nonce goes with the request, unless it has one. A push is sent if the
    /// request names a user and does not say otherwise; without a user,
    /// whoever scans the QR code signs in.
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
    ///     SignIn::Declined => println!("then not"),
    ///     other => println!("no: {other:?}"),
    /// }
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_authenticator_sign_in(
        &self,
        request: &StartAuthenticatorAuth,
    ) -> Result<AuthenticatorStarted, Error> {
        let mut request = request.clone();
        let mut state = State::new(self, Flow::AuthenticatorSignIn);
        state.nonce = Some(nonce(request.nonce.take())?);
        request.nonce.clone_from(&state.nonce);
        request.send_push = request.send_push.or(request.user.as_ref().map(|_| true));
        state.user.clone_from(&request.user);
        state.ip_address.clone_from(&request.ip_address);
        state.user_agent.clone_from(&request.user_agent);
        let answer = self.start_authenticator_auth(&request)?;
        state.id = Some(answer.auth_request_id);
        state.user_id = answer.user_id;
        state.token = Some(token(
            answer.auth_validation_token,
            "start_authenticator_auth",
        )?);
        state.life = life(answer.timeout_in_seconds, request.timeout_in_seconds);
        Ok(AuthenticatorStarted {
            qr_code_data: answer.qr_code_data,
            visual_verify_value: answer.visual_verify_value.filter(|value| !value.is_empty()),
            push_message_sent: answer.push_message_sent == Some(true),
            pending: PendingAuthenticator(state),
        })
    }

    /// Begins a sign-in with a passkey or security key. Calls
    /// [`start_webauthn_auth`](Self::start_webauthn_auth) and fails as that
    /// does. Under v4 a nonce goes with the request, unless it has one; v3 has
    /// no room for it.
    ///
    /// ```no_run
    /// use autharmor::auth::StartWebauthnAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let answer_of_the_page = "{}";
    /// let request = StartWebauthnAuth::new().user("ada@example.com");
    /// let started = client.begin_webauthn_sign_in(&request)?;
    /// // The page gets `started.fido2_json_options` and answers with JSON.
    /// let end = started.pending.complete(&client, answer_of_the_page)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_webauthn_sign_in(
        &self,
        request: &StartWebauthnAuth,
    ) -> Result<WebauthnStarted, Error> {
        let mut request = request.clone();
        let mut state = State::new(self, Flow::WebauthnSignIn);
        if self.api_version() == ApiVersion::V4 {
            state.nonce = Some(nonce(request.nonce.take())?);
            request.nonce.clone_from(&state.nonce);
        }
        state.user.clone_from(&request.user);
        state.ip_address.clone_from(&request.ip_address);
        state.user_agent.clone_from(&request.user_agent);
        state
            .webauthn_client_id
            .clone_from(&request.webauthn_client_id);
        let answer = self.start_webauthn_auth(&request)?;
        let area = "start_webauthn_auth";
        state.id = Some(answer.auth_request_id);
        state.aa_sig = Some(answer.aa_guid.ok_or_else(|| missing("aa_guid", area))?);
        Ok(WebauthnStarted {
            fido2_json_options: answer
                .fido2_json_options
                .ok_or_else(|| missing("fido2_json_options", area))?,
            pending: PendingWebauthn(state),
        })
    }

    /// Begins a sign-in with a link: the service sends the mail. Calls
    /// [`start_magiclink_email_auth`](Self::start_magiclink_email_auth) and
    /// fails as that does.
    ///
    /// ```no_run
    /// use autharmor::auth::StartMagiclinkEmailAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let url_of_the_arriving_browser = "";
    /// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://app.example/in");
    /// let pending = client.begin_magiclink_sign_in(&request)?;
    /// let end = pending.complete(&client, url_of_the_arriving_browser)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn begin_magiclink_sign_in(
        &self,
        request: &StartMagiclinkEmailAuth,
    ) -> Result<PendingMagiclink, Error> {
        let mut state = State::new(self, Flow::MagiclinkSignIn);
        state.user = Some(request.user.clone());
        state.ip_address.clone_from(&request.ip_address);
        state.user_agent.clone_from(&request.user_agent);
        let answer = self.start_magiclink_email_auth(request)?;
        state.id = Some(answer.auth_request_id);
        state.user_id = answer.user_id;
        state.life = life(answer.timeout_in_seconds, request.timeout_in_seconds);
        Ok(PendingMagiclink(state))
    }

    /// Ends a sign-in that the vendor's own page SDK began: validates what the
    /// page handed over. Fails as the validate call of its method does, and
    /// with [`ErrorKind::Mismatch`] if the answer is about another user.
    ///
    /// ```no_run
    /// use autharmor::flow::{BrowserSignIn, ExpectedUser, Method};
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), "");
    /// let expected = ExpectedUser::Is("ada@example.com".into());
    /// let from_page = BrowserSignIn::new(Method::Authenticator, auth_request_id, token, expected);
    /// let end = client.complete_browser_sign_in(&from_page)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    pub fn complete_browser_sign_in(&self, from_page: &BrowserSignIn) -> Result<SignIn, Error> {
        let BrowserSignIn {
            method,
            validate,
            user,
            ignore_case,
        } = from_page;
        let expected = Expected {
            user: match user {
                ExpectedUser::Is(key) => Some(key.clone()),
                ExpectedUser::Anyone => None,
            },
            ignore_case: *ignore_case,
            auth_request_id: validate.auth_request_id,
            nonce: validate.nonce.clone(),
            ..Expected::default()
        };
        if let Some(key) = &expected.user {
            key.check()?;
        }
        let answer = match method {
            Method::Authenticator => self.validate_authenticator_auth(validate)?,
            Method::Webauthn => self.validate_webauthn_auth(validate)?,
            Method::MagiclinkEmail => self.validate_magiclink_email_auth(validate)?,
        };
        judge(answer, &expected)
    }
}

impl PendingAuthenticator {
    /// Waits for the user, then validates.
    ///
    /// The wait lasts as long as the request lives, unless the policy says
    /// otherwise; [`SignIn::StillPending`] means that it may be waited for
    /// again. Fails as [`Client::wait_for_auth`] and
    /// [`complete`](Self::complete) do.
    pub fn wait(&self, client: &Client, policy: &WaitPolicy<'_>) -> Result<SignIn, Error> {
        self.0.check(client)?;
        let life = self.0.life();
        match client.wait_for_auth_within(self.0.id(), life, policy)? {
            AuthWait::ReadyToValidate => self.complete(client),
            AuthWait::StillPending | AuthWait::GivenUp => Ok(SignIn::StillPending),
            AuthWait::Ended(code) => Ok(refused(
                Some(crate::auth::AuthRequestStatus::Completed),
                code,
            )),
        }
    }

    /// Validates now. Calls
    /// [`validate_authenticator_auth`](Client::validate_authenticator_auth)
    /// and fails as that does, with [`ErrorKind::Mismatch`] if the answer does
    /// not fit the request, and with [`ErrorKind::InvalidInput`] if the client
    /// speaks another version than the one that began.
    pub fn complete(&self, client: &Client) -> Result<SignIn, Error> {
        let state = &self.0;
        state.check(client)?;
        let answer = client.validate_authenticator_auth(&validate(state, state.token.clone())?)?;
        end(answer, state, None)
    }
}

impl PendingWebauthn {
    /// Takes the page's JSON, finishes and validates. Calls
    /// [`finish_webauthn_auth`](Client::finish_webauthn_auth) and
    /// [`validate_webauthn_auth`](Client::validate_webauthn_auth) and fails as
    /// they do, with [`ErrorKind::InvalidInput`] if the text is no JSON object
    /// or the client speaks another version, and with [`ErrorKind::Mismatch`]
    /// if an answer does not fit the request.
    pub fn complete(&self, client: &Client, page_json: &str) -> Result<SignIn, Error> {
        let state = &self.0;
        state.check(client)?;
        let assertion = page_object(page_json)?;
        let sig = state.aa_sig.clone().unwrap_or_default();
        let mut finish = FinishWebauthnAuth::new(state.id(), sig, assertion.to_string());
        finish
            .webauthn_client_id
            .clone_from(&state.webauthn_client_id);
        let answer = client.finish_webauthn_auth(&finish)?;
        if answer.auth_request_id.is_some_and(|id| id != state.id()) {
            return mismatch("it is about another request");
        }
        let token = token(answer.auth_validation_token, "finish_webauthn_auth")?;
        let validated = client.validate_webauthn_auth(&validate(state, Some(token))?)?;
        end(validated, state, answer.user_id)
    }
}

impl PendingMagiclink {
    /// Takes the URL, or the query string, that the user's browser arrived
    /// with, and validates. Calls
    /// [`validate_magiclink_email_auth`](Client::validate_magiclink_email_auth)
    /// and fails as that does, with [`ErrorKind::InvalidInput`] if the URL
    /// lacks a parameter or has one twice, or the client speaks another
    /// version, and with [`ErrorKind::Mismatch`] if the link belongs to
    /// another request or the answer does not fit.
    pub fn complete(&self, client: &Client, url_or_query: &str) -> Result<SignIn, Error> {
        let state = &self.0;
        state.check(client)?;
        let callback = Callback::parse(url_or_query)?;
        let id = required(callback.auth_request_id, "auth_request_id")?;
        let token = required(callback.auth_validation_token, "auth_validation_token")?;
        if id != state.id() {
            let error = Error::new(ErrorKind::Mismatch, "the link belongs to another request");
            return Err(error.in_area("flow"));
        }
        let answer = client.validate_magiclink_email_auth(&validate(state, Some(token))?)?;
        end(answer, state, None)
    }
}

/// The method of a sign-in that a page began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The authenticator app.
    Authenticator,
    /// A passkey or security key.
    Webauthn,
    /// A link by mail.
    MagiclinkEmail,
}

/// Whom a token from a browser must belong to.
#[derive(Clone, Debug)]
pub enum ExpectedUser {
    /// This user: the one whom the program is about to treat as signed in.
    /// A mail address is an [`UserKey`] as well, if it is the username.
    Is(UserKey),
    /// Whoever it is: for a login page that does not know who comes.
    ///
    /// **Beware of login CSRF**: a page of an attacker can make a victim's
    /// browser hand over the *attacker's* id and token, so that the victim
    /// works in the attacker's account without noticing. Take them only from a
    /// request that carries the session's own CSRF token, and show clearly who
    /// is signed in.
    Anyone,
}

/// What a page that used the vendor's own SDK hands to the backend.
#[derive(Clone, Debug)]
pub struct BrowserSignIn {
    method: Method,
    validate: ValidateAuth,
    user: ExpectedUser,
    ignore_case: bool,
}

impl BrowserSignIn {
    /// Method, request id and validation token as the page has them.
    #[must_use]
    pub fn new(
        method: Method,
        auth_request_id: Uuid,
        auth_validation_token: impl Into<Secret>,
        user: ExpectedUser,
    ) -> Self {
        let validate = ValidateAuth::new(auth_request_id, auth_validation_token);
        Self {
            method,
            validate,
            user,
            ignore_case: false,
        }
    }

    /// The nonce that the page gave at the start, if your backend chose it.
    #[must_use]
    pub fn nonce(mut self, nonce: impl Into<Secret>) -> Self {
        self.validate = self.validate.nonce(nonce);
        self
    }

    /// The IP address that the page gave at the start.
    #[must_use]
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.validate = self.validate.ip_address(address);
        self
    }

    /// The user agent that the page gave at the start.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.validate = self.validate.user_agent(user_agent);
        self
    }

    /// As [`PendingAuthenticator::ignore_username_case`].
    #[must_use]
    pub fn ignore_username_case(mut self) -> Self {
        self.ignore_case = true;
        self
    }
}

/// The request that ends a sign-in: what was given at the start goes again.
fn validate(state: &State, token: Option<Secret>) -> Result<ValidateAuth, Error> {
    let token = token.ok_or_else(|| Error::invalid("the pending state holds no token"))?;
    let mut request = ValidateAuth::new(state.id(), token);
    request.nonce.clone_from(&state.nonce);
    request.ip_address.clone_from(&state.ip_address);
    request.user_agent.clone_from(&state.user_agent);
    Ok(request)
}

fn end(
    answer: ValidateAuthResponse,
    state: &State,
    finished_by: Option<Uuid>,
) -> Result<SignIn, Error> {
    let expected = Expected {
        user: state.user.clone(),
        started_for: state.user_id,
        finished_by,
        ignore_case: state.ignore_case,
        auth_request_id: state.id(),
        nonce: state.nonce.clone(),
    };
    judge(answer, &expected)
}

/// The caller's nonce, or a new one.
fn nonce(given: Option<Secret>) -> Result<Secret, Error> {
    given.map_or_else(random_secret, Ok)
}

/// No request lives longer, in seconds, whatever the service says.
const LONGEST_LIFE: i64 = 60 * 60;

/// How long a request lives: by the service's word, or by our own wish.
pub(super) fn life(answered: Option<i64>, asked: Option<u32>) -> Option<u64> {
    answered
        .filter(|seconds| (0..=LONGEST_LIFE).contains(seconds))
        .and_then(|seconds| u64::try_from(seconds).ok())
        .or(asked.map(u64::from))
}

pub(super) fn token(token: Option<Secret>, area: &'static str) -> Result<Secret, Error> {
    token
        .filter(|token| !token.expose().is_empty())
        .ok_or_else(|| missing("the validation token", area))
}

pub(super) fn missing(what: &str, area: &'static str) -> Error {
    Error::new(ErrorKind::Decode, format!("{what} is missing"))
        .in_area(area)
        .with_sent(true)
}

/// The object that a page answered with: as JSON, or as a JSON string that
/// holds it, which is how one page SDK sends it.
pub(super) fn page_object(page_json: &str) -> Result<Value, Error> {
    let refuse = || Error::invalid("what the page sent is not a JSON object");
    let value: Value = serde_json::from_str(page_json).map_err(|_| refuse())?;
    let value = match value {
        Value::String(inner) => serde_json::from_str(&inner).map_err(|_| refuse())?,
        other => other,
    };
    if value.is_object() {
        Ok(value)
    } else {
        Err(refuse())
    }
}

#[cfg(test)]
mod tests;
