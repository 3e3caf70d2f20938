//! Sign-ins that the vendor's page SDK began.

use super::*;

#[test]
fn the_values_of_the_page_are_validated() {
    for (method, route) in [
        (Method::Authenticator, "authenticator/validate"),
        (Method::Webauthn, "webauthn/validate"),
        (Method::MagiclinkEmail, "magiclink_email/validate"),
    ] {
        for user in [
            ExpectedUser::Anyone,
            ExpectedUser::Is(NAME.into()),
            ExpectedUser::Is(ADA.into()),
        ] {
            let service = serve(ApiVersion::V4, regular);
            let from_page = BrowserSignIn::new(method, REQUEST, TOKEN, user);
            assert_ada(service.client().complete_browser_sign_in(&from_page));
            assert_eq!(
                service.body(route),
                json!({"auth_request_id": REQUEST, "auth_validation_token": TOKEN})
            );
            let full = from_page.nonce("mine").ip_address(IP).user_agent(AGENT);
            assert!(!format!("{full:?}").contains(TOKEN));
            let service = serve(ApiVersion::V4, regular);
            assert_ada(service.client().complete_browser_sign_in(&full));
            assert_eq!(
                service.body(route),
                json!({
                    "auth_request_id": REQUEST,
                    "auth_validation_token": TOKEN,
                    "nonce": "mine",
                    "ip_address": IP,
                    "user_agent": AGENT,
                })
            );
            assert_eq!(service.routes(), [route]);
        }
        for user in [
            ExpectedUser::Is("eve".into()),
            ExpectedUser::Is(EVE.into()),
            ExpectedUser::Is(NAME.to_uppercase().into()),
        ] {
            let service = serve(ApiVersion::V4, regular);
            let from_page = BrowserSignIn::new(method, REQUEST, TOKEN, user);
            let end = service.client().complete_browser_sign_in(&from_page);
            assert_kind(end, ErrorKind::Mismatch);
        }
        // Another nonce than the one that was signed, and another request.
        let service = serve_except(|_, _| Some(respond(200, signed_in(Some("x")).to_string())));
        let from_page = BrowserSignIn::new(method, REQUEST, TOKEN, ExpectedUser::Anyone);
        let end = service
            .client()
            .complete_browser_sign_in(&from_page.clone().nonce("mine"));
        assert_kind(end, ErrorKind::Mismatch);
        assert_ada(service.client().complete_browser_sign_in(&from_page));
        let other = BrowserSignIn::new(method, OTHER_REQUEST, TOKEN, ExpectedUser::Anyone);
        let end = service.client().complete_browser_sign_in(&other);
        assert_kind(end, ErrorKind::Mismatch);
    }
}

#[test]
fn wrong_values_of_the_page_are_not_sent() {
    let anyone = || ExpectedUser::Anyone;
    let page = |id, token: &str, user| BrowserSignIn::new(Method::Webauthn, id, token, user);
    for from_page in [
        page(REQUEST, "", anyone()),
        page(Uuid::nil(), TOKEN, anyone()),
        page(REQUEST, TOKEN, ExpectedUser::Is("".into())),
        page(REQUEST, TOKEN, ExpectedUser::Is(Uuid::nil().into())),
        // v3 has no field for it.
        page(REQUEST, TOKEN, anyone()).nonce("mine"),
    ] {
        let service = serve(ApiVersion::V3, regular);
        let end = service.client().complete_browser_sign_in(&from_page);
        assert_kind(end, ErrorKind::InvalidInput);
        assert!(service.test.seen().is_empty());
    }
}
