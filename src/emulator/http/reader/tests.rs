use super::*;
use std::io::Cursor;

/// A stream that returns its input in pieces and keeps what is written.
struct Pieces {
    input: Cursor<Vec<u8>>,
    size: usize,
    output: Vec<u8>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.size.min(buffer.len());
        self.input.read(&mut buffer[..size])
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pieces(input: &str, size: usize) -> Pieces {
    Pieces {
        input: Cursor::new(input.as_bytes().to_vec()),
        size,
        output: Vec::new(),
    }
}

fn read(input: &str) -> Incoming {
    Reader::new().next(&mut pieces(input, 8192))
}

fn refused(input: &str) -> u16 {
    match read(input) {
        Incoming::Refused(status) => status,
        Incoming::Request(_) => panic!("accepted: {input:?}"),
        Incoming::Closed => panic!("closed: {input:?}"),
    }
}

#[test]
fn reads_requests_in_any_pieces() {
    let input = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
                 \r\nPUT /d HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nef\r\n0\r\n\r\n";
    for size in [1, 2, 7, 8192] {
        let mut stream = pieces(input, size);
        let mut reader = Reader::new();
        let Incoming::Request(first) = reader.next(&mut stream) else {
            panic!("size {size}")
        };
        assert_eq!((first.path(), first.query()), ("/a", Some("b=c")));
        assert_eq!(first.body, b"abc");
        let Incoming::Request(second) = reader.next(&mut stream) else {
            panic!("size {size}")
        };
        assert_eq!(
            (second.method.as_str(), second.body.as_slice()),
            ("PUT", &b"ef"[..])
        );
        assert!(matches!(reader.next(&mut stream), Incoming::Closed));
    }
}

#[test]
fn absolute_targets_are_accepted() {
    for (target, expected) in [
        ("http://h/a?b", "/a?b"),
        ("https://h?b", "/?b"),
        ("http://h", "/"),
    ] {
        assert_eq!(origin_form(target), Ok(expected.to_owned()));
    }
    assert_eq!(origin_form("*"), Err(400));
    assert_eq!(origin_form("ftp://h/"), Err(400));
}

#[test]
fn ambiguous_or_broken_requests_are_refused() {
    let long = "x".repeat(9000);
    for (status, input) in [
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, "\u{1}\u{2}\u{3}".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx".to_owned(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"
                .to_owned(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"
                .to_owned(),
        ),
        (
            501,
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz".to_owned(),
        ),
        (
            400,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc".to_owned(),
        ),
        (400, "GET / HTTP/1.1\r\nHos".to_owned()),
        (
            413,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"
                .to_owned(),
        ),
        (
            413,
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4294967298\r\n\r\nok".to_owned(),
        ),
        (414, format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")),
        (
            431,
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
                "A: b\r\n".repeat(200)
            ),
        ),
        (
            431,
            format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", long.repeat(4)),
        ),
        (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned()),
    ] {
        assert_eq!(
            refused(&input),
            status,
            "{:?}",
            &input[..input.len().min(90)]
        );
    }
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let mut stream = pieces(&format!("{head}x"), head.len());
    let incoming = Reader::new().next(&mut stream);
    assert!(matches!(incoming, Incoming::Request(m) if m.body == b"x"));
    assert_eq!(stream.output, b"HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn connections_stay_open_as_requested() {
    for (head, keep) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
    ] {
        let Incoming::Request(message) = read(head) else {
            panic!("{head}")
        };
        assert_eq!(message.keep_alive(), keep, "{head}");
    }
}
