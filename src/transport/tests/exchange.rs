//! Requests and responses, once there is a connection.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use super::TransportErrorKind::{Broken, Protocol, Timeout};
use super::*;
use autharmor_test_support::scripted::{Act, Ca, OK, Server};

/// A TLS server with this script for every connection.
fn server(ca: &Ca, acts: Vec<Act>) -> Server {
    let mut script = vec![Act::Tls(ca.localhost())];
    script.extend(acts);
    Server::start(vec![script])
}

/// Sends a request to a server that responds with these bytes and closes.
fn received(response: impl AsRef<[u8]>) -> Result<HttpResponse, TransportError> {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(response)]);
    get(&trusting(&ca), &server.https("/"))
}

#[test]
fn a_request_arrives_as_it_was_made() {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(OK)]);
    let response = post(&trusting(&ca), &server.https("/start")).unwrap();
    assert_eq!(response.body(), b"{}");
    let [request] = &server.requests()[..] else {
        panic!("{:?}", server.requests())
    };
    let port = server.address().port();
    let mut lines: Vec<&str> = request.head.lines().filter(|l| !l.is_empty()).collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "POST /start?username=ada HTTP/1.1",
            "accept-encoding: identity",
            "authorization: Bearer s3cr3t",
            "content-length: 11",
            &format!("host: localhost:{port}"),
        ]
    );
    assert_eq!(request.body, b"code=s3cr3t");
}

#[test]
fn a_request_leaves_in_one_piece() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut piece = [0; 4096];
        let length = tcp.read(&mut piece).unwrap();
        tcp.write_all(OK.as_bytes()).unwrap();
        String::from_utf8(piece[..length].to_vec()).unwrap()
    });
    let transport = trusting(&Ca::new());
    post(&transport, &format!("http://{address}/start")).unwrap();
    let piece = server.join().unwrap();
    assert!(piece.ends_with("\r\n\r\ncode=s3cr3t"), "{piece}");
}

#[test]
fn a_head_that_fills_the_buffer_arrives_whole_with_its_body() {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(OK)]);
    let mut long = request(Method::POST, &server.https("/"));
    for name in ["x-1", "x-2", "x-3", "x-4", "x-5"] {
        long.set_header(name.parse().unwrap(), "v".repeat(1999).parse().unwrap());
    }
    long.body = Some(vec![b'b'; 50_000].into());
    trusting(&ca).send(long, within(PATIENT)).unwrap();
    let [request] = &server.requests()[..] else {
        panic!("{:?}", server.requests())
    };
    assert_eq!(request.head.matches(&"v".repeat(1999)).count(), 5);
    assert_eq!(request.body, vec![b'b'; 50_000]);
}

#[test]
fn a_post_without_a_body_says_so_and_a_get_needs_not() {
    let ca = Ca::new();
    let twice = vec![Act::Read, Act::write(OK), Act::Read, Act::write(OK)];
    let server = server(&ca, twice);
    let transport = trusting(&ca);
    for method in [Method::POST, Method::GET] {
        let mut empty = request(method, &server.https("/"));
        empty.body = None;
        transport.send(empty, within(PATIENT)).unwrap();
    }
    let heads: Vec<String> = server.requests().into_iter().map(|r| r.head).collect();
    assert!(heads[0].contains("content-length: 0\r\n"), "{heads:?}");
    assert!(!heads[1].contains("content-length"), "{heads:?}");
}

#[test]
fn a_large_body_goes_out_whole() {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(OK)]);
    let mut large = request(Method::POST, &server.https("/"));
    large.body = Some(vec![b'x'; 300_000].into());
    trusting(&ca).send(large, within(PATIENT)).unwrap();
    assert_eq!(server.requests()[0].body.len(), 300_000);
}

#[test]
fn a_request_that_does_not_fit_the_buffers_is_not_begun() {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(OK)]);
    let transport = trusting(&ca);
    let mut large = request(Method::GET, &server.https("/"));
    let token = HeaderValue::from_str(&"t".repeat(200_000)).unwrap();
    large.set_header(header::AUTHORIZATION, token);
    assert_eq!(
        kind(transport.send(large, within(PATIENT))),
        (Protocol, false)
    );
    let long = request(
        Method::GET,
        &server.https(&format!("/{}", "x".repeat(9000))),
    );
    assert_eq!(
        kind(transport.send(long, within(PATIENT))),
        (Protocol, false)
    );
    assert_eq!(server.connections(), 0);
    // Just fitting is fitting.
    let mut fits = request(Method::GET, &server.https("/"));
    let token = HeaderValue::from_str(&"t".repeat(8100)).unwrap();
    fits.set_header(header::AUTHORIZATION, token);
    transport.send(fits, within(PATIENT)).unwrap();
}

#[test]
fn any_status_is_a_response_and_no_redirect_is_followed() {
    for status in [200, 204, 301, 302, 303, 307, 308, 404, 429, 500, 999] {
        let ca = Ca::new();
        let elsewhere = server(&ca, vec![Act::Read, Act::write(OK)]);
        let response = format!(
            "HTTP/1.1 {status} X\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n",
            elsewhere.https("/")
        );
        let server = server(&ca, vec![Act::Read, Act::write(response)]);
        for call in [get, post] {
            let response = call(&trusting(&ca), &server.https("/")).unwrap();
            assert_eq!(response.status().as_u16(), status);
        }
        assert_eq!(elsewhere.connections(), 0);
    }
}

#[test]
fn bodies_come_in_all_framings() {
    for (response, body) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody", "body"),
        ("HTTP/1.1 200 OK\r\n\r\nuntil it closes", "until it closes"),
        ("HTTP/1.0 200 OK\r\n\r\nold", "old"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nch\r\n4\r\nunks\r\n0\r\n\r\n",
            "chunks",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 1\r\n\r\nx",
            "x",
        ),
    ] {
        let response = received(response).unwrap();
        assert_eq!(String::from_utf8_lossy(response.body()), body);
    }
}

#[test]
fn large_responses_come_whole_up_to_the_limit_and_not_beyond() {
    let limit = 1024 * 1024;
    for (length, fits) in [(limit, true), (limit + 1, false)] {
        let body = "x".repeat(length);
        for response in [
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"),
            format!("HTTP/1.1 200 OK\r\n\r\n{body}"),
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
            ),
        ] {
            match received(response) {
                Ok(response) => assert!(fits && response.body().len() == length),
                failed => {
                    assert!(!fits);
                    assert_eq!(kind(failed), (Protocol, true));
                }
            }
        }
    }
    // Ten gigabytes are neither read nor allocated.
    let huge = received("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n");
    assert_eq!(kind(huge), (Protocol, true));
}

#[test]
fn compressed_responses_are_refused() {
    for encoding in ["gzip", "br", "identity, gzip", "\u{e9}"] {
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        assert_eq!(kind(received(response)), (Protocol, true));
    }
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    for response in [
        "SSH-2.0-OpenSSH_9.6 ada@example.com\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 abc ada\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon, but ada\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: ada\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(200_000)),
        format!("HTTP/1.1 200 {}", "x".repeat(200_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(300)),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nada\r\nx".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx".to_owned(),
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
            "0".repeat(200_000)
        ),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabada\r\n0\r\n\r\n".to_owned(),
    ] {
        let (kind, sent) = kind(received(&response));
        let start = &response[..response.len().min(80)];
        assert!(matches!(kind, Protocol | Broken), "{kind:?} for {start}");
        assert!(sent, "{start}");
    }
}

#[test]
fn unusually_large_headers_are_taken() {
    let response = format!(
        "HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\nok",
        format!("x: {}\r\n", "x".repeat(1000)).repeat(40)
    );
    assert_eq!(received(response).unwrap().body(), b"ok");
}

#[test]
fn a_cut_response_is_a_broken_connection() {
    let ca = Ca::new();
    for response in [
        "",
        "HTTP/1.1 200 OK\r\nconte",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\nshort",
    ] {
        for end in [vec![], vec![Act::Cut]] {
            let mut acts = vec![Act::Read, Act::write(response)];
            acts.extend(end);
            let server = server(&ca, acts);
            let result = post(&trusting(&ca), &server.https("/"));
            assert_eq!(kind(result), (Broken, true), "{response}");
        }
    }
}

#[test]
fn a_reset_is_a_broken_connection() {
    let ca = Ca::new();
    for acts in [
        vec![Act::Peek, Act::Cut],
        vec![
            Act::Peek,
            Act::write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"),
            Act::Cut,
        ],
    ] {
        let server = server(&ca, acts);
        let result = post(&trusting(&ca), &server.https("/"));
        assert_eq!(kind(result), (Broken, true));
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_silent_server_ends_at_the_deadline() {
    let ca = Ca::new();
    for acts in [
        vec![Act::Stall],
        vec![Act::Read, Act::Stall],
        vec![Act::Read, Act::write("HTTP/1.1 200 OK\r\nx: "), Act::Stall],
        vec![
            Act::Read,
            Act::write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"),
            Act::Stall,
        ],
    ] {
        times_out_once_sent(&ca, &acts, &[]);
    }
}

/// Expects that a request times out after it was sent. On a busy machine the
/// first deadlines may pass before that.
fn times_out_once_sent(ca: &Ca, acts: &[Act], body: &[u8]) {
    let transport = trusting(ca);
    let mut time = HASTY;
    loop {
        let server = server(ca, acts.to_vec());
        let mut request = request(Method::POST, &server.https("/"));
        request.body = Some(body.to_vec().into());
        match kind(transport.send(request, within(time))) {
            (Timeout, false) if time < PATIENT => time *= 2,
            outcome => return assert_eq!(outcome, (Timeout, true)),
        }
    }
}

#[test]
fn a_server_that_does_not_read_ends_at_the_deadline() {
    let ca = Ca::new();
    times_out_once_sent(&ca, &[Act::Stall], &vec![b'x'; 20_000_000]);
}

#[test]
fn a_deadline_that_has_passed_sends_nothing() {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(OK)]);
    let late = request(Method::GET, &server.https("/"));
    let result = trusting(&ca).send(late, within(Duration::ZERO));
    assert_eq!(kind(result), (Timeout, false));
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_deadline_beyond_all_times_is_none() {
    let ca = Ca::new();
    let server = server(&ca, vec![Act::Read, Act::write(OK)]);
    let mut deadline = Instant::now();
    while let Some(later) = deadline.checked_add(Duration::from_secs(1 << 40)) {
        deadline = later;
        if deadline.duration_since(Instant::now()) > Duration::from_secs(1 << 50) {
            break;
        }
    }
    let limits = Limits {
        deadline,
        max_response_body: usize::MAX,
    };
    let transport = trusting(&ca);
    let first = transport.send(request(Method::GET, &server.https("/")), limits);
    assert_eq!(first.unwrap().body(), b"{}");
}

/// 4 GiB are the limit of 32 bits.
#[test]
fn a_length_of_more_than_4_gib_is_neither_cut_nor_believed() {
    let ca = Ca::new();
    for length in [(1 << 32) + 2, u64::MAX] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{}}");
        let server = server(&ca, vec![Act::Read, Act::write(response)]);
        let limits = Limits {
            max_response_body: u32::MAX.try_into().unwrap(),
            ..within(PATIENT)
        };
        let result = trusting(&ca).send(request(Method::GET, &server.https("/")), limits);
        assert_eq!(kind(result), (Protocol, true), "{length}");
    }
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    received(format!("{head}100000002\r\n{{}}\r\n0\r\n\r\n")).unwrap_err();
}

#[test]
fn connections_are_kept() {
    let ca = Ca::new();
    let exchange = [Act::Read, Act::write(OK)];
    let server = server(&ca, exchange.into_iter().cycle().take(20).collect());
    let transport = trusting(&ca);
    for _ in 0..10 {
        get(&transport, &server.https("/")).unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn many_threads_reuse_their_connections() {
    const THREADS: usize = 8;
    let ca = Ca::new();
    let mut acts = vec![Act::Read, Act::Stall, Act::write(OK)];
    acts.extend([Act::Read, Act::write(OK)].into_iter().cycle().take(100));
    let server = server(&ca, acts);
    let transport = trusting(&ca);
    for _ in 0..3 {
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| get(&transport, &server.https("/")).unwrap());
            }
            // In the first round all of them are there at once.
            server.wait_until_stalled(THREADS);
            server.release();
        });
        assert_eq!(server.connections(), THREADS);
    }
}

#[test]
fn an_idle_connection_that_was_closed_is_replaced() {
    let ca = Ca::new();
    for end in [vec![], vec![Act::Cut]] {
        let mut acts = vec![Act::Read, Act::write(OK)];
        acts.extend(end);
        let server = server(&ca, acts);
        let transport = trusting(&ca);
        for _ in 0..3 {
            post(&transport, &server.https("/")).unwrap();
            server.wait_until_idle();
        }
        assert_eq!(server.connections(), 3);
    }
}

#[test]
fn an_idle_connection_that_breaks_under_the_next_request_is_not_repeated() {
    let ca = Ca::new();
    let acts = vec![Act::Read, Act::write(OK), Act::Peek, Act::Cut];
    let server = server(&ca, acts);
    let transport = trusting(&ca);
    post(&transport, &server.https("/")).unwrap();
    assert_eq!(kind(post(&transport, &server.https("/"))), (Broken, true));
    assert_eq!(server.requests().len(), 2);
    post(&transport, &server.https("/")).unwrap();
}

#[test]
fn bytes_behind_a_response_do_not_become_the_next_response() {
    let ca = Ca::new();
    let injected = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    for acts in [
        vec![Act::write(format!("{OK}{injected}")), Act::Stall],
        vec![Act::write(OK), Act::write(injected), Act::Stall],
    ] {
        let mut script = vec![Act::Tls(ca.localhost()), Act::Read];
        script.extend(acts);
        let server = Server::start(vec![
            script,
            vec![Act::Tls(ca.localhost()), Act::Read, Act::write(OK)],
        ]);
        let transport = trusting(&ca);
        get(&transport, &server.https("/")).unwrap();
        // The forged response is on its way, or here.
        server.wait_until_stalled(1);
        assert_eq!(get(&transport, &server.https("/")).unwrap().body(), b"{}");
        assert_eq!(server.connections(), 2);
    }
}

/// The forged response arrives when the real one has been read to its end.
#[test]
fn bytes_on_an_idle_connection_do_not_become_the_next_response() {
    let injected = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    let ca = Ca::new();
    for opening in [Some(Act::Tls(ca.localhost())), None] {
        let script = |acts: &[Act]| opening.iter().chain(acts).cloned().collect();
        let server = Server::start(vec![
            script(&[
                Act::Read,
                Act::write(OK),
                Act::Stall,
                Act::write(injected),
                Act::Stall,
                // Keeps the connection open, and would serve the next request.
                Act::Read,
                Act::write(OK),
            ]),
            script(&[Act::Read, Act::write(OK)]),
        ]);
        let transport = trusting(&ca);
        let uri = match opening {
            Some(_) => server.https("/"),
            None => server.http("/"),
        };
        assert_eq!(get(&transport, &uri).unwrap().body(), b"{}");
        server.wait_until_stalled(1);
        server.release();
        server.wait_until_stalled(2);
        assert_eq!(get(&transport, &uri).unwrap().body(), b"{}");
        assert_eq!(server.connections(), 2);
    }
}

#[test]
fn the_same_transport_works_after_each_failure() {
    let ca = Ca::new();
    let tls = || Act::Tls(ca.localhost());
    let mut scripts = vec![
        vec![Act::Cut],
        vec![Act::ReadSome, Act::Cut],
        vec![
            Act::ReadSome,
            Act::write("HTTP/1.1 400 Bad Request\r\n\r\n"),
        ],
        vec![tls(), Act::Cut],
        vec![tls(), Act::Peek, Act::Cut],
        vec![tls(), Act::Read, Act::write("garbage\r\n\r\n")],
        vec![
            tls(),
            Act::Read,
            Act::write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"),
        ],
        vec![Act::Tls(Ca::new().localhost()), Act::Read, Act::write(OK)],
    ];
    let failures = scripts.len();
    scripts.push(vec![tls(), Act::Read, Act::write(OK)]);
    let server = Server::start(scripts);
    let transport = trusting(&ca);
    for _ in 0..failures {
        seen(get(&transport, &server.https("/")));
    }
    assert_eq!(get(&transport, &server.https("/")).unwrap().body(), b"{}");
}

#[test]
fn the_time_that_remains_ends_with_the_deadline() {
    let limits = |deadline| Limits {
        deadline,
        max_response_body: 0,
    };
    let now = Instant::now();
    let left = limits(now + PATIENT).remaining();
    assert!(left > PATIENT / 2 && left <= PATIENT, "{left:?}");
    assert!(limits(now).remaining().is_zero());
}
