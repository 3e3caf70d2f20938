//! [`ChunkDecoder`]: request bodies in chunks.

use httparse::Status;

/// Longest accepted line with the size of a chunk, in bytes.
const MAX_LINE: usize = 1024;
/// Longest accepted trailer section, in bytes.
const MAX_TRAILERS: usize = 4096;
const MAX_TRAILER_FIELDS: usize = 32;

/// Removes the chunked framing of a body that arrives in pieces.
#[derive(Debug, Default)]
pub(crate) struct ChunkDecoder {
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Done,
    Bad,
    TooLarge,
}

/// The result of one step: bytes used, and `Done` after the last one. `None` if
/// more input is needed.
type Step = Result<Option<(usize, Progress)>, Progress>;

impl ChunkDecoder {
    /// Decodes `input` into `body`, at most `limit` bytes. Returns how much
    /// input it used: the caller passes the rest again, with what follows.
    pub(crate) fn feed(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limit: usize,
    ) -> (usize, Progress) {
        let mut used = 0;
        loop {
            match self.step(input.get(used..).unwrap_or_default(), body, limit) {
                Ok(Some((more, Progress::More))) => used += more,
                Ok(Some((more, progress))) => return (used + more, progress),
                Ok(None) => return (used, Progress::More),
                Err(progress) => return (used, progress),
            }
        }
    }

    fn step(&mut self, input: &[u8], body: &mut Vec<u8>, limit: usize) -> Step {
        match self.state {
            State::Size => {
                let Some((used, size)) = chunk_size(input)? else {
                    return Ok(None);
                };
                self.state = match usize::try_from(size) {
                    Ok(0) => State::Trailers,
                    Ok(size) if size <= limit.saturating_sub(body.len()) => State::Data(size),
                    _ => return Err(Progress::TooLarge),
                };
                Ok(Some((used, Progress::More)))
            }
            State::Data(left) => {
                let take = left.min(input.len());
                body.extend_from_slice(input.get(..take).unwrap_or_default());
                if take < left {
                    self.state = State::Data(left - take);
                    return Ok((take > 0).then_some((take, Progress::More)));
                }
                self.state = State::DataEnd;
                Ok(Some((take, Progress::More)))
            }
            State::DataEnd if input.starts_with(b"\r\n") => {
                self.state = State::Size;
                Ok(Some((2, Progress::More)))
            }
            State::DataEnd if b"\r\n".starts_with(input) => Ok(None),
            State::DataEnd => Err(Progress::Bad),
            State::Trailers => trailers(input),
        }
    }
}

/// The size of the next chunk, and the length of the line that holds it.
fn chunk_size(input: &[u8]) -> Result<Option<(usize, u64)>, Progress> {
    // `httparse` takes a line without digits for a size of zero.
    if input.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
        return Err(Progress::Bad);
    }
    let line = match httparse::parse_chunk_size(input) {
        Ok(Status::Complete(line)) => Some(line),
        Ok(Status::Partial) => None,
        Err(_) => return Err(Progress::Bad),
    };
    let length = line.map_or(input.len(), |(used, _)| used - 1);
    // It also accepts a line end inside an extension.
    let is_one_line = !input.get(..length).unwrap_or_default().contains(&b'\n');
    if length > MAX_LINE || !is_one_line {
        return Err(Progress::Bad);
    }
    Ok(line)
}

/// Skips the trailer section.
fn trailers(input: &[u8]) -> Step {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    match httparse::parse_headers(input, &mut fields) {
        Ok(Status::Complete((used, _))) if used <= MAX_TRAILERS => Ok(Some((used, Progress::Done))),
        Ok(Status::Partial) if input.len() <= MAX_TRAILERS => Ok(None),
        _ => Err(Progress::Bad),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(input: &[u8]) -> (usize, Progress, Vec<u8>) {
        let mut body = Vec::new();
        let (used, progress) = ChunkDecoder::default().feed(input, &mut body, 100);
        (used, progress, body)
    }

    #[test]
    fn joins_chunks_and_leaves_what_follows() {
        let input = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\nGET";
        let (used, progress, body) = whole(input);
        assert_eq!((progress, body.as_slice()), (Progress::Done, &b"abcde"[..]));
        assert_eq!(&input[used..], b"GET");
    }

    #[test]
    fn byte_by_byte_is_the_same() {
        let mut decoder = ChunkDecoder::default();
        let (mut body, mut buffer) = (Vec::new(), Vec::new());
        let mut last = Progress::More;
        for byte in b"a\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n" {
            assert_eq!(last, Progress::More);
            buffer.push(*byte);
            let (used, progress) = decoder.feed(&buffer, &mut body, 100);
            buffer.drain(..used);
            last = progress;
        }
        assert_eq!(
            (last, body.as_slice()),
            (Progress::Done, &b"0123456789"[..])
        );
    }

    #[test]
    fn malformed_framing_is_refused() {
        for input in [
            &b"x\r\n"[..],
            b"\r\n",
            b";x\r\n",
            b"1;x\ny\r\n",
            b"3\nabc",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"-1\r\n",
            b"0\r\nnot ended\n",
            b"0\r\n\rx",
        ] {
            assert_eq!(whole(input).1, Progress::Bad, "{input:?}");
        }
    }

    #[test]
    fn sizes_have_limits() {
        assert_eq!(whole(b"65\r\n").1, Progress::TooLarge);
        assert_eq!(whole(b"ffffffffffffffff\r\n").1, Progress::TooLarge);
        assert_eq!(whole(b"100000002\r\nok\r\n").1, Progress::TooLarge);
        assert_eq!(whole(b"ffffffffffffffffff").1, Progress::Bad);
        let long = [b"1;".as_slice(), &vec![b'x'; 2000]].concat();
        assert_eq!(whole(&long).1, Progress::Bad);
        let long = [b"0\r\nA: ".as_slice(), &vec![b'x'; 5000]].concat();
        assert_eq!(whole(&long).1, Progress::Bad);
    }
}
