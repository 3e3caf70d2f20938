//! H: unexpected HTTP.

use autharmor::ErrorKind::{Decode, Protocol, RateLimited, Transport, Unavailable};
use autharmor_test_support::scripted::{Act, OK, Server};

use super::calls::Call;
use super::expect::{Cause, fails, served};
use super::fake_service::{FakeService, respond_with, tokens};
use super::harness::Row;
use super::scripted_service::{
    Fault, Hosts, Place, Scheme, Stalls, body_for, check_at, check_both, ok, scenario, serve,
    with_body,
};

/// Every call gets each of these responses, after which the server closes.
fn check_responses(row: &mut Row, responses: &[String], expect: &super::expect::Expect) {
    let faults = |_| {
        let closing =
            |response| Fault::NextRequest(vec![Act::Read, Act::write(response), Act::Close]);
        responses.iter().map(closing).collect()
    };
    check_both(row, &[Scheme::Https], Stalls::No, faults, expect);
}

#[test]
fn h1_empty_response() {
    let mut row = Row::new("H1", "closed without a response, or within its head");
    let fault = |_| {
        let begun = "HTTP/1.1 200 OK\r\nconte";
        vec![
            Fault::FirstRequest(vec![Act::Read, Act::Close]),
            Fault::FirstRequest(vec![Act::Read, Act::write(begun), Act::Close]),
        ]
    };
    let expect = fails(Transport).caused_by(Cause::Io).requests(3, 1);
    check_both(&mut row, &Scheme::BOTH, Stalls::No, fault, &expect);
    row.finish();
}

#[test]
fn h2_not_http() {
    let mut row = Row::new("H2", "garbage, HTTP/2, HTTP/0.9");
    let responses = [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "<html>old</html>\r\n\r\n".to_owned(),
        "\0\0\u{12}\u{4}\0\0\0\0\0\0\r\n\r\n".to_owned(),
    ];
    check_responses(&mut row, &responses, &fails(Protocol));
    row.finish();
}

#[test]
fn h3_invalid_status() {
    let mut row = Row::new("H3", "status 20 or 999");
    check_responses(
        &mut row,
        &["HTTP/1.1 20 OK\r\n\r\n".to_owned()],
        &fails(Protocol),
    );
    for call in Call::ALL {
        let response = with_body("999 Odd", "", &call.body());
        let fault = Fault::NextRequest(vec![Act::Read, Act::write(response), Act::Close]);
        let scenario = scenario(call, Place::Api, Scheme::Https, &fault, |it| it);
        row.check_call(&scenario, call, &fails(Protocol).status(999));
    }
    row.finish();
}

#[test]
fn h4_interim_responses() {
    let mut row = Row::new("H4", "100 and 103 before the response");
    let fault = |_| {
        vec![Fault::NextRequest(vec![Act::serve(|seen| {
            let response = ok("", &body_for(seen));
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{response}"
            )
            .into_bytes()
        })])]
    };
    check_both(&mut row, &Scheme::BOTH, Stalls::No, fault, &served());
    row.finish();
}

#[test]
fn h5_no_content_where_a_body_is_due() {
    let mut row = Row::new("H5", "204 where a body is due");
    check_responses(
        &mut row,
        &["HTTP/1.1 204 No Content\r\n\r\n".to_owned()],
        &fails(Decode).status(204).says("the body is empty"),
    );
    row.finish();
}

#[test]
fn h6_shorter_than_content_length() {
    let mut row = Row::new("H6", "shorter than its `Content-Length`");
    let expect = fails(Transport).caused_by(Cause::Io).requests(3, 1);
    let responses = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned(),
    ];
    check_responses(&mut row, &responses, &expect);
    row.finish();
}

#[test]
fn h9_chunks() {
    let mut row = Row::new("H9", "chunks: bad, truncated, unterminated, huge");
    let chunked =
        |body: &str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let bad = [
        chunked("zz\r\n{}\r\n0\r\n\r\n"),
        chunked("ffffffffffffffffff\r\n{"),
        chunked("2\r\n{}{}\r\n0\r\n\r\n"),
        chunked(&"0".repeat(200_000)),
    ];
    check_responses(&mut row, &bad, &fails(Protocol));
    let cut = [chunked("10\r\n{"), chunked("2\r\n{}\r\n"), chunked("")];
    let expect = fails(Transport).caused_by(Cause::Io).requests(3, 1);
    check_responses(&mut row, &cut, &expect);
    row.finish();
}

#[test]
fn h10_second_response_behind_the_response() {
    let mut row = Row::new("H10", "a second response behind the response");
    let fault = |_| {
        vec![Fault::NextRequest(vec![Act::serve(|seen| {
            let forged = ok("", r#"{"access_token":"forged","user_id":"forged"}"#);
            [serve(seen, ""), forged.into_bytes()].concat()
        })])]
    };
    check_both(&mut row, &Scheme::BOTH, Stalls::No, fault, &served());
    row.note("the next call gets its own response");
    row.finish();
}

#[test]
fn h11_huge_heads() {
    let mut row = Row::new("H11", "200 kB of headers, 300 headers, endless status line");
    let responses = [
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(300)),
        format!("HTTP/1.1 200 {}", "x".repeat(200_000)),
    ];
    check_responses(&mut row, &responses, &fails(Protocol));
    row.finish();
}

#[test]
fn h12_huge_body() {
    let mut row = Row::new("H12", "a body of 10 GB");
    let flood = "x".repeat(2 * 1024 * 1024);
    let responses = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{".to_owned(),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{flood}"),
        format!("HTTP/1.1 200 OK\r\n\r\n{flood}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff0\r\n{flood}"),
    ];
    check_responses(&mut row, &responses, &fails(Protocol).says("too large"));
    row.finish();
}

#[test]
fn h13_compressed_body() {
    let mut row = Row::new("H13", "compressed body, or a gzip bomb");
    let responses: Vec<String> = ["gzip", "br", "deflate", "identity, gzip"]
        .iter()
        .map(|coding| {
            with_body(
                "200 OK",
                &format!("content-encoding: {coding}\r\n"),
                "\u{1f}\u{8b}bomb",
            )
        })
        .collect();
    check_responses(&mut row, &responses, &fails(Protocol).says("compressed"));
    row.finish();
}

#[test]
fn h15_retry_after_values() {
    const DATE: (&str, &str) = ("date", "Tue, 29 Feb 2028 23:59:58 GMT");
    let mut row = Row::new("H15", "429 with every kind of `Retry-After`");
    let many: &[(&[&str], Option<u64>)] = &[
        (&["61"], Some(61)),
        (&["1000000000"], Some(1_000_000_000)),
        (&["Wed, 01 Mar 2028 00:59:58 GMT"], Some(3600)),
        (&["61", "1"], Some(61)),
    ];
    // Longer than any pause: the error comes at once.
    for (values, seconds) in many {
        for call in Call::ALL {
            let mut headers: Vec<_> = values.iter().map(|it| ("retry-after", *it)).collect();
            headers.push(DATE);
            let service = FakeService::new(tokens, move |_, _, _| respond_with(429, &headers, ""));
            let after = std::time::Duration::from_secs(seconds.unwrap());
            let expect = fails(RateLimited)
                .status(429)
                .refused()
                .retry_after(after)
                .tokens(1);
            row.check_call(&service.scenario(), call, &expect);
        }
    }
    // Not a time: the usual pauses are made.
    for junk in [
        "-1",
        "soon",
        "",
        "1e9",
        "99999999999999999999999",
        "Wed, 01 Mar 2028 00:00:03",
        "Wed, 99 Mar 2028 00:00:03 GMT",
        "\u{e9}",
    ] {
        for call in Call::ALL {
            let headers = [("retry-after", junk), DATE];
            let service = FakeService::new(tokens, move |_, _, _| respond_with(429, &headers, ""));
            let expect = fails(RateLimited)
                .status(429)
                .refused()
                .requests(3, 3)
                .tokens(1);
            row.check_call(&service.scenario(), call, &expect);
        }
    }
    // A date in the past counts as now.
    for call in Call::ALL {
        let headers = [("retry-after", "Tue, 29 Feb 2028 23:00:00 GMT"), DATE];
        let service = FakeService::new(tokens, move |_, _, _| respond_with(429, &headers, ""));
        let expect = fails(RateLimited)
            .status(429)
            .refused()
            .retry_after(std::time::Duration::ZERO)
            .requests(3, 3)
            .tokens(1);
        row.check_call(&service.scenario(), call, &expect);
    }
    row.finish();
}

#[test]
fn h17_gateway_error() {
    let mut row = Row::new("H17", "502 or 504 with a web page");
    let page = format!("<html>{}</html>", "x".repeat(50_000));
    for status in [502, 504] {
        let response = with_body(
            &format!("{status} Gateway"),
            "content-type: text/html\r\n",
            &page,
        );
        let expect = fails(Unavailable).status(status).requests(3, 1);
        // The server keeps the connection. If it closed without notice, a
        // retry could be sent over the connection before the client sees it.
        let fault = |_| {
            let acts = vec![Act::Read, Act::write(&response)];
            vec![Fault::NextRequest(acts)]
        };
        check_both(&mut row, &[Scheme::Https], Stalls::No, fault, &expect);

        let fault = Fault::NextRequest(vec![Act::Read, Act::write(&response), Act::Close]);
        let scenario = scenario(Call::Start, Place::Api, Scheme::Https, &fault, |it| it);
        let error = Call::Start.make(&scenario.client).unwrap_err();
        assert_eq!(error.server_message().map(str::len), Some(200));
    }
    row.note("200 characters of the page are kept");
    row.finish();
}

#[test]
fn h18_redirect() {
    let mut row = Row::new("H18", "a redirect");
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(vec![vec![Act::Read, Act::write(OK)]]);
        let location = elsewhere.http("/");
        let fault = move |_| {
            let response = format!(
                "HTTP/1.1 {status} There\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            );
            vec![Fault::NextRequest(vec![
                Act::Read,
                Act::write(response),
                Act::Close,
            ])]
        };
        let expect = fails(Protocol).status(status).says("redirect");
        check_at(
            &mut row,
            Place::Api,
            &[Scheme::Https],
            Stalls::No,
            &fault,
            &expect,
        );
        assert_eq!(elsewhere.connections(), 0);
    }
    row.note("the other host sees no connection");
    row.finish();
}

#[test]
fn h20_keep_alive_is_ignored() {
    let mut row = Row::new("H20", "the server closes in spite of keep-alive");
    for version in ["1.0", "1.1"] {
        for call in Call::ALL {
            let hosts = Hosts::start(Scheme::Https);
            let client = hosts.builder().build().unwrap();
            let closing = Act::serve(move |seen| {
                let body = body_for(seen);
                format!("HTTP/{version} 200 OK\r\nconnection: keep-alive\r\n\r\n{body}")
                    .into_bytes()
            });
            hosts
                .api
                .fail(&Fault::FirstRequest(vec![closing, Act::Close]));
            call.make_with_time(&client).unwrap();
            hosts.api.server.wait_until_idle();
            hosts.api.recover();
            let scenario = super::harness::Scenario {
                client,
                service: Box::new(hosts),
                clock: None,
            };
            row.check_call(&scenario, call, &served());
        }
    }
    row.finish();
}
