//! What ureq asks of a connection, on top of [`Stream`] and [`Dialer`].

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport as Connection,
};
use zeroize::Zeroizing;

use super::dial::Dialer;
use super::stream::Stream;

/// Bytes of a response that are held before they are parsed. The head of a
/// response must fit, so the buffer grows for an unusual one.
const INPUT: usize = 16 * 1024;

/// The largest head of a response.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// The room for a piece of a request. The request line must fit, and each
/// header.
pub(super) const OUTPUT: usize = 8 * 1024;

/// So many bytes of a request wait for what follows, so that a head that is not
/// longer and its body leave in one piece.
const HELD: usize = 2 * 1024;

/// No call takes longer, whatever its deadline, so that no sum of times can
/// overflow.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);

/// Gives ureq its connections. Its errors are [`TransportError`]s within
/// [`ureq::Error::Other`].
///
/// [`TransportError`]: super::TransportError
pub(super) struct WireConnector(pub(super) Arc<Dialer>);

impl Connector for WireConnector {
    type Out = Wire;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Wire>, ureq::Error> {
        match self.0.connect(details.uri, deadline(details.timeout)) {
            Ok(stream) => Ok(Some(Wire::new(stream))),
            Err(error) => Err(ureq::Error::Other(Box::new(error))),
        }
    }
}

impl fmt::Debug for WireConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WireConnector")
    }
}

/// Finds nothing: ureq resolves before it looks for an idle connection, which
/// would be in vain most of the time. The [`Dialer`] resolves for itself.
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

/// A connection in ureq's hands.
pub(super) struct Wire {
    stream: Stream,
    buffers: WipedBuffers,
    /// Whether it has gone back to the pool since it was last read from.
    parked: bool,
}

impl Wire {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffers: WipedBuffers::default(),
            parked: false,
        }
    }

    /// Within the deadline that the stream has.
    fn send_held(&mut self) -> io::Result<()> {
        let held = mem::take(&mut self.buffers.held);
        if held == 0 {
            return Ok(());
        }
        let output = self.buffers.output.get(..held).unwrap_or_default();
        let sent = self
            .stream
            .write_all(output)
            .and_then(|()| self.stream.flush());
        // There was a bearer or a client secret in it; a piece of a header that
        // did not fit may stand behind what was held.
        self.buffers.output.fill(0);
        sent
    }
}

impl Connection for Wire {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.buffers.held += amount;
        if self.buffers.held <= HELD {
            return Ok(());
        }
        self.stream.set_deadline(deadline(timeout));
        self.send_held().map_err(|error| failure(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.parked = false;
        // One deadline for both: the time is what is left of the call's.
        self.stream.set_deadline(deadline(timeout));
        let sent = self.send_held();
        #[cfg(fuzzing)]
        crate::fuzzing::before_read();
        let read = sent.and_then(|()| self.stream.read(self.buffers.input_append_buf()));
        let amount = read.map_err(|error| failure(error, timeout))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// ureq asks twice: when the connection goes to the pool and when it
    /// leaves it. The socket, which takes three system calls, is asked the
    /// second time only: what it has to say must be heard just before the next
    /// request.
    fn is_open(&mut self) -> bool {
        if self.parked {
            self.stream.is_open()
        } else {
            self.parked = true;
            !self.stream.has_leftovers()
        }
    }

    fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

fn deadline(timeout: NextTimeout) -> Instant {
    Instant::now() + (*timeout.after).min(LONGEST_CALL)
}

fn failure(error: io::Error, timeout: NextTimeout) -> ureq::Error {
    if error.kind() == io::ErrorKind::TimedOut {
        ureq::Error::Timeout(timeout.reason)
    } else {
        ureq::Error::Io(error)
    }
}

/// Buffers that keep nothing: what was in them are requests and responses
/// with credentials, and an idle connection may live long.
#[derive(Default)]
struct WipedBuffers {
    /// Of which `start..end` is filled.
    input: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
    output: Zeroizing<Vec<u8>>,
    /// Bytes of `output` that ureq counts as sent.
    held: usize,
    progress: bool,
}

impl WipedBuffers {
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
            // Not in place, which could leave a copy behind.
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
        self.output.resize(HELD + OUTPUT, 0);
        self.output.get_mut(self.held..).unwrap_or_default()
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
        self.output.resize(HELD + OUTPUT, 0);
        self.make_room();
        (
            self.input.get_mut(self.end..).unwrap_or_default(),
            self.output.get_mut(self.held..).unwrap_or_default(),
        )
    }

    fn can_use_input(&self) -> bool {
        self.progress && self.start < self.end
    }
}
