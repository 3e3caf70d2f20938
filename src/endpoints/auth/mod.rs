//! Signing in: with the Auth Armor authenticator app, with WebAuthn (passkeys
//! and security keys), and with a link in a mail.
//!
//! Every method has the same steps: a `start_*` call, something that the user
//! does (and that [`get_auth_info`] watches), and a `validate_*` call.
//! **Only a validate answer whose `authorized` is `Some(true)` signs anybody
//! in**; everything else, a missing value included, does not.
//!
//! A `start_*` call is felt by a person: a phone rings or a mail arrives. It
//! is sent at most once, so whoever repeats it after an error asks
//! [`Error::may_have_been_sent`] first.
//!
//! The request structs hold required values in `new` and options in setters;
//! an option that is not set is not sent. To serialise one is to write its
//! body, with the secrets in it. The answers keep their secrets to themselves:
//! to serialise one leaves them out.

mod answers;
mod requests;

use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Request};

pub use self::answers::*;
use self::requests::NonceInV4Only;
pub use self::requests::*;

/// Asks a user to approve in the authenticator app: by a push message, if
/// [`send_push`](StartAuthenticatorAuth::send_push) is set, and by a QR code.
///
/// Then wait with [`get_auth_info`] until the user has answered, and end with
/// [`validate_authenticator_auth`].
///
/// `POST /auth/authenticator/start` of v3 and v4.
pub fn start_authenticator_auth(
    request: &StartAuthenticatorAuth,
) -> Request<StartAuthenticatorAuthResponse> {
    Request::new(Endpoint::StartAuthenticatorAuth).body(request)
}

/// Validates a sign-in that the user approved in the authenticator app. Its
/// answer is what signs the user in, see [`ValidateAuthDetails::authorized`].
///
/// Whether the service answers a wrong or used token with a verdict or with
/// an error is unverified: take both for "not signed in".
///
/// `POST /auth/authenticator/validate` of v3 and v4.
pub fn validate_authenticator_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateAuthenticatorAuth).body(request)
}

/// Starts a sign-in with WebAuthn. Hand
/// [`fido2_json_options`](StartWebauthnAuthResponse::fido2_json_options) to the
/// page, which calls `navigator.credentials.get`, and go on with
/// [`finish_webauthn_auth`].
///
/// `POST /auth/webauthn/start` of v3 and v4.
pub fn start_webauthn_auth(request: &StartWebauthnAuth) -> Request<StartWebauthnAuthResponse> {
    Request::new(Endpoint::StartWebauthnAuth).body(request)
}

/// Hands the browser's answer in. This signs nobody in yet: go on with
/// [`validate_webauthn_auth`], to which the answer has the token.
///
/// `POST /auth/webauthn/finish` of v3 and v4.
pub fn finish_webauthn_auth(request: &FinishWebauthnAuth) -> Request<FinishWebauthnAuthResponse> {
    Request::new(Endpoint::FinishWebauthnAuth).body(request)
}

/// Validates a sign-in with WebAuthn. Its answer is what signs the user in, see
/// [`ValidateAuthDetails::authorized`].
///
/// Whether the service answers a wrong or used token with a verdict or with
/// an error is unverified: take both for "not signed in".
///
/// `POST /auth/webauthn/validate` of v3 and v4.
pub fn validate_webauthn_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateWebauthnAuth).body(&NonceInV4Only(request))
}

/// Mails a link to a user. Who opens it lands on the redirect URL with
/// `auth_request_id` and `auth_validation_token` in its query, both of which
/// [`validate_magiclink_email_auth`] wants.
///
/// `POST /auth/magiclink_email/start` of v3 and v4.
pub fn start_magiclink_email_auth(
    request: &StartMagiclinkEmailAuth,
) -> Request<StartMagiclinkEmailAuthResponse> {
    Request::new(Endpoint::StartMagiclinkEmailAuth).body(request)
}

/// Validates a sign-in by a mailed link. Its answer is what signs the user in,
/// see [`ValidateAuthDetails::authorized`], and it hands the context data back.
///
/// Whether the service answers a wrong or used token with a verdict or with
/// an error is unverified: take both for "not signed in".
///
/// `POST /auth/magiclink_email/validate` of v3 and v4.
pub fn validate_magiclink_email_auth(request: &ValidateAuth) -> Request<ValidateAuthResponse> {
    Request::new(Endpoint::ValidateMagiclinkEmailAuth).body(&NonceInV4Only(request))
}

/// Tells how far an auth request has come: whether it waits for the user
/// ([`PendingApproval`](AuthRequestStatus::PendingApproval)), waits for the
/// validate call ([`PendingValidation`](AuthRequestStatus::PendingValidation)),
/// or is over. It signs nobody in.
///
/// `GET /auth/{auth_request_id}` of v3 and v4.
pub fn get_auth_info(auth_request_id: Uuid) -> Request<AuthInfo> {
    Request::new(Endpoint::GetAuthInfo).id(auth_request_id)
}

/// Signing in, see [`auth`](crate::auth).
impl Client {
    /// Asks a user to approve in the authenticator app. Felt by a person, sent
    /// at most once. Sends [`auth::start_authenticator_auth`](start_authenticator_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout or the user key is out of bounds; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::StartAuthenticatorAuth;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartAuthenticatorAuth::new()
    ///     .user("ada@example.com")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you")
    ///     .send_push(true);
    /// let started = client.start_authenticator_auth(&request)?;
    /// println!("waiting until {:?}", started.timeout_utc_datetime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_authenticator_auth(
        &self,
        request: &StartAuthenticatorAuth,
    ) -> Result<StartAuthenticatorAuthResponse, Error> {
        self.send(&start_authenticator_auth(request))
    }

    /// Validates a sign-in with the authenticator app. Sends
    /// [`auth::validate_authenticator_auth`](validate_authenticator_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::{Secret, auth::ValidateAuth};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), Secret::from("token"));
    ///
    /// let answer = client.validate_authenticator_auth(&ValidateAuth::new(auth_request_id, token))?;
    /// let signed_in = answer
    ///     .validate_auth_response_details
    ///     .is_some_and(|details| details.authorized == Some(true));
    /// # let _ = signed_in;
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_authenticator_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_authenticator_auth(request))
    }

    /// Starts a sign-in with WebAuthn. Sends
    /// [`auth::start_webauthn_auth`](start_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout or the user key is out of bounds, or under v3 if the nonce, the
    /// IP address or the user agent is set; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::StartWebauthnAuth;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartWebauthnAuth::new()
    ///     .user("ada@example.com")
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let for_the_page = client.start_webauthn_auth(&request)?.fido2_json_options;
    /// # let _ = for_the_page;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_webauthn_auth(
        &self,
        request: &StartWebauthnAuth,
    ) -> Result<StartWebauthnAuthResponse, Error> {
        self.send(&start_webauthn_auth(request))
    }

    /// Hands the browser's answer in, as JSON text. Sends
    /// [`auth::finish_webauthn_auth`](finish_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::{FinishWebauthnAuth, StartWebauthnAuthResponse};
    ///
    /// # fn main() {}
    /// fn finish(
    ///     client: &autharmor::Client,
    ///     started: StartWebauthnAuthResponse,
    ///     json_from_the_page: String,
    /// ) -> Result<(), autharmor::Error> {
    ///     // What was called aa_guid goes back as aa_sig.
    ///     let aa_sig = started.aa_guid.unwrap_or_default();
    ///     let request = FinishWebauthnAuth::new(started.auth_request_id, aa_sig, json_from_the_page);
    ///     let token = client.finish_webauthn_auth(&request)?.auth_validation_token;
    /// #   let _ = token;
    ///     Ok(())
    /// }
    /// ```
    pub fn finish_webauthn_auth(
        &self,
        request: &FinishWebauthnAuth,
    ) -> Result<FinishWebauthnAuthResponse, Error> {
        self.send(&finish_webauthn_auth(request))
    }

    /// Validates a sign-in with WebAuthn. Sends
    /// [`auth::validate_webauthn_auth`](validate_webauthn_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty or the id is nil, or under v3 if a nonce is set; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::{Secret, auth::ValidateAuth};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), Secret::from("token"));
    ///
    /// let answer = client.validate_webauthn_auth(&ValidateAuth::new(auth_request_id, token))?;
    /// let signed_in = answer
    ///     .validate_auth_response_details
    ///     .is_some_and(|details| details.authorized == Some(true));
    /// # let _ = signed_in;
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_webauthn_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_webauthn_auth(request))
    }

    /// Mails a link to a user. Felt by a person, sent at most once. Sends
    /// [`auth::start_magiclink_email_auth`](start_magiclink_email_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// timeout, the action name or the user key is out of bounds; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::StartMagiclinkEmailAuth;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartMagiclinkEmailAuth::new("ada@example.com", "https://example.com/in")
    ///     .action_name("Sign in")
    ///     .short_msg("Somebody signs in to Example as you");
    /// let started = client.start_magiclink_email_auth(&request)?;
    /// # let _ = started;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_magiclink_email_auth(
        &self,
        request: &StartMagiclinkEmailAuth,
    ) -> Result<StartMagiclinkEmailAuthResponse, Error> {
        self.send(&start_magiclink_email_auth(request))
    }

    /// Validates a sign-in by a mailed link. Sends
    /// [`auth::validate_magiclink_email_auth`](validate_magiclink_email_auth).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// token is empty or the id is nil, or under v3 if a nonce is set; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::{Secret, auth::ValidateAuth};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (auth_request_id, token) = (uuid::Uuid::from_u128(7), Secret::from("token"));
    ///
    /// let answer = client.validate_magiclink_email_auth(&ValidateAuth::new(auth_request_id, token))?;
    /// if let Some(details) = answer.validate_auth_response_details {
    ///     if details.authorized == Some(true) {
    ///         println!("signed in, with {:?}", details.context_data.get("cart"));
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_magiclink_email_auth(
        &self,
        request: &ValidateAuth,
    ) -> Result<ValidateAuthResponse, Error> {
        self.send(&validate_magiclink_email_auth(request))
    }

    /// Tells how far an auth request has come. Sends
    /// [`auth::get_auth_info`](get_auth_info).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id
    /// is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::auth::AuthRequestStatus;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let auth_request_id = uuid::Uuid::from_u128(7);
    ///
    /// let info = client.get_auth_info(auth_request_id)?;
    /// if info.auth_request_status_id == Some(AuthRequestStatus::PendingValidation) {
    ///     println!("approved: now validate it");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_auth_info(&self, auth_request_id: Uuid) -> Result<AuthInfo, Error> {
        self.send(&get_auth_info(auth_request_id))
    }
}
