//! Tests that requests go to the configured host only, over TLS only, and that
//! every call ends.

use std::time::Duration;

use autharmor::{Client, ErrorKind, users};
use serde_json::json;
use uuid::Uuid;

use crate::canaries::{NAME, TOKEN};
use crate::failures::{ok, plain, response, token_body};
use autharmor_test_support::scripted::{Act, Ca, Server};

const ID: Uuid = Uuid::from_u128(0x1111_1111_2222_4333_8444_5555_5555_5555);

fn user() -> String {
    ok(&json!({"user_id": ID, "username": NAME}).to_string())
}

fn redirect(status: u16, target: &str) -> String {
    response(
        &format!("{status} Elsewhere"),
        &format!("location: {target}\r\nconnection: close\r\n"),
        "",
    )
}

#[test]
fn redirects_are_errors_and_are_not_followed() {
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let elsewhere = Server::start(vec![vec![
            Act::Read,
            Act::write(ok(&token_body())),
            Act::Read,
            Act::write(user()),
        ]]);
        let away = redirect(status, &elsewhere.http("/connect/token"));
        let token = Act::write(ok(&token_body()));
        let here = Server::start(vec![
            // The token endpoint redirects, then the API does.
            vec![Act::Read, Act::write(&away)],
            vec![Act::Read, token, Act::Read, Act::write(&away), Act::Read],
        ]);
        let client = plain(&here).build().unwrap();
        for _ in 0..2 {
            let error = client.get_user(NAME).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
            assert_eq!(error.status(), Some(status));
            assert!(error.to_string().contains("redirect"), "{error}");
        }
        let bearer = format!("Bearer {TOKEN}");
        assert!(here.requests()[2].head.contains(&bearer));
        assert_eq!(here.requests().len(), 3);
        assert_eq!(elsewhere.connections(), 0);
    }
}

#[test]
fn a_redirect_to_the_same_host_is_not_followed_either() {
    let away = redirect(302, "/v3/users/elsewhere");
    let script = vec![
        Act::Read,
        Act::write(ok(&token_body())),
        Act::Read,
        Act::write(away),
        Act::Read,
    ];
    let server = Server::start(vec![script]);
    let client = plain(&server).build().unwrap();
    let error = client.get_user(NAME).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn plain_http_needs_a_loopback_address_and_permission() {
    let server = Server::start(vec![vec![
        Act::Read,
        Act::write(ok(&token_body())),
        Act::Read,
        Act::write(user()),
    ]]);
    let loopback = server.http("").replace("localhost", "127.0.0.1");
    let build = |url: &str, allow: bool| {
        let builder = || {
            Client::builder("id", "secret")
                .no_proxy()
                .allow_http_on_loopback(allow)
        };
        let api = builder().api_url(url).build();
        let login = builder().login_url(url).build();
        [api, login]
    };
    for (url, allow) in [
        (&*loopback, false),
        ("http://[::1]:8080", false),
        (&server.http(""), true),
        ("http://api.example", true),
        ("http://api.example", false),
        ("http://10.0.0.1", true),
        ("http://127.0.0.1.example", true),
        ("HTTP://api.example", true),
    ] {
        for built in build(url, allow) {
            let error = built.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(error.to_string().contains("http://"), "{error}");
        }
    }
    for url in [&*loopback, "http://[::1]:8080"] {
        for built in build(url, true) {
            built.unwrap();
        }
    }
    plain(&server).build().unwrap().get_user(NAME).unwrap();
}

#[test]
fn a_stalled_server_is_a_timeout_and_the_client_works_again() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    let ca = Ca::new();
    // The handshake, the response, its head, its body.
    for (stall, under_tls) in [
        (vec![Act::Stall], true),
        (vec![Act::Read, Act::Stall], false),
        (vec![Act::Read, Act::write("HTTP/1.1 2"), Act::Stall], false),
        (vec![Act::Read, Act::write(head), Act::Stall], false),
    ] {
        let start = |acts: &[Act]| {
            let tls = under_tls.then(|| Act::Tls(ca.localhost()));
            tls.into_iter().chain(acts.iter().cloned()).collect()
        };
        let last = user().replacen("content-type", "connection: close\r\ncontent-type", 1);
        let server = Server::start(vec![
            start(&[
                Act::Read,
                Act::write(ok(&token_body())),
                Act::Read,
                Act::write(last),
            ]),
            stall,
            start(&[Act::Read, Act::write(user())]),
        ]);
        let builder = plain(&server).timeout(Duration::from_millis(200));
        let builder = if under_tls {
            builder
                .only_root_certificates(ca.pem())
                .api_url(server.https(""))
                .login_url(server.https(""))
        } else {
            builder
        };
        let client = builder.build().unwrap();
        // Only the call that stalls has a short timeout: the machine may be slow.
        let patient = users::get_user(ID).timeout(Duration::from_secs(60));
        assert_eq!(client.send(&patient).unwrap().user_id, ID);
        let error = client.get_user(ID).unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(client.send(&patient).unwrap().user_id, ID);
        assert_eq!(server.connections(), 3);
    }
}

#[test]
fn a_stalled_token_endpoint_is_a_timeout_and_the_client_works_again() {
    let server = Server::start(vec![
        vec![Act::Read, Act::Stall],
        vec![
            Act::Read,
            Act::write(ok(&token_body())),
            Act::Read,
            Act::write(user()),
        ],
    ]);
    let client = plain(&server)
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let error = client.get_user(ID).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(!error.may_have_been_sent());
    let request = users::get_user(ID).timeout(Duration::from_secs(60));
    assert_eq!(client.send(&request).unwrap().user_id, ID);
}
