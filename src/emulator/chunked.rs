//! Request bodies in chunks.

/// Longest accepted line of extensions or trailers.
const MAX_LINE: usize = 1024;
/// Most bytes of trailers.
const MAX_TRAILERS: usize = 4096;

/// Takes the chunked framing off, over as many calls as it takes.
#[derive(Debug, Default)]
pub(super) struct ChunkDecoder {
    state: State,
    /// Bytes seen of the current line.
    line: usize,
    /// Bytes seen of all trailers.
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    SizeStart,
    Size(usize),
    Extension(usize),
    SizeLf(usize),
    Data(usize),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
    Bad,
    TooLarge,
}

impl ChunkDecoder {
    /// Reads from `input` into `body`; says how much it used.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        body: &mut Vec<u8>,
        limit: usize,
    ) -> (usize, Progress) {
        let mut rest = input;
        while let Some((&byte, tail)) = rest.split_first() {
            if let State::Data(left) = self.state {
                let take = left.min(rest.len());
                if body.len() + take > limit {
                    return (input.len() - rest.len(), Progress::TooLarge);
                }
                let (data, tail) = rest.split_at(take);
                body.extend_from_slice(data);
                rest = tail;
                self.state = if take == left {
                    State::DataCr
                } else {
                    State::Data(left - take)
                };
                continue;
            }
            match self.step(byte) {
                Some(state) => self.state = state,
                None => return (input.len() - rest.len(), Progress::Bad),
            }
            rest = tail;
            if self.state == State::Done {
                return (input.len() - rest.len(), Progress::Done);
            }
            let announced = match self.state {
                State::Size(size) | State::Extension(size) => size,
                _ => 0,
            };
            if announced > limit {
                return (input.len() - rest.len(), Progress::TooLarge);
            }
        }
        (input.len(), Progress::More)
    }

    /// The state after one byte of framing; `None` if the byte has no place.
    fn step(&mut self, byte: u8) -> Option<State> {
        self.line += 1;
        if self.line > MAX_LINE {
            return None;
        }
        let next = match self.state {
            State::SizeStart => State::Size(hex(byte)?),
            State::Size(size) => match byte {
                b'\r' => State::SizeLf(size),
                b';' | b' ' | b'\t' => State::Extension(size),
                _ => State::Size(size.checked_mul(16)?.checked_add(hex(byte)?)?),
            },
            State::Extension(size) => match byte {
                b'\r' => State::SizeLf(size),
                b'\n' => return None,
                _ => State::Extension(size),
            },
            State::SizeLf(size) => {
                self.line = 0;
                match (byte, size) {
                    (b'\n', 0) => State::TrailerStart,
                    (b'\n', size) => State::Data(size),
                    _ => return None,
                }
            }
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => {
                self.line = 0;
                State::SizeStart
            }
            State::TrailerStart if byte == b'\r' => State::EndLf,
            State::TrailerStart | State::Trailer => {
                self.trailers += 1;
                if self.trailers > MAX_TRAILERS {
                    return None;
                }
                match byte {
                    b'\r' => State::TrailerLf,
                    b'\n' => return None,
                    _ => State::Trailer,
                }
            }
            State::TrailerLf if byte == b'\n' => {
                self.line = 0;
                State::TrailerStart
            }
            State::EndLf if byte == b'\n' => State::Done,
            _ => return None,
        };
        Some(next)
    }
}

fn hex(byte: u8) -> Option<usize> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| usize::try_from(digit).ok())
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
        let mut body = Vec::new();
        let mut last = Progress::More;
        for byte in b"a\r\n0123456789\r\n0\r\n\r\n" {
            assert_eq!(last, Progress::More);
            last = decoder.feed(&[*byte], &mut body, 100).1;
        }
        assert_eq!(
            (last, body.as_slice()),
            (Progress::Done, &b"0123456789"[..])
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for input in [
            &b"x\r\n"[..],
            b"\r\n",
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
        assert_eq!(whole(b"ffffffffffffffffff").1, Progress::TooLarge);
        let long = [b"1;".as_slice(), &vec![b'x'; 2000]].concat();
        assert_eq!(whole(&long).1, Progress::Bad);
    }
}
