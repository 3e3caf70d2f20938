//! [`Server`]: the listener and its connections, one thread each.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::{AlertDescription, ServerConfig, ServerConnection, StreamOwned};

use super::{
    super::{
        service::AppService,
        sync::{Stop, lock},
    },
    reader::{Incoming, Reader},
    writer::{Encoded, encode, encode_damaged},
};

/// Time limit of each read and write.
const IO_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that dropping waits for connection threads. Where shutting a socket down
/// wakes its thread, they end at once; on Windows it may not.
const JOIN_TIME: Duration = Duration::from_millis(if cfg!(windows) { 50 } else { 1000 });
/// Time for reading what a refused client is still sending.
const DRAIN_TIME: Duration = Duration::from_millis(500);

/// A running server. Dropping it ends its threads and closes its sockets.
pub(crate) struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

struct Shared {
    stop: Stop,
    connections: Mutex<HashMap<u64, Connection>>,
    /// Notified when a connection ends.
    freed: Condvar,
    limit: usize,
    tls: Option<Arc<ServerConfig>>,
}

struct Connection {
    socket: Arc<TcpStream>,
    /// Since when the connection waits for the client, to finish a request or
    /// to receive a response; `None` while a request is processed.
    waiting_since: Option<Instant>,
}

impl Server {
    pub(crate) fn start(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        limit: usize,
        service: AppService,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stop: Stop::default(),
            connections: Mutex::default(),
            freed: Condvar::new(),
            limit,
            tls,
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("autharmor-emulator".to_owned())
                .spawn(move || shared.accept(&listener, &service))?
        };
        Ok(Self {
            shared,
            address,
            acceptor: Some(acceptor),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An address to connect to: not every system connects to an unspecified one.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        self.shared.freed.notify_all();
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        // A connection wakes the acceptor from `accept`. Elsewhere it looks at
        // the flag by itself.
        let mut wake = None;
        let address = reachable(self.address);
        while wake.is_none() && !acceptor.is_finished() {
            wake = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
            if wake.is_none() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let workers = acceptor.join().unwrap_or_default();
        let all_ended = self.shared.end_connections();
        for worker in workers {
            if all_ended || worker.is_finished() {
                let _ = worker.join();
            }
        }
    }
}

impl Shared {
    fn accept(
        self: Arc<Self>,
        listener: &TcpListener,
        service: &AppService,
    ) -> Vec<JoinHandle<()>> {
        let mut workers: Vec<JoinHandle<()>> = Vec::new();
        let mut last_id = 0_u64;
        loop {
            let accepted = listener.accept();
            if self.stop.is_set() {
                return workers;
            }
            let Ok((socket, _)) = accepted else {
                // Most likely there are no free file descriptors.
                self.stop.sleep(Duration::from_millis(5));
                continue;
            };
            join_finished(&mut workers);
            if !self.make_room() {
                return workers;
            }
            last_id += 1;
            let id = last_id;
            let socket = Arc::new(socket);
            lock(&self.connections).insert(
                id,
                Connection {
                    socket: Arc::clone(&socket),
                    waiting_since: Some(Instant::now()),
                },
            );
            let shared = Arc::clone(&self);
            let service = service.clone();
            let spawned = thread::Builder::new()
                .name("autharmor-emulator".to_owned())
                .stack_size(512 * 1024)
                .spawn(move || {
                    // Also runs if serving panics.
                    let _guard = ConnectionGuard {
                        shared: &shared,
                        id,
                    };
                    shared.serve(id, socket, &service);
                });
            match spawned {
                Ok(worker) => workers.push(worker),
                Err(_) => self.remove(id),
            }
        }
    }

    /// Waits until one more connection is allowed. Closes the connection that
    /// has waited longest for its client, so that clients that never finish a
    /// request do not block others. Returns false if the server stops.
    fn make_room(&self) -> bool {
        let mut connections = lock(&self.connections);
        while connections.len() >= self.limit && !self.stop.is_set() {
            let slowest = connections
                .values()
                .filter(|connection| connection.waiting_since.is_some())
                .min_by_key(|connection| connection.waiting_since);
            if let Some(connection) = slowest {
                let _ = connection.socket.shutdown(Shutdown::Both);
            }
            connections = self
                .freed
                .wait_timeout(connections, Duration::from_millis(50))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        !self.stop.is_set()
    }

    /// Shuts all connections down. Returns whether their threads end in time; a
    /// thread that does not serves no more requests.
    fn end_connections(&self) -> bool {
        let connections = lock(&self.connections);
        for connection in connections.values() {
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
        let waited = self
            .freed
            .wait_timeout_while(connections, JOIN_TIME, |open| !open.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_empty()
    }

    fn remove(&self, id: u64) {
        lock(&self.connections).remove(&id);
        self.freed.notify_one();
    }

    fn mark(&self, id: u64, waiting_since: Option<Instant>) {
        if let Some(connection) = lock(&self.connections).get_mut(&id) {
            connection.waiting_since = waiting_since;
        }
    }

    fn serve(&self, id: u64, socket: Arc<TcpStream>, service: &AppService) {
        let prepared = socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(IO_TIMEOUT)))
            .and_then(|()| socket.set_write_timeout(Some(IO_TIMEOUT)));
        if prepared.is_err() {
            return;
        }
        let raw = Arc::clone(&socket);
        let Some(tls) = &self.tls else {
            return self.serve_connection(id, &mut Plain(socket), &raw, service);
        };
        let Ok(connection) = ServerConnection::new(Arc::clone(tls)) else {
            return;
        };
        let mut stream = StreamOwned::new(connection, Plain(socket));
        let handshake = stream.conn.complete_io(&mut stream.sock);
        if self.stop.is_set() {
            return;
        }
        if let Err(error) = handshake {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
            let reason = match tls {
                Some(error) => handshake_failure(error),
                // It has seen the certificate and closed the connection.
                None if stream.conn.protocol_version().is_some() => {
                    "the client closed the connection, perhaps because it does not trust the \
                     certificate"
                        .to_owned()
                }
                // Browsers open connections that they do not use.
                None => return,
            };
            service.record_invalid(None, format!("TLS handshake failed: {reason}").into());
            return;
        }
        self.serve_connection(id, &mut stream, &raw, service);
    }

    fn serve_connection<S: CloseGracefully>(
        &self,
        id: u64,
        stream: &mut S,
        socket: &TcpStream,
        service: &AppService,
    ) {
        let mut reader = Reader::new();
        loop {
            let incoming = reader.next(stream);
            if self.stop.is_set() {
                return;
            }
            let request = match incoming {
                Incoming::Request(request) => *request,
                Incoming::Closed => return stream.close_gracefully(),
                Incoming::Refused(status) => {
                    let bytes = encode(&service.refuse(status), false, false);
                    if send(stream, &bytes) {
                        stream.close_gracefully();
                        drain(stream, socket);
                    }
                    return;
                }
            };
            self.mark(id, None);
            let head_only = request.method == "HEAD";
            let keep_alive = request.keep_alive();
            let (response, damage) = service.respond(request, &self.stop);
            self.mark(id, Some(Instant::now()));
            match encode_damaged(response, damage, keep_alive, head_only) {
                Encoded::Whole(bytes) => {
                    if !send(stream, &bytes) {
                        return;
                    }
                    if !keep_alive {
                        return stream.close_gracefully();
                    }
                }
                Encoded::Slow(head, body, time) => {
                    if !send(stream, &head) || !self.send_slowly(stream, &body, time) {
                        return;
                    }
                    if !keep_alive {
                        return stream.close_gracefully();
                    }
                }
                Encoded::Close(bytes) => {
                    send(stream, &bytes);
                    return stream.close_gracefully();
                }
                Encoded::Break(bytes) => {
                    send(stream, &bytes);
                    let _ = socket.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }

    /// Sends in ten pieces, with pauses before each that take `time` together.
    fn send_slowly(&self, stream: &mut impl Write, bytes: &[u8], time: Duration) -> bool {
        let size = bytes.len().div_ceil(10).max(1);
        bytes.chunks(size).all(|piece| {
            self.stop.sleep(time / 10);
            !self.stop.is_set() && send(stream, piece)
        })
    }
}

fn handshake_failure(error: &rustls::Error) -> String {
    use AlertDescription as Alert;
    let reason = match error {
        rustls::Error::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            // The client trusts another authority of the same name.
            | Alert::DecryptError,
        ) => "the client does not trust the certificate: ",
        rustls::Error::InvalidMessage(_) => "the client does not speak TLS: ",
        _ => "",
    };
    format!("{reason}{error}")
}

struct ConnectionGuard<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for ConnectionGuard<'_> {
    fn drop(&mut self) {
        self.shared.remove(self.id);
    }
}

fn join_finished(workers: &mut Vec<JoinHandle<()>>) {
    let mut at = 0;
    while let Some(worker) = workers.get(at) {
        if worker.is_finished() {
            let _ = workers.swap_remove(at).join();
        } else {
            at += 1;
        }
    }
}

fn send(stream: &mut impl Write, bytes: &[u8]) -> bool {
    stream
        .write_all(bytes)
        .and_then(|()| stream.flush())
        .is_ok()
}

/// Reads what a refused client is still sending: closing at once would reset
/// the connection, and the client might not receive the refusal.
fn drain(stream: &mut impl Read, socket: &TcpStream) {
    let until = Instant::now() + DRAIN_TIME;
    let _ = socket.set_read_timeout(Some(DRAIN_TIME));
    let mut sink = [0; 4096];
    while Instant::now() < until {
        match stream.read(&mut sink) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// A stream that can end in the orderly way of its protocol.
trait CloseGracefully: Read + Write {
    fn close_gracefully(&mut self);
}

/// A socket that another thread may shut down.
struct Plain(Arc<TcpStream>);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn write_vectored(&mut self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CloseGracefully for Plain {
    fn close_gracefully(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl CloseGracefully for StreamOwned<ServerConnection, Plain> {
    fn close_gracefully(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        self.sock.close_gracefully();
    }
}
