//! R: responses and requests, second list. R8 is in `wiped.rs`, rows about
//! flows are in `second_flows.rs`.

use autharmor::ErrorKind::{Api, Decode, InvalidInput, RateLimited};
use autharmor::auth::{
    FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use autharmor::flow::WaitPolicy;
use autharmor::registrations::{
    Fido2RegistrationData, FinishWebauthnRegistration, StartAuthenticatorRegistration,
    StartChangeMagiclinkEmail, StartMagiclinkEmailRegistration, StartWebauthnRegistration,
    StartWebauthnRegistrationForUser, ValidateMagiclinkEmailRegistration, ValidateRegistration,
};
use autharmor::users::{UpdateUser, UserQuery};
use autharmor::{Client, Endpoint, Error, PageQuery};
use serde_json::{Value, json};

use super::calls::{Call, Outcome, REQUEST_ID, USER_ID, seconds, validated};
use super::expect::{Expect, fails, served};
use super::fake_service::{FakeService, respond, respond_with, tokens, with_clock};
use super::harness::{Row, Scenario};
use super::secrets::{NAME, VALIDATION};

const URL: &str = "https://app.example/in";

/// An API with one response for everything.
fn responding(status: u16, body: &Value) -> Scenario {
    let body = body.to_string();
    FakeService::new(tokens, move |_, _, _| respond(status, body.clone())).scenario()
}

type Make = fn(&Client) -> Result<(), Error>;

fn finish_registration() -> FinishWebauthnRegistration {
    let data = Fido2RegistrationData::new("a", "b", "c");
    FinishWebauthnRegistration::new(VALIDATION, data)
}

/// One call to every endpoint. By id where v3 would look up a name first.
fn every_call() -> Vec<(&'static str, Make)> {
    macro_rules! calls {
        ($($name:literal: $call:expr;)*) => {
            vec![$(($name, |client| ($call)(client).map(drop))),*]
        };
    }
    calls! {
        "start_authenticator_auth": |it: &Client| it.start_authenticator_auth(&StartAuthenticatorAuth::new().user(NAME));
        "validate_authenticator_auth": |it: &Client| it.validate_authenticator_auth(&ValidateAuth::new(REQUEST_ID, VALIDATION));
        "start_webauthn_auth": |it: &Client| it.start_webauthn_auth(&StartWebauthnAuth::new().user(NAME));
        "finish_webauthn_auth": |it: &Client| it.finish_webauthn_auth(&FinishWebauthnAuth::new(REQUEST_ID, VALIDATION, "{}"));
        "validate_webauthn_auth": |it: &Client| it.validate_webauthn_auth(&ValidateAuth::new(REQUEST_ID, VALIDATION));
        "start_magiclink_email_auth": |it: &Client| it.start_magiclink_email_auth(&StartMagiclinkEmailAuth::new(NAME, URL));
        "validate_magiclink_email_auth": |it: &Client| it.validate_magiclink_email_auth(&ValidateAuth::new(REQUEST_ID, VALIDATION));
        "get_auth_info": |it: &Client| it.get_auth_info(REQUEST_ID);
        "start_authenticator_registration": |it: &Client| it.start_authenticator_registration(&StartAuthenticatorRegistration::new(NAME));
        "start_authenticator_registration_for_user": |it: &Client| it.start_authenticator_registration_for_user(USER_ID);
        "validate_authenticator_registration": |it: &Client| it.validate_authenticator_registration(REQUEST_ID, &ValidateRegistration::new(VALIDATION));
        "start_webauthn_registration": |it: &Client| it.start_webauthn_registration(&StartWebauthnRegistration::new(NAME));
        "finish_webauthn_registration": |it: &Client| it.finish_webauthn_registration(REQUEST_ID, &finish_registration());
        "start_webauthn_registration_for_user": |it: &Client| it.start_webauthn_registration_for_user(USER_ID, &StartWebauthnRegistrationForUser::new());
        "finish_webauthn_registration_for_user": |it: &Client| it.finish_webauthn_registration_for_user(USER_ID, REQUEST_ID, &finish_registration());
        "validate_webauthn_registration": |it: &Client| it.validate_webauthn_registration(REQUEST_ID, &ValidateRegistration::new(VALIDATION));
        "start_magiclink_email_registration": |it: &Client| it.start_magiclink_email_registration(&StartMagiclinkEmailRegistration::new(NAME, URL));
        "start_magiclink_email_registration_for_user": |it: &Client| it.start_magiclink_email_registration_for_user(USER_ID, &StartMagiclinkEmailRegistration::new(NAME, URL));
        "start_change_magiclink_email": |it: &Client| it.start_change_magiclink_email(USER_ID, &StartChangeMagiclinkEmail::new(NAME, URL));
        "validate_magiclink_email_registration": |it: &Client| it.validate_magiclink_email_registration(None, &ValidateMagiclinkEmailRegistration::new(VALIDATION));
        "get_registration_info": |it: &Client| it.get_registration_info(REQUEST_ID);
        "list_users": |it: &Client| it.list_users(UserQuery::new());
        "get_user": |it: &Client| it.get_user(USER_ID);
        "update_user": |it: &Client| it.update_user(USER_ID, &UpdateUser::new(NAME));
        "get_user_auth_history": |it: &Client| it.get_user_auth_history(USER_ID, PageQuery::new());
        "list_user_credentials": |it: &Client| it.list_user_credentials(USER_ID, PageQuery::new());
        "list_user_authenticator_credentials": |it: &Client| it.list_user_authenticator_credentials(USER_ID, PageQuery::new());
        "list_user_webauthn_credentials": |it: &Client| it.list_user_webauthn_credentials(USER_ID, PageQuery::new());
        "list_user_magiclink_email_credentials": |it: &Client| it.list_user_magiclink_email_credentials(USER_ID, PageQuery::new());
        "get_user_credential": |it: &Client| it.get_user_credential(USER_ID, "c-1");
        "disable_user_credential": |it: &Client| it.disable_user_credential(USER_ID, "c-1");
    }
}

#[test]
fn r1_both_spellings_of_a_field() {
    let mut row = Row::new("R1", "a misspelt field, and its correct spelling");
    for (field, other) in [
        ("currnet_page_number", "current_page_number"),
        ("currnet_page_size", "current_page_size"),
    ] {
        for (first, second) in [(field, other), (other, field)] {
            let page = json!({"user_records": [], "page_info": {(first): 1, (second): 1}});
            let list = |client: &Client| {
                let info = client.list_users(UserQuery::new())?.page_info;
                let found = info.current_page_number.or(info.current_page_size);
                assert_eq!(found, Some(1));
                Ok(Outcome::Served)
            };
            row.check_other_call(&responding(200, &page), true, list, &served().tokens(1));
        }
    }
    // Names of the same list in other endpoints.
    for lists in [
        json!({"user_records": [], "auth_history_records": [], "credential_records": []}),
        json!({"credential_records": null, "user_records": []}),
        json!({"auth_history_records": [], "user_records": []}),
    ] {
        let list = |client: &Client| client.list_users(UserQuery::new()).map(|_| Outcome::Served);
        row.check_other_call(&responding(200, &lists), true, list, &served().tokens(1));
    }
    for body in [
        json!({"error_code": 7, "errorCode": 7, "error_message": "no", "errorMessage": "no",
            "tracking_id": "t-1", "trackingId": "t-1", "trackingGuid": "t-1"}),
        json!({"errorCode": 7, "error_code": 7, "tracking_id": "t-1"}),
        json!({"error_code": 7, "trackingGuid": "t-1", "trackingId": "t-1"}),
        json!({"error_code": 7, "error_message": null, "errorMessage": "no", "trackingId": "t-1"}),
    ] {
        for call in Call::ALL {
            let expect = fails(Api)
                .status(400)
                .code("7")
                .tracking_id("t-1")
                .tokens(1);
            row.check_call(&responding(400, &body), call, &expect);
        }
    }
    // The names of the new credential's id.
    let both = json!({"credential_id": REQUEST_ID, "device_id": REQUEST_ID, "user_id": USER_ID});
    let validate = |client: &Client| {
        let request = ValidateRegistration::new(VALIDATION);
        let end = client.validate_webauthn_registration(REQUEST_ID, &request)?;
        assert_eq!(end.user_id, Some(USER_ID));
        Ok(Outcome::Served)
    };
    row.check_other_call(
        &responding(200, &both),
        false,
        validate,
        &served().tokens(1),
    );
    row.note("both are read, never a duplicate field");
    row.finish();
}

#[test]
fn r2_success_with_an_error_body() {
    let mut row = Row::new("R2", "a 2xx that holds an error body");
    let calls = every_call();
    let mut names: Vec<&str> = calls.iter().map(|(name, _)| *name).collect();
    let mut all: Vec<&str> = Endpoint::ALL.iter().map(|it| it.name()).collect();
    names.sort_unstable();
    all.sort_unstable();
    assert_eq!(names, all);

    let is_read = |name: &str| {
        let endpoint = Endpoint::ALL.iter().find(|it| it.name() == name);
        endpoint.unwrap().is_read()
    };
    for (status, body) in [
        (
            200,
            json!({"error_code": 4711, "error_message": "no", "tracking_id": "t-1"}),
        ),
        (
            201,
            json!({"errorCode": 4711, "errorMessage": "no", "trackingGuid": "t-1"}),
        ),
        (
            202,
            json!({"error_code": "4711", "tracking_id": "t-1", "details": []}),
        ),
    ] {
        for (name, make) in every_call() {
            let expect = fails(Api)
                .status(status)
                .code("4711")
                .tracking_id("t-1")
                .tokens(1);
            let make = move |client: &Client| make(client).map(|()| Outcome::Served);
            row.check_other_call(&responding(status, &body), is_read(name), make, &expect);
        }
        let text = body.to_string();
        let service = FakeService::new(tokens, move |_, _, _| respond(status, text.clone()));
        let (scenario, _) = with_clock(service);
        let wait = |client: &Client| {
            let policy = WaitPolicy::new().timeout(seconds(10));
            client
                .wait_for_auth(REQUEST_ID, &policy)
                .map(|_| Outcome::Served)
        };
        let expect = fails(Api)
            .status(status)
            .code("4711")
            .tracking_id("t-1")
            .tokens(1);
        row.check_other_call(&scenario, true, wait, &expect);
    }
    row.note("for every endpoint, and for polls");
    row.finish();
}

#[test]
fn r3_fields_of_another_form() {
    let mut row = Row::new("R3", "ids of another form after a call has taken effect");
    for odd in [json!("iPhone-7"), json!(7), json!("")] {
        let validate = |client: &Client| {
            let request = ValidateRegistration::new(VALIDATION);
            let end = client.validate_authenticator_registration(REQUEST_ID, &request)?;
            assert_eq!(end.user_id, Some(USER_ID));
            Ok(Outcome::Served)
        };
        for name in ["device_id", "credential_id"] {
            let body = json!({(name): odd, "user_id": USER_ID});
            let scenario = responding(200, &body);
            row.check_other_call(&scenario, false, validate, &served().tokens(1));
        }

        let mut body: Value = serde_json::from_str(&Call::Validate.body()).unwrap();
        let details = &mut body["validate_auth_response_details"];
        details["auth_history_id"] = odd.clone();
        details["auth_details"]["response_details"]["mobile_device_details"] =
            json!({"device_id": odd});
        row.check_call(&responding(200, &body), Call::Validate, &served().tokens(1));

        let mut body: Value = serde_json::from_str(&Call::Start.body()).unwrap();
        body["device_id"] = odd;
        row.check_call(&responding(200, &body), Call::Start, &served().tokens(1));
    }
    row.note("ignored, or kept as text");
    row.finish();
}

#[test]
fn r4_ids_that_the_caller_already_has() {
    let mut row = Row::new("R4", "a response lacks an id that the caller has");
    let expect = served().tokens(1);
    for body in [
        json!({"auth_validation_token": VALIDATION, "user_id": USER_ID}),
        json!({"auth_validation_token": VALIDATION, "auth_request_id": null}),
    ] {
        let finish = |client: &Client| {
            let request = FinishWebauthnAuth::new(REQUEST_ID, VALIDATION, "{}");
            let end = client.finish_webauthn_auth(&request)?;
            assert!(end.auth_validation_token.is_some());
            Ok(Outcome::Served)
        };
        row.check_other_call(&responding(200, &body), false, finish, &expect);
    }
    for body in [json!({}), json!({"user_id": null})] {
        let finish = |client: &Client| {
            let end = client.finish_webauthn_registration(REQUEST_ID, &finish_registration());
            end.map(|_| Outcome::Served)
        };
        row.check_other_call(&responding(200, &body), false, finish, &expect);
        let validate = |client: &Client| {
            let request = ValidateRegistration::new(VALIDATION);
            let end = client.validate_webauthn_registration(REQUEST_ID, &request);
            end.map(|_| Outcome::Served)
        };
        row.check_other_call(&responding(200, &body), false, validate, &expect);
    }
    row.finish();
}

#[test]
fn r5_arrays_in_place_of_objects() {
    let mut row = Row::new("R5", "an array where an object belongs, at any depth");
    let expect = fails(Decode).status(200).tokens(1);
    for body in [
        json!({"user_records": [[USER_ID, NAME]]}),
        json!({"user_records": [[]]}),
        json!({"user_records": [], "page_info": [1, 2, 3, 4]}),
        json!({"user_records": [{"user_id": USER_ID}, [USER_ID]]}),
    ] {
        let list = |client: &Client| client.list_users(UserQuery::new()).map(|_| Outcome::Served);
        row.check_other_call(&responding(200, &body), true, list, &expect);
    }
    let user = json!({"user_id": USER_ID, "enrolled_auth_methods": [[4, "x", "y"]]});
    row.check_call(&responding(200, &user), Call::Read, &expect);
    let history = json!({"auth_history_records": [[4, "x"]]});
    let list = |client: &Client| {
        let page = client.get_user_auth_history(USER_ID, PageQuery::new());
        page.map(|_| Outcome::Served)
    };
    row.check_other_call(&responding(200, &history), true, list, &expect);
    let credentials = json!({"credential_records": [["c-1", true]]});
    let list = |client: &Client| {
        let page = client.list_user_credentials(USER_ID, PageQuery::new());
        page.map(|_| Outcome::Served)
    };
    row.check_other_call(&responding(200, &credentials), true, list, &expect);
    let good = validated("true", &USER_ID.to_string(), NAME);
    let good: Value = serde_json::from_str(&good).unwrap();
    for pointer in [
        "/validate_auth_response_details",
        "/validate_auth_response_details/auth_details",
        "/validate_auth_response_details/auth_details/response_details",
        "/validate_auth_response_details/auth_details/response_details/auth_profile_details",
    ] {
        let mut odd = good.clone();
        let object = odd.pointer_mut(pointer).unwrap();
        let values: Vec<Value> = object.as_object().unwrap().values().cloned().collect();
        *object = Value::Array(values);
        row.check_call(&responding(200, &odd), Call::Validate, &expect);
    }
    row.finish();
}

#[test]
fn r6_invisible_characters_in_server_text() {
    let mut row = Row::new("R6", "invisible and reordering characters in server text");
    for odd in [
        // Cc
        '\u{0}',
        '\u{1b}',
        '\u{7f}',
        '\u{9b}',
        // Cf
        '\u{ad}',
        '\u{600}',
        '\u{61c}',
        '\u{6dd}',
        '\u{180e}',
        '\u{200b}',
        '\u{200f}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{feff}',
        '\u{fff9}',
        '\u{110bd}',
        '\u{1bca0}',
        '\u{1d173}',
        '\u{e0001}',
        '\u{e0041}',
        '\u{e007f}',
        // Zl, Zp
        '\u{2028}',
        '\u{2029}',
    ] {
        let body = json!({"error_code": 400, "error_message": format!("a{odd}b")});
        let read = move |client: &Client| {
            let error = Call::Read.make(client).unwrap_err();
            for text in [
                error.server_message().unwrap().to_owned(),
                format!("{error:#}"),
                format!("{error:?}"),
            ] {
                assert!(!text.contains(odd), "R6: {odd:?} in {text:?}");
            }
            let escaped = format!("\\u{{{:x}}}", u32::from(odd));
            let message = error.server_message().unwrap();
            assert_eq!(message, format!("a{escaped}b"));
            Err(error)
        };
        let expect = fails(Api).status(400).code("400").tokens(1);
        row.check_other_call(&responding(400, &body), true, read, &expect);
    }
    row.note("escaped: all of the categories Cc, Cf, Zl, Zp");
    row.finish();
}

#[test]
fn r7_forms_of_http_dates() {
    let mut row = Row::new("R7", "`Retry-After` with a date in each form of RFC 9110");
    for date in [
        "Wed, 01 Mar 2028 00:59:58 GMT",
        "Wednesday, 01-Mar-28 00:59:58 GMT",
        "Wed Mar  1 00:59:58 2028",
    ] {
        for call in Call::ALL {
            let service = FakeService::new(tokens, move |_, _, _| {
                let now = ("date", "Tue, 29 Feb 2028 23:59:58 GMT");
                respond_with(429, &[now, ("retry-after", date)], "")
            });
            let expect: Expect = fails(RateLimited).status(429).refused();
            let expect = expect.retry_after(seconds(3600)).tokens(1);
            row.check_call(&service.scenario(), call, &expect);
        }
    }
    row.finish();
}

#[test]
fn r11_history_without_end() {
    let mut row = Row::new(
        "R11",
        "a list ignores paging and has neither ids nor page info",
    );
    let records = json!([{"auth_request_status_id": 2}, {"auth_request_status_id": 2}]);
    for body in [
        json!({"auth_history_records": records}),
        json!({"auth_history_records": records, "page_info": null}),
        json!({"auth_history_records": records, "page_info": {}}),
        json!({"auth_history_records": [{}, {}, {}]}),
    ] {
        let read_all = |client: &Client| {
            for record in client.auth_history(USER_ID, PageQuery::new()) {
                record?;
            }
            Ok(Outcome::Served)
        };
        let expect = served().requests(10, 10).tokens(1).at_most();
        row.check_other_call(&responding(200, &body), true, read_all, &expect);
    }
    row.note("it ends after few requests");
    row.finish();
}

type Start = fn(&Client, u32) -> Result<Outcome, Error>;
type List = fn(&Client, &PageQuery) -> Result<Outcome, Error>;

#[test]
fn r12_numbers_beyond_int32() {
    let starts: [Start; 9] = [
        |client, time| {
            let request = StartAuthenticatorAuth::new().user(NAME);
            let request = request.timeout_in_seconds(time);
            client
                .start_authenticator_auth(&request)
                .map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartWebauthnAuth::new().user(NAME).timeout_in_seconds(time);
            client
                .start_webauthn_auth(&request)
                .map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartMagiclinkEmailAuth::new(NAME, URL).timeout_in_seconds(time);
            client
                .start_magiclink_email_auth(&request)
                .map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartAuthenticatorRegistration::new(NAME).timeout_in_seconds(time);
            client
                .start_authenticator_registration(&request)
                .map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartWebauthnRegistration::new(NAME).timeout_in_seconds(time);
            client
                .start_webauthn_registration(&request)
                .map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartWebauthnRegistrationForUser::new().timeout_in_seconds(time);
            let end = client.start_webauthn_registration_for_user(USER_ID, &request);
            end.map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartMagiclinkEmailRegistration::new(NAME, URL).timeout_in_seconds(time);
            client
                .start_magiclink_email_registration(&request)
                .map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartMagiclinkEmailRegistration::new(NAME, URL).timeout_in_seconds(time);
            let end = client.start_magiclink_email_registration_for_user(USER_ID, &request);
            end.map(|_| Outcome::Served)
        },
        |client, time| {
            let request = StartChangeMagiclinkEmail::new(NAME, URL).timeout_in_seconds(time);
            let end = client.start_change_magiclink_email(USER_ID, &request);
            end.map(|_| Outcome::Served)
        },
    ];
    let mut row = Row::new("R12", "numbers above int32");
    let refused = fails(InvalidInput).unsent();
    for number in [1 << 31, u32::MAX] {
        for start in starts {
            let make = move |client: &Client| start(client, number);
            row.check_other_call(&responding(200, &json!({})), false, make, &refused);
        }
        let lists: [List; 2] = [
            |client, page| {
                client
                    .get_user_auth_history(USER_ID, page)
                    .map(|_| Outcome::Served)
            },
            |client, page| {
                client
                    .list_user_credentials(USER_ID, page)
                    .map(|_| Outcome::Served)
            },
        ];
        for list in lists {
            for page in [
                PageQuery::new().page_number(number),
                PageQuery::new().page_size(number),
            ] {
                let make = move |client: &Client| list(client, &page);
                row.check_other_call(&responding(200, &json!({})), true, make, &refused);
            }
        }
    }
    row.finish();
}
