//! Polling once, and the browser that arrives.

use super::*;
use crate::flow::testing::restored;

/// A v4 service whose poll has this response.
fn polled(status: u16, body: &'static str) -> Service {
    serve_except(move |route, _| (route == REQUEST.to_string()).then(|| respond(status, body)))
}

#[test]
fn a_poll_is_one_request_and_validates_what_was_approved() {
    for version in VERSIONS {
        let service = serve(version, regular);
        let pending = begin_authenticator(&service);
        assert_ada(restored(pending).poll(service.client()));
        let poll = REQUEST.to_string();
        let expected = ["authenticator/start", &poll, "authenticator/validate"];
        assert_eq!(service.routes(), expected);
        assert!(service.test.clock.slept().is_empty());
    }
    for (body, expected) in [
        (r#"{"auth_request_status_id":3}"#, "StillPending"),
        ("{}", "StillPending"),
        (r#"{"auth_request_status_id":2}"#, "NotAuthorized"),
        (
            r#"{"auth_request_status_id":2,"auth_response":{"result_code":3,"authorized":true}}"#,
            "Declined",
        ),
        (
            r#"{"auth_request_status_id":2,"auth_response":{"result_code":2,"authorized":true}}"#,
            "NotAuthorized",
        ),
        (
            r#"{"auth_request_status_id":2,"auth_response":{"result_code":5}}"#,
            "TimedOut",
        ),
    ] {
        let service = polled(200, body);
        let end = begin_authenticator(&service).poll(service.client());
        assert_eq!(format!("{:?}", end.unwrap()), expected);
        assert_eq!(service.routes().len(), 2);
        assert!(service.test.clock.slept().is_empty());
    }
}

#[test]
fn a_poll_retries_nothing() {
    for (status, kind) in [
        (429, ErrorKind::RateLimited),
        (503, ErrorKind::Unavailable),
        (404, ErrorKind::NotFound),
    ] {
        let service = polled(status, "");
        let pending = begin_authenticator(&service);
        assert_kind(pending.poll(service.client()), kind);
        assert_eq!(service.routes().len(), 2);
    }
    // Nor the validation, even if it certainly was not sent.
    let service = serve_except(|route, _| {
        let error = TransportError::new(TransportErrorKind::Connect, false);
        route.ends_with("/validate").then_some(Err(error))
    });
    let pending = begin_authenticator(&service);
    assert_kind(pending.poll(service.client()), ErrorKind::Connect);
    assert_eq!(service.routes().len(), 3);
    assert!(service.test.clock.slept().is_empty());
}

#[test]
fn the_arriving_browser_is_reported_in_place_of_the_one_of_the_start() {
    const HERE: (&str, &str) = ("198.51.100.9", "curl/8");
    type Complete = fn(&Service) -> Result<SignIn, Error>;
    let flows: [(&str, Complete); 3] = [
        ("authenticator", |service| {
            let pending = begin_authenticator(service);
            let pending = pending.ip_address(HERE.0).user_agent(HERE.1);
            pending.poll(service.client())
        }),
        ("webauthn", |service| {
            let pending = begin_webauthn(service);
            let pending = pending.ip_address(HERE.0).user_agent(HERE.1);
            pending.complete(service.client(), PAGE)
        }),
        ("magiclink_email", |service| {
            let pending = begin_magiclink(service);
            let pending = pending.ip_address(HERE.0).user_agent(HERE.1);
            pending.complete(service.client(), &link())
        }),
    ];
    for (method, complete) in flows {
        let service = serve(ApiVersion::V4, regular);
        assert_ada(complete(&service));
        let start = service.body(&format!("{method}/start"));
        assert_eq!(
            (&start["ip_address"], &start["user_agent"]),
            (&json!(IP), &json!(AGENT))
        );
        let validate = service.body(&format!("{method}/validate"));
        let sent = (&validate["ip_address"], &validate["user_agent"]);
        assert_eq!(sent, (&json!(HERE.0), &json!(HERE.1)));
    }
}
