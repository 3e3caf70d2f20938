//! [`Reader`]: reads requests from a connection, strictly by HTTP/1.1.

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use super::{
    super::message::Request,
    chunked::{ChunkDecoder, Progress},
};

/// Largest accepted request head, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// Largest accepted body, in bytes.
const MAX_BODY: usize = 1024 * 1024;
const MAX_HEADERS: usize = 96;
/// Longest time between the first byte of a request and its last.
const REQUEST_DEADLINE: Duration = Duration::from_secs(20);

/// The next event of a connection.
pub(crate) enum Incoming {
    Request(Box<Request>),
    /// The client has closed the connection or sent nothing for too long.
    Closed,
    /// The request is refused with this status. The connection has to end.
    Refused(u16),
}

/// The receive buffer of a connection.
pub(crate) struct Reader {
    buffer: Vec<u8>,
    scratch: Box<[u8; 8192]>,
}

#[derive(Clone, Copy)]
enum Length {
    Fixed(usize),
    Chunked,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            scratch: Box::new([0; 8192]),
        }
    }

    /// Reads once. Returns false at the end of the stream.
    fn fill(&mut self, stream: &mut impl Read) -> io::Result<bool> {
        loop {
            match stream.read(self.scratch.as_mut_slice()) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.buffer
                        .extend_from_slice(self.scratch.get(..n).unwrap_or_default());
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits for the next request.
    pub(crate) fn next<S: Read + Write>(&mut self, stream: &mut S) -> Incoming {
        let mut deadline = None;
        let mut tried = 0;
        loop {
            // Parse when the head may be complete, and whenever it has doubled,
            // so that malformed input is refused early. Parsing at every byte of
            // a slow client would be expensive.
            if has_blank_line(&self.buffer, tried) || self.buffer.len() >= tried.max(1) * 2 {
                match self.head() {
                    Ok(Some((request, length, used))) => {
                        self.buffer.drain(..used.min(self.buffer.len()));
                        let deadline =
                            deadline.unwrap_or_else(|| Instant::now() + REQUEST_DEADLINE);
                        return match self.body(stream, request, length, deadline) {
                            Ok(request) => Incoming::Request(Box::new(request)),
                            Err(refused) => refused,
                        };
                    }
                    Ok(None) => {}
                    Err(status) => return Incoming::Refused(status),
                }
                tried = self.buffer.len();
            }
            if self.buffer.len() > MAX_HEAD {
                return Incoming::Refused(431);
            }
            match self.fill(stream) {
                Ok(true) => {
                    if deadline.is_none() {
                        deadline = Some(Instant::now() + REQUEST_DEADLINE);
                    } else if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                        return Incoming::Refused(408);
                    }
                }
                Ok(false) if self.buffer.is_empty() => return Incoming::Closed,
                Ok(false) => return Incoming::Refused(400),
                Err(e) => return self.failed(&e),
            }
        }
    }

    fn failed(&self, error: &io::Error) -> Incoming {
        let timed_out = matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        );
        if timed_out && !self.buffer.is_empty() {
            Incoming::Refused(408)
        } else {
            Incoming::Closed
        }
    }

    /// Parses the head if it is complete.
    fn head(&self) -> Result<Option<(Request, Length, usize)>, u16> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let used = match head.parse(&self.buffer) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(431),
            Err(httparse::Error::Version) => return Err(505),
            Err(_) => return Err(400),
        };
        if used > MAX_HEAD {
            return Err(431);
        }
        let request = Request {
            method: head.method.unwrap_or_default().to_owned(),
            target: origin_form(head.path.unwrap_or_default())?,
            minor_version: head.version.unwrap_or(1),
            headers: head
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.to_vec()))
                .collect(),
            body: Vec::new(),
        };
        let hosts = request.all("host").count();
        if hosts > 1 || (hosts == 0 && request.minor_version == 1) {
            return Err(400);
        }
        let length = body_length(&request)?;
        Ok(Some((request, length, used)))
    }

    fn body<S: Read + Write>(
        &mut self,
        stream: &mut S,
        mut request: Request,
        length: Length,
        deadline: Instant,
    ) -> Result<Request, Incoming> {
        let expects_continue =
            request.minor_version == 1 && request.has_word("expect", "100-continue");
        let mut decoder = ChunkDecoder::default();
        let mut continued = false;
        loop {
            match length {
                Length::Fixed(wanted) => {
                    if self.buffer.len() >= wanted {
                        request.body = self.buffer.drain(..wanted).collect();
                        return Ok(request);
                    }
                }
                Length::Chunked => {
                    let (used, progress) = decoder.feed(&self.buffer, &mut request.body, MAX_BODY);
                    self.buffer.drain(..used.min(self.buffer.len()));
                    match progress {
                        Progress::Done => return Ok(request),
                        Progress::More => {}
                        Progress::Bad => return Err(Incoming::Refused(400)),
                        Progress::TooLarge => return Err(Incoming::Refused(413)),
                    }
                }
            }
            if expects_continue && !continued {
                continued = true;
                stream
                    .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                    .and_then(|()| stream.flush())
                    .map_err(|_| Incoming::Closed)?;
            }
            match self.fill(stream) {
                Ok(true) if Instant::now() > deadline => return Err(Incoming::Refused(408)),
                Ok(true) => {}
                Ok(false) => return Err(Incoming::Refused(400)),
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    return Err(Incoming::Refused(408));
                }
                Err(_) => return Err(Incoming::Closed),
            }
        }
    }
}

/// Whether a blank line ends after the first `seen` bytes.
fn has_blank_line(buffer: &[u8], seen: usize) -> bool {
    buffer
        .get(seen.saturating_sub(3)..)
        .unwrap_or_default()
        .windows(2)
        .any(|pair| pair == b"\n\r" || pair == b"\n\n")
}

/// Path and query of a request target. RFC 9112 requires that a server accepts
/// the absolute form.
fn origin_form(target: &str) -> Result<String, u16> {
    if target.contains('#') || target.len() > 8 * 1024 {
        return Err(if target.len() > 8 * 1024 { 414 } else { 400 });
    }
    if target.starts_with('/') {
        return Ok(target.to_owned());
    }
    let rest = target
        .strip_prefix("http://")
        .or_else(|| target.strip_prefix("https://"))
        .ok_or(400_u16)?;
    match rest.find(['/', '?']) {
        Some(at) => {
            let tail = rest.get(at..).unwrap_or_default();
            Ok(if tail.starts_with('/') {
                tail.to_owned()
            } else {
                format!("/{tail}")
            })
        }
        None => Ok("/".to_owned()),
    }
}

/// The length of the body. Whatever two servers could read in two ways is
/// refused.
fn body_length(request: &Request) -> Result<Length, u16> {
    let mut codings = request.all("transfer-encoding");
    let mut lengths = request.all("content-length");
    if let Some(coding) = codings.next() {
        if lengths.next().is_some() || request.minor_version == 0 {
            return Err(400);
        }
        if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(501);
        }
        return Ok(Length::Chunked);
    }
    let Some(first) = lengths.next() else {
        return Ok(Length::Fixed(0));
    };
    if lengths.next().is_some() || first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return Err(400);
    }
    let length = std::str::from_utf8(first)
        .ok()
        .and_then(|text| text.parse::<usize>().ok())
        .unwrap_or(usize::MAX);
    if length > MAX_BODY {
        return Err(413);
    }
    Ok(Length::Fixed(length))
}

#[cfg(test)]
mod tests;
