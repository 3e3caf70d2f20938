//! J: unexpected JSON.

use autharmor::ErrorKind::{Api, Decode, Forbidden, Mismatch, NotFound, Unavailable};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use autharmor::{Client, Error, auth::AuthRequestStatus};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::calls::{Call, Outcome, REQUEST_ID, USER_ID, validated};
use super::expect::{Expect, fails, not_authorized, served};
use super::fake_service::{FakeService, respond, respond_with, tokens};
use super::harness::{Row, Scenario};
use super::secrets::{NAME, SECRET, TOKEN, VALIDATION};

/// An API with one response for everything.
fn responding(status: u16, body: impl Into<String>) -> Scenario {
    let body = body.into();
    FakeService::new(tokens, move |_, _, _| respond(status, body.clone())).scenario()
}

/// Checks the call with this response body.
fn check_body(row: &mut Row, call: Call, body: impl Into<String>, expect: &Expect) {
    row.check_call(&responding(200, body), call, &expect.clone().tokens(1));
}

fn undecodable() -> Expect {
    fails(Decode).status(200)
}

fn type_of_response(call: Call) -> &'static str {
    match call {
        Call::Read => "UserDetails: ",
        Call::Start => "StartAuthenticatorAuthResponse: ",
        Call::Validate => "ValidateAuthResponse: ",
    }
}

#[test]
fn j1_not_one_json_document() {
    let mut row = Row::new(
        "J1",
        "malformed, truncated, trailing bytes, byte order mark",
    );
    for call in Call::ALL {
        let good = call.body();
        for bad in [
            good.replace(':', "="),
            good[..good.len() / 2].to_owned(),
            good[..good.len() - 1].to_owned(),
            format!("{good}{good}"),
            format!("{good} x"),
            format!("\u{feff}{good}"),
            "\0".to_owned(),
        ] {
            let expect = undecodable().says(type_of_response(call));
            check_body(&mut row, call, bad, &expect);
        }
    }
    row.note("the error names the type and the position");
    row.finish();
}

#[test]
fn j2_unknown_fields() {
    let mut row = Row::new("J2", "unknown fields");
    for call in Call::ALL {
        let more = call
            .body()
            .replacen('{', r#"{"new":{"a":[1,{}]},"x":null,"#, 1);
        check_body(&mut row, call, more, &served());
    }
    row.finish();
}

#[test]
fn j3_optional_fields_missing() {
    let mut row = Row::new("J3", "optional fields missing or null");
    for more in [
        "",
        r#","email_address":null,"date_created":null,"enrolled_auth_methods":null"#,
    ] {
        let user = format!(r#"{{"user_id":"{USER_ID}"{more}}}"#);
        check_body(&mut row, Call::Read, user, &served());
    }
    for more in [
        "",
        r#","user_id":null,"qr_code_data":null,"timeout_in_seconds":null"#,
    ] {
        let started = format!(r#"{{"auth_request_id":"{REQUEST_ID}"{more}}}"#);
        check_body(&mut row, Call::Start, started, &served());
    }
    for empty in [
        "{}",
        r#"{"validate_auth_response_details":null}"#,
        r#"{"validate_auth_response_details":{"auth_details":null}}"#,
    ] {
        check_body(&mut row, Call::Validate, empty, &not_authorized());
    }
    row.finish();
}

#[test]
fn j4_required_fields_missing() {
    let mut row = Row::new("J4", "a required field is missing or null");
    let expect = undecodable();
    check_body(
        &mut row,
        Call::Read,
        "{}",
        &expect.clone().says("user_id is missing"),
    );
    let null = r#"{"user_id":null}"#;
    check_body(
        &mut row,
        Call::Read,
        null,
        &expect.clone().says("user_id has the wrong type"),
    );
    check_body(
        &mut row,
        Call::Start,
        "{}",
        &expect.says("auth_request_id is missing"),
    );
    // No field of it is required, and nobody is signed in.
    check_body(&mut row, Call::Validate, "{}", &not_authorized());
    row.note("the error names the field");
    row.finish();
}

#[test]
fn j5_unknown_enum_values() {
    let mut row = Row::new("J5", "enum values that are unknown or in another case");
    let info = r#"{"auth_request_status_id":99,"auth_response":{"auth_details":{"request_details":{"auth_method":"WEBAUTHN"}}}}"#;
    let get = |client: &Client| {
        let info = client.get_auth_info(REQUEST_ID)?;
        assert_eq!(
            info.auth_request_status_id,
            Some(AuthRequestStatus::Other(99))
        );
        let json = serde_json::to_value(&info).unwrap();
        let method = "/auth_response/auth_details/request_details/auth_method";
        assert_eq!(json["auth_request_status_id"], 99);
        assert_eq!(json.pointer(method).unwrap(), "WEBAUTHN");
        Ok(Outcome::Served)
    };
    row.check_other_call(&responding(200, info), true, get, &served().tokens(1));
    for code in ["77", "-1", r#""77""#] {
        let odd = validated("false", &USER_ID.to_string(), NAME)
            .replace(r#""result_code":2"#, &format!(r#""result_code":{code}"#));
        check_body(&mut row, Call::Validate, odd, &not_authorized());
    }
    row.note("they are kept and serialised unchanged");
    row.finish();
}

#[test]
fn j6_numbers_as_text_and_text_as_numbers() {
    let mut row = Row::new("J6", "number as text, text as number");
    let timeout = Call::Start.body().replacen(
        '{',
        r#"{"timeout_in_seconds":"60","visual_verify_value":42,"#,
        1,
    );
    check_body(&mut row, Call::Start, timeout, &served());
    let status = Call::Validate.body().replace(":2", r#":"2""#);
    check_body(&mut row, Call::Validate, status, &served());
    check_body(&mut row, Call::Read, r#"{"user_id":5}"#, &undecodable());
    check_body(
        &mut row,
        Call::Start,
        r#"{"auth_request_id":5}"#,
        &undecodable(),
    );
    row.note("accepted for numbers, codes and states; not for ids");
    row.finish();
}

#[test]
fn j8_deep_nesting() {
    let mut row = Row::new("J8", "200,000 times `[`");
    for call in Call::ALL {
        for deep in [
            "[".repeat(200_000),
            format!(r#"{{"x":{}"#, "[".repeat(200_000)),
        ] {
            check_body(&mut row, call, deep, &undecodable());
        }
    }
    row.finish();
}

#[test]
fn j9_extreme_numbers_and_dates() {
    let mut row = Row::new(
        "J9",
        "1e400; dates without zone, of the year 9999, or no dates",
    );
    for date in [
        "2020-07-11T17:09:44",
        "9999-12-31T23:59:59Z",
        "+12345-01-01",
        "soon",
        "",
    ] {
        let user = format!(r#"{{"user_id":"{USER_ID}","date_created":"{date}"}}"#);
        let get = move |client: &Client| {
            let created = client.get_user(NAME)?.date_created.unwrap();
            assert_eq!(created.as_str(), date);
            #[cfg(feature = "jiff")]
            let _ = created.to_jiff();
            Ok(Outcome::Served)
        };
        row.check_other_call(&responding(200, user), true, get, &served().tokens(1));
    }
    for number in ["1e400", "-1e400", "123456789012345678901234567890"] {
        let huge = format!(r#"{{"auth_request_id":"{REQUEST_ID}","x":{number}}}"#);
        check_body(&mut row, Call::Start, huge, &served());
    }
    let huge = format!(r#"{{"auth_request_id":"{REQUEST_ID}","timeout_in_seconds":1e400}}"#);
    check_body(&mut row, Call::Start, huge, &undecodable());
    row.note("dates keep the server's text");
    row.finish();
}

#[test]
fn j11_error_bodies_of_any_kind() {
    let mut row = Row::new(
        "J11",
        "error body: web page, text, array, `{}`, wrong types, 1 MB, none",
    );
    let long = "x".repeat(1_000_000);
    for odd in [
        "",
        "<html>no</html>",
        "\"no\"",
        "[1]",
        "{}",
        "null",
        r#"{"error_code":{},"error_message":[1],"tracking_id":7.5e3}"#,
        r#"{"error_code":"#,
        &long,
        &"[".repeat(200_000),
    ] {
        for call in Call::ALL {
            // One of them has a tracking id, if a strange one.
            let expect = |expect: Expect| {
                let expect = expect.tokens(1);
                if odd.contains("7.5e3") {
                    expect.tracking_id("7500")
                } else {
                    expect
                }
            };
            let refused = expect(fails(Api).status(400));
            row.check_call(&responding(400, odd), call, &refused);
            let forbidden = expect(fails(Forbidden).status(403));
            row.check_call(&responding(403, odd), call, &forbidden);
            let down = expect(fails(Unavailable).status(500).requests(3, 1));
            row.check_call(&responding(500, odd), call, &down);
        }
    }
    row.finish();
}

#[test]
fn j12_value_that_a_parser_would_quote() {
    let mut row = Row::new("J12", "a secret where another type belongs");
    for secret in [SECRET, TOKEN, VALIDATION, NAME] {
        for (call, field) in [
            (Call::Read, "user_id"),
            (Call::Read, "enrolled_auth_methods"),
            (Call::Start, "auth_request_id"),
            (Call::Start, "timeout_in_seconds"),
            (Call::Validate, "auth_request_status_id"),
            (Call::Validate, "validate_auth_response_details"),
        ] {
            let odd = format!(r#"{{"{field}":"{secret}"}}"#);
            check_body(
                &mut row,
                call,
                odd,
                &undecodable().says(format!("{field} has the wrong type").leak()),
            );
        }
        let token = format!(r#"{{"access_token":"x","expires_in":"{secret}"}}"#);
        let service = FakeService::new(
            move |_, _, _| respond(200, token.clone()),
            |_, request, _| super::fake_service::healthy(request),
        );
        let expect = undecodable().unsent().tokens(1);
        let expect = expect.says("expires_in has the wrong type");
        row.check_call(&service.scenario(), Call::Read, &expect);
    }
    row.note("the error names the field, not the value");
    row.finish();
}

#[test]
fn j14_authorized_is_not_true() {
    let mut row = Row::new(
        "J14",
        "`authorized` missing, null, false, `\"true\"`, 1, `[true]`",
    );
    let id = USER_ID.to_string();
    for odd in [
        "null",
        "false",
        "\"true\"",
        "1",
        "[true]",
        r#"{"true":true}"#,
    ] {
        check_body(
            &mut row,
            Call::Validate,
            validated(odd, &id, NAME),
            &not_authorized(),
        );
    }
    let missing = validated("true", &id, NAME).replace(r#""authorized":true,"#, "");
    check_body(&mut row, Call::Validate, missing, &not_authorized());
    let elsewhere = r#"{"authorized":true,"auth_details":{"authorized":true}}"#;
    check_body(&mut row, Call::Validate, elsewhere, &not_authorized());
    row.finish();
}

#[test]
fn j15_about_another_user_or_request() {
    let mut row = Row::new("J15", "response for another user, request or nonce");
    let id = USER_ID.to_string();
    let mismatch = fails(Mismatch).tokens(1);
    for other in [
        validated("true", &id, "eve"),
        validated("true", "00000000-0000-0000-0000-000000000000", NAME),
        validated("true", &id, NAME).replace(r#""username":"#, r#""nickname":"#),
        validated("true", &id, NAME).replace(r#""result_code":2"#, r#""result_code":3"#),
        validated("true", &id, NAME).replace("auth_profile_details", "profile"),
    ] {
        row.check_call(&responding(200, other), Call::Validate, &mismatch);
    }
    // What the device signed.
    let signed = |request: &str, nonce: &str| {
        let message = format!(
            r#"{{"message_data":{{"auth_request_id":"{request}"}},"signing_data":{{"nonce":"{nonce}"}}}}"#
        );
        let data = BASE64_STANDARD.encode(message);
        validated("true", &id, NAME).replace(
            r#""response_details":{"#,
            &format!(r#""response_details":{{"secure_signed_message":{{"signed_data":"{data}"}},"#),
        )
    };
    let ours = REQUEST_ID.to_string();
    for (response, expect) in [
        (signed(&ours, "ours"), served().tokens(1)),
        (signed(&id, "ours"), mismatch.clone()),
        (signed(&ours, "theirs"), mismatch),
    ] {
        row.check_other_call(&responding(200, response), false, with_nonce, &expect);
    }
    row.finish();
}

fn with_nonce(client: &Client) -> Result<Outcome, Error> {
    let expected = ExpectedUser::Is(NAME.into());
    let from_page = BrowserSignIn::new(Method::Authenticator, REQUEST_ID, VALIDATION, expected);
    let end = client.complete_browser_sign_in(&from_page.nonce("ours"))?;
    Ok(match end {
        SignIn::SignedIn(_) => Outcome::Served,
        _ => Outcome::NotAuthorized,
    })
}

#[test]
fn j16_array_instead_of_an_object() {
    let mut row = Row::new("J16", "an array where an object is expected");
    let list = |client: &Client| {
        client
            .list_users(autharmor::users::UserQuery::new())
            .map(|_| Outcome::Served)
    };
    let empty = |client: &Client| {
        let page = client.list_users(autharmor::users::UserQuery::new())?;
        assert!(page.records.is_empty());
        Ok(Outcome::Served)
    };
    for odd in ["[]", "[{}]", "[[],{}]"] {
        let expect = undecodable().tokens(1);
        row.check_other_call(&responding(200, odd), true, list, &expect);
        for call in Call::ALL {
            check_body(&mut row, call, odd, &undecodable());
        }
    }
    for none in [
        "{}",
        r#"{"user_records":null,"page_info":null}"#,
        r#"{"user_records":[]}"#,
    ] {
        row.check_other_call(&responding(200, none), true, empty, &served().tokens(1));
    }
    row.note("a page without records is an empty one");
    row.finish();
}

#[test]
fn j17_error_message_repeats_the_username() {
    let mut row = Row::new("J17", "`error_message` repeats the username");
    let echo =
        format!(r#"{{"error_code":404,"error_message":"no user {NAME}","tracking_id":"t-1"}}"#);
    for call in Call::ALL {
        let expect = fails(NotFound)
            .status(404)
            .code("404")
            .tracking_id("t-1")
            .tokens(1);
        row.check_call(&responding(404, echo.clone()), call, &expect);

        let error = call
            .make(&responding(404, echo.clone()).client)
            .unwrap_err();
        assert!(error.server_message().unwrap().contains(NAME));
        assert!(format!("{error:#}").contains(NAME));
    }
    // In place of a code or an id, it is dropped.
    let hidden = format!(r#"{{"error_code":"{NAME}","tracking_id":"{NAME}","error":"x"}}"#);
    for call in Call::ALL {
        let service = FakeService::new(tokens, {
            let hidden = hidden.clone();
            move |_, _, _| respond_with(404, &[("x-tracking", NAME)], hidden.clone())
        });
        row.check_call(
            &service.scenario(),
            call,
            &fails(NotFound).status(404).tokens(1),
        );
    }
    row.note("only in `server_message()` and `{:#}`");
    row.finish();
}
