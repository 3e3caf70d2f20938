//! T: the token endpoint. Rows of time are in `src/faults/time.rs`.

use super::api::ErrorKind::{Auth, Decode, Protocol, Timeout};
use super::harness::{Call, Expect, ID, Row, SECRET, TOKEN, fails, served};
use super::scripted::{Act, OK, Server};
use super::wire::{Fault, Host, Hosts, Over, Place, Stalls, meet_at, ok, world};

/// Every call meets this answer to its token request.
fn answered(row: &mut Row, answer: &str, expect: &Expect) {
    let fault = |_| vec![Fault::Next(vec![Act::Read, Act::write(answer), Act::Close])];
    let expect = expect.clone().at_login();
    meet_at(row, Place::Login, &[Over::Tls], Stalls::No, &fault, &expect);
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[test]
fn t1_invalid_client() {
    let mut row = Row::new("T1", "400 `invalid_client`");
    let answer = http(
        "400 Bad Request",
        "content-type: application/json\r\n",
        &format!(r#"{{"error":"invalid_client","error_description":"no {SECRET}"}}"#),
    );
    let expect = fails(Auth)
        .status(400)
        .code("invalid_client")
        .says("token: ");
    answered(&mut row, &answer, &expect);
    row.done();
}

#[test]
fn t2_unauthorized_without_a_body() {
    let mut row = Row::new("T2", "401, `WWW-Authenticate`, no body");
    let answer = http(
        "401 Unauthorized",
        "www-authenticate: Basic realm=x\r\n",
        "",
    );
    answered(&mut row, &answer, &fails(Auth).status(401));
    row.done();
}

#[test]
fn t3_a_page_of_a_firewall() {
    let mut row = Row::new("T3", "400 or 403 with a web page");
    let page = format!("<html>\u{1b}[2J {SECRET} {}</html>", "x".repeat(1000));
    for status in [400, 403] {
        let answer = http(
            &format!("{status} No"),
            "content-type: text/html\r\n",
            &page,
        );
        answered(&mut row, &answer, &fails(Auth).status(status));

        let fault = Fault::Next(vec![Act::Read, Act::write(&answer), Act::Close]);
        let world = world(Call::Read, Place::Login, Over::Tls, &fault, |it| it);
        let error = Call::Read.make(&world.client).unwrap_err();
        let excerpt = error.server_message().unwrap();
        assert!(excerpt.starts_with("<html>\\u{1b}[2J"), "{excerpt}");
        assert!(excerpt.chars().count() <= 200, "{excerpt}");
        assert!(!error.to_string().contains("<html>"), "{error}");
    }
    row.note("of the page at most 200 escaped characters, in `server_message()` only");
    row.done();
}

#[test]
fn t4_a_captive_portal() {
    let mut row = Row::new("T4", "200 with a web page");
    let answer = http(
        "200 OK",
        "content-type: text/html\r\n",
        "<html>log in</html>",
    );
    answered(
        &mut row,
        &answer,
        &fails(Decode).status(200).says("a web page"),
    );
    row.done();
}

#[test]
fn t5_an_empty_answer() {
    let mut row = Row::new("T5", "200 without a body");
    answered(
        &mut row,
        &http("200 OK", "", ""),
        &fails(Decode).status(200).says("the body is empty"),
    );
    row.done();
}

#[test]
fn t6_no_access_token() {
    let mut row = Row::new("T6", "`access_token` missing, null or empty");
    for body in [r#"{"expires_in":600}"#, r#"{"access_token":null}"#] {
        answered(
            &mut row,
            &ok("", body),
            &fails(Decode).status(200).says("access_token"),
        );
    }
    let empty = ok("", r#"{"access_token":"","expires_in":600}"#);
    answered(
        &mut row,
        &empty,
        &fails(Decode).status(200).says("the access token is empty"),
    );
    row.done();
}

#[test]
fn t12_a_token_that_no_header_can_carry() {
    let mut row = Row::new("T12", "CR, LF, NUL or a space in the token");
    for odd in ["\\r\\nx: y", "\\n", "\\u0000", " two", "\\u00e9"] {
        let body = format!(r#"{{"access_token":"{TOKEN}{odd}"}}"#);
        answered(
            &mut row,
            &ok("", &body),
            &fails(Decode).status(200).says("no header can carry"),
        );
    }
    row.done();
}

#[test]
fn t13_a_huge_token() {
    let mut row = Row::new("T13", "a token of 200 kB");
    let body = format!(r#"{{"access_token":"{}"}}"#, TOKEN.repeat(20_000));
    answered(
        &mut row,
        &ok("", &body),
        &fails(Decode).status(200).says("longer than 7 KiB"),
    );
    row.done();
}

#[test]
fn t16_a_redirect_to_another_host() {
    let mut row = Row::new("T16", "302 or 307 to another host");
    for status in [302, 307] {
        let elsewhere = Server::start(vec![vec![Act::Read, Act::write(OK)]]);
        let location = format!("location: {}\r\n", elsewhere.http("/"));
        let answer = http(&format!("{status} There"), &location, "");
        answered(
            &mut row,
            &answer,
            &fails(Protocol).status(status).says("redirect"),
        );
        assert_eq!(elsewhere.connections(), 0);
    }
    row.note("the other host sees no connection");
    row.done();
}

#[test]
fn t19_a_dribble() {
    let mut row = Row::new("T19", "the token comes byte by byte, for ever");
    let fault = |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{";
        vec![Fault::Next(vec![
            Act::Read,
            Act::write(head),
            Act::Dribble(b" ".to_vec()),
        ])]
    };
    let expect = fails(Timeout).requests(1, 1).at_login();
    meet_at(
        &mut row,
        Place::Login,
        &[Over::Tls],
        Stalls::Yes,
        &fault,
        &expect,
    );
    row.done();
}

#[test]
fn t21_a_secret_with_everything_in_it() {
    let mut row = Row::new("T21", "`+&=%` and UTF-8 in the secret");
    let hosts = Hosts::start(Over::Tls);
    let world = super::harness::World {
        client: hosts.builder().build().unwrap(),
        side: Box::new(hosts.clone()),
        clock: None,
    };
    row.endure(&world, Call::Read, &served().tokens(1));
    let [request] = &hosts.login.server.requests()[..] else {
        panic!("I7: more than one token request")
    };
    let form = String::from_utf8(request.body.clone()).unwrap();
    let fields: Vec<String> = form
        .split('&')
        .map(|pair| {
            let pair = pair.replace('+', " ");
            percent_encoding::percent_decode_str(&pair)
                .decode_utf8()
                .unwrap()
                .into_owned()
        })
        .collect();
    assert_eq!(
        fields,
        [
            "grant_type=client_credentials".to_owned(),
            format!("client_id={ID}"),
            format!("client_secret={SECRET}"),
        ]
    );
    row.note("the server decodes the secret that was set");
    row.done();
}

#[test]
fn t22_the_token_endpoint_is_down() {
    let mut row = Row::new("T22", "the token endpoint is down, the token fresh");
    for call in Call::ALL {
        let hosts = Hosts::start(Over::Tls);
        let world = super::harness::World {
            client: hosts.builder().build().unwrap(),
            side: Box::new(hosts.clone()),
            clock: None,
        };
        call.make_patiently(&world.client).unwrap();
        let down: &Host = &hosts.login;
        down.fail(&Fault::Dial(vec![Act::Cut]));
        row.endure(&world, call, &served());
    }
    row.done();
}
