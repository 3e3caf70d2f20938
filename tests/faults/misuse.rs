//! M: misuse and injection. Rows about environment variables are in
//! `environment.rs`.

use std::fmt::Debug;

use autharmor::ErrorKind::{InvalidInput, UsernameInUrl};
use autharmor::auth::{
    self, FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use autharmor::flow::{BrowserSignIn, ExpectedUser, Method, WaitPolicy};
use autharmor::users::{self, UpdateUser, UserQuery};
use autharmor::{
    ApiVersion, Client, Error, PageQuery, Private, Request, Secret, Target, UserKey, credentials,
};

use super::calls::{Call, ID, Outcome, REQUEST_ID, USER_ID};
use super::expect::{Expect, fails, served};
use super::fake_service::{FakeService, healthy, respond, respond_with, tokens};
use super::harness::{Row, Scenario};
use super::secrets::{NAME, PASSWORD, SECRET, TOKEN, VALIDATION, all_text, assert_no_secrets};

/// A service without a fault.
fn healthy_scenario() -> Scenario {
    FakeService::new(tokens, |_, request, _| healthy(request)).scenario()
}

/// Nothing is sent, not even a token request.
fn refused() -> Expect {
    fails(InvalidInput).unsent()
}

/// A call with this id in its route, that reads or disables.
fn with_id(id: &str, is_read: bool) -> impl Fn(&Client) -> Result<Outcome, Error> + use<> {
    let id = id.to_owned();
    move |client| {
        let credential = if is_read {
            client.get_user_credential(USER_ID, id.as_str()).map(drop)
        } else {
            client
                .disable_user_credential(USER_ID, id.as_str())
                .map(drop)
        };
        credential.map(|()| Outcome::Served)
    }
}

/// A read and a start by this name.
fn by_name(row: &mut Row, name: &str) {
    let owned = name.to_owned();
    let read = move |client: &Client| client.get_user(&*owned).map(|_| Outcome::Served);
    row.check_other_call(&healthy_scenario(), true, read, &refused());
    let owned = name.to_owned();
    let start = move |client: &Client| {
        let request = StartAuthenticatorAuth::new().user(&*owned);
        client
            .start_authenticator_auth(&request)
            .map(|_| Outcome::Served)
    };
    row.check_other_call(&healthy_scenario(), false, start, &refused());
}

#[test]
fn m1_ids_with_dot_segments() {
    let mut row = Row::new("M1", "id `../apps`, `..`, `.`, `%2e%2e`");
    for id in [
        "../apps",
        "..",
        ".",
        "%2e%2e",
        "%252e%252E",
        "a/../b",
        "..\\x",
        "a\r\nb",
        "a%0db",
    ] {
        for is_read in [true, false] {
            row.check_other_call(
                &healthy_scenario(),
                is_read,
                with_id(id, is_read),
                &refused(),
            );
        }
    }
    row.finish();
}

#[test]
fn m2_ids_with_delimiters() {
    let mut row = Row::new("M2", "id `a/b`, `a?b`, `a#b`, `\u{e9}`");
    for (id, encoded) in [
        ("a/b", "a%2Fb"),
        ("a?b", "a%3Fb"),
        ("a#b", "a%23b"),
        ("\u{e9}", "%C3%A9"),
        ("a;b&c d", "a%3Bb%26c%20d"),
    ] {
        for is_read in [true, false] {
            let suffix = if is_read { "" } else { "/disable" };
            let path = format!("/v4/users/{USER_ID}/credentials/{encoded}{suffix}");
            let service = FakeService::new(tokens, move |_, request, _| {
                assert_eq!(request.uri().path_and_query().unwrap().as_str(), path);
                respond(200, r#"{"credential_id":"x"}"#)
            });
            row.check_other_call(
                &service.scenario(),
                is_read,
                with_id(id, is_read),
                &served().tokens(1),
            );
        }
    }
    row.note("always one segment of the route");
    row.finish();
}

#[test]
fn m3_empty_and_nil_ids() {
    let mut row = Row::new("M3", "id empty or nil, without a username");
    for id in ["", "00000000-0000-0000-0000-000000000000"] {
        for is_read in [true, false] {
            row.check_other_call(
                &healthy_scenario(),
                is_read,
                with_id(id, is_read),
                &refused(),
            );
        }
    }
    let nil = uuid::Uuid::nil();
    let read = move |client: &Client| client.get_user(nil).map(|_| Outcome::Served);
    row.check_other_call(&healthy_scenario(), true, read, &refused());
    let start = move |client: &Client| {
        let request = StartAuthenticatorAuth::new().user(nil);
        client
            .start_authenticator_auth(&request)
            .map(|_| Outcome::Served)
    };
    row.check_other_call(&healthy_scenario(), false, start, &refused());
    let validate = move |client: &Client| {
        let expected = ExpectedUser::Is(nil.into());
        let page = BrowserSignIn::new(Method::Authenticator, REQUEST_ID, VALIDATION, expected);
        client
            .complete_browser_sign_in(&page)
            .map(|_| Outcome::Served)
    };
    row.check_other_call(&healthy_scenario(), false, validate, &refused());
    row.finish();
}

#[test]
fn m4_names_that_would_split_a_header() {
    let mut row = Row::new("M4", "CR, LF or NUL in a username");
    for odd in ["\r\nx: y", "\n", "\0", "\u{85}", "\u{7f}"] {
        by_name(&mut row, &format!("{NAME}{odd}x"));
    }
    row.finish();
}

#[test]
fn m5_names_that_are_not_ascii() {
    let mut row = Row::new("M5", "a username that is not ASCII");
    // In a header it is refused; a body can carry it.
    let name = "f4ult.ada\u{eb}";
    let read = move |client: &Client| client.get_user(name).map(|_| Outcome::Served);
    row.check_other_call(&healthy_scenario(), true, read, &refused());
    let allowed = FakeService::new(tokens, move |_, request, _| {
        let header = &request.headers()["x-autharmor-usernamevalue"];
        assert_eq!(header.as_bytes(), name.as_bytes());
        healthy(request)
    });
    let scenario = allowed.with_settings(|builder| builder.non_ascii_usernames(true));
    row.check_other_call(&scenario, true, read, &served().tokens(1));
    row.note("raw UTF-8 if the builder was told so");
    row.finish();
}

#[test]
fn m6_names_that_would_be_trimmed() {
    let mut row = Row::new(
        "M6",
        "a username that is empty, or has space or tab around it",
    );
    for name in [
        "",
        " ",
        "\t",
        " f4ult.ada",
        "f4ult.ada ",
        "f4ult.ada\t",
        "\u{a0}f4ult.ada",
    ] {
        by_name(&mut row, name);
    }
    row.finish();
}

#[test]
fn m9_base_urls() {
    let mut row = Row::new(
        "M9",
        "base URL with userinfo, query, fragment, no host, trailing slash",
    );
    let builder = || Client::builder(ID, SECRET).no_proxy();
    for url in [
        format!("https://user:{PASSWORD}@api.example"),
        format!("https://api.example?key={TOKEN}"),
        format!("https://api.example#{TOKEN}"),
        "https://".to_owned(),
        "https:///path".to_owned(),
        "api.example".to_owned(),
        String::new(),
        "https://api.example/v3".to_owned(),
        "https://api.example/../x".to_owned(),
        "https://api.example:0".to_owned(),
    ] {
        row.check_refused_build(|| builder().api_url(&url).build(), "api_url");
        row.check_refused_build(|| builder().login_url(&url).build(), "login_url");
    }
    for call in Call::ALL {
        let service = FakeService::new(tokens, |_, request, _| {
            let uri = request.uri().to_string();
            assert!(uri.starts_with("https://api.example/a/b/v3/"), "{uri}");
            healthy(request)
        });
        let scenario =
            service.with_settings(|builder| builder.api_url("https://api.example/a/b//"));
        row.check_call(&scenario, call, &served().tokens(1));
    }
    row.note("trailing slashes do not matter; a prefix is kept");
    row.finish();
}

#[test]
fn m12_qr_data_that_is_no_link() {
    let mut row = Row::new("M12", "`qr_code_data` with escapes or `javascript:`");
    for data in ["javascript:alert(1)", "\u{1b}]8;;x", "\u{202e}"] {
        let json = serde_json::json!({
            "auth_request_id": REQUEST_ID,
            "auth_validation_token": VALIDATION,
            "qr_code_data": data,
        });
        let service = FakeService::new(tokens, move |_, _, _| respond(200, json.to_string()));
        let begin = move |client: &Client| {
            let request = StartAuthenticatorAuth::new().user(NAME);
            let started = client.begin_authenticator_sign_in(&request)?;
            assert!(!format!("{started:?}").contains(data));
            assert_eq!(started.qr_code_data, Some(Secret::from(data)));
            Ok(Outcome::Served)
        };
        row.check_other_call(&service.scenario(), false, begin, &served().tokens(1));
    }
    row.note("returned as data, never opened, and not shown by `Debug`");
    row.finish();
}

/// Asserts that no form of `Debug` shows a secret.
fn assert_debug(what: impl Debug) {
    let name = std::any::type_name_of_val(&what);
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        assert_no_secrets(&format!("M13, {name}"), &text);
    }
}

/// The same for a request and its HTTP form.
fn assert_request_debug<T>(request: &Request<T>) {
    let target = Target::new("https://api.example")
        .unwrap()
        .version(ApiVersion::V4)
        .username_in_query(true);
    assert_debug(request);
    assert_debug(request.to_http(&target).unwrap());
}

#[test]
fn m13_debug_of_public_types() {
    let mut row = Row::new("M13", "`{:?}` of types that hold secrets and names");
    let builder = Client::builder(ID, SECRET)
        .proxy(format!("http://user:{PASSWORD}@proxy.example:1"))
        .client_certificate("", SECRET);
    assert_debug(&builder);
    let scenario = FakeService::new(tokens, |_, _, _| {
        let json = format!(
            r#"{{"auth_request_id":"{REQUEST_ID}","user_id":"{USER_ID}","username":"{NAME}","email_address":"{NAME}","auth_validation_token":"{VALIDATION}","aa_guid":"{VALIDATION}","qr_code_data":"{TOKEN}","fido2_json_options":"{TOKEN}","enrolled_auth_methods":[{{"auth_method_masked_info":"{NAME}"}}]}}"#
        );
        respond_with(200, &[("x-token", TOKEN)], json)
    })
    .scenario();
    let client = &scenario.client;
    assert_debug(client);
    assert_debug(UserKey::from(NAME));
    assert_debug((Secret::from(SECRET), Private::from(NAME)));

    let start = StartAuthenticatorAuth::new().user(NAME).nonce(TOKEN);
    let webauthn = StartWebauthnAuth::new().user(NAME);
    let mail = StartMagiclinkEmailAuth::new(NAME, "https://app.example/in");
    let finish = FinishWebauthnAuth::new(REQUEST_ID, VALIDATION, format!(r#"{{"id":"{TOKEN}"}}"#));
    let validate = ValidateAuth::new(REQUEST_ID, VALIDATION).nonce(TOKEN);
    assert_debug((&start, &webauthn, &mail, &finish, &validate));
    assert_debug((UpdateUser::new(NAME), UserQuery::new().username(NAME)));
    assert_debug(BrowserSignIn::new(
        Method::Webauthn,
        REQUEST_ID,
        VALIDATION,
        ExpectedUser::Is(NAME.into()),
    ));
    assert_debug(WaitPolicy::new());

    assert_request_debug(&auth::start_authenticator_auth(&start));
    assert_request_debug(&auth::finish_webauthn_auth(&finish));
    assert_request_debug(&auth::validate_webauthn_auth(&validate));
    assert_request_debug(&users::get_user(NAME));
    assert_request_debug(&users::list_users(UserQuery::new().username(NAME)));
    assert_request_debug(&credentials::list_user_credentials(NAME, PageQuery::new()));

    assert_debug(client.get_user(NAME).unwrap());
    assert_debug(client.start_authenticator_auth(&start).unwrap());
    assert_debug(client.start_webauthn_auth(&webauthn).unwrap());
    assert_debug(client.finish_webauthn_auth(&finish).unwrap());
    assert_debug(client.begin_authenticator_sign_in(&start).unwrap());
    assert_debug(client.begin_webauthn_sign_in(&webauthn).unwrap());
    assert_debug(client.begin_magiclink_sign_in(&mail).unwrap());
    assert_debug(
        healthy_scenario()
            .client
            .complete_browser_sign_in(&BrowserSignIn::new(
                Method::Authenticator,
                REQUEST_ID,
                VALIDATION,
                ExpectedUser::Is(NAME.into()),
            )),
    );
    // The client still works after the calls above.
    row.check_call(&scenario, Call::Start, &served());
    row.note("no secret, token, QR data or name");
    row.finish();
}

#[test]
fn m14_trace_logging() {
    let mut row = Row::new("M14", "`RUST_LOG=trace,ureq_proto=debug`");
    for version in [ApiVersion::V3, ApiVersion::V4] {
        // The log of every other row is searched as well, see `secrets.rs`.
        let hosts = super::scripted_service::Hosts::start(super::scripted_service::Scheme::Https);
        let scenario = Scenario {
            client: hosts.builder().api_version(version).build().unwrap(),
            service: Box::new(hosts),
            clock: None,
        };
        if version == ApiVersion::V3 {
            for (call, tokens) in [(Call::Read, 1), (Call::Start, 0), (Call::Validate, 0)] {
                row.check_call(&scenario, call, &served().tokens(tokens));
            }
        } else {
            // The name would have to be in the URL, which is logged.
            let error = Call::Read.make(&scenario.client).unwrap_err();
            assert_eq!(error.kind(), UsernameInUrl);
            scenario.client.get_user(USER_ID).unwrap();
            assert_no_secrets("M14", &all_text(&error));
        }
    }
    row.note("no record of any row holds a secret, a token, a body or a name");
    row.finish();
}
