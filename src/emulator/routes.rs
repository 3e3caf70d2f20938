//! The service's routes.

use percent_encoding::percent_decode_str;

use super::decisions::TRAILING_SLASH_IS_IGNORED;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V3,
    V4,
}

macro_rules! endpoints {
    ($($variant:ident $name:literal $method:ident $v3:expr, $v4:literal;)*) => {
        /// What can be called.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Endpoint { $($variant),* }

        impl Endpoint {
            pub(super) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
            pub(super) const fn method(self) -> &'static str {
                match self { $(Self::$variant => stringify!($method)),* }
            }
            /// The route below `/v3` or `/v4`.
            pub(super) const fn route(self, version: Version) -> Option<&'static str> {
                match (self, version) {
                    $((Self::$variant, Version::V3) => $v3,
                      (Self::$variant, Version::V4) => Some($v4),)*
                }
            }
        }
    };
}

endpoints! {
    StartAuthenticatorAuth "start_authenticator_auth" POST Some("auth/authenticator/start"), "auth/authenticator/start";
    ValidateAuthenticatorAuth "validate_authenticator_auth" POST Some("auth/authenticator/validate"), "auth/authenticator/validate";
    StartWebauthnAuth "start_webauthn_auth" POST Some("auth/webauthn/start"), "auth/webauthn/start";
    FinishWebauthnAuth "finish_webauthn_auth" POST Some("auth/webauthn/finish"), "auth/webauthn/finish";
    ValidateWebauthnAuth "validate_webauthn_auth" POST Some("auth/webauthn/validate"), "auth/webauthn/validate";
    StartMagiclinkAuth "start_magiclink_email_auth" POST Some("auth/magiclink_email/start"), "auth/magiclink_email/start";
    ValidateMagiclinkAuth "validate_magiclink_email_auth" POST Some("auth/magiclink_email/validate"), "auth/magiclink_email/validate";
    GetAuthInfo "get_auth_info" GET Some("auth/{auth_request_id}"), "auth/{auth_request_id}";
    ListUsers "list_users" GET Some("users"), "users";
    GetUser "get_user" GET Some("users/{user_id}"), "users/{user_id}";
    UpdateUser "update_user" PUT Some("users/{user_id}"), "users/{user_id}";
    GetUserAuthHistory "get_user_auth_history" GET Some("users/{user_id}/auth_history"), "users/{user_id}/auth_history";
    StartAuthenticatorRegistration "start_authenticator_registration" POST Some("users/authenticator/register/start"), "users/registrations/authenticator/start";
    StartAuthenticatorRegistrationForUser "start_authenticator_registration_for_user" POST Some("users/{user_id}/authenticator/register/start"), "users/{user_id}/registrations/authenticator/start";
    ValidateAuthenticatorRegistration "validate_authenticator_registration" POST None, "users/registrations/authenticator/{registration_id}/validate";
    StartWebauthnRegistration "start_webauthn_registration" POST Some("users/webauthn/register/start"), "users/registrations/webauthn/start";
    FinishWebauthnRegistration "finish_webauthn_registration" POST Some("users/webauthn/register/finish"), "users/registrations/webauthn/{registration_id}/finish";
    StartWebauthnRegistrationForUser "start_webauthn_registration_for_user" POST Some("users/{user_id}/webauthn/register/start"), "users/{user_id}/registrations/webauthn/start";
    FinishWebauthnRegistrationForUser "finish_webauthn_registration_for_user" POST Some("users/{user_id}/webauthn/register/finish"), "users/{user_id}/registrations/webauthn/{registration_id}/finish";
    ValidateWebauthnRegistration "validate_webauthn_registration" POST None, "users/registrations/webauthn/{registration_id}/validate";
    StartMagiclinkRegistration "start_magiclink_email_registration" POST Some("users/magiclink_email/register/start"), "users/registrations/magiclink_email/start";
    StartMagiclinkRegistrationForUser "start_magiclink_email_registration_for_user" POST Some("users/{user_id}/magiclink_email/register/start"), "users/{user_id}/registrations/magiclink_email/start";
    StartChangeMagiclinkEmail "start_change_magiclink_email" POST Some("users/{user_id}/magiclink_email/update/start"), "users/{user_id}/magiclink_email/update/start";
    ValidateMagiclinkRegistration "validate_magiclink_email_registration" POST Some("users/register/magiclink_email/validate"), "users/registrations/magiclink_email/{registration_id}/validate";
    GetRegistrationInfo "get_registration_info" GET None, "users/registrations/{registration_id}";
    ListUserCredentials "list_user_credentials" GET None, "users/{user_id}/credentials";
    ListUserAuthenticatorCredentials "list_user_authenticator_credentials" GET None, "users/{user_id}/credentials/authenticator";
    ListUserWebauthnCredentials "list_user_webauthn_credentials" GET None, "users/{user_id}/credentials/webauthn";
    ListUserMagiclinkCredentials "list_user_magiclink_email_credentials" GET None, "users/{user_id}/credentials/magiclink_email";
    GetUserCredential "get_user_credential" GET None, "users/{user_id}/credentials/{credential_id}";
    DisableUserCredential "disable_user_credential" POST None, "users/{user_id}/credentials/{credential_id}/disable";
}

/// The ids that a route holds, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) user: Option<String>,
    pub(super) auth_request: Option<String>,
    pub(super) registration: Option<String>,
    pub(super) credential: Option<String>,
}

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Token,
    /// Below `/_emulator/`.
    Control,
    Endpoint(Version, Endpoint, Ids),
    WrongMethod(Option<Version>, String),
    Unknown(Option<Version>),
}

impl Route {
    pub(super) fn of(method: &str, path: &str) -> Self {
        if path == "/connect/token" {
            return if method == "POST" {
                Self::Token
            } else {
                Self::WrongMethod(None, "POST".to_owned())
            };
        }
        if path == "/_emulator" || path.starts_with("/_emulator/") {
            return Self::Control;
        }
        let (version, rest) = if let Some(rest) = path.strip_prefix("/v3/") {
            (Version::V3, rest)
        } else if let Some(rest) = path.strip_prefix("/v4/") {
            (Version::V4, rest)
        } else {
            return Self::Unknown(None);
        };
        find(version, method, rest)
    }

    /// The endpoint's name for records and faults.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Token => Some("token"),
            Self::Endpoint(_, endpoint, _) => Some(endpoint.name()),
            _ => None,
        }
    }

    pub(super) fn version(&self) -> Option<Version> {
        match self {
            Self::Endpoint(version, ..) => Some(*version),
            Self::WrongMethod(version, _) | Self::Unknown(version) => *version,
            _ => None,
        }
    }
}

fn find(version: Version, method: &str, path: &str) -> Route {
    let path = if TRAILING_SLASH_IS_IGNORED {
        path.strip_suffix('/').unwrap_or(path)
    } else {
        path
    };
    let mut best: Option<(usize, Endpoint, &str)> = None;
    let mut allowed: Vec<&str> = Vec::new();
    for &endpoint in Endpoint::ALL {
        let Some(route) = endpoint.route(version) else {
            continue;
        };
        let Some(literals) = matches(route, path) else {
            continue;
        };
        if endpoint.method() != method {
            if !allowed.contains(&endpoint.method()) {
                allowed.push(endpoint.method());
            }
            continue;
        }
        // Literal words win over placeholders: `users/registrations/…` is
        // not a user of that name.
        if best.is_none_or(|(most, ..)| literals > most) {
            best = Some((literals, endpoint, route));
        }
    }
    match best {
        Some((_, endpoint, route)) => match ids(route, path) {
            Some(ids) => Route::Endpoint(version, endpoint, ids),
            None => Route::Unknown(Some(version)),
        },
        None if allowed.is_empty() => Route::Unknown(Some(version)),
        None => Route::WrongMethod(Some(version), allowed.join(", ")),
    }
}

/// How well a path fits a route: the number of literal words, earlier ones
/// counting more.
fn matches(route: &str, path: &str) -> Option<usize> {
    let (mut words, mut parts) = (route.split('/'), path.split('/'));
    let mut score = 0;
    loop {
        match (words.next(), parts.next()) {
            (None, None) => return Some(score),
            (Some(word), Some(part)) if word.starts_with('{') && !part.is_empty() => score *= 2,
            (Some(word), Some(part)) if word == part => score = score * 2 + 1,
            _ => return None,
        }
    }
}

fn ids(route: &str, path: &str) -> Option<Ids> {
    let mut ids = Ids::default();
    for (word, part) in route.split('/').zip(path.split('/')) {
        let place = match word {
            "{user_id}" => &mut ids.user,
            "{auth_request_id}" => &mut ids.auth_request,
            "{registration_id}" => &mut ids.registration,
            "{credential_id}" => &mut ids.credential,
            _ => continue,
        };
        *place = Some(percent_decode_str(part).decode_utf8().ok()?.into_owned());
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, path: &str) -> String {
        match Route::of(method, path) {
            Route::Endpoint(_, endpoint, _) => endpoint.name().to_owned(),
            Route::WrongMethod(_, allow) => format!("405 {allow}"),
            Route::Unknown(_) => "404".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn counts_of_both_versions() {
        let v3 = Endpoint::ALL
            .iter()
            .filter(|e| e.route(Version::V3).is_some())
            .count();
        assert_eq!((v3, Endpoint::ALL.len()), (22, 31));
    }

    #[test]
    fn every_route_finds_its_endpoint() {
        for &endpoint in Endpoint::ALL {
            for (version, prefix) in [(Version::V3, "/v3/"), (Version::V4, "/v4/")] {
                let Some(route) = endpoint.route(version) else {
                    continue;
                };
                let path = format!("{prefix}{}", route.replace(['{', '}'], "%20"));
                assert_eq!(of(endpoint.method(), &path), endpoint.name(), "{path}");
                assert!(of("DELETE", &path).starts_with("405"), "{path}");
            }
        }
    }

    #[test]
    fn literals_win_over_placeholders() {
        assert_eq!(
            of("GET", "/v4/users/a/credentials/webauthn"),
            "list_user_webauthn_credentials"
        );
        assert_eq!(
            of("GET", "/v4/users/registrations/a"),
            "get_registration_info"
        );
        assert_eq!(
            of("GET", "/v4/users/a/auth_history"),
            "get_user_auth_history"
        );
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for path in [
            "/",
            "/v3",
            "/v3/",
            "/v5/users",
            "/v3/users/",
            "/v3//users",
            "/v4/users//auth_history",
            "/v3/users/a/credentials",
            "/v3/users/%ff",
        ] {
            assert_eq!(of("GET", path), "404", "{path}");
        }
        assert_eq!(of("PATCH", "/v3/users/a"), "405 GET, PUT");
        assert_eq!(of("GET", "/connect/token"), "405 POST");
    }

    #[test]
    fn ids_are_decoded() {
        let Route::Endpoint(_, _, ids) = Route::of("GET", "/v4/users/a%2Fb/credentials/c") else {
            panic!()
        };
        assert_eq!(ids.user.as_deref(), Some("a/b"));
        assert_eq!(ids.credential.as_deref(), Some("c"));
    }
}
