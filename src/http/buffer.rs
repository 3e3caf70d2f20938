//! [`WipedBuffer`]: a growing buffer that leaves no copies behind.

use std::io::{self, Read, Write};
use std::mem;
use std::ops::Deref;

use crate::secret::wipe;

/// Bytes that are wiped when dropped, and whenever they move to a larger place.
/// A `Vec` that grows by itself frees its old memory as it is.
#[derive(Clone)]
pub(crate) struct WipedBuffer(Vec<u8>);

impl WipedBuffer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    #[inline]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends what `reader` has, until its end or until there are more than
    /// `limit` bytes.
    pub(crate) fn read_from(&mut self, reader: &mut dyn Read, limit: usize) -> io::Result<()> {
        while self.len() <= limit {
            self.reserve(1);
            let free = self.0.capacity() - self.len();
            let wanted = free.min((limit - self.len()).saturating_add(1));
            let mut part = (&mut *reader).take(u64::try_from(wanted).unwrap_or(u64::MAX));
            if part.read_to_end(&mut self.0)? < wanted {
                break;
            }
        }
        Ok(())
    }

    /// Returns the bytes, which are then wiped no more.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }

    /// Makes room for so many more bytes.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if more > self.0.capacity() - self.len() {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let needed = self.len().saturating_add(more);
        let larger = needed.max(self.0.capacity().saturating_mul(2));
        let mut grown = Self::with_capacity(larger);
        grown.0.extend_from_slice(&self.0);
        *self = grown;
    }
}

impl Drop for WipedBuffer {
    fn drop(&mut self) {
        wipe(mem::take(&mut self.0));
    }
}

impl Deref for WipedBuffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl From<Vec<u8>> for WipedBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

// JSON comes in many small pieces.
impl Write for WipedBuffer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_growing() {
        let mut buffer = WipedBuffer::with_capacity(0);
        let expected: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        for piece in expected.chunks(7) {
            buffer.write_all(piece).unwrap();
        }
        assert_eq!(*buffer, expected);
    }

    #[test]
    fn a_buffer_that_is_just_large_enough_does_not_grow() {
        let mut buffer = WipedBuffer::with_capacity(10);
        buffer.extend(b"0123456789");
        assert_eq!(buffer.into_vec().capacity(), 10);
    }

    /// Notes the room that each read is given.
    struct Noting<'a>(&'a [u8], &'a mut Vec<usize>);

    impl Read for Noting<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.1.push(room.len());
            self.0.read(room)
        }
    }

    /// A `Vec` that is full reads some bytes elsewhere, and then grows.
    #[test]
    fn reading_goes_into_the_buffer_only() {
        let (source, mut rooms) = (vec![b'x'; 10_000], Vec::new());
        let mut buffer = WipedBuffer::with_capacity(64);
        let mut reader = Noting(&source, &mut rooms);
        buffer.read_from(&mut reader, usize::MAX).unwrap();
        assert_eq!(*buffer, source);
        assert!(rooms.iter().all(|room| *room >= 64), "{rooms:?}");
    }

    #[test]
    fn reading_ends_with_the_reader_or_one_byte_behind_the_limit() {
        for (capacity, length, limit, read) in [
            (0, 0, 0, 0),
            (0, 10, 100, 10),
            (11, 10, 100, 10),
            (10, 10, 10, 10),
            (4, 1000, 1000, 1000),
            (4, 1000, 999, 1000),
            (4, 1000, 10, 11),
            (4, 1000, usize::MAX, 1000),
        ] {
            let source = vec![b'x'; length];
            let mut buffer = WipedBuffer::with_capacity(capacity);
            buffer.read_from(&mut &source[..], limit).unwrap();
            assert_eq!(buffer.len(), read, "{length} bytes, limit {limit}");
        }
    }
}
