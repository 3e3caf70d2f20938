//! Rows of M and N whose fault is in the environment variables. Each sets them
//! for a process of its own.

use autharmor::{Client, ClientBuilder};

use super::calls::{Call, ID};
use super::expect::served;
use super::fake_service::{FakeService, healthy, serving, tokens};
use super::harness::Row;
use super::secrets::{PASSWORD, SECRET};
use super::token::form_fields;

#[test]
fn m8_a_line_end_after_the_secret() {
    let mut row = Row::new(
        "M8",
        "a line end after the secret, or a control character in it",
    );
    let check = |row: &mut Row, builder: ClientBuilder| {
        let service = FakeService::new(
            |number, request, limits| {
                let fields = form_fields(request.body().unwrap());
                assert_eq!(*fields.last().unwrap(), format!("client_secret={SECRET}"));
                tokens(number, request, limits)
            },
            serving,
        );
        let scenario = service.with_builder(builder);
        row.check_call(&scenario, Call::Read, &served().tokens(1));
    };
    for end in ["\n", "\r\n", "\n\n"] {
        let secret = format!("{SECRET}{end}");
        row.check_in_child(
            "environment::m8_a_line_end_after_the_secret",
            &format!("{end:?}"),
            &[
                ("AUTHARMOR_CLIENT_ID", ID),
                ("AUTHARMOR_CLIENT_SECRET", &secret),
            ],
            |row| check(row, ClientBuilder::from_env().unwrap()),
        );
        check(&mut row, Client::builder(ID, secret));
    }
    for control in ["\0", "\n|", "\t", "\u{1b}"] {
        let secret = format!("{SECRET}{control}x");
        let build = || Client::builder(ID, secret).no_proxy().build();
        row.check_refused_build(build, "the client secret holds a control character");
    }
    row.note("the line end is trimmed");
    row.finish();
}

#[test]
fn m10_empty_variables() {
    const TEST: &str = "environment::m10_empty_variables";
    let mut row = Row::new("M10", "an environment variable is empty");
    let secret = ("AUTHARMOR_CLIENT_SECRET", SECRET);
    for (variables, says) in [
        (
            [("AUTHARMOR_CLIENT_ID", ""), secret],
            "AUTHARMOR_CLIENT_ID is not set",
        ),
        (
            [("AUTHARMOR_CLIENT_ID", ID), ("AUTHARMOR_CLIENT_SECRET", "")],
            "AUTHARMOR_CLIENT_SECRET is not set",
        ),
    ] {
        row.check_in_child(TEST, says, &variables, |row| {
            row.check_refused_build(|| ClientBuilder::from_env()?.build(), says);
        });
    }
    let others_empty = [
        ("AUTHARMOR_CLIENT_ID", ID),
        secret,
        ("AUTHARMOR_API_URL", ""),
        ("AUTHARMOR_LOGIN_URL", ""),
        ("HTTPS_PROXY", ""),
    ];
    row.check_in_child(TEST, "others", &others_empty, |row| {
        let service = FakeService::new(tokens, |_, request, _| {
            assert_eq!(request.uri().host(), Some("api.autharmor.com"));
            healthy(request)
        });
        let scenario = service.with_builder(ClientBuilder::from_env().unwrap());
        row.check_call(&scenario, Call::Read, &served().tokens(1));
    });
    row.note("it counts as unset");
    row.finish();
}

#[test]
fn n13_an_invalid_proxy() {
    let mut row = Row::new("N13", "`HTTPS_PROXY=garbage`");
    for proxy in [
        PASSWORD.to_owned(),
        format!("socks5://user:{PASSWORD}@proxy.example:1"),
        format!("http://user:{PASSWORD}@proxy.example:99999"),
    ] {
        let variables = [
            ("AUTHARMOR_CLIENT_ID", ID),
            ("AUTHARMOR_CLIENT_SECRET", SECRET),
            ("HTTPS_PROXY", proxy.as_str()),
        ];
        row.check_in_child(
            "environment::n13_an_invalid_proxy",
            &proxy,
            &variables,
            |row| {
                row.check_refused_build(|| ClientBuilder::from_env()?.build(), "HTTPS_PROXY");
                let builder = ClientBuilder::from_env().unwrap();
                assert!(builder.no_proxy().build().is_ok());
            },
        );
        let set = || Client::builder(ID, SECRET).proxy(proxy.as_str()).build();
        row.check_refused_build(set, "the proxy setting");
    }
    row.note("the error names the variable; `no_proxy()` overrides it");
    row.finish();
}
