//! [`Endpoint`]: the table of all routes.

use http::Method;
use serde::{Deserialize, Serialize};

/// Which version of the API a program speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiVersion {
    /// v3 wherever v3 has the endpoint, v4 for the nine that v3 lacks. A
    /// username travels in a header.
    #[default]
    V3,
    /// v4 for everything. A username would travel in the URL.
    V4,
}

impl ApiVersion {
    /// The version's part of the URL's path: `v3` or `v4`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V3 => "v3",
            Self::V4 => "v4",
        }
    }
}

/// Declares the endpoints: variant, wire name, method, path under v3 (or
/// `none`), path under v4 (or `same`).
macro_rules! endpoints {
    (@v3 none) => { None };
    (@v3 $v3:literal) => { Some($v3) };
    (@v4 $v3:literal same) => { $v3 };
    (@v4 $v3:tt $v4:literal) => { $v4 };
    ($($variant:ident $name:ident $method:ident $v3:tt $v4:tt;)+) => {
        /// The 31 endpoints of the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Endpoint {
            $(#[doc = concat!("`", stringify!($name), "`")] $variant,)+
        }

        impl Endpoint {
            /// Every endpoint.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name of the endpoint and of its builder function.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($name),)+ }
            }

            /// The HTTP method, the same in both versions.
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
    /// The version that a program of the given version uses for this endpoint:
    /// the same, but v4 for what v3 lacks.
    #[must_use]
    pub fn version(self, program: ApiVersion) -> ApiVersion {
        match program {
            ApiVersion::V3 if self.v3().is_some() => ApiVersion::V3,
            _ => ApiVersion::V4,
        }
    }

    /// The path below the version, with `{placeholders}`.
    #[must_use]
    pub fn route(self, version: ApiVersion) -> &'static str {
        match version {
            ApiVersion::V3 => self.v3().unwrap_or_else(|| self.v4()),
            ApiVersion::V4 => self.v4(),
        }
    }

    /// Whether the endpoint only reads. All others must happen at most once:
    /// they make a phone ring, send a mail or change something.
    #[must_use]
    pub fn is_read(self) -> bool {
        self.method() == Method::GET
    }

    /// Whether the endpoint judges a validation token, so that a 401 may be
    /// about that token and not about the bearer.
    #[must_use]
    pub fn is_validate(self) -> bool {
        self.name().starts_with("validate_")
    }

    /// Under v3 a registration's id stands in the body of its finish call.
    pub(super) fn carries_registration_id_in_body(self, version: ApiVersion) -> bool {
        version == ApiVersion::V3
            && matches!(
                self,
                Self::FinishWebauthnRegistration | Self::FinishWebauthnRegistrationForUser
            )
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
    fn reads_are_the_gets() {
        assert!(Endpoint::GetAuthInfo.is_read());
        assert!(!Endpoint::UpdateUser.is_read());
        assert!(Endpoint::ValidateWebauthnRegistration.is_validate());
    }
}
