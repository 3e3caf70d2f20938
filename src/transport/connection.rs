//! [`Connection`]: what ureq needs of a connection, on top of [`Stream`].

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport as UreqTransport,
};
use zeroize::Zeroizing;

use super::deadline;
use super::preconnect::Preconnect;
use super::stream::Stream;

/// The size of the buffer that a response is read into. It grows for a response
/// with a larger head, because the whole head must fit.
const INPUT: usize = 16 * 1024;

/// The largest head of a response.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The space for one piece of a request. The request line and each header must
/// fit.
pub(super) const OUTPUT: usize = 8 * 1024;

/// Bytes of a request that may wait for the next piece, so that a small head
/// and its body are sent together.
const COALESCE_LIMIT: usize = 2 * 1024;

/// Makes connections for ureq. Its errors are [`TransportError`]s within
/// [`ureq::Error::Other`].
///
/// [`TransportError`]: super::TransportError
pub(super) struct PreconnectConnector(pub(super) Arc<Preconnect>);

impl Connector for PreconnectConnector {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Connection>, ureq::Error> {
        match self.0.connect(details.uri, deadline::of_this_call()) {
            Ok(stream) => Ok(Some(Connection::new(stream))),
            Err(error) => Err(ureq::Error::Other(Box::new(error))),
        }
    }
}

impl fmt::Debug for PreconnectConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreconnectConnector")
    }
}

/// Finds no addresses. ureq resolves a name even if it then uses an idle
/// connection, so the dialer resolves instead.
#[derive(Debug)]
pub(super) struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// A connection with its buffers.
pub(super) struct Connection {
    stream: Stream,
    buffers: WipedBuffers,
    /// Whether it has gone back to the pool since it was last read from.
    is_pooled: bool,
}

impl Connection {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffers: WipedBuffers::default(),
            is_pooled: false,
        }
    }

    /// Sends what waits in the output buffer, within the stream's deadline.
    fn flush_pending(&mut self) -> io::Result<()> {
        let pending = mem::take(&mut self.buffers.pending);
        if pending == 0 {
            return Ok(());
        }
        let output = self.buffers.output.get(..pending).unwrap_or_default();
        let sent = self
            .stream
            .write_all(output)
            .and_then(|()| self.stream.flush());
        self.buffers.wipe_output(pending);
        sent
    }
}

impl UreqTransport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.buffers.pending += amount;
        if self.buffers.pending <= COALESCE_LIMIT {
            return Ok(());
        }
        self.stream.set_deadline(deadline::of_this_call());
        self.flush_pending()
            .map_err(|error| failure(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.is_pooled = false;
        self.stream.set_deadline(deadline::of_this_call());
        let sent = self.flush_pending();
        #[cfg(fuzzing)]
        super::fuzzing::before_read();
        let read = sent.and_then(|()| self.stream.read(self.buffers.input_append_buf()));
        let amount = read.map_err(|error| failure(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// ureq calls this twice: when the connection goes to the pool and when it
    /// leaves it. Only the second call asks the socket, which takes three
    /// system calls: what counts is its state just before the next request.
    fn is_open(&mut self) -> bool {
        if self.is_pooled {
            self.stream.is_open()
        } else {
            self.is_pooled = true;
            !self.stream.has_leftovers()
        }
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

fn failure(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    if error.kind() == io::ErrorKind::TimedOut {
        ureq::Error::Timeout(timeout.reason)
    } else {
        ureq::Error::Io(error)
    }
}

/// Buffers that are wiped after use: they hold requests and responses with
/// credentials, and an idle connection may stay open for long.
#[derive(Default)]
struct WipedBuffers {
    /// The bytes in `start..end` are not consumed yet.
    input: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    output: Zeroizing<Vec<u8>>,
    /// Bytes of `output` that ureq counts as sent.
    pending: usize,
    progress: bool,
}

impl WipedBuffers {
    /// Wipes a request, which may hold an access token or a client secret, after
    /// its first `sent` bytes were sent. Behind them there may be a part of a
    /// header that did not fit: then `ureq_proto` has filled the buffer to its
    /// end, and neither header nor JSON ends with a zero.
    fn wipe_output(&mut self, sent: usize) {
        let used = if self.output.ends_with(&[0, 0]) {
            sent
        } else {
            self.output.len()
        };
        if let Some(used) = self.output.get_mut(..used) {
            used.fill(0);
        }
    }

    fn make_room(&mut self) {
        if self.end < self.input.len() {
            return;
        }
        if self.start > 0 {
            let filled = self.end - self.start;
            self.input.copy_within(self.start..self.end, 0);
            if let Some(moved) = self.input.get_mut(filled..self.end) {
                moved.fill(0);
            }
            (self.start, self.end) = (0, filled);
        } else if self.input.len() < 2 * MAX_HEAD {
            // A `Vec` that grows in place could leave a copy behind.
            let mut grown = Zeroizing::new(vec![0; (2 * self.input.len()).max(INPUT)]);
            if let Some(start) = grown.get_mut(..self.input.len()) {
                start.copy_from_slice(&self.input);
            }
            self.input = grown;
        }
    }
}

impl Buffers for WipedBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.output.resize(COALESCE_LIMIT + OUTPUT, 0);
        self.output.get_mut(self.pending..).unwrap_or_default()
    }

    fn input(&self) -> &[u8] {
        self.input.get(self.start..self.end).unwrap_or_default()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room();
        self.input.get_mut(self.end..).unwrap_or_default()
    }

    fn input_appended(&mut self, amount: usize) {
        self.end = (self.end + amount).min(self.input.len());
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        let consumed = (self.start + amount).min(self.end);
        if let Some(used) = self.input.get_mut(self.start..consumed) {
            used.fill(0);
        }
        self.start = consumed;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.input.len() > INPUT {
                self.input = Zeroizing::default();
            }
        }
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output.resize(COALESCE_LIMIT + OUTPUT, 0);
        self.make_room();
        (
            self.input.get_mut(self.end..).unwrap_or_default(),
            self.output.get_mut(self.pending..).unwrap_or_default(),
        )
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.start < self.end
    }
}

#[cfg(all(test, feature = "emulator"))]
mod tests;
