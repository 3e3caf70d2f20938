//! Sign-in. No endpoint here has a user in its route, so the two versions
//! differ by their prefix only.

mod authenticator;
mod info;
mod magiclink;
mod validate;
mod webauthn;

use autharmor::Request;
use autharmor::auth::{
    LocationData, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    start_authenticator_auth, start_magiclink_email_auth, start_webauthn_auth,
};

use super::{ID, OTHER_ID, v3, v4, v4_query};

const BY_ID: &str = r#""user_id":"11111111-2222-4333-8444-555555555555""#;
const BY_NAME: &str = r#""username":"ada@example.com""#;
const AUTH: &str = r#""auth_request_id":"99999999-2222-4333-8444-555555555555""#;

/// Under both versions exactly this, and the same where names may be put into the
/// query: here they are in the body.
fn assert_post<T>(request: &Request<T>, path: &str, body: &str) {
    let expected = |version| {
        format!(
            "POST /{version}{path}\n\
             accept: application/json\n\
             content-type: application/json\n\
             {body}"
        )
    };
    assert_eq!(v3(request), expected("v3"));
    assert_eq!(v4(request), expected("v4"));
    assert_eq!(v4_query(request), expected("v4"));
}

fn location() -> LocationData {
    LocationData::new()
        .latitude("51.5")
        .longitude("-0.12")
        .ip_address("192.0.2.1")
}

const LOCATION: &str =
    r#""origin_location_data":{"latitude":"51.5","longitude":"-0.12","ip_address":"192.0.2.1"}"#;

/// The limits themselves; values beyond them are refused.
#[test]
fn the_shortest_and_the_longest_time_of_a_sign_in_are_sent() {
    for seconds in [15, 300] {
        let app = StartAuthenticatorAuth::new().timeout_in_seconds(seconds);
        let webauthn = StartWebauthnAuth::new().timeout_in_seconds(seconds);
        let mail = StartMagiclinkEmailAuth::new(ID, "https://example.com");
        let mail = mail.timeout_in_seconds(seconds);
        let (app, webauthn, mail) = (
            start_authenticator_auth(&app),
            start_webauthn_auth(&webauthn),
            start_magiclink_email_auth(&mail),
        );
        let field = format!("\"timeout_in_seconds\":{seconds}");
        for text in [
            v3(&app),
            v4(&app),
            v3(&webauthn),
            v4(&webauthn),
            v3(&mail),
            v4(&mail),
        ] {
            assert!(text.contains(&field), "{text}");
        }
    }
}
