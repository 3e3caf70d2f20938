//! [`Stream`]: a TCP or TLS connection with a deadline.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

/// The number of reads that may find TLS messages, such as session tickets, on
/// an idle connection before it is given up.
const PROBES: usize = 16;

/// Room for a TLS record of the largest size and a short one behind it. rustls
/// itself reads 4 KiB at a time.
const READ_AHEAD: usize = 18 * 1024;

/// Whether a read or write that has timed out can be repeated. Windows leaves
/// such a socket in an unknown state.
const REPEATABLE: bool = !cfg!(windows);

/// A TCP connection whose reads and writes end at a deadline.
pub(super) struct Socket {
    tcp: TcpStream,
    deadline: Instant,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    probing: bool,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, deadline: Instant) -> Self {
        Self {
            tcp,
            deadline,
            read_timeout: None,
            write_timeout: None,
            probing: false,
        }
    }

    fn set_probing(&mut self, probing: bool) -> io::Result<()> {
        self.probing = probing;
        self.tcp.set_nonblocking(probing)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.probing {
            return self.tcp.read(buffer);
        }
        until(
            self.deadline,
            &mut self.read_timeout,
            |wait| self.tcp.set_read_timeout(Some(wait)),
            || (&self.tcp).read(buffer),
        )
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.probing {
            return self.tcp.write(bytes);
        }
        until(
            self.deadline,
            &mut self.write_timeout,
            |wait| self.tcp.set_write_timeout(Some(wait)),
            || (&self.tcp).write(bytes),
        )
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Repeats `step` until it has a result. Fails with
/// [`TimedOut`](io::ErrorKind::TimedOut) at the deadline. `armed` is the timeout
/// that is set in the operating system.
fn until<T>(
    deadline: Instant,
    armed: &mut Option<Duration>,
    arm: impl Fn(Duration) -> io::Result<()>,
    mut step: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // A timeout that is too short only costs one more turn of this loop.
        // Rounded down, it need not be set again for each call.
        if !REPEATABLE || armed.is_none_or(|armed| armed > left) {
            let wait = match left.as_secs() {
                _ if !REPEATABLE => left,
                0 | 1 => left,
                seconds => Duration::from_secs(seconds),
            };
            match arm(wait) {
                Ok(()) => *armed = Some(wait),
                // macOS refuses once the peer has closed. What the peer sent
                // can still be read, and reading no longer blocks.
                Err(e) if cfg!(target_os = "macos") && e.kind() == io::ErrorKind::InvalidInput => {}
                Err(e) => return Err(e),
            }
        }
        match step() {
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                if !REPEATABLE {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                *armed = None;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A connection that bytes are read from and written to.
pub(super) enum Stream {
    Plain(Socket),
    /// TLS within another stream: TLS to the API may run in TLS to a proxy.
    Tls(Box<StreamOwned<ClientConnection, ReadAhead>>),
}

impl Stream {
    /// Makes a stream of `inner`, on which `tls` has made its handshake.
    pub(super) fn tls(tls: ClientConnection, inner: ReadAhead) -> Self {
        Self::Tls(Box::new(StreamOwned::new(tls, inner)))
    }

    /// Sets the deadline of all reads and writes that follow.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.socket().deadline = deadline;
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether decrypted bytes are left that no response accounts for.
    pub(super) fn has_leftovers(&mut self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => !is_silent(&mut tls.conn),
        }
    }

    /// Whether an idle connection can take another request: the peer has neither
    /// closed it nor sent anything, except messages of TLS itself.
    pub(super) fn is_open(&mut self) -> bool {
        self.socket().set_probing(true).is_ok()
            && self.hears_nothing()
            && self.socket().set_probing(false).is_ok()
    }

    fn hears_nothing(&mut self) -> bool {
        match self {
            Self::Plain(socket) => would_block(&socket.tcp.peek(&mut [0])),
            Self::Tls(tls) => {
                for _ in 0..PROBES {
                    let read = tls.conn.read_tls(&mut tls.sock);
                    if would_block(&read) {
                        return true;
                    }
                    if matches!(read, Ok(0) | Err(_)) || !is_silent(&mut tls.conn) {
                        return false;
                    }
                }
                false
            }
        }
    }

    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.sock.0.get_mut().socket(),
        }
    }
}

/// A stream of TLS records that takes few system calls to read.
pub(super) struct ReadAhead(BufReader<Stream>);

impl ReadAhead {
    pub(super) fn new(stream: Stream) -> Self {
        Self(BufReader::with_capacity(READ_AHEAD, stream))
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for ReadAhead {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

fn would_block(result: &io::Result<usize>) -> bool {
    matches!(result, Err(e) if e.kind() == io::ErrorKind::WouldBlock)
}

fn is_silent(tls: &mut ClientConnection) -> bool {
    tls.process_new_packets()
        .is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed())
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Runs one step under a timeout of the system that is set already. Returns
    /// the timeouts that are set besides.
    fn armed_besides(armed: Option<Duration>, left: Duration) -> Vec<Duration> {
        let waits = RefCell::new(Vec::new());
        let arm = |wait| {
            waits.borrow_mut().push(wait);
            Ok(())
        };
        until(Instant::now() + left, &mut armed.clone(), arm, || Ok(())).unwrap();
        waits.into_inner()
    }

    #[test]
    fn a_timeout_longer_than_the_time_left_is_replaced() {
        for armed in [None, Some(2 * MINUTE)] {
            let [wait] = armed_besides(armed, MINUTE)[..] else {
                panic!("it is set once");
            };
            assert!(wait <= MINUTE, "{wait:?}");
            assert!(!REPEATABLE || wait.subsec_nanos() == 0, "{wait:?}");
        }
        // One that is too short must not end a step that cannot be repeated.
        let besides = armed_besides(Some(MINUTE), 2 * MINUTE);
        assert_eq!(besides.is_empty(), REPEATABLE, "{besides:?}");
    }

    #[test]
    fn only_a_step_that_may_succeed_later_is_repeated() {
        use io::ErrorKind::*;

        let deadline = Instant::now() + MINUTE;
        for (kind, waits) in [(WouldBlock, 2), (TimedOut, 2), (Interrupted, 1)] {
            let mut steps = vec![Ok(7), Err(kind.into())];
            let armed = RefCell::new(0);
            let arm = |_| {
                *armed.borrow_mut() += 1;
                Ok(())
            };
            let result = until(deadline, &mut None, arm, || steps.pop().unwrap());
            if REPEATABLE {
                assert_eq!((result.unwrap(), armed.into_inner()), (7, waits), "{kind}");
            } else if kind == Interrupted {
                assert_eq!(result.unwrap(), 7);
            } else {
                assert_eq!(result.unwrap_err().kind(), TimedOut, "{kind}");
                assert_eq!(steps.len(), 1, "{kind}: it was repeated");
            }
        }
        let mut steps = vec![Ok(7), Err(ConnectionReset.into())];
        let result = until(deadline, &mut None, |_| Ok(()), || steps.pop().unwrap());
        assert_eq!(result.unwrap_err().kind(), ConnectionReset);
    }

    #[test]
    fn nothing_is_done_after_the_deadline() {
        let now = Instant::now();
        let unexpected = |_| panic!("a timeout was set");
        let result: io::Result<()> = until(now, &mut None, unexpected, || panic!("it ran"));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn a_timeout_that_cannot_be_set_is_an_error() {
        for kind in [io::ErrorKind::InvalidInput, io::ErrorKind::Other] {
            let deadline = Instant::now() + MINUTE;
            let result = until(deadline, &mut None, |_| Err(kind.into()), || Ok(()));
            assert_eq!(result.unwrap_err().kind(), kind);
        }
    }
}
