//! What the environment says: secrets, empty variables, proxies.

use super::fake::{Answer, Fake, healthy, tokens};
use super::harness::{Call, ID, PASSWORD, Row, SECRET, served};
use crate::environment::Environment;
use crate::http::url::push_form;
use crate::{Client, ClientBuilder, Error, HttpRequest, Limits};

fn from_env(variables: &[(&str, &str)]) -> Result<ClientBuilder, Error> {
    ClientBuilder::from_variables(Environment::of(variables))
}

fn serving(_: usize, request: &HttpRequest, _: Limits) -> Answer {
    healthy(request)
}

#[test]
fn m8_a_line_end_after_the_secret() {
    let mut row = Row::new(
        "M8",
        "a line end after the secret, or a control character in it",
    );
    for end in ["\n", "\r\n", "\n\n"] {
        let secret = format!("{SECRET}{end}");
        let from_env = || {
            let variables = [
                ("AUTHARMOR_CLIENT_ID", ID),
                ("AUTHARMOR_CLIENT_SECRET", &secret),
            ];
            from_env(&variables).unwrap()
        };
        for builder in [from_env(), Client::builder(ID, secret.clone())] {
            let fake = Fake::new(
                |number, request, limits| {
                    let mut expected = "&client_secret=".to_owned();
                    push_form(&mut expected, SECRET);
                    let body = String::from_utf8_lossy(request.body().unwrap());
                    assert!(body.ends_with(&expected));
                    tokens(number, request, limits)
                },
                serving,
            );
            row.endure(&fake.under(builder), Call::Read, &served().tokens(1));
        }
    }
    for odd in ["\0", "\n|", "\t", "\u{1b}"] {
        let secret = format!("{SECRET}{odd}x");
        let build = || Client::builder(ID, secret).no_proxy().build();
        row.refuses_to_build(build, "the client secret holds a control character");
    }
    row.note("the line end is trimmed");
    row.done();
}

#[test]
fn m10_empty_variables() {
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
        row.refuses_to_build(|| from_env(&variables)?.build(), says);
    }
    let rest = [
        ("AUTHARMOR_CLIENT_ID", ID),
        secret,
        ("AUTHARMOR_API_URL", ""),
        ("AUTHARMOR_LOGIN_URL", ""),
        ("HTTPS_PROXY", ""),
    ];
    let fake = Fake::new(tokens, |_, request, _| {
        assert_eq!(request.uri().host(), Some("api.autharmor.com"));
        healthy(request)
    });
    let world = fake.under(from_env(&rest).unwrap());
    row.endure(&world, Call::Read, &served().tokens(1));
    row.note("it counts as unset");
    row.done();
}

#[test]
fn n13_a_proxy_that_is_none() {
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
        row.refuses_to_build(|| from_env(&variables)?.build(), "HTTPS_PROXY");
        assert!(from_env(&variables).unwrap().no_proxy().build().is_ok());
        let set = || Client::builder(ID, SECRET).proxy(proxy.as_str()).build();
        row.refuses_to_build(set, "the proxy setting");
    }
    row.note("the error names the variable; `no_proxy()` overrides it");
    row.done();
}
