//! HTTP/1.1 as a strict server reads and writes it.

use std::{
    io::{self, Read, Write},
    time::{Duration, Instant},
};

use super::chunked::{ChunkDecoder, Progress};

/// Longest accepted request head.
const MAX_HEAD: usize = 32 * 1024;
/// Longest accepted body.
pub(super) const MAX_BODY: usize = 1024 * 1024;
const MAX_HEADERS: usize = 96;
/// How long a client may take from the first byte of a request to its last.
const REQUEST_DEADLINE: Duration = Duration::from_secs(20);

/// One request, still as text and bytes.
#[derive(Clone)]
pub(super) struct Message {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) minor_version: u8,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// Whether a comma-separated header holds a word.
    fn has_word(&self, name: &str, word: &str) -> bool {
        self.all(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(word))
    }

    pub(super) fn keep_alive(&self) -> bool {
        if self.minor_version == 0 {
            self.has_word("connection", "keep-alive")
        } else {
            !self.has_word("connection", "close")
        }
    }
}

/// What came in on a connection.
pub(super) enum Incoming {
    Request(Box<Message>),
    /// The client is gone, or has been silent for too long.
    Closed,
    /// Not a request that can be answered; the connection cannot go on.
    Refused(u16),
}

/// The reading half of a connection: bytes that came but are not used yet.
pub(super) struct Reader {
    buffer: Vec<u8>,
    scratch: Box<[u8; 8192]>,
}

#[derive(Clone, Copy)]
enum Length {
    Fixed(usize),
    Chunked,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            scratch: Box::new([0; 8192]),
        }
    }

    /// Appends what the stream has; false at its end.
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
    pub(super) fn next<S: Read + Write>(&mut self, stream: &mut S) -> Incoming {
        let mut deadline = None;
        let mut tried = 0;
        loop {
            // A head is parsed when it may be complete and, so that nonsense
            // is refused at once, whenever it has doubled; not at every byte
            // that a slow client sends.
            if has_blank_line(&self.buffer, tried) || self.buffer.len() >= tried.max(1) * 2 {
                match self.head() {
                    Ok(Some((message, length, used))) => {
                        self.buffer.drain(..used.min(self.buffer.len()));
                        let deadline =
                            deadline.unwrap_or_else(|| Instant::now() + REQUEST_DEADLINE);
                        return match self.body(stream, message, length, deadline) {
                            Ok(message) => Incoming::Request(Box::new(message)),
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
    fn head(&self) -> Result<Option<(Message, Length, usize)>, u16> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let used = match request.parse(&self.buffer) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(431),
            Err(httparse::Error::Version) => return Err(505),
            Err(_) => return Err(400),
        };
        if used > MAX_HEAD {
            return Err(431);
        }
        let message = Message {
            method: request.method.unwrap_or_default().to_owned(),
            target: origin_form(request.path.unwrap_or_default())?,
            minor_version: request.version.unwrap_or(1),
            headers: request
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), header.value.to_vec()))
                .collect(),
            body: Vec::new(),
        };
        let hosts = message.all("host").count();
        if hosts > 1 || (hosts == 0 && message.minor_version == 1) {
            return Err(400);
        }
        let length = body_length(&message)?;
        Ok(Some((message, length, used)))
    }

    fn body<S: Read + Write>(
        &mut self,
        stream: &mut S,
        mut message: Message,
        length: Length,
        deadline: Instant,
    ) -> Result<Message, Incoming> {
        let continues = message.minor_version == 1 && message.has_word("expect", "100-continue");
        let mut decoder = ChunkDecoder::default();
        let mut asked = false;
        loop {
            match length {
                Length::Fixed(wanted) => {
                    if self.buffer.len() >= wanted {
                        message.body = self.buffer.drain(..wanted).collect();
                        return Ok(message);
                    }
                }
                Length::Chunked => {
                    let (used, progress) = decoder.feed(&self.buffer, &mut message.body, MAX_BODY);
                    self.buffer.drain(..used.min(self.buffer.len()));
                    match progress {
                        Progress::Done => return Ok(message),
                        Progress::More => {}
                        Progress::Bad => return Err(Incoming::Refused(400)),
                        Progress::TooLarge => return Err(Incoming::Refused(413)),
                    }
                }
            }
            if continues && !asked {
                asked = true;
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

/// Whether a blank line ends in what came after the first `seen` bytes.
fn has_blank_line(buffer: &[u8], seen: usize) -> bool {
    buffer
        .get(seen.saturating_sub(3)..)
        .unwrap_or_default()
        .windows(2)
        .any(|pair| pair == b"\n\r" || pair == b"\n\n")
}

/// Path and query of a request target; the absolute form is for proxies, but
/// a server has to understand it.
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

/// How long the body is. Anything that two servers could read in two ways is
/// refused.
fn body_length(message: &Message) -> Result<Length, u16> {
    let mut codings = message.all("transfer-encoding");
    let mut lengths = message.all("content-length");
    if let Some(coding) = codings.next() {
        if lengths.next().is_some() || message.minor_version == 0 {
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

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: Option<&'static str>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self {
            status,
            content_type: Some("application/json; charset=utf-8"),
            headers: Vec::new(),
            body: value.to_string().into_bytes(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Status line and headers, and the blank line after them.
    pub(super) fn head(&self, framing: &str, keep_alive: bool) -> Vec<u8> {
        use std::fmt::Write as _;
        let mut head = String::with_capacity(160);
        // Writing to a `String` cannot fail.
        let _ = write!(head, "HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        if let Some(content_type) = self.content_type {
            let _ = write!(head, "content-type: {content_type}\r\n");
        }
        for (name, value) in &self.headers {
            let clean: String = value.chars().filter(|c| !c.is_control()).collect();
            let _ = write!(head, "{name}: {clean}\r\n");
        }
        let _ = write!(head, "{framing}\r\n");
        if !keep_alive {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The whole answer. A `HEAD` request gets the head alone.
    pub(super) fn encode(&self, keep_alive: bool, head_only: bool) -> Vec<u8> {
        let framing = format!("content-length: {}", self.body.len());
        let mut bytes = self.head(&framing, keep_alive);
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown")
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
