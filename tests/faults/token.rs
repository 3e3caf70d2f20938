//! T: the token endpoint. Its rows about time are in `time.rs`.

use autharmor::ErrorKind::{Auth, Decode, Protocol, Timeout};
use autharmor_test_support::scripted::{Act, OK, Server};

use super::calls::{Call, ID};
use super::expect::{Expect, fails, served};
use super::harness::Row;
use super::scripted_service::{
    Fault, Host, Hosts, Place, Scheme, Stalls, check_at, ok, scenario, with_body,
};
use super::secrets::{SECRET, TOKEN};

/// Every call gets this response to its token request.
fn check_response(row: &mut Row, response: &str, expect: &Expect) {
    let fault = |_| {
        vec![Fault::NextRequest(vec![
            Act::Read,
            Act::write(response),
            Act::Close,
        ])]
    };
    let expect = expect.clone().at_login();
    check_at(
        row,
        Place::Login,
        &[Scheme::Https],
        Stalls::No,
        &fault,
        &expect,
    );
}

/// The decoded pairs of a form body.
pub(crate) fn form_fields(body: &[u8]) -> Vec<String> {
    let form = std::str::from_utf8(body).unwrap();
    let decode = |pair: &str| {
        let pair = pair.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&pair).decode_utf8();
        decoded.unwrap().into_owned()
    };
    form.split('&').map(decode).collect()
}

#[test]
fn t1_invalid_client() {
    let mut row = Row::new("T1", "400 `invalid_client`");
    let response = with_body(
        "400 Bad Request",
        "content-type: application/json\r\n",
        &format!(r#"{{"error":"invalid_client","error_description":"no {SECRET}"}}"#),
    );
    let expect = fails(Auth)
        .status(400)
        .code("invalid_client")
        .says("token: ");
    check_response(&mut row, &response, &expect);
    row.finish();
}

#[test]
fn t2_unauthorized_without_a_body() {
    let mut row = Row::new("T2", "401, `WWW-Authenticate`, no body");
    let response = with_body(
        "401 Unauthorized",
        "www-authenticate: Basic realm=x\r\n",
        "",
    );
    check_response(&mut row, &response, &fails(Auth).status(401));
    row.finish();
}

#[test]
fn t3_web_page_of_a_firewall() {
    let mut row = Row::new("T3", "400 or 403 with a web page");
    let page = format!("<html>\u{1b}[2J {SECRET} {}</html>", "x".repeat(1000));
    for status in [400, 403] {
        let response = with_body(
            &format!("{status} No"),
            "content-type: text/html\r\n",
            &page,
        );
        check_response(&mut row, &response, &fails(Auth).status(status));

        let fault = Fault::NextRequest(vec![Act::Read, Act::write(&response), Act::Close]);
        let scenario = scenario(Call::Read, Place::Login, Scheme::Https, &fault, |it| it);
        let error = Call::Read.make(&scenario.client).unwrap_err();
        let excerpt = error.server_message().unwrap();
        assert!(excerpt.starts_with("<html>\\u{1b}[2J"), "{excerpt}");
        assert!(excerpt.chars().count() <= 200, "{excerpt}");
        assert!(!error.to_string().contains("<html>"), "{error}");
    }
    row.note("at most 200 escaped characters of the page, in `server_message()` only");
    row.finish();
}

#[test]
fn t4_captive_portal() {
    let mut row = Row::new("T4", "200 with a web page");
    let response = with_body(
        "200 OK",
        "content-type: text/html\r\n",
        "<html>log in</html>",
    );
    check_response(
        &mut row,
        &response,
        &fails(Decode).status(200).says("a web page"),
    );
    row.finish();
}

#[test]
fn t5_empty_response() {
    let mut row = Row::new("T5", "200 without a body");
    check_response(
        &mut row,
        &with_body("200 OK", "", ""),
        &fails(Decode).status(200).says("the body is empty"),
    );
    row.finish();
}

#[test]
fn t6_no_access_token() {
    let mut row = Row::new("T6", "`access_token` missing, null or empty");
    for body in [r#"{"expires_in":600}"#, r#"{"access_token":null}"#] {
        check_response(
            &mut row,
            &ok("", body),
            &fails(Decode).status(200).says("access_token"),
        );
    }
    let empty = ok("", r#"{"access_token":"","expires_in":600}"#);
    check_response(
        &mut row,
        &empty,
        &fails(Decode).status(200).says("the access token is empty"),
    );
    row.finish();
}

#[test]
fn t12_token_that_no_header_can_carry() {
    let mut row = Row::new("T12", "CR, LF, NUL or a space in the token");
    for odd in ["\\r\\nx: y", "\\n", "\\u0000", " two", "\\u00e9"] {
        let body = format!(r#"{{"access_token":"{TOKEN}{odd}"}}"#);
        check_response(
            &mut row,
            &ok("", &body),
            &fails(Decode).status(200).says("no header can carry"),
        );
    }
    row.finish();
}

#[test]
fn t13_huge_token() {
    let mut row = Row::new("T13", "a token of 200 kB");
    let body = format!(r#"{{"access_token":"{}"}}"#, TOKEN.repeat(20_000));
    check_response(
        &mut row,
        &ok("", &body),
        &fails(Decode).status(200).says("longer than 7 KiB"),
    );
    row.finish();
}

#[test]
fn t16_redirect_to_another_host() {
    let mut row = Row::new("T16", "302 or 307 to another host");
    for status in [302, 307] {
        let elsewhere = Server::start(vec![vec![Act::Read, Act::write(OK)]]);
        let location = format!("location: {}\r\n", elsewhere.http("/"));
        let response = with_body(&format!("{status} There"), &location, "");
        check_response(
            &mut row,
            &response,
            &fails(Protocol).status(status).says("redirect"),
        );
        assert_eq!(elsewhere.connections(), 0);
    }
    row.note("the other host sees no connection");
    row.finish();
}

#[test]
fn t19_slow_token_response() {
    let mut row = Row::new("T19", "the token arrives byte by byte, without end");
    let fault = |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{";
        vec![Fault::NextRequest(vec![
            Act::Read,
            Act::write(head),
            Act::Dribble(b" ".to_vec()),
        ])]
    };
    let expect = fails(Timeout).requests(1, 1).at_login();
    check_at(
        &mut row,
        Place::Login,
        &[Scheme::Https],
        Stalls::Yes,
        &fault,
        &expect,
    );
    row.finish();
}

#[test]
fn t21_secret_with_special_characters() {
    let mut row = Row::new("T21", "`+&=%` and UTF-8 in the secret");
    let hosts = Hosts::start(Scheme::Https);
    let scenario = super::harness::Scenario {
        client: hosts.builder().build().unwrap(),
        service: Box::new(hosts.clone()),
        clock: None,
    };
    row.check_call(&scenario, Call::Read, &served().tokens(1));
    let [request] = &hosts.login.server.requests()[..] else {
        panic!("I7: more than one token request")
    };
    assert_eq!(
        form_fields(&request.body),
        [
            "grant_type=client_credentials".to_owned(),
            format!("client_id={ID}"),
            format!("client_secret={SECRET}"),
        ]
    );
    row.note("the server decodes the secret that was set");
    row.finish();
}

#[test]
fn t22_token_endpoint_is_down() {
    let mut row = Row::new("T22", "the token endpoint is down while the token is valid");
    for call in Call::ALL {
        let hosts = Hosts::start(Scheme::Https);
        let scenario = super::harness::Scenario {
            client: hosts.builder().build().unwrap(),
            service: Box::new(hosts.clone()),
            clock: None,
        };
        call.make_with_time(&scenario.client).unwrap();
        let down: &Host = &hosts.login;
        down.fail(&Fault::Connection(vec![Act::Cut]));
        row.check_call(&scenario, call, &served());
    }
    row.finish();
}
