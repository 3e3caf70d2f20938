//! Sign-ins that the vendor's page SDK began.

use uuid::Uuid;

use crate::auth::ValidateAuth;
use crate::client::Client;
use crate::error::Error;
use crate::flow::proof::Requirement;
use crate::flow::verify::{Expected, Identity, SignIn, judge};
use crate::secret::Secret;
use crate::user_key::UserKey;

/// The method of a sign-in that a page began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The authenticator app.
    Authenticator,
    /// A passkey or security key.
    Webauthn,
    /// A magic link by mail.
    MagiclinkEmail,
}

/// The user to whom a token from a browser must belong.
#[derive(Clone, Debug)]
pub enum ExpectedUser {
    /// This user: the one whom the program will treat as signed in. A mail
    /// address is a [`UserKey`] as well, if it is the username.
    Is(UserKey),
    /// Any user: for a login page that does not know who will sign in.
    ///
    /// **Beware of login CSRF**: an attacker's page can make a victim's browser
    /// send the *attacker's* id and token. The victim then works in the
    /// attacker's account without noticing. Accept them only in a request that
    /// carries the session's own CSRF token, and show clearly who is signed in.
    Anyone,
}

/// The values that a page with the vendor's SDK sends to the backend.
#[derive(Clone, Debug)]
pub struct BrowserSignIn {
    method: Method,
    validate: ValidateAuth,
    user: ExpectedUser,
    ignore_case: bool,
    proof: Requirement,
}

impl BrowserSignIn {
    /// Takes method, request id and validation token from the page, and the
    /// user whom the backend expects.
    #[must_use]
    pub fn new(
        method: Method,
        auth_request_id: Uuid,
        auth_validation_token: impl Into<Secret>,
        user: ExpectedUser,
    ) -> Self {
        Self {
            method,
            validate: ValidateAuth::new(auth_request_id, auth_validation_token),
            user,
            ignore_case: false,
            proof: Requirement::default(),
        }
    }

    /// The nonce that the page sent with the start, if your backend chose it.
    #[must_use]
    pub fn nonce(mut self, nonce: impl Into<Secret>) -> Self {
        self.validate = self.validate.nonce(nonce);
        self
    }

    /// The IP address of the browser that sent the values. The service compares
    /// it with the one that the page gave at the start.
    #[must_use]
    pub fn ip_address(mut self, address: impl Into<String>) -> Self {
        self.validate = self.validate.ip_address(address);
        self
    }

    /// The user agent of the browser that sent the values, for the same
    /// comparison.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.validate = self.validate.user_agent(user_agent);
        self
    }

    /// Accepts a username that differs in ASCII case from the expected one. By
    /// default it must be the same to the letter.
    #[must_use]
    pub fn ignore_username_case(mut self) -> Self {
        self.ignore_case = true;
        self
    }

    /// Signs the user in only if the signed message is valid. Request, user, and
    /// nonce if there is one, are added to the expectation. The challenge of a
    /// passkey is not: only the page knows it. Magic links have no proof.
    ///
    /// If the proof is not valid, the sign-in fails with
    /// [`Mismatch`](crate::ErrorKind::Mismatch), whose source is a
    /// [`ProofError`](crate::proof::ProofError), and the user has to begin again.
    /// See [`proof`](crate::proof) for what a proof is worth.
    #[cfg(feature = "proof")]
    #[cfg_attr(docsrs, doc(cfg(feature = "proof")))]
    #[must_use]
    pub fn require_proof(mut self, expectation: crate::proof::Expectation) -> Self {
        self.proof.require(expectation);
        self
    }
}

impl Client {
    /// Completes a sign-in that the vendor's page SDK began: validates the
    /// values that the page sent. Fails as the validate call of the method
    /// does, and with [`Mismatch`](crate::ErrorKind::Mismatch) if the response
    /// is about another user.
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
    #[inline]
    pub fn complete_browser_sign_in(&self, from_page: &BrowserSignIn) -> Result<SignIn, Error> {
        let user = match &from_page.user {
            ExpectedUser::Is(key) => {
                key.check()?;
                Some(key.clone())
            }
            ExpectedUser::Anyone => None,
        };
        let validate = &from_page.validate;
        let response = match from_page.method {
            Method::Authenticator => self.validate_authenticator_auth(validate)?,
            Method::Webauthn => self.validate_webauthn_auth(validate)?,
            Method::MagiclinkEmail => self.validate_magiclink_email_auth(validate)?,
        };
        let expected = Expected {
            identity: Identity {
                user,
                started_for: None,
                finished_by: None,
                ignore_case: from_page.ignore_case,
            },
            auth_request_id: validate.auth_request_id,
            nonce: validate.nonce.clone(),
            proof: from_page.proof.clone(),
        };
        judge(response, &expected)
    }
}
