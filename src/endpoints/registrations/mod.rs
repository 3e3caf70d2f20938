//! Registering users, and adding a way to sign in to a user: the authenticator
//! app, WebAuthn (passkeys and security keys), links in a mail.
//!
//! A registration is started, accepted by the user, and validated. v3 has no
//! validate call for the authenticator app and WebAuthn: it ends with the
//! user's part, unless one goes on with v4's [`validate_authenticator_registration`]
//! and [`validate_webauthn_registration`], which a client of either version
//! can call. Whether v3 answers with the token that they want is unverified.
//!
//! A `start_*` call is felt by a person: a mail arrives, an invitation is
//! made. It is sent at most once, so whoever repeats it after an error asks
//! [`Error::may_have_been_sent`] first.
//!
//! The calls that end in `_for_user` take a [`UserKey`]. Under v4 a username
//! is refused there with [`UsernameInUrl`](crate::ErrorKind::UsernameInUrl)
//! unless the builder allowed it.

mod answers;
mod requests;

use uuid::Uuid;

use crate::client::Client;
use crate::error::Error;
use crate::http::{Endpoint, Request};
use crate::user_key::UserKey;

pub use self::answers::*;
pub use self::requests::*;

/// Makes a new user and an invitation into the authenticator app, as a QR
/// code.
///
/// Then wait until the user has scanned it, with [`get_registration_info`], and
/// end with [`validate_authenticator_registration`]. Both are v4's; with v3
/// alone, wait until [`get_user`](crate::users::get_user) shows the app among
/// the user's methods.
///
/// `POST /users/authenticator/register/start` of v3,
/// `POST /users/registrations/authenticator/start` of v4.
pub fn start_authenticator_registration(
    request: &StartAuthenticatorRegistration,
) -> Request<StartAuthenticatorRegistrationResponse> {
    Request::new(Endpoint::StartAuthenticatorRegistration).body(request)
}

/// Invites a user into the authenticator app, as a QR code. Goes on as
/// [`start_authenticator_registration`] does.
///
/// `POST /users/{user_id}/authenticator/register/start` of v3,
/// `POST /users/{user_id}/registrations/authenticator/start` of v4, without a
/// body.
pub fn start_authenticator_registration_for_user(
    user: impl Into<UserKey>,
) -> Request<StartAuthenticatorRegistrationResponse> {
    Request::new(Endpoint::StartAuthenticatorRegistrationForUser).user(user)
}

/// Validates a registration of the authenticator app. Without it a page could
/// claim a registration that is not its own.
///
/// How the service answers a wrong token is unverified: probably with an error
/// of status 401 or 403.
///
/// `POST /users/registrations/authenticator/{registration_id}/validate` of v4.
pub fn validate_authenticator_registration(
    registration_id: Uuid,
    request: &ValidateRegistration,
) -> Request<ValidateRegistrationResponse> {
    Request::new(Endpoint::ValidateAuthenticatorRegistration)
        .id(registration_id)
        .body(request)
}

/// Starts to register a new user with WebAuthn. Hand
/// [`fido2_json_options`](StartWebauthnRegistrationResponse::fido2_json_options)
/// to the page, which calls `navigator.credentials.create`, and go on with
/// [`finish_webauthn_registration`].
///
/// `POST /users/webauthn/register/start` of v3,
/// `POST /users/registrations/webauthn/start` of v4.
pub fn start_webauthn_registration(
    request: &StartWebauthnRegistration,
) -> Request<StartWebauthnRegistrationResponse> {
    Request::new(Endpoint::StartWebauthnRegistration).body(request)
}

/// Hands the browser's answer in. v3 ends here; under v4 go on with
/// [`validate_webauthn_registration`], to which the answer has the token.
///
/// `POST /users/webauthn/register/finish` of v3, with the registration's id in
/// the body, `POST /users/registrations/webauthn/{registration_id}/finish` of
/// v4.
pub fn finish_webauthn_registration(
    registration_id: Uuid,
    request: &FinishWebauthnRegistration,
) -> Request<FinishWebauthnRegistrationResponse> {
    Request::new(Endpoint::FinishWebauthnRegistration)
        .id(registration_id)
        .body(request)
}

/// Starts to add WebAuthn to a user. Goes on with
/// [`finish_webauthn_registration_for_user`].
///
/// `POST /users/{user_id}/webauthn/register/start` of v3,
/// `POST /users/{user_id}/registrations/webauthn/start` of v4.
pub fn start_webauthn_registration_for_user(
    user: impl Into<UserKey>,
    request: &StartWebauthnRegistrationForUser,
) -> Request<StartWebauthnRegistrationResponse> {
    Request::new(Endpoint::StartWebauthnRegistrationForUser)
        .user(user)
        .body(request)
}

/// Hands the browser's answer in, for a user that there is. v3 ends here; under
/// v4 go on with [`validate_webauthn_registration`], to which the answer has
/// the token.
///
/// `POST /users/{user_id}/webauthn/register/finish` of v3, with the
/// registration's id in the body,
/// `POST /users/{user_id}/registrations/webauthn/{registration_id}/finish` of
/// v4.
pub fn finish_webauthn_registration_for_user(
    user: impl Into<UserKey>,
    registration_id: Uuid,
    request: &FinishWebauthnRegistration,
) -> Request<FinishWebauthnRegistrationResponse> {
    Request::new(Endpoint::FinishWebauthnRegistrationForUser)
        .user(user)
        .id(registration_id)
        .body(request)
}

/// Validates a registration with WebAuthn.
///
/// How the service answers a wrong token is unverified: probably with an error
/// of status 401 or 403.
///
/// `POST /users/registrations/webauthn/{registration_id}/validate` of v4.
pub fn validate_webauthn_registration(
    registration_id: Uuid,
    request: &ValidateRegistration,
) -> Request<ValidateRegistrationResponse> {
    Request::new(Endpoint::ValidateWebauthnRegistration)
        .id(registration_id)
        .body(request)
}

/// Mails a link by which a new user registers. Who opens it lands on the
/// redirect URL with `registration_validation_token` (and under v4
/// `registration_id`) in its query, which
/// [`validate_magiclink_email_registration`] wants.
///
/// `POST /users/magiclink_email/register/start` of v3,
/// `POST /users/registrations/magiclink_email/start` of v4.
pub fn start_magiclink_email_registration(
    request: &StartMagiclinkEmailRegistration,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartMagiclinkEmailRegistration).body(request)
}

/// Mails a link by which a user that there is adds links in mails. Goes on as
/// [`start_magiclink_email_registration`] does.
///
/// `POST /users/{user_id}/magiclink_email/register/start` of v3,
/// `POST /users/{user_id}/registrations/magiclink_email/start` of v4.
pub fn start_magiclink_email_registration_for_user(
    user: impl Into<UserKey>,
    request: &StartMagiclinkEmailRegistration,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartMagiclinkEmailRegistrationForUser)
        .user(user)
        .body(request)
}

/// Mails a link to a user's new address, by which the address changes. Goes on
/// as [`start_magiclink_email_registration`] does. The username does not
/// follow: see [`update_user`](crate::users::update_user).
///
/// `POST /users/{user_id}/magiclink_email/update/start` of v3 and v4.
pub fn start_change_magiclink_email(
    user: impl Into<UserKey>,
    request: &StartChangeMagiclinkEmail,
) -> Request<StartMagiclinkEmailRegistrationResponse> {
    Request::new(Endpoint::StartChangeMagiclinkEmail)
        .user(user)
        .body(request)
}

/// Validates a mailed link of any of the three start calls; the answer tells of
/// which, and hands the context data back.
///
/// How the service answers a wrong token is unverified: probably with an error
/// of status 401 or 403.
///
/// `POST /users/register/magiclink_email/validate` of v3,
/// `POST /users/registrations/magiclink_email/{registration_id}/validate` of
/// v4.
pub fn validate_magiclink_email_registration(
    request: &ValidateMagiclinkEmailRegistration,
) -> Request<ValidateMagiclinkEmailRegistrationResponse> {
    let call = Request::new(Endpoint::ValidateMagiclinkEmailRegistration).body(request);
    match request.registration_id {
        Some(id) => call.id(id),
        None => call,
    }
}

/// Tells how far a registration has come. Wait while it is
/// [`PendingUserAcceptance`](RegistrationStatus::PendingUserAcceptance) or
/// [`AcceptedPendingDeviceEnrollment`](RegistrationStatus::AcceptedPendingDeviceEnrollment).
///
/// `GET /users/registrations/{registration_id}` of v4.
pub fn get_registration_info(registration_id: Uuid) -> Request<RegistrationInfo> {
    Request::new(Endpoint::GetRegistrationInfo).id(registration_id)
}

/// Registering users, see [`registrations`](crate::registrations).
impl Client {
    /// Makes a new user and an invitation into the authenticator app. Felt by a
    /// person, sent at most once. Sends
    /// [`registrations::start_authenticator_registration`](start_authenticator_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the name
    /// is out of bounds, or under v4 if one of the two v3 switches is set; else
    /// as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartAuthenticatorRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartAuthenticatorRegistration::new("ada@example.com");
    /// let started = client.start_authenticator_registration(&request)?;
    /// if let Some(qr) = &started.qr_code_data {
    ///     // Draw qr.expose() as a QR code.
    /// #   let _ = qr;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_authenticator_registration(
        &self,
        request: &StartAuthenticatorRegistration,
    ) -> Result<StartAuthenticatorRegistrationResponse, Error> {
        self.send(&start_authenticator_registration(request))
    }

    /// Invites a user into the authenticator app. Felt by a person, sent at
    /// most once. Sends
    /// [`registrations::start_authenticator_registration_for_user`](start_authenticator_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the user
    /// key is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// let started = client.start_authenticator_registration_for_user("ada@example.com")?;
    /// println!("valid until {:?}", started.date_expires);
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_authenticator_registration_for_user(
        &self,
        user: impl Into<UserKey>,
    ) -> Result<StartAuthenticatorRegistrationResponse, Error> {
        self.send(&start_authenticator_registration_for_user(user))
    }

    /// Validates a registration of the authenticator app. v4 only, sent there
    /// by a client of either version. Sends
    /// [`registrations::validate_authenticator_registration`](validate_authenticator_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, token) = (uuid::Uuid::from_u128(7), "token");
    ///
    /// let request = ValidateRegistration::new(token);
    /// let credential = client.validate_authenticator_registration(registration_id, &request)?;
    /// println!("registered: {:?}", credential.credential_id);
    /// # Ok(())
    /// # }
    /// ```
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

    /// Starts to register a new user with WebAuthn. Sends
    /// [`registrations::start_webauthn_registration`](start_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the name
    /// or the address is out of bounds, or under v3 if one of the two
    /// requirements is set; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartWebauthnRegistration::new("ada@example.com")
    ///     .webauthn_client_id("your-webauthn-client-id");
    /// let for_the_page = client.start_webauthn_registration(&request)?.fido2_json_options;
    /// # let _ = for_the_page;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_webauthn_registration(
        &self,
        request: &StartWebauthnRegistration,
    ) -> Result<StartWebauthnRegistrationResponse, Error> {
        self.send(&start_webauthn_registration(request))
    }

    /// Hands the browser's answer in, for a new user. Sends
    /// [`registrations::finish_webauthn_registration`](finish_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, aa_sig) = (uuid::Uuid::from_u128(7), "signature");
    /// # let (id, attestation_object, client_data) = ("", "", "");
    ///
    /// let answer = Fido2RegistrationData::new(id, attestation_object, client_data);
    /// let request = FinishWebauthnRegistration::new(aa_sig, answer);
    /// let user = client.finish_webauthn_registration(registration_id, &request)?.user_id;
    /// # let _ = user;
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish_webauthn_registration(
        &self,
        registration_id: Uuid,
        request: &FinishWebauthnRegistration,
    ) -> Result<FinishWebauthnRegistrationResponse, Error> {
        self.send(&finish_webauthn_registration(registration_id, request))
    }

    /// Starts to add WebAuthn to a user. Sends
    /// [`registrations::start_webauthn_registration_for_user`](start_webauthn_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the user
    /// key is out of bounds, or under v3 if one of the two requirements is set;
    /// else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartWebauthnRegistrationForUser;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartWebauthnRegistrationForUser::new().webauthn_client_id("your-webauthn-client-id");
    /// let started = client.start_webauthn_registration_for_user("ada@example.com", &request)?;
    /// # let _ = started;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_webauthn_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartWebauthnRegistrationForUser,
    ) -> Result<StartWebauthnRegistrationResponse, Error> {
        self.send(&start_webauthn_registration_for_user(user, request))
    }

    /// Hands the browser's answer in, for a user that there is. Sends
    /// [`registrations::finish_webauthn_registration_for_user`](finish_webauthn_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if `aa_sig`
    /// is empty, the id is nil or the user key is out of bounds; else as
    /// [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::{Fido2RegistrationData, FinishWebauthnRegistration};
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, aa_sig) = (uuid::Uuid::from_u128(7), "signature");
    /// # let (id, attestation_object, client_data) = ("", "", "");
    ///
    /// let answer = Fido2RegistrationData::new(id, attestation_object, client_data);
    /// let request = FinishWebauthnRegistration::new(aa_sig, answer);
    /// client.finish_webauthn_registration_for_user("ada@example.com", registration_id, &request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn finish_webauthn_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        registration_id: Uuid,
        request: &FinishWebauthnRegistration,
    ) -> Result<FinishWebauthnRegistrationResponse, Error> {
        self.send(&finish_webauthn_registration_for_user(
            user,
            registration_id,
            request,
        ))
    }

    /// Validates a registration with WebAuthn. v4 only, sent there by a client
    /// of either version. Sends
    /// [`registrations::validate_webauthn_registration`](validate_webauthn_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty or the id is nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let (registration_id, token) = (uuid::Uuid::from_u128(7), "token");
    ///
    /// let request = ValidateRegistration::new(token);
    /// let credential = client.validate_webauthn_registration(registration_id, &request)?;
    /// println!("registered: {:?}", credential.credential_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_webauthn_registration(
        &self,
        registration_id: Uuid,
        request: &ValidateRegistration,
    ) -> Result<ValidateRegistrationResponse, Error> {
        self.send(&validate_webauthn_registration(registration_id, request))
    }

    /// Mails a link by which a new user registers. Felt by a person, sent at
    /// most once. Sends
    /// [`registrations::start_magiclink_email_registration`](start_magiclink_email_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartMagiclinkEmailRegistration::new("ada@example.com", "https://example.com/new")
    ///     .action_name("Register");
    /// client.start_magiclink_email_registration(&request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_magiclink_email_registration(
        &self,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_magiclink_email_registration(request))
    }

    /// Mails a link by which a user that there is adds links in mails. Felt by
    /// a person, sent at most once. Sends
    /// [`registrations::start_magiclink_email_registration_for_user`](start_magiclink_email_registration_for_user).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address or the user key is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartMagiclinkEmailRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartMagiclinkEmailRegistration::new("ada@example.com", "https://example.com/new");
    /// client.start_magiclink_email_registration_for_user("ada", &request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_magiclink_email_registration_for_user(
        &self,
        user: impl Into<UserKey>,
        request: &StartMagiclinkEmailRegistration,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_magiclink_email_registration_for_user(user, request))
    }

    /// Mails a link to a user's new address, by which the address changes. Felt
    /// by a person, sent at most once. Sends
    /// [`registrations::start_change_magiclink_email`](start_change_magiclink_email).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the
    /// address or the user key is out of bounds; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::StartChangeMagiclinkEmail;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    ///
    /// let request = StartChangeMagiclinkEmail::new("ada@example.org", "https://example.com/new");
    /// client.start_change_magiclink_email("ada@example.com", &request)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_change_magiclink_email(
        &self,
        user: impl Into<UserKey>,
        request: &StartChangeMagiclinkEmail,
    ) -> Result<StartMagiclinkEmailRegistrationResponse, Error> {
        self.send(&start_change_magiclink_email(user, request))
    }

    /// Validates a mailed link of any of the three start calls. Sends
    /// [`registrations::validate_magiclink_email_registration`](validate_magiclink_email_registration).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the token
    /// is empty, under v4 if the registration id is missing or nil, or under v3
    /// if it is set; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::ValidateMagiclinkEmailRegistration;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let token_from_the_link = "token";
    ///
    /// let request = ValidateMagiclinkEmailRegistration::new(token_from_the_link);
    /// let user = client.validate_magiclink_email_registration(&request)?;
    /// println!("{:?}: {:?}", user.magiclink_email_registration_type, user.user_id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn validate_magiclink_email_registration(
        &self,
        request: &ValidateMagiclinkEmailRegistration,
    ) -> Result<ValidateMagiclinkEmailRegistrationResponse, Error> {
        self.send(&validate_magiclink_email_registration(request))
    }

    /// Tells how far a registration has come. v4 only, sent there by a client
    /// of either version. Sends
    /// [`registrations::get_registration_info`](get_registration_info).
    ///
    /// Fails with [`InvalidInput`](crate::ErrorKind::InvalidInput) if the id is
    /// nil; else as [`send`](Self::send).
    ///
    /// ```no_run
    /// use autharmor::registrations::RegistrationStatus;
    /// # fn main() -> Result<(), autharmor::Error> {
    /// # let client = autharmor::Client::from_env()?;
    /// # let registration_id = uuid::Uuid::from_u128(7);
    ///
    /// let info = client.get_registration_info(registration_id)?;
    /// if info.registration_status_code == Some(RegistrationStatus::PendingValidation) {
    ///     println!("accepted: now validate it");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_registration_info(&self, registration_id: Uuid) -> Result<RegistrationInfo, Error> {
        self.send(&get_registration_info(registration_id))
    }
}
