//! Responses of any status with any body: an error of the right kind that shows
//! no secret.
#![no_main]

use std::sync::LazyLock;

use autharmor::auth::ValidateAuth;
use autharmor::users::UpdateUser;
use autharmor::{Client, ErrorKind};
use autharmor_fuzz::{
    REQUEST, Response, Service, USER, USERNAME, VALIDATION_TOKEN, alloc, assert_no_secrets,
};
use libfuzzer_sys::fuzz_target;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENT: LazyLock<Client> = LazyLock::new(|| SERVICE.client());

fuzz_target!(|data: &[u8]| {
    let [high, low, flags, body @ ..] = data else {
        return;
    };
    let status = 100 + u16::from_be_bytes([*high, *low]) % 900;
    let content_type = if flags & 4 == 0 {
        "application/json"
    } else {
        "text/html; charset=utf-8"
    };
    SERVICE.respond_with([Response {
        status,
        headers: vec![("content-type", content_type.into())],
        body: body.to_vec(),
    }]);
    alloc::bounded(|| {
        let result = match flags & 3 {
            0 => CLIENT.get_user(USERNAME).map(drop),
            1 => CLIENT
                .validate_authenticator_auth(&ValidateAuth::new(REQUEST, VALIDATION_TOKEN))
                .map(drop),
            2 => CLIENT
                .update_user(USER, &UpdateUser::new(USERNAME))
                .map(drop),
            _ => CLIENT.get_auth_info(REQUEST).map(drop),
        };
        let requests = SERVICE.requests().len();
        // A 401 may cost one new token and one more attempt.
        assert!(requests == 1 || status == 401 && requests == 2);
        let Err(error) = result else {
            assert!((200..300).contains(&status));
            return;
        };
        assert_no_secrets(&error, &[]);
        assert_eq!(error.status(), Some(status));
        let sent = error.may_have_been_sent();
        match status {
            429 => assert!(!sent),
            // With an error body, the 401 is about the validation token: the
            // API has processed it.
            401 if flags & 3 == 1 => {
                let is_object = body.trim_ascii_start().starts_with(b"{");
                assert!(is_object || !sent);
                assert!(sent || error.code().is_none() && error.tracking_id().is_none());
            }
            401 => assert!(!sent),
            _ => assert!(sent),
        }
        let expected = match status {
            // An error body, or none that can be read.
            200..=299 if error.kind() == ErrorKind::Api => ErrorKind::Api,
            200..=299 => ErrorKind::Decode,
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::RateLimited,
            400..=499 => ErrorKind::Api,
            500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        };
        assert_eq!(error.kind(), expected);
        for word in [error.code(), error.tracking_id()].into_iter().flatten() {
            assert!((1..=64).contains(&word.len()));
            assert!(
                word.chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c))
            );
        }
    });
});
