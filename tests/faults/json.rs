//! J: what is not the expected JSON.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::api::ErrorKind::{Api, Decode, Forbidden, Mismatch, NotFound, Unavailable};
use super::api::flow::{BrowserSignIn, ExpectedUser, Method, SignIn};
use super::api::{Client, Error, auth::AuthRequestStatus};
use super::fake::{Fake, answer, answer_with, tokens};
use super::harness::{
    Call, Expect, Good, NAME, REQUEST_ID, Row, SECRET, TOKEN, USER_ID, VALIDATION, World, fails,
    not_authorized, served, validated,
};

/// The API answers everything with this.
fn answering(status: u16, body: impl Into<String>) -> World {
    let body = body.into();
    Fake::new(tokens, move |_, _, _| answer(status, body.clone())).world()
}

/// The call is answered with this.
fn body(row: &mut Row, call: Call, body: impl Into<String>, expect: &Expect) {
    row.endure(&answering(200, body), call, &expect.clone().tokens(1));
}

fn undecodable() -> Expect {
    fails(Decode).status(200)
}

fn name_of_the_answer(call: Call) -> &'static str {
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
            let expect = undecodable().says(name_of_the_answer(call));
            body(&mut row, call, bad, &expect);
        }
    }
    row.note("the error names the type and the place");
    row.done();
}

#[test]
fn j2_unknown_fields() {
    let mut row = Row::new("J2", "unknown fields");
    for call in Call::ALL {
        let more = call
            .body()
            .replacen('{', r#"{"new":{"a":[1,{}]},"x":null,"#, 1);
        body(&mut row, call, more, &served());
    }
    row.done();
}

#[test]
fn j3_optional_fields_are_missing_or_null() {
    let mut row = Row::new("J3", "optional fields missing or null");
    for more in [
        "",
        r#","email_address":null,"date_created":null,"enrolled_auth_methods":null"#,
    ] {
        let user = format!(r#"{{"user_id":"{USER_ID}"{more}}}"#);
        body(&mut row, Call::Read, user, &served());
    }
    for more in [
        "",
        r#","user_id":null,"qr_code_data":null,"timeout_in_seconds":null"#,
    ] {
        let started = format!(r#"{{"auth_request_id":"{REQUEST_ID}"{more}}}"#);
        body(&mut row, Call::Start, started, &served());
    }
    for empty in [
        "{}",
        r#"{"validate_auth_response_details":null}"#,
        r#"{"validate_auth_response_details":{"auth_details":null}}"#,
    ] {
        body(&mut row, Call::Validate, empty, &not_authorized());
    }
    row.done();
}

#[test]
fn j4_required_fields_are_missing() {
    let mut row = Row::new("J4", "a required field is missing or null");
    let expect = undecodable();
    body(
        &mut row,
        Call::Read,
        "{}",
        &expect.clone().says("user_id is missing"),
    );
    let null = r#"{"user_id":null}"#;
    body(
        &mut row,
        Call::Read,
        null,
        &expect.clone().says("user_id has the wrong type"),
    );
    body(
        &mut row,
        Call::Start,
        "{}",
        &expect.says("auth_request_id is missing"),
    );
    // Nothing in it is required, and so nobody is signed in.
    body(&mut row, Call::Validate, "{}", &not_authorized());
    row.note("the error names the field");
    row.done();
}

#[test]
fn j5_unknown_enum_values() {
    let mut row = Row::new("J5", "enum values that nobody knows, or in another case");
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
        Ok(Good::Served)
    };
    row.endure_other(&answering(200, info), true, get, &served().tokens(1));
    for code in ["77", "-1", r#""77""#] {
        let odd = validated("false", &USER_ID.to_string(), NAME)
            .replace(r#""result_code":2"#, &format!(r#""result_code":{code}"#));
        body(&mut row, Call::Validate, odd, &not_authorized());
    }
    row.note("they are kept and go back as they came");
    row.done();
}

#[test]
fn j6_numbers_as_text_and_text_as_numbers() {
    let mut row = Row::new("J6", "number as text, text as number");
    let timeout = Call::Start.body().replacen(
        '{',
        r#"{"timeout_in_seconds":"60","visual_verify_value":42,"#,
        1,
    );
    body(&mut row, Call::Start, timeout, &served());
    let status = Call::Validate.body().replace(":2", r#":"2""#);
    body(&mut row, Call::Validate, status, &served());
    body(&mut row, Call::Read, r#"{"user_id":5}"#, &undecodable());
    body(
        &mut row,
        Call::Start,
        r#"{"auth_request_id":5}"#,
        &undecodable(),
    );
    row.note("tolerated in numbers, codes and states; not in ids");
    row.done();
}

#[test]
fn j8_deep_nesting() {
    let mut row = Row::new("J8", "200,000 times `[`");
    for call in Call::ALL {
        for deep in [
            "[".repeat(200_000),
            format!(r#"{{"x":{}"#, "[".repeat(200_000)),
        ] {
            body(&mut row, call, deep, &undecodable());
        }
    }
    row.done();
}

#[test]
fn j9_numbers_and_dates_beyond_measure() {
    let mut row = Row::new(
        "J9",
        "1e400; dates without zone, of the year 9999, or none at all",
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
            Ok(Good::Served)
        };
        row.endure_other(&answering(200, user), true, get, &served().tokens(1));
    }
    for number in ["1e400", "-1e400", "123456789012345678901234567890"] {
        let huge = format!(r#"{{"auth_request_id":"{REQUEST_ID}","x":{number}}}"#);
        body(&mut row, Call::Start, huge, &served());
    }
    let huge = format!(r#"{{"auth_request_id":"{REQUEST_ID}","timeout_in_seconds":1e400}}"#);
    body(&mut row, Call::Start, huge, &undecodable());
    row.note("dates stay the server's text");
    row.done();
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
            row.endure(&answering(400, odd), call, &refused);
            let forbidden = expect(fails(Forbidden).status(403));
            row.endure(&answering(403, odd), call, &forbidden);
            let down = expect(fails(Unavailable).status(500).requests(3, 1));
            row.endure(&answering(500, odd), call, &down);
        }
    }
    row.done();
}

#[test]
fn j12_a_value_that_the_parser_would_quote() {
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
            body(
                &mut row,
                call,
                odd,
                &undecodable().says("has the wrong type"),
            );
        }
        let token = format!(r#"{{"access_token":"x","expires_in":"{secret}"}}"#);
        let fake = Fake::new(
            move |_, _, _| answer(200, token.clone()),
            |_, request, _| super::fake::healthy(request),
        );
        let expect = undecodable().unsent().tokens(1);
        row.endure(&fake.world(), Call::Read, &expect);
    }
    row.note("the error names the field, not the value");
    row.done();
}

#[test]
fn j14_authorized_is_not_quite_true() {
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
        body(
            &mut row,
            Call::Validate,
            validated(odd, &id, NAME),
            &not_authorized(),
        );
    }
    let missing = validated("true", &id, NAME).replace(r#""authorized":true,"#, "");
    body(&mut row, Call::Validate, missing, &not_authorized());
    let elsewhere = r#"{"authorized":true,"auth_details":{"authorized":true}}"#;
    body(&mut row, Call::Validate, elsewhere, &not_authorized());
    row.done();
}

#[test]
fn j15_about_somebody_or_something_else() {
    let mut row = Row::new("J15", "answer for another user, request or nonce");
    let id = USER_ID.to_string();
    let mismatch = fails(Mismatch).tokens(1);
    for other in [
        validated("true", &id, "eve"),
        validated("true", "00000000-0000-0000-0000-000000000000", NAME),
        validated("true", &id, NAME).replace(r#""username":"#, r#""nickname":"#),
        validated("true", &id, NAME).replace(r#""result_code":2"#, r#""result_code":3"#),
        validated("true", &id, NAME).replace("auth_profile_details", "profile"),
    ] {
        row.endure(&answering(200, other), Call::Validate, &mismatch);
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
    for (answer, expect) in [
        (signed(&ours, "ours"), served().tokens(1)),
        (signed(&id, "ours"), mismatch.clone()),
        (signed(&ours, "theirs"), mismatch),
    ] {
        row.endure_other(&answering(200, answer), false, with_nonce, &expect);
    }
    row.done();
}

fn with_nonce(client: &Client) -> Result<Good, Error> {
    let expected = ExpectedUser::Is(NAME.into());
    let from_page = BrowserSignIn::new(Method::Authenticator, REQUEST_ID, VALIDATION, expected);
    let end = client.complete_browser_sign_in(&from_page.nonce("ours"))?;
    Ok(match end {
        SignIn::SignedIn(_) => Good::Served,
        _ => Good::NotAuthorized,
    })
}

#[test]
fn j16_an_array_instead_of_a_page() {
    let mut row = Row::new("J16", "an array where an object is expected");
    let list = |client: &Client| {
        client
            .list_users(super::api::users::UserQuery::new())
            .map(|_| Good::Served)
    };
    let empty = |client: &Client| {
        let page = client.list_users(super::api::users::UserQuery::new())?;
        assert!(page.records.is_empty());
        Ok(Good::Served)
    };
    for odd in ["[]", "[{}]", "[[],{}]"] {
        let expect = undecodable().tokens(1);
        row.endure_other(&answering(200, odd), true, list, &expect);
        for call in Call::ALL {
            body(&mut row, call, odd, &undecodable());
        }
    }
    for none in [
        "{}",
        r#"{"user_records":null,"page_info":null}"#,
        r#"{"user_records":[]}"#,
    ] {
        row.endure_other(&answering(200, none), true, empty, &served().tokens(1));
    }
    row.note("a page without records is an empty one");
    row.done();
}

#[test]
fn j17_the_server_repeats_the_username() {
    let mut row = Row::new("J17", "`error_message` repeats the username");
    let echo =
        format!(r#"{{"error_code":404,"error_message":"no user {NAME}","tracking_id":"t-1"}}"#);
    for call in Call::ALL {
        let expect = fails(NotFound)
            .status(404)
            .code("404")
            .tracking_id("t-1")
            .tokens(1);
        row.endure(&answering(404, echo.clone()), call, &expect);

        let error = call.make(&answering(404, echo.clone()).client).unwrap_err();
        assert!(error.server_message().unwrap().contains(NAME));
        assert!(format!("{error:#}").contains(NAME));
    }
    // Where a code or an id belongs, it is dropped.
    let hidden = format!(r#"{{"error_code":"{NAME}","tracking_id":"{NAME}","error":"x"}}"#);
    for call in Call::ALL {
        let fake = Fake::new(tokens, {
            let hidden = hidden.clone();
            move |_, _, _| answer_with(404, &[("x-tracking", NAME)], hidden.clone())
        });
        row.endure(&fake.world(), call, &fails(NotFound).status(404).tokens(1));
    }
    row.note("it is in `server_message()` and `{:#}` only");
    row.done();
}
