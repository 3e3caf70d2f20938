//! The ends of a sign-in, and the requests that it sent.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

#[test]
fn an_error_of_the_validate_call_is_never_a_sign_in() {
    type Failure = (fn(&str) -> TransportResult, ErrorKind);
    let refusal = r#"{"error_code":401,"error_message":"t0k3n-of-the-link","tracking_id":"t-1"}"#;
    let failures: [Failure; 10] = [
        (|body| respond(401, body), ErrorKind::Unauthorized),
        (|_| respond(401, ""), ErrorKind::Unauthorized),
        (|_| respond(403, ""), ErrorKind::Forbidden),
        (|body| respond(404, body), ErrorKind::NotFound),
        (|_| respond(409, ""), ErrorKind::Api),
        (|_| respond(500, ""), ErrorKind::Unavailable),
        // A gateway's error with the body of a sign-in.
        (
            |_| respond(503, signed_in(None).to_string()),
            ErrorKind::Unavailable,
        ),
        (
            |_| respond(302, signed_in(None).to_string()),
            ErrorKind::Protocol,
        ),
        (|_| respond(200, "true"), ErrorKind::Decode),
        (
            |_| Err(TransportError::new(TransportErrorKind::Broken, true)),
            ErrorKind::Transport,
        ),
    ];
    for (method, sign_in) in FLOWS {
        for (fail, kind) in failures {
            let service =
                serve_except(move |route, _| route.ends_with("/validate").then(|| fail(refusal)));
            let error = assert_kind(sign_in(&service), kind);
            let expected = format!("validate_{method}_auth: ");
            assert!(error.to_string().starts_with(&expected), "{error}");
            service.body(&format!("{method}/start"));
        }
    }
    // A 401 with an error body is the response: the call is not repeated.
    for (method, sign_in) in FLOWS {
        let service = serve_except(move |route, _| {
            route.ends_with("/validate").then(|| respond(401, refusal))
        });
        let error = assert_kind(sign_in(&service), ErrorKind::Unauthorized);
        assert_eq!(error.tracking_id(), Some("t-1"));
        service.body(&format!("{method}/validate"));
        assert_eq!(service.test.token_requests(), 1);
    }
}

#[test]
fn a_validate_response_without_an_authorisation_has_a_reason() {
    for (method, sign_in) in FLOWS {
        for (code, expected) in [
            (2, "NotAuthorized"),
            (3, "Declined"),
            (4, "FailedSignature"),
            (5, "TimedOut"),
            (9, "ValidatedTooLate"),
            (10, "RefusedForSecurity"),
        ] {
            let service = serve_except(move |route, body| {
                let mut json = signed_in(body["nonce"].as_str());
                json["validate_auth_response_details"]["authorized"] = json!(false);
                json["validate_auth_response_details"]["result_code"] = json!(code);
                route
                    .ends_with("/validate")
                    .then(|| respond(200, json.to_string()))
            });
            let end = sign_in(&service).unwrap();
            assert_eq!(format!("{end:?}"), expected);
            assert!(end.user().is_none());
            service.body(&format!("{method}/start"));
        }
    }
}

#[test]
fn a_validate_response_about_another_user_or_request_is_a_mismatch() {
    let other_user = |body: &Json| {
        let mut json = signed_in(body["nonce"].as_str());
        json["validate_auth_response_details"]["auth_details"]["response_details"]["auth_profile_details"] =
            json!({"user_id": EVE, "username": "eve"});
        json
    };
    let other_nonce = |_: &Json| signed_in(Some("another"));
    let nobody = |_: &Json| json!({"validate_auth_response_details": {"authorized": true, "result_code": 2}});
    let changes: [fn(&Json) -> Json; 3] = [other_user, other_nonce, nobody];
    for (method, sign_in) in FLOWS {
        for (which, change) in changes.iter().copied().enumerate() {
            let service = serve_except(move |route, body| {
                route
                    .ends_with("/validate")
                    .then(|| respond(200, change(body).to_string()))
            });
            if method == "magiclink_email" && which == 1 {
                // A magic link has no nonce.
                assert_ada(sign_in(&service));
            } else {
                assert_kind(sign_in(&service), ErrorKind::Mismatch);
            }
        }
    }
}

#[test]
fn the_user_of_the_start_response_must_be_the_one_who_signs_in() {
    let (result, service) = begin_with("authenticator/start", |json| json["user_id"] = json!(EVE));
    result.unwrap();
    let pending = begin_authenticator(&service);
    assert_kind(pending.complete(service.client()), ErrorKind::Mismatch);

    let (result, service) =
        begin_with("magiclink_email/start", |json| json["user_id"] = json!(EVE));
    result.unwrap();
    let pending = begin_magiclink(&service);
    assert_kind(
        pending.complete(service.client(), &link()),
        ErrorKind::Mismatch,
    );
}

#[test]
fn names_may_differ_in_case_if_the_caller_allows_it() {
    let upper = NAME.to_uppercase();
    let service = serve_except(|route, _| {
        // No id, so that the name counts.
        (route == "magiclink_email/start")
            .then(|| respond(200, json!({"auth_request_id": REQUEST}).to_string()))
    });
    let client = service.client();

    let request = StartAuthenticatorAuth::new().user(&*upper);
    let pending = client
        .begin_authenticator_sign_in(&request)
        .unwrap()
        .pending;
    assert_kind(pending.complete(client), ErrorKind::Mismatch);
    assert_ada(pending.ignore_username_case().complete(client));

    let request = StartWebauthnAuth::new().user(&*upper);
    let pending = client.begin_webauthn_sign_in(&request).unwrap().pending;
    assert_kind(pending.complete(client, PAGE), ErrorKind::Mismatch);
    assert_ada(pending.ignore_username_case().complete(client, PAGE));

    let request = StartMagiclinkEmailAuth::new(&*upper, "https://app.example/in");
    let pending = client.begin_magiclink_sign_in(&request).unwrap();
    assert_kind(pending.complete(client, &link()), ErrorKind::Mismatch);
    assert_ada(pending.ignore_username_case().complete(client, &link()));

    let from_page = BrowserSignIn::new(
        Method::Authenticator,
        REQUEST,
        TOKEN,
        ExpectedUser::Is(upper.into()),
    );
    assert_kind(
        client.complete_browser_sign_in(&from_page),
        ErrorKind::Mismatch,
    );
    assert_ada(client.complete_browser_sign_in(&from_page.ignore_username_case()));
}

#[test]
fn a_wait_that_ends_without_an_approval_validates_nothing() {
    for (status, code, expected) in [
        (2, json!(3), "Declined"),
        (2, json!(5), "TimedOut"),
        (2, json!(9), "ValidatedTooLate"),
        (2, json!(10), "RefusedForSecurity"),
        (2, json!(4), "FailedSignature"),
        (2, json!(null), "NotAuthorized"),
        (2, json!(0), "NotAuthorized"),
        // Even if the code sounds like success.
        (2, json!(2), "NotAuthorized"),
        (2, json!(8), "NotAuthorized"),
        (3, json!(0), "StillPending"),
        (7, json!(8), "StillPending"),
    ] {
        let body = json!({
            "auth_request_status_id": status,
            "auth_response": {"result_code": code, "authorized": true},
        });
        let service = serve_except(move |route, _| {
            (route == REQUEST.to_string()).then(|| respond(200, body.to_string()))
        });
        let end = begin_authenticator(&service).wait(service.client(), &WaitPolicy::new());
        assert_eq!(format!("{:?}", end.unwrap()), expected);
        assert_eq!(service.routes()[0], "authenticator/start");
        let poll = REQUEST.to_string();
        assert!(service.routes()[1..].iter().all(|route| *route == poll));
    }
}

#[test]
fn a_wait_that_was_cancelled_or_timed_out_can_be_repeated() {
    let polls = Arc::new(Mutex::new(0));
    let service = serve_except(move |route, _| {
        let is_early = route == REQUEST.to_string() && {
            let mut polls = polls.lock().unwrap();
            *polls += 1;
            *polls <= 2
        };
        is_early.then(|| respond(200, r#"{"auth_request_status_id":3}"#))
    });
    let (client, pending) = (service.client(), begin_authenticator(&service));
    let cancel = WaitPolicy::new().on_progress(|_| ControlFlow::Break(()));
    let end = pending.wait(client, &cancel).unwrap();
    assert!(matches!(end, SignIn::Cancelled), "{end:?}");
    let short = WaitPolicy::new().timeout(seconds(2));
    let end = pending.wait(client, &short).unwrap();
    assert!(matches!(end, SignIn::StillPending), "{end:?}");
    assert_ada(pending.wait(client, &WaitPolicy::new()));
    service.body("authenticator/start");
    service.body("authenticator/validate");
}

#[test]
fn a_wait_lasts_as_long_as_the_request() {
    for (response, request_timeout, expected) in [
        (json!(60), None, 60),
        (json!("45"), None, 45),
        (json!(60), Some(30), 60),
        (json!(null), Some(30), 30),
        (json!(-1), Some(30), 30),
        (json!(null), None, 300),
        (json!(0), Some(30), 0),
    ] {
        let service = serve_except(move |route, _| match route {
            "authenticator/start" => {
                let body = json!({
                    "auth_request_id": REQUEST,
                    "auth_validation_token": TOKEN,
                    "timeout_in_seconds": response,
                });
                Some(respond(200, body.to_string()))
            }
            _ => Some(respond(200, "{}")),
        });
        let mut request = authenticator();
        request.timeout_in_seconds = request_timeout;
        let client = service.client();
        let pending = client
            .begin_authenticator_sign_in(&request)
            .unwrap()
            .pending;
        let end = pending.wait(client, &WaitPolicy::new()).unwrap();
        assert!(matches!(end, SignIn::StillPending));
        let slept: Duration = service.test.clock.slept().iter().sum();
        assert_eq!(slept, seconds(expected));
    }
}

#[test]
fn a_finish_response_that_does_not_match_ends_it_before_the_validation() {
    let finish = |id: Option<Uuid>, token: Option<&str>| json!({"auth_request_id": id, "auth_validation_token": token, "user_id": ADA});
    for (body, kind) in [
        (
            finish(Some(OTHER_REQUEST), Some(FINISH_TOKEN)),
            ErrorKind::Mismatch,
        ),
        (
            finish(Some(Uuid::nil()), Some(FINISH_TOKEN)),
            ErrorKind::Mismatch,
        ),
        (finish(Some(REQUEST), None), ErrorKind::Decode),
        (finish(Some(REQUEST), Some("")), ErrorKind::Decode),
    ] {
        let service = serve_with("webauthn/finish", 200, body.to_string());
        let end = begin_webauthn(&service).complete(service.client(), PAGE);
        let error = assert_kind(end, kind);
        let text = error.to_string();
        assert!(
            ["flow: ", "finish_webauthn_auth: "]
                .iter()
                .any(|area| text.starts_with(area)),
            "{text}"
        );
        assert!(error.may_have_been_sent());
        assert_eq!(service.routes(), ["webauthn/start", "webauthn/finish"]);
    }
    let service = serve_with("webauthn/finish", 403, "");
    let end = begin_webauthn(&service).complete(service.client(), PAGE);
    assert_kind(end, ErrorKind::Forbidden);
    assert_eq!(service.routes(), ["webauthn/start", "webauthn/finish"]);
}

#[test]
fn a_finish_response_without_an_id_is_about_the_request_that_was_finished() {
    for body in [
        json!({"auth_validation_token": FINISH_TOKEN, "user_id": ADA}),
        json!({"auth_request_id": null, "auth_validation_token": FINISH_TOKEN}),
        json!({"auth_request_id": "", "auth_validation_token": FINISH_TOKEN, "user_id": ""}),
    ] {
        let service = serve_with("webauthn/finish", 200, body.to_string());
        let end = begin_webauthn(&service)
            .complete(service.client(), PAGE)
            .unwrap();
        assert!(matches!(end, SignIn::SignedIn(_)), "{end:?}");
        assert_eq!(
            service.body("webauthn/validate")["auth_request_id"],
            json!(REQUEST)
        );
    }
}

#[test]
fn the_user_of_the_finish_response_must_be_the_one_who_signs_in() {
    let body = json!({
        "auth_request_id": REQUEST,
        "auth_validation_token": FINISH_TOKEN,
        "user_id": EVE,
    });
    let service = serve_with("webauthn/finish", 200, body.to_string());
    let end = begin_webauthn(&service).complete(service.client(), PAGE);
    assert_kind(end, ErrorKind::Mismatch);
}

#[test]
fn the_page_may_send_an_object_or_a_text_that_holds_one() {
    for page in [
        PAGE.to_owned(),
        format!(" {PAGE}\n"),
        json!(PAGE).to_string(),
        // One page SDK sends a string that holds the object.
        json!(format!(" {PAGE} ")).to_string(),
    ] {
        let service = serve(ApiVersion::V4, regular);
        assert_ada(begin_webauthn(&service).complete(service.client(), &page));
        let sent = service.body("webauthn/finish")["authenticator_response_data"].clone();
        assert_eq!(sent, PAGE);
    }
}

#[test]
fn junk_from_the_page_is_not_sent() {
    let service = serve(ApiVersion::V4, regular);
    let pending = begin_webauthn(&service);
    let deep = "[".repeat(100_000);
    for page in [
        "",
        "s3cr3t",
        "null",
        "true",
        "7",
        "[]",
        "{",
        r#"{"s3cr3t":}"#,
        "{} {}",
        r#""""#,
        r#""s3cr3t""#,
        r#""[]""#,
        // A string in a string is refused.
        r#""\"{}\"""#,
        &deep,
    ] {
        let error = assert_kind(
            pending.complete(service.client(), page),
            ErrorKind::InvalidInput,
        );
        assert!(!error.may_have_been_sent());
    }
    assert_eq!(service.routes(), ["webauthn/start"]);
}

#[test]
fn a_link_that_does_not_match_is_not_validated() {
    let service = serve(ApiVersion::V4, regular);
    let pending = begin_magiclink(&service);
    let (id, token) = (
        format!("auth_request_id={REQUEST}"),
        format!("auth_validation_token={LINK_TOKEN}"),
    );
    for (query, kind) in [
        (String::new(), ErrorKind::InvalidInput),
        ("https://app.example/in".to_owned(), ErrorKind::InvalidInput),
        (id.clone(), ErrorKind::InvalidInput),
        (token.clone(), ErrorKind::InvalidInput),
        (
            format!("{id}&auth_validation_token="),
            ErrorKind::InvalidInput,
        ),
        (
            format!("{id}&auth_validation_token"),
            ErrorKind::InvalidInput,
        ),
        (format!("{id}&{token}&{id}"), ErrorKind::InvalidInput),
        (format!("{id}&{token}&{token}"), ErrorKind::InvalidInput),
        (
            format!("auth_request_id=7&{token}"),
            ErrorKind::InvalidInput,
        ),
        // A fragment does not reach a server.
        (format!("?x=1#{id}&{token}"), ErrorKind::InvalidInput),
        // The link of a registration.
        (
            format!("registration_id={REQUEST}&registration_validation_token={LINK_TOKEN}"),
            ErrorKind::InvalidInput,
        ),
        (
            format!("auth_request_id={OTHER_REQUEST}&{token}"),
            ErrorKind::Mismatch,
        ),
        (
            format!("auth_request_id={}&{token}", Uuid::nil()),
            ErrorKind::Mismatch,
        ),
    ] {
        let error = assert_kind(pending.complete(service.client(), &query), kind);
        assert!(!error.may_have_been_sent(), "{query}");
    }
    assert_eq!(service.routes(), ["magiclink_email/start"]);
    // The pending state still works with the right link.
    assert_ada(pending.complete(service.client(), &format!("?{token}&{id}&own=1")));
}
