//! Encodes responses, also damaged ones.

use std::{fmt::Write as _, time::Duration};

use super::super::{control::faults::Damage, message::Response};

/// The bytes of a response, and how to send them.
#[derive(Debug)]
pub(crate) enum Encoded {
    /// Sends a whole response; the connection may go on.
    Whole(Vec<u8>),
    /// Sends the head at once and the body in pieces over the time; the connection
    /// may go on.
    Slow(Vec<u8>, Vec<u8>, Duration),
    /// Sends the bytes, then closes the connection gracefully.
    Close(Vec<u8>),
    /// Sends the bytes, then breaks the connection.
    Break(Vec<u8>),
}

/// Status line, headers and a blank line. `framing` is the header that tells
/// the length of the body.
fn encode_head(response: &Response, framing: &str, keep_alive: bool) -> Vec<u8> {
    let mut head = String::with_capacity(160);
    // Writing to a `String` cannot fail.
    let _ = write!(
        head,
        "HTTP/1.1 {} {}\r\n",
        response.status,
        reason(response.status)
    );
    if let Some(content_type) = response.content_type {
        let _ = write!(head, "content-type: {content_type}\r\n");
    }
    for (name, value) in &response.headers {
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

/// The whole response. The response to a `HEAD` request has no body.
pub(crate) fn encode(response: &Response, keep_alive: bool, head_only: bool) -> Vec<u8> {
    let framing = format!("content-length: {}", response.body.len());
    let mut bytes = encode_head(response, &framing, keep_alive);
    if !head_only {
        bytes.extend_from_slice(&response.body);
    }
    bytes
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown")
}

/// Encodes a response with the damage of a fault.
pub(crate) fn encode_damaged(
    mut response: Response,
    damage: Damage,
    keep_alive: bool,
    head_only: bool,
) -> Encoded {
    match damage {
        Damage::None => Encoded::Whole(encode(&response, keep_alive, head_only)),
        Damage::SlowBody(time) => {
            let head = encode(&response, keep_alive, true);
            let body = if head_only { Vec::new() } else { response.body };
            Encoded::Slow(head, body, time)
        }
        Damage::DropBefore => Encoded::Break(Vec::new()),
        Damage::DropIn => {
            let mut bytes = encode(&response, true, head_only);
            bytes.truncate(24);
            Encoded::Break(bytes)
        }
        Damage::Garbage => {
            let mut bytes: Vec<u8> = (0_u8..=255).rev().collect();
            bytes.extend_from_slice(b"\r\n\r\n");
            Encoded::Close(bytes)
        }
        Damage::Truncate => {
            if response.body.is_empty() {
                response.body = b"{}".to_vec();
            }
            let missing = response.body.len().div_ceil(2);
            let mut bytes = encode(&response, true, false);
            bytes.truncate(bytes.len() - missing);
            Encoded::Close(bytes)
        }
        Damage::BreakChunks => {
            let mut bytes = encode_head(&response, "transfer-encoding: chunked", true);
            let half = response.body.len() / 2;
            let first = response.body.get(..half).unwrap_or_default();
            if !first.is_empty() {
                bytes.extend_from_slice(format!("{half:x}\r\n").as_bytes());
                bytes.extend_from_slice(first);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"not a size\r\n");
            Encoded::Close(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_a_response_cannot_be_split() {
        let response = Response::empty(200).with_header("x", "a\r\nb: c");
        let text = String::from_utf8(encode(&response, true, false)).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nx: ab: c\r\ncontent-length: 0\r\n\r\n"
        );
    }
}
