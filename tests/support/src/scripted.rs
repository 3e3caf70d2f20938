//! A server that plays a script on each connection, byte by byte, and
//! certificates to do so under TLS.
//!
//! ```
//! use autharmor_test_support::scripted::{Act, Ca, OK, Server};
//!
//! let ca = Ca::new();
//! let server = Server::start(vec![
//!     // The first connection gets a response and is closed.
//!     vec![Act::Tls(ca.localhost()), Act::Read, Act::write(OK)],
//!     // The second is reset after its request.
//!     vec![Act::Tls(ca.localhost()), Act::Peek, Act::Cut],
//! ]);
//! # drop(server);
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, Builder, JoinHandle};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::pem::pem;

/// A small response that keeps the connection open.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// One step of a script.
///
/// After its last step the connection is closed properly.
#[derive(Clone)]
pub enum Act {
    /// Starts TLS. Within TLS it starts a second layer, as in the tunnel of
    /// a proxy that speaks TLS itself.
    Tls(Arc<ServerConfig>),
    /// Reads one request. Ends the script if the client has closed.
    Read,
    /// Reads one request, but leaves its bytes in the socket, so that closing
    /// the connection resets it.
    Peek,
    /// Reads what arrives next, at least one byte.
    ReadSome,
    /// Reads one request and writes what the function returns.
    Serve(Arc<Respond>),
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes slowly, one by one, again and again until the client
    /// closes.
    Dribble(Vec<u8>),
    /// Plays the steps that the switch holds when the script gets here.
    Switch(Switch),
    /// Whenever something arrives, plays the steps that the switch holds at
    /// that moment, until the client closes.
    Each(Switch),
    /// Does nothing until [`Server::release`] or the end of the server.
    Stall,
    /// Closes the connection properly and ends the script.
    Close,
    /// Drops the connection, without a `close_notify` of TLS.
    Cut,
}

/// Makes the bytes of a response to a request.
pub type Respond = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

/// A part of a script that can be replaced while the server runs.
#[derive(Clone, Default)]
pub struct Switch(Arc<Mutex<Vec<Act>>>);

impl Switch {
    /// Replaces the steps.
    pub fn set(&self, acts: Vec<Act>) {
        *self.0.lock().unwrap() = acts;
    }

    fn acts(&self) -> Vec<Act> {
        self.0.lock().unwrap().clone()
    }
}

impl Act {
    /// An [`Act::Serve`] of this function.
    pub fn serve(respond: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Serve(Arc::new(respond))
    }

    /// An [`Act::Write`] of these bytes.
    pub fn write(bytes: impl AsRef<[u8]>) -> Self {
        Self::Write(bytes.as_ref().to_vec())
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A scripted server on a free port of 127.0.0.1.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    changed: Condvar,
    released: Mutex<bool>,
    release: Condvar,
}

#[derive(Default)]
struct Log {
    connections: usize,
    handshakes: Vec<HandshakeKind>,
    requests: Vec<Seen>,
    arrivals: usize,
    /// Connections that wait for a request, or that never end.
    waiting: usize,
    stalled: usize,
    ended: usize,
    stop: bool,
}

impl Server {
    /// Starts a server with one script for each connection, in the order in
    /// which they are made. The last one also serves all that follow.
    pub fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_loop = shared.clone();
        let accept = move || {
            for tcp in listener.incoming() {
                let connection = {
                    let mut log = for_loop.log.lock().unwrap();
                    if log.stop {
                        return;
                    }
                    log.connections += 1;
                    log.connections - 1
                };
                let script = scripts[connection.min(scripts.len() - 1)].clone();
                let shared = for_loop.clone();
                let play = move || {
                    // The client notices what goes wrong here.
                    let _ = tcp.and_then(|tcp| shared.play(connection, tcp, script));
                    shared.note(|log| log.ended += 1);
                };
                with_own_stack(play);
            }
        };
        Self {
            address,
            shared,
            accepting: Some(with_own_stack(accept)),
        }
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns `https://localhost:port` with this path.
    pub fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Returns `http://localhost:port` with this path.
    pub fn http(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// Returns how many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.log.lock().unwrap().connections
    }

    /// Returns the kinds of the TLS handshakes that succeeded.
    pub fn handshakes(&self) -> Vec<HandshakeKind> {
        self.shared.log.lock().unwrap().handshakes.clone()
    }

    /// Returns the requests that arrived, those that were only peeked included.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.log.lock().unwrap().requests.clone()
    }

    /// Returns how often something arrived at an [`Act::Each`].
    pub fn arrivals(&self) -> usize {
        self.shared.log.lock().unwrap().arrivals
    }

    /// Waits until there were this many arrivals and every connection has
    /// ended or waits for its next request. Gives up after half a minute.
    pub fn settle(&self, arrivals: usize) {
        const LIMIT: Duration = Duration::from_secs(30);
        let log = self.shared.log.lock().unwrap();
        drop(self.shared.changed.wait_timeout_while(log, LIMIT, |log| {
            log.arrivals < arrivals || log.ended + log.waiting < log.connections
        }));
    }

    /// Waits until every connection so far has ended.
    pub fn wait_until_idle(&self) {
        self.wait_until(|log| log.ended == log.connections);
    }

    /// Waits until this many scripts have stalled.
    pub fn wait_until_stalled(&self, scripts: usize) {
        self.wait_until(|log| log.stalled >= scripts);
    }

    fn wait_until(&self, condition: impl Fn(&Log) -> bool) {
        let log = self.shared.log.lock().unwrap();
        drop(self.shared.changed.wait_while(log, |log| !condition(log)));
    }

    /// Lets all stalled scripts continue.
    pub fn release(&self) {
        *self.shared.released.lock().unwrap() = true;
        self.shared.release.notify_all();
    }
}

/// Starts a thread whose stack does not depend on `RUST_MIN_STACK`, by which a
/// test can forbid threads.
fn with_own_stack(run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().stack_size(2 << 20).spawn(run).unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.release();
        self.shared.log.lock().unwrap().stop = true;
        // Wakes the loop, so that it sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
    }
}

impl Shared {
    fn note(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log.lock().unwrap());
        self.changed.notify_all();
    }

    fn play(&self, connection: usize, tcp: TcpStream, script: Vec<Act>) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        let mut stream = Some(Stream::Plain { tcp, peeked: None });
        match self.perform(connection, &mut stream, script)? {
            Next::Cut => Ok(()),
            Next::GoOn | Next::Close => stream.map_or(Ok(()), Stream::close),
        }
    }

    fn perform(
        &self,
        connection: usize,
        slot: &mut Option<Stream>,
        script: Vec<Act>,
    ) -> io::Result<Next> {
        for act in script {
            let stream = slot.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            match act {
                Act::Tls(config) => {
                    let bare = slot.take().ok_or(io::ErrorKind::NotConnected)?;
                    *slot = Some(self.handshake(config, bare)?);
                }
                Act::Read => drop(self.read_request(connection, stream)?),
                Act::Peek => {
                    stream.start_peeking();
                    self.read_request(connection, stream)?;
                }
                Act::ReadSome => drop(stream.read(&mut [0; 1024])?),
                Act::Serve(respond) => {
                    let request = self.read_request(connection, stream)?;
                    stream.write_all(&respond(&request))?;
                    stream.flush()?;
                }
                Act::Write(bytes) => {
                    stream.write_all(&bytes)?;
                    stream.flush()?;
                }
                Act::Dribble(bytes) => self.while_waiting(|| self.dribble(stream, &bytes))?,
                Act::Switch(switch) => match self.perform(connection, slot, switch.acts())? {
                    Next::GoOn => {}
                    end => return Ok(end),
                },
                Act::Each(switch) => {
                    while self.while_waiting(|| slot.as_mut().is_some_and(Stream::has_more)) {
                        self.note(|log| log.arrivals += 1);
                        match self.perform(connection, slot, switch.acts())? {
                            Next::GoOn => {}
                            end => return Ok(end),
                        }
                    }
                }
                Act::Stall => {
                    self.note(|log| log.stalled += 1);
                    self.while_waiting(|| {
                        let released = self.released.lock().unwrap();
                        drop(self.release.wait_while(released, |released| !*released));
                    });
                }
                Act::Close => return Ok(Next::Close),
                Act::Cut => return Ok(Next::Cut),
            }
        }
        Ok(Next::GoOn)
    }

    fn while_waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.note(|log| log.waiting += 1);
        let result = wait();
        self.note(|log| log.waiting -= 1);
        result
    }

    fn dribble(&self, stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
        const PAUSE: Duration = Duration::from_millis(5);
        for byte in bytes.iter().cycle() {
            stream.write_all(&[*byte])?;
            stream.flush()?;
            let released = self.released.lock().unwrap();
            let waited = self.release.wait_timeout_while(released, PAUSE, |it| !*it);
            if waited.is_ok_and(|(released, _)| *released) {
                break;
            }
        }
        Ok(())
    }

    fn handshake(&self, config: Arc<ServerConfig>, mut stream: Stream) -> io::Result<Stream> {
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        tls.complete_io(&mut stream)?;
        let kind = tls.handshake_kind().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.note(|log| log.handshakes.push(kind));
        Ok(Stream::Tls(Box::new(StreamOwned::new(tls, stream))))
    }

    fn read_request(&self, connection: usize, stream: &mut Stream) -> io::Result<Seen> {
        let head = String::from_utf8_lossy(&stream.read_head()?).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body)?;
        let seen = Seen {
            connection,
            head,
            body,
        };
        self.note(|log| log.requests.push(seen.clone()));
        Ok(seen)
    }
}

/// How a script continues after a part of it.
enum Next {
    GoOn,
    Close,
    Cut,
}

/// The server's side of a connection.
enum Stream {
    Plain {
        tcp: TcpStream,
        /// How many bytes were read without removing them.
        peeked: Option<usize>,
    },
    Tls(Box<StreamOwned<ServerConnection, Stream>>),
}

impl Stream {
    fn start_peeking(&mut self) {
        match self {
            Self::Plain { peeked, .. } => *peeked = peeked.or(Some(0)),
            Self::Tls(tls) => tls.sock.start_peeking(),
        }
    }

    /// Reads the head of a request, and nothing of what follows it.
    fn read_head(&mut self) -> io::Result<Vec<u8>> {
        const END: &[u8] = b"\r\n\r\n";
        let (mut head, mut next) = (Vec::new(), [0; 4096]);
        while !head.ends_with(END) {
            let read = head.len();
            let arrived = match self {
                // Many small reads take long under emulation.
                Self::Plain { tcp, peeked: None } => tcp.peek(&mut next)?,
                _ => 1,
            };
            // The end of the stream is an error of the read below.
            head.extend_from_slice(&next[..arrived.max(1)]);
            let from = read.saturating_sub(END.len() - 1);
            let end = head[from..].windows(END.len()).position(|it| it == END);
            head.truncate(end.map_or(head.len(), |at| from + at + END.len()));
            self.read_exact(&mut head[read..])?;
        }
        Ok(head)
    }

    /// Waits until there is something to read, and leaves it there.
    fn has_more(&mut self) -> bool {
        match self {
            Self::Plain { tcp, .. } => matches!(tcp.peek(&mut [0]), Ok(1)),
            Self::Tls(tls) => tls
                .conn
                .process_new_packets()
                .is_ok_and(|state| state.plaintext_bytes_to_read() > 0 || tls.sock.has_more()),
        }
    }

    fn close(mut self) -> io::Result<()> {
        if let Self::Tls(tls) = &mut self {
            tls.conn.send_close_notify();
        }
        self.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { tcp, peeked: None } => tcp.read(buffer),
            Self::Plain {
                tcp,
                peeked: Some(seen),
            } => loop {
                let mut all = vec![0; *seen + buffer.len()];
                let arrived = tcp.peek(&mut all)?;
                if arrived > *seen {
                    let new = &all[*seen..arrived];
                    buffer[..new.len()].copy_from_slice(new);
                    *seen = arrived;
                    return Ok(new.len());
                }
                if arrived == 0 {
                    return Ok(0);
                }
                thread::yield_now();
            },
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain { tcp, .. } => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain { tcp, .. } => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

/// A port that nobody listens on. Another test could take a free one.
pub const DEAD_PORT: u16 = 1;

/// A throwaway certificate authority.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Identity {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The private key.
    pub key: PrivatePkcs8KeyDer<'static>,
}

impl Ca {
    /// Creates an authority with a name of its own.
    #[expect(clippy::new_without_default, reason = "it generates a key")]
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("Throwaway CA {}", COUNT.fetch_add(1, Relaxed));
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Returns the root certificate.
    pub fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", self.0.der()).into_bytes()
    }

    /// Returns a valid configuration for `localhost` and 127.0.0.1.
    pub fn localhost(&self) -> Arc<ServerConfig> {
        server_config(self.issue(&["localhost", "127.0.0.1"], (2020, 2120)), None)
    }

    /// Returns a configuration for these hosts, valid from the first to the
    /// second year.
    pub fn server(&self, hosts: &[&str], years: (i32, i32)) -> Arc<ServerConfig> {
        server_config(self.issue(hosts, years), None)
    }

    /// Returns a configuration for `localhost` that requires a client
    /// certificate of this authority.
    pub fn demanding(&self) -> Arc<ServerConfig> {
        server_config(self.issue(&["localhost"], (2020, 2120)), Some(self))
    }

    /// Issues a certificate for these hosts, valid from the first to the
    /// second year.
    pub fn issue(&self, hosts: &[&str], (from, to): (i32, i32)) -> Identity {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.der().clone(),
            key: key.serialize_der().into(),
        }
    }
}

impl Identity {
    /// Returns the certificate.
    pub fn certificate_pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.certificate).into_bytes()
    }

    /// Returns the private key.
    pub fn key_pem(&self) -> Vec<u8> {
        pem("PRIVATE KEY", self.key.secret_pkcs8_der()).into_bytes()
    }
}

fn server_config(identity: Identity, clients: Option<&Ca>) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.0.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let config = builder
        .with_single_cert(vec![identity.certificate], identity.key.into())
        .unwrap();
    Arc::new(config)
}
