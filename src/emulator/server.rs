//! The listener and its connections, on plain threads.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::{Incoming, Message, Reader, Reply};

/// How long a connection may be silent, and how long a client may take to
/// accept an answer.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a client may go on sending after it has been refused.
const FAREWELL: Duration = Duration::from_millis(500);

/// Locks, whatever happened to the thread that held it last: every change
/// under these locks is made in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes back to the client.
pub(super) enum Outcome {
    /// The answer; then the next request.
    Answer(Reply),
    /// These bytes, then an orderly end.
    Close(Vec<u8>),
    /// These bytes, then the connection breaks.
    Break(Vec<u8>),
}

/// What the server serves.
pub(super) trait Service: Send + Sync + 'static {
    fn answer(&self, message: Message, stop: &Stop) -> Outcome;
    /// The answer to something that is not a request.
    fn refuse(&self, status: u16) -> Reply;
}

/// Tells sleeping threads that it is over.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stopped: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Stop {
    fn is_set(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn set(&self) {
        let guard = lock(&self.lock);
        self.stopped.store(true, Ordering::Release);
        self.wake.notify_all();
        drop(guard);
    }

    /// Waits, but not beyond the end of the emulator.
    pub(super) fn sleep(&self, time: Duration) {
        let guard = lock(&self.lock);
        drop(
            self.wake
                .wait_timeout_while(guard, time, |()| !self.is_set()),
        );
    }
}

/// A running server. It ends, with all its threads and sockets, on drop.
pub(super) struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
}

struct Shared {
    stop: Stop,
    connections: Mutex<HashMap<u64, Connection>>,
    /// Told whenever a connection ends.
    freed: Condvar,
    limit: usize,
    tls: Option<Arc<ServerConfig>>,
}

struct Connection {
    socket: Arc<TcpStream>,
    /// Since when it waits for its client, to finish a request or to take an
    /// answer; `None` while an answer is being made.
    waiting_since: Option<Instant>,
}

impl Server {
    pub(super) fn start(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        limit: usize,
        service: Arc<dyn Service>,
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

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.set();
        self.shared.freed.notify_all();
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        // The acceptor waits for a client; so one comes. It may as well be
        // waiting for a free place, where it sees for itself that it is over.
        let mut wake = None;
        while wake.is_none() && !acceptor.is_finished() {
            wake = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).ok();
            if wake.is_none() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        let workers = acceptor.join().unwrap_or_default();
        for connection in lock(&self.shared.connections).values() {
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
        for worker in workers {
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn accept(
        self: Arc<Self>,
        listener: &TcpListener,
        service: &Arc<dyn Service>,
    ) -> Vec<JoinHandle<()>> {
        let mut workers: Vec<JoinHandle<()>> = Vec::new();
        let mut last_id = 0_u64;
        loop {
            let accepted = listener.accept();
            if self.stop.is_set() {
                return workers;
            }
            let Ok((socket, _)) = accepted else {
                // Out of file descriptors, most likely; some will be freed.
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
            let service = Arc::clone(service);
            let spawned = thread::Builder::new()
                .name("autharmor-emulator".to_owned())
                .stack_size(512 * 1024)
                .spawn(move || {
                    // Also when serving panics.
                    let _leave = Leave {
                        shared: &shared,
                        id,
                    };
                    shared.serve(id, socket, service.as_ref());
                });
            match spawned {
                Ok(worker) => workers.push(worker),
                Err(_) => self.leave(id),
            }
        }
    }

    /// Waits for a place; false when it is over. The connection that has kept
    /// us waiting longest makes room for the next: who never finishes a
    /// request cannot keep others out.
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

    fn leave(&self, id: u64) {
        lock(&self.connections).remove(&id);
        self.freed.notify_one();
    }

    fn mark(&self, id: u64, waiting_since: Option<Instant>) {
        if let Some(connection) = lock(&self.connections).get_mut(&id) {
            connection.waiting_since = waiting_since;
        }
    }

    fn serve(&self, id: u64, socket: Arc<TcpStream>, service: &dyn Service) {
        let prepared = socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(SILENCE)))
            .and_then(|()| socket.set_write_timeout(Some(SILENCE)));
        if prepared.is_err() {
            return;
        }
        let raw = Arc::clone(&socket);
        let Some(tls) = &self.tls else {
            return self.converse(id, &mut Plain(socket), &raw, service);
        };
        let Ok(connection) = ServerConnection::new(Arc::clone(tls)) else {
            return;
        };
        let mut stream = StreamOwned::new(connection, Plain(socket));
        self.converse(id, &mut stream, &raw, service);
    }

    fn converse<S: Farewell>(
        &self,
        id: u64,
        stream: &mut S,
        socket: &TcpStream,
        service: &dyn Service,
    ) {
        let mut reader = Reader::new();
        loop {
            let incoming = reader.next(stream);
            if self.stop.is_set() {
                return;
            }
            let message = match incoming {
                Incoming::Request(message) => *message,
                Incoming::Closed => return stream.farewell(),
                Incoming::Refused(status) => {
                    let bytes = service.refuse(status).encode(false, false);
                    if send(stream, &bytes) {
                        stream.farewell();
                        drain(stream, socket);
                    }
                    return;
                }
            };
            self.mark(id, None);
            let head_only = message.method == "HEAD";
            let keep_alive = message.keep_alive();
            let outcome = service.answer(message, &self.stop);
            self.mark(id, Some(Instant::now()));
            match outcome {
                Outcome::Answer(reply) => {
                    if !send(stream, &reply.encode(keep_alive, head_only)) {
                        return;
                    }
                    if !keep_alive {
                        return stream.farewell();
                    }
                }
                Outcome::Close(bytes) => {
                    send(stream, &bytes);
                    return stream.farewell();
                }
                Outcome::Break(bytes) => {
                    send(stream, &bytes);
                    let _ = socket.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }
}

struct Leave<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.id);
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
/// the connection and could take the refusal with it.
fn drain(stream: &mut impl Read, socket: &TcpStream) {
    let until = Instant::now() + FAREWELL;
    let _ = socket.set_read_timeout(Some(FAREWELL));
    let mut sink = [0; 4096];
    while Instant::now() < until {
        match stream.read(&mut sink) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// A stream that can say that nothing more will come.
trait Farewell: Read + Write {
    fn farewell(&mut self);
}

/// A socket that is shared with the one who may have to shut it down.
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

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Farewell for Plain {
    fn farewell(&mut self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }
}

impl Farewell for StreamOwned<ServerConnection, Plain> {
    fn farewell(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
        self.sock.farewell();
    }
}
