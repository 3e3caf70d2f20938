//! [`Stream`]: a TCP connection, bare or within TLS, that keeps to a deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

/// How often an idle connection may be asked for more before it is given up:
/// session tickets are welcome, a flood is not.
const PROBES: usize = 16;

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

/// Repeats `step` until it has a result or the deadline is there, which is a
/// [`TimedOut`](io::ErrorKind::TimedOut). `armed` is the timeout that the
/// operating system has for `step`.
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
        // A timeout that is too short only costs a turn of this loop. So it is
        // rounded down, and the calls that follow need not set it again.
        if armed.is_none_or(|armed| armed > left) {
            let wait = match left.as_secs() {
                0 | 1 => left,
                seconds => Duration::from_secs(seconds),
            };
            match arm(wait) {
                Ok(()) => *armed = Some(wait),
                // macOS refuses once the peer has closed; what the peer sent
                // can still be read, and reading does not block any more.
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
                *armed = None;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Bytes to and from the other end.
pub(super) enum Stream {
    Plain(Socket),
    /// Within another stream, since TLS to the API may run in TLS to a proxy.
    Tls(Box<StreamOwned<ClientConnection, Stream>>),
}

impl Stream {
    /// Whatever is read or written from here on ends at this deadline.
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.socket().deadline = deadline;
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether bytes have arrived that nobody asked for.
    pub(super) fn has_leftovers(&mut self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => !is_silent(&mut tls.conn),
        }
    }

    /// Whether an idle connection can carry another request: the peer has
    /// neither closed it nor said anything, TLS's own messages aside.
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
            Self::Tls(tls) => tls.sock.socket(),
        }
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
