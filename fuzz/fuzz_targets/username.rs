//! Usernames in headers, bodies and (if allowed) queries: sent there unchanged or
//! refused, and never sent elsewhere.
#![no_main]

use autharmor::auth::{self, StartAuthenticatorAuth};
use autharmor::users::{self, UpdateUser, UserQuery};
use autharmor::{ApiVersion, Error, ErrorKind, HttpRequest, Target};
use autharmor_fuzz::{USER, alloc, assert_no_secrets, debug, json, split_selector};
use libfuzzer_sys::fuzz_target;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fuzz_target!(|data: &[u8]| {
    let Some((bits, name)) = split_selector(data) else {
        return;
    };
    let Ok(name) = std::str::from_utf8(name) else {
        return;
    };
    let bit = |number: usize| bits >> number & 1 == 1;
    let version = if bit(0) {
        ApiVersion::V4
    } else {
        ApiVersion::V3
    };
    let (in_query, non_ascii) = (bit(1), bit(2));
    let target = Target::new("https://api.example")
        .unwrap()
        .version(version)
        .username_in_query(in_query)
        .non_ascii_usernames(non_ascii);
    let is_name = (1..=1024).contains(&name.len())
        && !name.chars().any(char::is_control)
        && name.trim() == name;
    alloc::bounded(|| {
        let in_body = |request: Result<HttpRequest, Error>, field, uri: &str| match request {
            Ok(request) => {
                assert!(is_name);
                assert_eq!(request.uri(), uri);
                let sent = json::at(request.body().unwrap(), &[field]);
                assert_eq!(sent.as_str(), Some(name));
                assert!(request.headers().len() <= 2);
            }
            Err(error) => {
                assert_no_secrets(&error, &[]);
                assert!(!is_name && error.kind() == ErrorKind::InvalidInput);
            }
        };
        let v = version.as_str();
        let start = StartAuthenticatorAuth::new().user(name);
        in_body(
            auth::start_authenticator_auth(&start).to_http(&target),
            "username",
            &format!("https://api.example/{v}/auth/authenticator/start"),
        );
        in_body(
            users::update_user(USER, &UpdateUser::new(name)).to_http(&target),
            "new_username",
            &format!("https://api.example/{v}/users/{USER}"),
        );

        let (request, header, path) = if bit(3) {
            let request = users::get_user(name);
            assert_eq!(
                format!("{request:?}"),
                "Request { endpoint: GetUser, user: Some(Username(Private(..))), .. }"
            );
            (
                request.to_http(&target),
                "x-autharmor-usernamevalue",
                format!("users/{NIL}"),
            )
        } else {
            let request = users::list_users(UserQuery::new().username(name));
            (
                request.to_http(&target),
                "x-autharmor-userfilterstring",
                "users".to_owned(),
            )
        };
        let by_header = is_name && version == ApiVersion::V3 && (non_ascii || name.is_ascii());
        let by_query = is_name && version == ApiVersion::V4 && in_query;
        match request {
            Ok(request) if by_header => {
                let value = &request.headers()[header];
                assert_eq!(value.as_bytes(), name.as_bytes());
                assert!(value.is_sensitive());
                assert_eq!(
                    request.uri(),
                    format!("https://api.example/v3/{path}").as_str()
                );
                // `Debug` shows the names of headers only.
                drop(debug(&request));
            }
            Ok(request) => {
                assert!(by_query);
                assert_eq!(request.headers().len(), 1);
                assert_eq!(request.uri().path(), format!("/v4/{path}"));
                let query = request.uri().query().unwrap();
                let value = query.strip_prefix("username=").unwrap();
                assert!(!value.contains(['&', '=', ' ', '#', '?', '/']));
                let spaced = value.replace('+', " ");
                let decoded: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
                assert_eq!(decoded, name.as_bytes());
            }
            Err(error) => {
                assert_no_secrets(&error, &[]);
                assert!(!by_header && !by_query);
                let by_url = is_name && version == ApiVersion::V4;
                let kind = if by_url {
                    ErrorKind::UsernameInUrl
                } else {
                    ErrorKind::InvalidInput
                };
                assert_eq!(error.kind(), kind);
            }
        }
    });
});
