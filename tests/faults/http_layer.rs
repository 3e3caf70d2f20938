//! H: what is not the expected HTTP.

use super::api::ErrorKind::{Decode, Protocol, RateLimited, Transport, Unavailable};
use super::fake::{Fake, answer_with, tokens};
use super::harness::{Call, Cause, Row, fails, served};
use super::scripted::{Act, OK, Server};
use super::wire::{Fault, Hosts, Over, Place, Stalls, body_for, meet, meet_at, ok, serve};

/// Every call meets each of these answers, the connection being closed after
/// it.
fn answered(row: &mut Row, answers: &[String], expect: &super::harness::Expect) {
    let faults = |_| {
        let closing = |answer| Fault::Next(vec![Act::Read, Act::write(answer), Act::Close]);
        answers.iter().map(closing).collect()
    };
    meet(row, &[Over::Tls], Stalls::No, faults, expect);
}

fn with_body(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[test]
fn h1_an_empty_reply() {
    let mut row = Row::new("H1", "closed without an answer, or within its head");
    let fault = |_| {
        let begun = "HTTP/1.1 200 OK\r\nconte";
        vec![
            Fault::First(vec![Act::Read, Act::Close]),
            Fault::First(vec![Act::Read, Act::write(begun), Act::Close]),
        ]
    };
    let expect = fails(Transport).because(Cause::Io).requests(3, 1);
    meet(&mut row, &Over::BOTH, Stalls::No, fault, &expect);
    row.done();
}

#[test]
fn h2_not_http() {
    let mut row = Row::new("H2", "garbage, HTTP/2, HTTP/0.9");
    let answers = [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "<html>old</html>\r\n\r\n".to_owned(),
        "\0\0\u{12}\u{4}\0\0\0\0\0\0\r\n\r\n".to_owned(),
    ];
    answered(&mut row, &answers, &fails(Protocol));
    row.done();
}

#[test]
fn h3_a_status_that_is_none() {
    let mut row = Row::new("H3", "status 20 or 999");
    answered(
        &mut row,
        &["HTTP/1.1 20 OK\r\n\r\n".to_owned()],
        &fails(Protocol),
    );
    for call in Call::ALL {
        let answer = with_body("999 Odd", "", &call.body());
        let fault = Fault::Next(vec![Act::Read, Act::write(answer), Act::Close]);
        let world = super::wire::world(call, Place::Api, Over::Tls, &fault, |it| it);
        row.endure(&world, call, &fails(Protocol).status(999));
    }
    row.done();
}

#[test]
fn h4_interim_answers() {
    let mut row = Row::new("H4", "100 and 103 before the answer");
    let fault = |_| {
        vec![Fault::Next(vec![Act::serve(|seen| {
            let answer = ok("", &body_for(seen));
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{answer}"
            )
            .into_bytes()
        })])]
    };
    meet(&mut row, &Over::BOTH, Stalls::No, fault, &served());
    row.done();
}

#[test]
fn h5_no_content_where_some_is_due() {
    let mut row = Row::new("H5", "204 where a body is due");
    answered(
        &mut row,
        &["HTTP/1.1 204 No Content\r\n\r\n".to_owned()],
        &fails(Decode).status(204).says("the body is empty"),
    );
    row.done();
}

#[test]
fn h6_less_than_announced() {
    let mut row = Row::new("H6", "shorter than its `Content-Length`");
    let expect = fails(Transport).because(Cause::Io).requests(3, 1);
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n".to_owned(),
    ];
    answered(&mut row, &answers, &expect);
    row.done();
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
    answered(&mut row, &bad, &fails(Protocol));
    let cut = [chunked("10\r\n{"), chunked("2\r\n{}\r\n"), chunked("")];
    let expect = fails(Transport).because(Cause::Io).requests(3, 1);
    answered(&mut row, &cut, &expect);
    row.done();
}

#[test]
fn h10_more_than_announced() {
    let mut row = Row::new("H10", "another answer behind the answer");
    let fault = |_| {
        vec![Fault::Next(vec![Act::serve(|seen| {
            let forged = ok("", r#"{"access_token":"forged","user_id":"forged"}"#);
            [serve(seen, ""), forged.into_bytes()].concat()
        })])]
    };
    meet(&mut row, &Over::BOTH, Stalls::No, fault, &served());
    row.note("the next call gets its own answer");
    row.done();
}

#[test]
fn h11_endless_heads() {
    let mut row = Row::new("H11", "200 kB of headers, 300 headers, endless status line");
    let answers = [
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(300)),
        format!("HTTP/1.1 200 {}", "x".repeat(200_000)),
    ];
    answered(&mut row, &answers, &fails(Protocol));
    row.done();
}

#[test]
fn h12_a_body_without_end() {
    let mut row = Row::new("H12", "a body of 10 GB");
    let flood = "x".repeat(2 * 1024 * 1024);
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{".to_owned(),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{flood}"),
        format!("HTTP/1.1 200 OK\r\n\r\n{flood}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff0\r\n{flood}"),
    ];
    answered(&mut row, &answers, &fails(Protocol).says("too large"));
    row.done();
}

#[test]
fn h13_a_compressed_bomb() {
    let mut row = Row::new("H13", "compressed, or a bomb of gzip");
    let answers: Vec<String> = ["gzip", "br", "deflate", "identity, gzip"]
        .iter()
        .map(|coding| {
            with_body(
                "200 OK",
                &format!("content-encoding: {coding}\r\n"),
                "\u{1f}\u{8b}bomb",
            )
        })
        .collect();
    answered(&mut row, &answers, &fails(Protocol).says("compressed"));
    row.done();
}

#[test]
fn h15_retry_after_of_all_kinds() {
    const DATE: (&str, &str) = ("date", "Tue, 29 Feb 2028 23:59:58 GMT");
    let mut row = Row::new("H15", "429 with every kind of `Retry-After`");
    let many: &[(&[&str], Option<u64>)] = &[
        (&["61"], Some(61)),
        (&["1000000000"], Some(1_000_000_000)),
        (&["Wed, 01 Mar 2028 00:59:58 GMT"], Some(3600)),
        (&["61", "1"], Some(61)),
    ];
    // Longer than anybody waits: the error comes at once.
    for (values, seconds) in many {
        for call in Call::ALL {
            let mut headers: Vec<_> = values.iter().map(|it| ("retry-after", *it)).collect();
            headers.push(DATE);
            let fake = Fake::new(tokens, move |_, _, _| answer_with(429, &headers, ""));
            let after = std::time::Duration::from_secs(seconds.unwrap());
            let expect = fails(RateLimited)
                .status(429)
                .refused()
                .retry_after(after)
                .tokens(1);
            row.endure(&fake.world(), call, &expect);
        }
    }
    // Not a time: as if there were none, so that the usual pauses are made.
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
            let fake = Fake::new(tokens, move |_, _, _| answer_with(429, &headers, ""));
            let expect = fails(RateLimited)
                .status(429)
                .refused()
                .requests(3, 3)
                .tokens(1);
            row.endure(&fake.world(), call, &expect);
        }
    }
    // A date in the past is now.
    for call in Call::ALL {
        let headers = [("retry-after", "Tue, 29 Feb 2028 23:00:00 GMT"), DATE];
        let fake = Fake::new(tokens, move |_, _, _| answer_with(429, &headers, ""));
        let expect = fails(RateLimited)
            .status(429)
            .refused()
            .retry_after(std::time::Duration::ZERO)
            .requests(3, 3)
            .tokens(1);
        row.endure(&fake.world(), call, &expect);
    }
    row.done();
}

#[test]
fn h17_a_gateway_without_its_server() {
    let mut row = Row::new("H17", "502 or 504 with a web page");
    let page = format!("<html>{}</html>", "x".repeat(50_000));
    for status in [502, 504] {
        let answer = with_body(
            &format!("{status} Gateway"),
            "content-type: text/html\r\n",
            &page,
        );
        let expect = fails(Unavailable).status(status).requests(3, 1);
        answered(&mut row, std::slice::from_ref(&answer), &expect);

        let fault = Fault::Next(vec![Act::Read, Act::write(&answer), Act::Close]);
        let world = super::wire::world(Call::Start, Place::Api, Over::Tls, &fault, |it| it);
        let error = Call::Start.make(&world.client).unwrap_err();
        assert_eq!(error.server_message().map(str::len), Some(200));
    }
    row.note("of the page 200 characters");
    row.done();
}

#[test]
fn h18_a_redirect() {
    let mut row = Row::new("H18", "a redirect");
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(vec![vec![Act::Read, Act::write(OK)]]);
        let location = elsewhere.http("/");
        let fault = move |_| {
            let answer = format!(
                "HTTP/1.1 {status} There\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
            );
            vec![Fault::Next(vec![Act::Read, Act::write(answer), Act::Close])]
        };
        let expect = fails(Protocol).status(status).says("redirect");
        meet_at(
            &mut row,
            Place::Api,
            &[Over::Tls],
            Stalls::No,
            &fault,
            &expect,
        );
        assert_eq!(elsewhere.connections(), 0);
    }
    row.note("the other host sees no connection");
    row.done();
}

#[test]
fn h20_keep_alive_is_ignored() {
    let mut row = Row::new("H20", "the server closes though it was to keep alive");
    for version in ["1.0", "1.1"] {
        for call in Call::ALL {
            let hosts = Hosts::start(Over::Tls);
            let client = hosts.builder().build().unwrap();
            let closing = Act::serve(move |seen| {
                let body = body_for(seen);
                format!("HTTP/{version} 200 OK\r\nconnection: keep-alive\r\n\r\n{body}")
                    .into_bytes()
            });
            hosts.api.fail(&Fault::First(vec![closing, Act::Close]));
            call.make_patiently(&client).unwrap();
            hosts.api.server.wait_until_idle();
            hosts.api.heal();
            let world = super::harness::World {
                client,
                side: Box::new(hosts),
                clock: None,
            };
            row.endure(&world, call, &served());
        }
    }
    row.done();
}
