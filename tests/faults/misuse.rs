//! M: misuse and injection. What comes from the environment is in
//! `src/faults/`.

use std::fmt::Debug;

use super::api::ErrorKind::{InvalidInput, UsernameInUrl};
use super::api::auth::{
    self, FinishWebauthnAuth, StartAuthenticatorAuth, StartMagiclinkEmailAuth, StartWebauthnAuth,
    ValidateAuth,
};
use super::api::flow::{BrowserSignIn, ExpectedUser, Method, WaitPolicy};
use super::api::users::{self, UpdateUser, UserQuery};
use super::api::{
    ApiVersion, Client, Error, PageQuery, Private, Request, Secret, Target, UserKey, credentials,
};
use super::fake::{Fake, answer, answer_with, healthy, tokens};
use super::harness::{
    Call, Expect, Good, ID, NAME, PASSWORD, REQUEST_ID, Row, SECRET, TOKEN, USER_ID, VALIDATION,
    World, assert_silent, everything_said, fails, served,
};

/// A service with nothing wrong.
fn healthy_world() -> World {
    Fake::new(tokens, |_, request, _| healthy(request)).world()
}

/// Nothing leaves the machine, not even for a token.
fn refused() -> Expect {
    fails(InvalidInput).unsent()
}

/// A call with this id in its route, that reads or disables.
fn with_id(id: &str, is_read: bool) -> impl Fn(&Client) -> Result<Good, Error> + use<> {
    let id = id.to_owned();
    move |client| {
        let credential = if is_read {
            client.get_user_credential(USER_ID, id.as_str()).map(drop)
        } else {
            client
                .disable_user_credential(USER_ID, id.as_str())
                .map(drop)
        };
        credential.map(|()| Good::Served)
    }
}

/// A read and a start by this name.
fn by_name(row: &mut Row, name: &str) {
    let owned = name.to_owned();
    let read = move |client: &Client| client.get_user(&*owned).map(|_| Good::Served);
    row.endure_other(&healthy_world(), true, read, &refused());
    let owned = name.to_owned();
    let start = move |client: &Client| {
        let request = StartAuthenticatorAuth::new().user(&*owned);
        client
            .start_authenticator_auth(&request)
            .map(|_| Good::Served)
    };
    row.endure_other(&healthy_world(), false, start, &refused());
}

#[test]
fn m1_ids_that_lead_elsewhere() {
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
            row.endure_other(&healthy_world(), is_read, with_id(id, is_read), &refused());
        }
    }
    row.done();
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
            let fake = Fake::new(tokens, move |_, request, _| {
                assert_eq!(request.uri().path_and_query().unwrap().as_str(), path);
                answer(200, r#"{"credential_id":"x"}"#)
            });
            row.endure_other(
                &fake.world(),
                is_read,
                with_id(id, is_read),
                &served().tokens(1),
            );
        }
    }
    row.note("always one segment of the route");
    row.done();
}

#[test]
fn m3_ids_of_nobody() {
    let mut row = Row::new("M3", "id empty or nil, without a username");
    for id in ["", "00000000-0000-0000-0000-000000000000"] {
        for is_read in [true, false] {
            row.endure_other(&healthy_world(), is_read, with_id(id, is_read), &refused());
        }
    }
    let nil = uuid::Uuid::nil();
    let read = move |client: &Client| client.get_user(nil).map(|_| Good::Served);
    row.endure_other(&healthy_world(), true, read, &refused());
    let start = move |client: &Client| {
        let request = StartAuthenticatorAuth::new().user(nil);
        client
            .start_authenticator_auth(&request)
            .map(|_| Good::Served)
    };
    row.endure_other(&healthy_world(), false, start, &refused());
    let validate = move |client: &Client| {
        let expected = ExpectedUser::Is(nil.into());
        let page = BrowserSignIn::new(Method::Authenticator, REQUEST_ID, VALIDATION, expected);
        client.complete_browser_sign_in(&page).map(|_| Good::Served)
    };
    row.endure_other(&healthy_world(), false, validate, &refused());
    row.done();
}

#[test]
fn m4_names_that_would_split_a_header() {
    let mut row = Row::new("M4", "CR, LF or NUL in a username");
    for odd in ["\r\nx: y", "\n", "\0", "\u{85}", "\u{7f}"] {
        by_name(&mut row, &format!("{NAME}{odd}x"));
    }
    row.done();
}

#[test]
fn m5_names_that_are_not_ascii() {
    let mut row = Row::new("M5", "a username that is not ASCII");
    // In a header it is refused; a body can carry it.
    let name = "f4ult.ada\u{eb}";
    let read = move |client: &Client| client.get_user(name).map(|_| Good::Served);
    row.endure_other(&healthy_world(), true, read, &refused());
    let allowed = Fake::new(tokens, move |_, request, _| {
        let header = &request.headers()["x-autharmor-usernamevalue"];
        assert_eq!(header.as_bytes(), name.as_bytes());
        healthy(request)
    });
    let world = allowed.tuned(|builder| builder.non_ascii_usernames(true));
    row.endure_other(&world, true, read, &served().tokens(1));
    row.note("raw UTF-8 if the builder was told so");
    row.done();
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
    row.done();
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
        row.refuses_to_build(|| builder().api_url(&url).build(), "api_url");
        row.refuses_to_build(|| builder().login_url(&url).build(), "login_url");
    }
    for call in Call::ALL {
        let fake = Fake::new(tokens, |_, request, _| {
            let uri = request.uri().to_string();
            assert!(uri.starts_with("https://api.example/a/b/v3/"), "{uri}");
            healthy(request)
        });
        let world = fake.tuned(|builder| builder.api_url("https://api.example/a/b//"));
        row.endure(&world, call, &served().tokens(1));
    }
    row.note("trailing slashes do not matter, a prefix is kept");
    row.done();
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
        let fake = Fake::new(tokens, move |_, _, _| answer(200, json.to_string()));
        let begin = move |client: &Client| {
            let request = StartAuthenticatorAuth::new().user(NAME);
            let started = client.begin_authenticator_sign_in(&request)?;
            assert!(!format!("{started:?}").contains(data));
            assert_eq!(started.qr_code_data, Some(Secret::from(data)));
            Ok(Good::Served)
        };
        row.endure_other(&fake.world(), false, begin, &served().tokens(1));
    }
    row.note("it comes as data, is opened by nobody, and `Debug` does not show it");
    row.done();
}

/// Looks into every form of `Debug`.
fn quiet(what: impl Debug) {
    let name = std::any::type_name_of_val(&what);
    for text in [format!("{what:?}"), format!("{what:#?}")] {
        assert_silent(&format!("M13, {name}"), &text);
    }
}

/// A request, and what it looks like on the wire.
fn both<T>(request: &Request<T>) {
    let target = Target::new("https://api.example")
        .unwrap()
        .version(ApiVersion::V4)
        .username_in_query(true);
    quiet(request);
    quiet(request.to_http(&target).unwrap());
}

#[test]
fn m13_debug_of_public_types() {
    let mut row = Row::new("M13", "`{:?}` of what holds secrets and names");
    let builder = Client::builder(ID, SECRET)
        .proxy(format!("http://user:{PASSWORD}@proxy.example:1"))
        .client_certificate("", SECRET);
    quiet(&builder);
    let world = Fake::new(tokens, |_, _, _| {
        let json = format!(
            r#"{{"auth_request_id":"{REQUEST_ID}","user_id":"{USER_ID}","username":"{NAME}","email_address":"{NAME}","auth_validation_token":"{VALIDATION}","aa_guid":"{VALIDATION}","qr_code_data":"{TOKEN}","fido2_json_options":"{TOKEN}","enrolled_auth_methods":[{{"auth_method_masked_info":"{NAME}"}}]}}"#
        );
        answer_with(200, &[("x-token", TOKEN)], json)
    })
    .world();
    let client = &world.client;
    quiet(client);
    quiet(UserKey::from(NAME));
    quiet((Secret::from(SECRET), Private::from(NAME)));

    let start = StartAuthenticatorAuth::new().user(NAME).nonce(TOKEN);
    let webauthn = StartWebauthnAuth::new().user(NAME);
    let mail = StartMagiclinkEmailAuth::new(NAME, "https://app.example/in");
    let finish = FinishWebauthnAuth::new(REQUEST_ID, VALIDATION, format!(r#"{{"id":"{TOKEN}"}}"#));
    let validate = ValidateAuth::new(REQUEST_ID, VALIDATION).nonce(TOKEN);
    quiet((&start, &webauthn, &mail, &finish, &validate));
    quiet((UpdateUser::new(NAME), UserQuery::new().username(NAME)));
    quiet(BrowserSignIn::new(
        Method::Webauthn,
        REQUEST_ID,
        VALIDATION,
        ExpectedUser::Is(NAME.into()),
    ));
    quiet(WaitPolicy::new());

    both(&auth::start_authenticator_auth(&start));
    both(&auth::finish_webauthn_auth(&finish));
    both(&auth::validate_webauthn_auth(&validate));
    both(&users::get_user(NAME));
    both(&users::list_users(UserQuery::new().username(NAME)));
    both(&credentials::list_user_credentials(NAME, PageQuery::new()));

    quiet(client.get_user(NAME).unwrap());
    quiet(client.start_authenticator_auth(&start).unwrap());
    quiet(client.start_webauthn_auth(&webauthn).unwrap());
    quiet(client.finish_webauthn_auth(&finish).unwrap());
    quiet(client.begin_authenticator_sign_in(&start).unwrap());
    quiet(client.begin_webauthn_sign_in(&webauthn).unwrap());
    quiet(client.begin_magiclink_sign_in(&mail).unwrap());
    quiet(
        healthy_world()
            .client
            .complete_browser_sign_in(&BrowserSignIn::new(
                Method::Authenticator,
                REQUEST_ID,
                VALIDATION,
                ExpectedUser::Is(NAME.into()),
            )),
    );
    // The calls above count as the row's: the client still works.
    row.endure(&world, Call::Start, &served());
    row.note("no secret, token, QR data or name");
    row.done();
}

#[test]
fn m14_everything_is_logged() {
    let mut row = Row::new("M14", "`RUST_LOG=trace,ureq_proto=debug`");
    for version in [ApiVersion::V3, ApiVersion::V4] {
        // Every other row is listened to as well, see the harness.
        let hosts = super::wire::Hosts::start(super::wire::Over::Tls);
        let world = World {
            client: hosts.builder().api_version(version).build().unwrap(),
            side: Box::new(hosts),
            clock: None,
        };
        if version == ApiVersion::V3 {
            for (call, tokens) in [(Call::Read, 1), (Call::Start, 0), (Call::Validate, 0)] {
                row.endure(&world, call, &served().tokens(tokens));
            }
        } else {
            // A name would have to go into the URL, which is logged.
            let error = Call::Read.make(&world.client).unwrap_err();
            assert_eq!(error.kind(), UsernameInUrl);
            world.client.get_user(USER_ID).unwrap();
            assert_silent("M14", &everything_said(&error));
        }
    }
    row.note("no record of any row holds a secret, a token, a body or a name");
    row.done();
}
