//! Registration. The routes of the two versions differ.

mod authenticator;
mod info;
mod magiclink;
mod validate;
mod webauthn;

use autharmor::{ApiVersion, ErrorKind, Request, UserKey};

use super::{ID, OTHER_ID, refusal, show, v3, v4, v4_query};

const NAME: &str = "ada@example.com";
const ADDRESS: &str = "ada@example.org";
const URL: &str = "https://example.com/new";
const USER: &str = "11111111-2222-4333-8444-555555555555";
const REGISTRATION: &str = "99999999-2222-4333-8444-555555555555";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// A POST with a JSON body, or without any if it is empty.
fn post(target: &str, body: &str) -> String {
    post_with(target, "", body)
}

/// The same with one header more.
fn post_with(target: &str, header: &str, body: &str) -> String {
    let content = match body {
        "" => "",
        _ => "content-type: application/json\n",
    };
    format!("POST {target}\naccept: application/json\n{content}{header}{body}")
}

/// Asserts a call about a user under v3 and v4, by id and by name. The routes
/// are what follows `/users/{user_id}`.
fn assert_posts_for_user<T>(
    request: impl Fn(UserKey) -> Request<T>,
    (v3_route, v3_body): (&str, &str),
    (v4_route, v4_body): (&str, &str),
) {
    let by_id = request(ID.into());
    let target = |version, user, route| format!("/{version}/users/{user}{route}");
    assert_eq!(v3(&by_id), post(&target("v3", USER, v3_route), v3_body));
    assert_eq!(v4(&by_id), post(&target("v4", USER, v4_route), v4_body));

    let by_name = request(NAME.into());
    assert_eq!(
        v3(&by_name),
        post_with(
            &target("v3", NOBODY, v3_route),
            "x-autharmor-usernamevalue: ada@example.com\n",
            v3_body
        )
    );
    assert_eq!(
        v4_query(&by_name),
        post(
            &(target("v4", NOBODY, v4_route) + "?username=ada%40example.com"),
            v4_body
        )
    );
    let error = show(&by_name, &super::target(ApiVersion::V4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UsernameInUrl);
}
