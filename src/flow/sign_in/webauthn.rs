//! Sign-in with a passkey or security key.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{FinishWebauthnAuth, StartWebauthnAuth, ValidateAuth};
use crate::client::Client;
use crate::error::Error;
use crate::flow::page::assertion;
use crate::flow::pending::{Browser, Pending, State, missing, required_token};
use crate::flow::proof::Requirement;
use crate::flow::verify::{Expected, Identity, SignIn, judge, mismatch};
use crate::http::{ApiVersion, Endpoint};
use crate::secret::{Private, Secret};
use crate::transport::random_secret;
use crate::user_key::UserKey;

/// A sign-in that waits for the response of the page.
///
/// It can be serialised, and another process can complete it. It **holds
/// secrets**, and whoever can change it can sign in as somebody else: see
/// [how to store it](crate::flow#storing-a-pending-state). `Debug` prints no
/// secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use = "without it the sign-in cannot be completed"]
pub struct PendingWebauthn(Pending<WebauthnState>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct WebauthnState {
    id: Uuid,
    /// The user whom the program asked for; `None` is anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserKey>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_case: bool,
    /// The `aa_guid` of the start response, which is the `aa_sig` of the finish
    /// call.
    #[serde(serialize_with = "Secret::serialize_exposed")]
    aa_sig: Secret,
    /// v3 has no field for a nonce.
    #[serde(
        default,
        serialize_with = "Secret::serialize_exposed_opt",
        skip_serializing_if = "Option::is_none"
    )]
    nonce: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webauthn_client_id: Option<String>,
    #[serde(flatten)]
    browser: Browser,
    #[serde(flatten)]
    proof: Requirement,
}

impl State for WebauthnState {
    const FLOW: &'static str = "webauthn_sign_in";
}

/// The result of [`Client::begin_webauthn_sign_in`].
#[derive(Debug)]
#[non_exhaustive]
pub struct WebauthnStarted {
    /// JSON for the page, which passes it to `navigator.credentials.get`.
    pub fido2_json_options: Private,
    /// Completes the sign-in.
    pub pending: PendingWebauthn,
}

impl Client {
    /// Begins a sign-in with a passkey or security key. Calls
    /// [`start_webauthn_auth`](Self::start_webauthn_auth) and fails as that
    /// does. Under v4 the request gets a nonce, unless it has one. v3 has no
    /// field for a nonce.
    ///
    /// ```no_run
    /// use autharmor::auth::StartWebauthnAuth;
    ///
    /// # let client = autharmor::Client::from_env()?;
    /// # let page_json = "{}";
    /// let request = StartWebauthnAuth::new().user("ada@example.com");
    /// let started = client.begin_webauthn_sign_in(&request)?;
    /// // The page gets `started.fido2_json_options` and sends back JSON.
    /// let end = started.pending.complete(&client, page_json)?;
    /// # Ok::<(), autharmor::Error>(())
    /// ```
    #[inline]
    pub fn begin_webauthn_sign_in(
        &self,
        request: &StartWebauthnAuth,
    ) -> Result<WebauthnStarted, Error> {
        let mut request = request.clone();
        if self.api_version() == ApiVersion::V4 && request.nonce.is_none() {
            request.nonce = Some(random_secret()?);
        }
        let response = self.start_webauthn_auth(&request)?;
        let missing = |part| missing(part, Endpoint::StartWebauthnAuth);
        let options = response.fido2_json_options;
        let state = WebauthnState {
            id: response.auth_request_id,
            user: request.user,
            ignore_case: false,
            aa_sig: response.aa_guid.ok_or_else(|| missing("aa_guid"))?,
            nonce: request.nonce,
            webauthn_client_id: request.webauthn_client_id,
            browser: Browser::new(request.ip_address.as_deref(), request.user_agent.as_deref()),
            proof: Requirement::with_options(options.as_deref()),
        };
        Ok(WebauthnStarted {
            fido2_json_options: options.ok_or_else(|| missing("fido2_json_options"))?,
            pending: PendingWebauthn(Pending::new(self, state)),
        })
    }
}

impl PendingWebauthn {
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

    /// Signs the user in only if the signed message is valid. Request, user,
    /// nonce and challenge are added to the expectation.
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

    /// Finishes with the page's JSON, then validates. The JSON is that of the
    /// credential that `navigator.credentials.get` returns
    /// (`PublicKeyCredential.toJSON()`), or that of the vendor's page SDK.
    ///
    /// Calls [`finish_webauthn_auth`](Client::finish_webauthn_auth) and
    /// [`validate_webauthn_auth`](Client::validate_webauthn_auth) and fails as
    /// they do, and with [`Mismatch`](crate::ErrorKind::Mismatch) if a response
    /// does not match the request. Fails with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the JSON lacks a
    /// member, has one of the wrong type or is of a registration, or if the
    /// client speaks another API version than the one under which the sign-in
    /// was begun. Then nothing was sent, and `complete` can be called again.
    #[inline]
    pub fn complete(&self, client: &Client, page_json: &str) -> Result<SignIn, Error> {
        let state = self.0.state_for(client)?;
        let assertion = assertion(page_json)?;
        let mut finish = FinishWebauthnAuth::new(state.id, state.aa_sig.clone(), assertion);
        finish
            .webauthn_client_id
            .clone_from(&state.webauthn_client_id);
        let finished = client.finish_webauthn_auth(&finish)?;
        if !agrees(finished.auth_request_id, state.id) {
            return mismatch("the response is about another request");
        }
        let token = required_token(finished.auth_validation_token, Endpoint::FinishWebauthnAuth)?;
        let mut request = ValidateAuth::new(state.id, token);
        request.nonce.clone_from(&state.nonce);
        request.ip_address = state.browser.ip_address();
        request.user_agent = state.browser.user_agent();
        let expected = Expected {
            identity: Identity {
                user: state.user.clone(),
                started_for: None,
                finished_by: finished.user_id,
                ignore_case: state.ignore_case,
            },
            auth_request_id: state.id,
            nonce: state.nonce.clone(),
            proof: state.proof.clone(),
        };
        judge(client.validate_webauthn_auth(&request)?, &expected)
    }
}

/// Returns whether an id in a response, if there is one, is this id.
fn agrees(found: impl Into<Option<Uuid>>, id: Uuid) -> bool {
    found.into().is_none_or(|found| found == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_may_be_missing_but_not_another_one() {
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(agrees(None, id));
        assert!(agrees(Some(id), id));
        assert!(!agrees(Some(other), id));
        assert!(!agrees(Some(Uuid::nil()), id));
    }
}
