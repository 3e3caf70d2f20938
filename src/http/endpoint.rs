//! [`Endpoint`] and [`ApiVersion`]: the table of all routes.

use std::fmt;
use std::str::FromStr;

use http::Method;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A version of the API.
///
/// Its `Display` is `v3` or `v4`; `FromStr` reads the same two.
///
/// ```
/// use autharmor::ApiVersion;
///
/// let version: ApiVersion = "v4".parse()?;
/// assert_eq!(version, ApiVersion::V4);
/// assert_eq!(version.to_string(), "v4");
/// # Ok::<(), autharmor::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// v3, and v4 for the nine endpoints that v3 does not have. A username is
    /// sent in a header.
    #[default]
    V3,
    /// v4 for all endpoints. A username would be part of the URL.
    V4,
}

impl ApiVersion {
    /// Returns `v3` or `v4`, as in the path of the URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V4 => "v4",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ApiVersion {
    type Err = Error;

    /// Fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)
    /// unless the text is `v3` or `v4`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "v3" => Ok(Self::V3),
            "v4" => Ok(Self::V4),
            _ => Err(Error::invalid("the API version is not v3 or v4")),
        }
    }
}

/// Declares the endpoints: variant, name, method, path under v3 (or `none`),
/// path under v4 (or `same`).
macro_rules! endpoints {
    (@v3 none) => { None };
    (@v3 $v3:literal) => { Some($v3) };
    (@v4 $v3:literal same) => { $v3 };
    (@v4 $v3:tt $v4:literal) => { $v4 };
    ($($variant:ident $name:ident $method:ident $v3:tt $v4:tt;)+) => {
        /// An endpoint of the API. There are 31.
        ///
        /// Its `Display` is its [`name`](Self::name); `FromStr` reads the name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Endpoint {
            $(#[doc = concat!("`", stringify!($name), "`")] $variant,)+
        }

        impl Endpoint {
            /// All endpoints.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the name of the endpoint, which is also the name of its
            /// builder function and of its method of [`Client`](crate::Client).
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name),)+ }
            }

            /// Returns the HTTP method. It is the same in both versions.
            #[must_use]
            pub fn method(self) -> Method {
                match self { $(Self::$variant => Method::$method,)+ }
            }

            fn v3(self) -> Option<&'static str> {
                match self { $(Self::$variant => endpoints!(@v3 $v3),)+ }
            }

            fn v4(self) -> &'static str {
                match self { $(Self::$variant => endpoints!(@v4 $v3 $v4),)+ }
            }
        }
    };
}

endpoints! {
    StartAuthenticatorAuth start_authenticator_auth POST "/auth/authenticator/start" same;
    ValidateAuthenticatorAuth validate_authenticator_auth POST "/auth/authenticator/validate" same;
    StartWebauthnAuth start_webauthn_auth POST "/auth/webauthn/start" same;
    FinishWebauthnAuth finish_webauthn_auth POST "/auth/webauthn/finish" same;
    ValidateWebauthnAuth validate_webauthn_auth POST "/auth/webauthn/validate" same;
    StartMagiclinkEmailAuth start_magiclink_email_auth POST "/auth/magiclink_email/start" same;
    ValidateMagiclinkEmailAuth validate_magiclink_email_auth POST "/auth/magiclink_email/validate" same;
    GetAuthInfo get_auth_info GET "/auth/{auth_request_id}" same;
    ListUsers list_users GET "/users" same;
    GetUser get_user GET "/users/{user_id}" same;
    UpdateUser update_user PUT "/users/{user_id}" same;
    GetUserAuthHistory get_user_auth_history GET "/users/{user_id}/auth_history" same;
    StartAuthenticatorRegistration start_authenticator_registration POST "/users/authenticator/register/start" "/users/registrations/authenticator/start";
    StartAuthenticatorRegistrationForUser start_authenticator_registration_for_user POST "/users/{user_id}/authenticator/register/start" "/users/{user_id}/registrations/authenticator/start";
    ValidateAuthenticatorRegistration validate_authenticator_registration POST none "/users/registrations/authenticator/{registration_id}/validate";
    StartWebauthnRegistration start_webauthn_registration POST "/users/webauthn/register/start" "/users/registrations/webauthn/start";
    FinishWebauthnRegistration finish_webauthn_registration POST "/users/webauthn/register/finish" "/users/registrations/webauthn/{registration_id}/finish";
    StartWebauthnRegistrationForUser start_webauthn_registration_for_user POST "/users/{user_id}/webauthn/register/start" "/users/{user_id}/registrations/webauthn/start";
    FinishWebauthnRegistrationForUser finish_webauthn_registration_for_user POST "/users/{user_id}/webauthn/register/finish" "/users/{user_id}/registrations/webauthn/{registration_id}/finish";
    ValidateWebauthnRegistration validate_webauthn_registration POST none "/users/registrations/webauthn/{registration_id}/validate";
    StartMagiclinkEmailRegistration start_magiclink_email_registration POST "/users/magiclink_email/register/start" "/users/registrations/magiclink_email/start";
    StartMagiclinkEmailRegistrationForUser start_magiclink_email_registration_for_user POST "/users/{user_id}/magiclink_email/register/start" "/users/{user_id}/registrations/magiclink_email/start";
    StartChangeMagiclinkEmail start_change_magiclink_email POST "/users/{user_id}/magiclink_email/update/start" same;
    ValidateMagiclinkEmailRegistration validate_magiclink_email_registration POST "/users/register/magiclink_email/validate" "/users/registrations/magiclink_email/{registration_id}/validate";
    GetRegistrationInfo get_registration_info GET none "/users/registrations/{registration_id}";
    ListUserCredentials list_user_credentials GET none "/users/{user_id}/credentials";
    ListUserAuthenticatorCredentials list_user_authenticator_credentials GET none "/users/{user_id}/credentials/authenticator";
    ListUserWebauthnCredentials list_user_webauthn_credentials GET none "/users/{user_id}/credentials/webauthn";
    ListUserMagiclinkEmailCredentials list_user_magiclink_email_credentials GET none "/users/{user_id}/credentials/magiclink_email";
    GetUserCredential get_user_credential GET none "/users/{user_id}/credentials/{credential_id}";
    DisableUserCredential disable_user_credential POST none "/users/{user_id}/credentials/{credential_id}/disable";
}

impl Endpoint {
    /// Returns the version that a client of the given version uses for this
    /// endpoint: the same one, or v4 if v3 does not have the endpoint.
    #[must_use]
    pub fn version(self, client: ApiVersion) -> ApiVersion {
        match client {
            ApiVersion::V3 if self.v3().is_some() => ApiVersion::V3,
            _ => ApiVersion::V4,
        }
    }

    /// Returns the path after the version, with `{placeholders}`.
    #[must_use]
    pub fn route(self, version: ApiVersion) -> &'static str {
        match version {
            ApiVersion::V3 => self.v3().unwrap_or_else(|| self.v4()),
            ApiVersion::V4 => self.v4(),
        }
    }

    /// Returns whether the endpoint only reads.
    #[must_use]
    pub fn is_read(self) -> bool {
        self.method() == Method::GET
    }

    /// Returns whether a call may be processed twice without harm, so that it
    /// is retried even if the service may have acted on it: the reads, and
    /// [`DisableUserCredential`](Self::DisableUserCredential). A call of any
    /// other endpoint notifies the user or changes data, and is processed at
    /// most once.
    ///
    /// ```
    /// use autharmor::Endpoint;
    ///
    /// assert!(Endpoint::GetUser.is_repeatable());
    /// assert!(Endpoint::DisableUserCredential.is_repeatable());
    /// assert!(!Endpoint::StartAuthenticatorAuth.is_repeatable());
    /// ```
    #[must_use]
    pub fn is_repeatable(self) -> bool {
        self.is_read() || self == Self::DisableUserCredential
    }

    /// Returns whether the endpoint takes a validation token. A 401 may then be
    /// about that token and not about the access token.
    #[must_use]
    pub fn is_validate(self) -> bool {
        self.name().starts_with("validate_")
    }

    /// Returns whether the registration id is sent in the body and not in the
    /// path: the finish calls of v3.
    pub(super) fn carries_registration_id_in_body(self, version: ApiVersion) -> bool {
        version == ApiVersion::V3
            && matches!(
                self,
                Self::FinishWebauthnRegistration | Self::FinishWebauthnRegistrationForUser
            )
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    /// Fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput)
    /// if the text is not the name of an endpoint.
    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL
            .iter()
            .copied()
            .find(|endpoint| endpoint.name() == name)
            .ok_or_else(|| Error::invalid("there is no endpoint of this name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_endpoints_exist_in_v4_only() {
        let v4_only = Endpoint::ALL
            .iter()
            .filter(|endpoint| endpoint.version(ApiVersion::V3) == ApiVersion::V4)
            .count();
        assert_eq!((Endpoint::ALL.len(), v4_only), (31, 9));
    }

    #[test]
    fn names_are_printed_and_parsed() {
        for endpoint in Endpoint::ALL {
            let name = endpoint.to_string();
            assert_eq!(name, endpoint.name());
            assert_eq!(name.parse::<Endpoint>().unwrap(), *endpoint);
        }
        for version in [ApiVersion::V3, ApiVersion::V4] {
            let name = version.to_string();
            assert_eq!(name.parse::<ApiVersion>().unwrap(), version);
        }
        for unknown in ["", "v5", "V4", "get_users", "get_user "] {
            let errors = [
                unknown.parse::<Endpoint>().unwrap_err(),
                unknown.parse::<ApiVersion>().unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{unknown}");
            }
        }
    }

    #[test]
    fn reads_are_repeatable_and_one_other_endpoint_is() {
        let others: Vec<_> = Endpoint::ALL
            .iter()
            .filter(|endpoint| endpoint.is_repeatable() && !endpoint.is_read())
            .collect();
        assert_eq!(others, [&Endpoint::DisableUserCredential]);
        assert!(Endpoint::GetUserCredential.is_repeatable());
    }

    #[test]
    fn reads_are_the_gets() {
        assert!(Endpoint::GetAuthInfo.is_read());
        assert!(!Endpoint::UpdateUser.is_read());
        assert!(Endpoint::ValidateWebauthnRegistration.is_validate());
    }
}
