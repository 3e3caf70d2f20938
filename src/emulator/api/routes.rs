//! [`Route`]: from a method and a path to an endpoint.

use percent_encoding::percent_decode_str;

use super::decisions::same_word;
use crate::{ApiVersion, Endpoint};

const TOKEN_PATH: &str = "/connect/token";
pub(crate) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
const KEYS_PATH: &str = "/.well-known/openid-configuration/jwks";

/// The ids in a path, percent-decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: Option<String>,
    pub(crate) auth_request: Option<String>,
    pub(crate) registration: Option<String>,
    pub(crate) credential: Option<String>,
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// With any method, because the token endpoint refuses others in its own way.
    Token,
    /// The OIDC discovery document.
    Discovery,
    /// The keys that verify access tokens.
    Keys,
    Endpoint(ApiVersion, Endpoint, Ids),
    /// Only the listed methods are allowed.
    WrongMethod(Option<ApiVersion>, String),
    Unknown(Option<ApiVersion>),
}

impl Route {
    /// Finds the route of a method and a path. If `tolerant`, a trailing slash
    /// and the case of letters do not matter.
    pub(crate) fn find(method: &str, path: &str, tolerant: bool) -> Self {
        let path = match path.strip_suffix('/') {
            Some(path) if tolerant => path,
            _ => path,
        };
        for (known, route) in [
            (TOKEN_PATH, Self::Token),
            (DISCOVERY_PATH, Self::Discovery),
            (KEYS_PATH, Self::Keys),
        ] {
            if same_word(known, path, tolerant) {
                return if method == "GET" || route == Self::Token {
                    route
                } else {
                    Self::WrongMethod(None, "GET".to_owned())
                };
            }
        }
        for version in [ApiVersion::V3, ApiVersion::V4] {
            let rest = path.strip_prefix('/').and_then(|path| {
                let (prefix, rest) = path.split_at_checked(version.as_str().len())?;
                same_word(version.as_str(), prefix, tolerant).then_some(rest)
            });
            if let Some(rest) = rest.filter(|rest| rest.starts_with('/')) {
                return find(version, method, rest, tolerant);
            }
        }
        Self::Unknown(None)
    }

    /// Whether strict mode finds another route, or none. A path in capitals takes
    /// a second search; all others are told by one look.
    pub(crate) fn differs_from(&self, method: &str, path: &str) -> bool {
        let unusual = path.ends_with('/') || path.bytes().any(|byte| byte.is_ascii_uppercase());
        unusual && Self::find(method, path, false) != *self
    }

    /// The endpoint's name, or `token`, `discovery` or `keys`.
    pub(crate) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Token => Some("token"),
            Self::Discovery => Some("discovery"),
            Self::Keys => Some("keys"),
            Self::Endpoint(_, endpoint, _) => Some(endpoint.name()),
            _ => None,
        }
    }
}

fn find(version: ApiVersion, method: &str, path: &str, tolerant: bool) -> Route {
    let mut best: Option<(usize, Endpoint, &str)> = None;
    let mut allowed: Vec<String> = Vec::new();
    for &endpoint in Endpoint::ALL {
        // v3 does not have every endpoint.
        if endpoint.version(version) != version {
            continue;
        }
        let route = endpoint.route(version);
        let Some(literals) = matches(route, path, tolerant) else {
            continue;
        };
        if endpoint.method().as_str() != method {
            let other = endpoint.method().to_string();
            if !allowed.contains(&other) {
                allowed.push(other);
            }
            continue;
        }
        // Literal words have priority over placeholders: in
        // `users/registrations/…` there is no user id.
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

/// Scores the match of a path with a route, by the number of literal words,
/// earlier ones first. `None`: it does not match.
fn matches(route: &str, path: &str, tolerant: bool) -> Option<usize> {
    let (mut words, mut parts) = (route.split('/'), path.split('/'));
    let mut score = 0;
    loop {
        match (words.next(), parts.next()) {
            (None, None) => return Some(score),
            (Some(word), Some(part)) if word.starts_with('{') && !part.is_empty() => score *= 2,
            (Some(word), Some(part)) if same_word(word, part, tolerant) => score = score * 2 + 1,
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

    fn found(method: &str, path: &str) -> String {
        described(&Route::find(method, path, false))
    }

    fn described(route: &Route) -> String {
        match route {
            Route::Endpoint(_, endpoint, _) => endpoint.name().to_owned(),
            Route::WrongMethod(_, allow) => format!("405 {allow}"),
            Route::Unknown(_) => "404".to_owned(),
            other => other.name().unwrap().to_owned(),
        }
    }

    #[test]
    fn counts_of_both_versions() {
        let v3 = Endpoint::ALL
            .iter()
            .filter(|e| e.version(ApiVersion::V3) == ApiVersion::V3)
            .count();
        assert_eq!((v3, Endpoint::ALL.len()), (22, 31));
    }

    #[test]
    fn every_route_finds_its_endpoint() {
        for &endpoint in Endpoint::ALL {
            for version in [ApiVersion::V3, ApiVersion::V4] {
                if endpoint.version(version) != version {
                    continue;
                }
                let route = endpoint.route(version).replace(['{', '}'], "%20");
                let path = format!("/{}{route}", version.as_str());
                assert_eq!(
                    found(endpoint.method().as_str(), &path),
                    endpoint.name(),
                    "{path}"
                );
                assert!(found("DELETE", &path).starts_with("405"), "{path}");
            }
        }
    }

    #[test]
    fn literals_have_priority_over_placeholders() {
        assert_eq!(
            found("GET", "/v4/users/a/credentials/webauthn"),
            "list_user_webauthn_credentials"
        );
        assert_eq!(
            found("GET", "/v4/users/registrations/a"),
            "get_registration_info"
        );
        assert_eq!(
            found("GET", "/v4/users/a/auth_history"),
            "get_user_auth_history"
        );
    }

    #[test]
    fn unknown_paths_are_not_found() {
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
            assert_eq!(found("GET", path), "404", "{path}");
        }
        assert_eq!(found("PATCH", "/v3/users/a"), "405 GET, PUT");
        assert_eq!(found("GET", "/connect/token"), "token");
        assert_eq!(found("POST", DISCOVERY_PATH), "405 GET");
    }

    #[test]
    fn tolerant_mode_ignores_case_and_a_trailing_slash() {
        let tolerant = |method, path| described(&Route::find(method, path, true));
        for (method, path, expected) in [
            ("GET", "/V4/Users", "list_users"),
            ("GET", "/v3/users/", "list_users"),
            (
                "GET",
                "/v4/users/a/credentials/WebAuthn",
                "list_user_webauthn_credentials",
            ),
            (
                "POST",
                "/v3/auth/authenticator/validate/",
                "validate_authenticator_auth",
            ),
            ("POST", "/Connect/Token/", "token"),
            ("GET", "/.Well-Known/OpenID-configuration", "discovery"),
            ("GET", "/.well-known/openid-configuration/jwks/", "keys"),
            ("GET", "/v4/users//", "404"),
            ("GET", "//", "404"),
            ("GET", "/v4é", "404"),
        ] {
            assert_eq!(tolerant(method, path), expected, "{path}");
        }
    }

    #[test]
    fn ids_are_decoded() {
        let Route::Endpoint(_, _, ids) = Route::find("GET", "/v4/users/A%2Fb/credentials/c", true)
        else {
            panic!()
        };
        assert_eq!(ids.user.as_deref(), Some("A/b"));
        assert_eq!(ids.credential.as_deref(), Some("c"));
    }
}
