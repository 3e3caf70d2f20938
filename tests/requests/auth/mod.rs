//! Sign-in. No endpoint here has a user in its route, so the two versions
//! differ by their prefix only.

mod authenticator;
mod info;
mod magiclink;
mod validate;
mod webauthn;

use autharmor::Request;
use autharmor::auth::LocationData;

use super::{ID, OTHER_ID, v3, v4, v4_query};

const BY_ID: &str = r#""user_id":"11111111-2222-4333-8444-555555555555""#;
const BY_NAME: &str = r#""username":"ada@example.com""#;
const AUTH: &str = r#""auth_request_id":"99999999-2222-4333-8444-555555555555""#;

/// Under both versions exactly this, and the same with leave to put names into
/// the query: here they are in the body.
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
