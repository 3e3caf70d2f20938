//! [`Response`]: reads HTTP/1 responses.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A whole response.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Reads a complete response.
pub(super) fn complete(bytes: &[u8]) -> Option<Response> {
    let (status, headers, length) = parse_head(bytes)?;
    let rest = bytes.get(length..)?;
    let is_chunked = headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let body = match announced {
        _ if is_chunked => unchunk(rest)?,
        Some(length) => rest.get(..length)?.to_vec(),
        None => rest.to_vec(),
    };
    Some(Response {
        status,
        headers,
        body,
    })
}

/// Returns status, headers and length of a head.
pub(super) fn parse_head(bytes: &[u8]) -> Option<(u16, HeaderMap, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 96];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).ok()? else {
        return None;
    };
    let mut headers = HeaderMap::new();
    for field in head.headers.iter() {
        headers.append(
            HeaderName::from_bytes(field.name.as_bytes()).ok()?,
            HeaderValue::from_bytes(field.value).ok()?,
        );
    }
    Some((head.code?, headers, length))
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(rest).ok()?
        else {
            return None;
        };
        if size == 0 {
            return Some(body);
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        body.extend(rest.get(start..end)?);
        rest = rest.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_by_length_in_chunks_and_to_the_end() {
        for (bytes, body) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabc",
                Some("ab"),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
                Some("abc"),
            ),
            ("HTTP/1.0 200 OK\r\n\r\nabc", Some("abc")),
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", None),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nab",
                None,
            ),
            ("220 mail.example ESMTP\r\n", None),
        ] {
            let found = complete(bytes.as_bytes()).map(|response| response.body);
            assert_eq!(found.as_deref(), body.map(str::as_bytes), "{bytes}");
        }
    }
}
