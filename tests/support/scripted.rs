//! A server that does to each connection exactly what a script says, bytes in
//! and bytes out, and certificates to do it under TLS.
//!
//! ```ignore
//! let ca = Ca::new();
//! let server = Server::start(vec![
//!     // The first connection answers and closes.
//!     vec![Act::Tls(ca.localhost()), Act::Read, Act::write(OK)],
//!     // The second takes a request and breaks.
//!     vec![Act::Tls(ca.localhost()), Act::Peek, Act::Cut],
//! ]);
//! ```
#![allow(dead_code, reason = "no single test program uses all of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A small answer that keeps the connection.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// One thing that the server does with a connection.
///
/// The script over, the connection is closed in good order.
#[derive(Clone)]
pub(crate) enum Act {
    /// Speaks TLS from here on. Within TLS it starts another layer, as a
    /// proxy's tunnel has it.
    Tls(Arc<ServerConfig>),
    /// Reads one request, or ends the script if there is none to come.
    Read,
    /// Reads one request, but leaves its bytes unread in the socket: when the
    /// connection is closed, that resets it.
    Peek,
    /// Reads whatever arrives next, at least a byte.
    ReadSome,
    /// Reads one request and writes what the function makes of it.
    Serve(Arc<Answer>),
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes one by one, without hurry, again and again until the
    /// other end is gone.
    Dribble(Vec<u8>),
    /// Does what the switch says when the script has come here.
    Switch(Switch),
    /// Whenever something arrives, does what the switch says at that moment,
    /// until the other end is gone.
    Each(Switch),
    /// Does nothing until [`Server::release`], or the end of the server.
    Stall,
    /// Closes the connection in good order, whatever the script goes on with.
    Close,
    /// Drops the connection; TLS does not say goodbye.
    Cut,
}

/// What a request is answered with.
pub(crate) type Answer = dyn Fn(&Seen) -> Vec<u8> + Send + Sync;

/// A piece of script that can be exchanged while the server runs.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<Mutex<Vec<Act>>>);

impl Switch {
    pub(crate) fn set(&self, acts: Vec<Act>) {
        *self.0.lock().unwrap() = acts;
    }

    fn acts(&self) -> Vec<Act> {
        self.0.lock().unwrap().clone()
    }
}

impl Act {
    pub(crate) fn serve(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Serve(Arc::new(answer))
    }

    pub(crate) fn write(bytes: impl AsRef<[u8]>) -> Self {
        Self::Write(bytes.as_ref().to_vec())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which connection it came through, counted from 0.
    pub(crate) connection: usize,
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A scripted server on a loopback port of its own.
pub(crate) struct Server {
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
    /// Connections that wait for a request or are never to end.
    parked: usize,
    stalled: usize,
    ended: usize,
    stop: bool,
}

impl Server {
    /// One script for each connection, in the order in which they are made;
    /// the last one is for all that follow.
    pub(crate) fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let for_loop = shared.clone();
        let accepting = thread::spawn(move || {
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
                thread::spawn(move || {
                    // What goes wrong here is for the client to notice.
                    let _ = tcp.and_then(|tcp| shared.play(connection, tcp, script));
                    shared.note(|log| log.ended += 1);
                });
            }
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:port` and this path.
    pub(crate) fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// `http://localhost:port` and this path.
    pub(crate) fn http(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        self.shared.log.lock().unwrap().connections
    }

    /// The kinds of the TLS handshakes that succeeded.
    pub(crate) fn handshakes(&self) -> Vec<HandshakeKind> {
        self.shared.log.lock().unwrap().handshakes.clone()
    }

    /// The requests that arrived, those that were peeked at included.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.log.lock().unwrap().requests.clone()
    }

    /// How often something arrived where the script has an [`Act::Each`].
    pub(crate) fn arrivals(&self) -> usize {
        self.shared.log.lock().unwrap().arrivals
    }

    /// Waits until something has arrived so often, a while at most, and until
    /// every connection has come to its end or waits for the next request.
    pub(crate) fn settle(&self, arrivals: usize) {
        const A_WHILE: Duration = Duration::from_secs(10);
        let log = self.shared.log.lock().unwrap();
        drop(self.shared.changed.wait_timeout_while(log, A_WHILE, |log| {
            log.arrivals < arrivals || log.ended + log.parked < log.connections
        }));
    }

    /// Waits until every connection so far has come to its end.
    pub(crate) fn wait_until_idle(&self) {
        self.wait_until(|log| log.ended == log.connections);
    }

    /// Waits until so many scripts have stalled.
    pub(crate) fn wait_until_stalled(&self, scripts: usize) {
        self.wait_until(|log| log.stalled >= scripts);
    }

    fn wait_until(&self, condition: impl Fn(&Log) -> bool) {
        let log = self.shared.log.lock().unwrap();
        drop(self.shared.changed.wait_while(log, |log| !condition(log)));
    }

    /// Lets all stalled scripts go on.
    pub(crate) fn release(&self) {
        *self.shared.released.lock().unwrap() = true;
        self.shared.release.notify_all();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.release();
        self.shared.log.lock().unwrap().stop = true;
        // Wakes the loop up, that it may see that it is over.
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
        let mut wire = Some(Wire::Plain { tcp, peeked: None });
        match self.perform(connection, &mut wire, script)? {
            Next::Cut => Ok(()),
            Next::GoOn | Next::Close => wire.map_or(Ok(()), Wire::close),
        }
    }

    fn perform(
        &self,
        connection: usize,
        slot: &mut Option<Wire>,
        script: Vec<Act>,
    ) -> io::Result<Next> {
        for act in script {
            let wire = slot.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            match act {
                Act::Tls(config) => {
                    let bare = slot.take().ok_or(io::ErrorKind::NotConnected)?;
                    *slot = Some(self.shake_hands(config, bare)?);
                }
                Act::Read => drop(self.read_request(connection, wire)?),
                Act::Peek => {
                    wire.peek_from_here_on();
                    self.read_request(connection, wire)?;
                }
                Act::ReadSome => drop(wire.read(&mut [0; 1024])?),
                Act::Serve(answer) => {
                    let request = self.read_request(connection, wire)?;
                    wire.write_all(&answer(&request))?;
                    wire.flush()?;
                }
                Act::Write(bytes) => {
                    wire.write_all(&bytes)?;
                    wire.flush()?;
                }
                Act::Dribble(bytes) => self.parked(|| self.dribble(wire, &bytes))?,
                Act::Switch(switch) => match self.perform(connection, slot, switch.acts())? {
                    Next::GoOn => {}
                    end => return Ok(end),
                },
                Act::Each(switch) => {
                    while self.parked(|| slot.as_mut().is_some_and(Wire::has_more)) {
                        self.note(|log| log.arrivals += 1);
                        match self.perform(connection, slot, switch.acts())? {
                            Next::GoOn => {}
                            end => return Ok(end),
                        }
                    }
                }
                Act::Stall => {
                    self.note(|log| log.stalled += 1);
                    self.parked(|| {
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

    fn parked<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.note(|log| log.parked += 1);
        let result = wait();
        self.note(|log| log.parked -= 1);
        result
    }

    fn dribble(&self, wire: &mut Wire, bytes: &[u8]) -> io::Result<()> {
        const PAUSE: Duration = Duration::from_millis(5);
        for byte in bytes.iter().cycle() {
            wire.write_all(&[*byte])?;
            wire.flush()?;
            let released = self.released.lock().unwrap();
            let waited = self.release.wait_timeout_while(released, PAUSE, |it| !*it);
            if waited.is_ok_and(|(released, _)| *released) {
                break;
            }
        }
        Ok(())
    }

    fn shake_hands(&self, config: Arc<ServerConfig>, mut wire: Wire) -> io::Result<Wire> {
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        tls.complete_io(&mut wire)?;
        let kind = tls.handshake_kind().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.note(|log| log.handshakes.push(kind));
        Ok(Wire::Tls(Box::new(StreamOwned::new(tls, wire))))
    }

    fn read_request(&self, connection: usize, wire: &mut Wire) -> io::Result<Seen> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            wire.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        wire.read_exact(&mut body)?;
        let seen = Seen {
            connection,
            head,
            body,
        };
        self.note(|log| log.requests.push(seen.clone()));
        Ok(seen)
    }
}

/// How a script goes on after a part of it.
enum Next {
    GoOn,
    Close,
    Cut,
}

/// The server's end of a connection.
enum Wire {
    Plain {
        tcp: TcpStream,
        /// How many bytes were read without taking them out.
        peeked: Option<usize>,
    },
    Tls(Box<StreamOwned<ServerConnection, Wire>>),
}

impl Wire {
    fn peek_from_here_on(&mut self) {
        match self {
            Self::Plain { peeked, .. } => *peeked = peeked.or(Some(0)),
            Self::Tls(tls) => tls.sock.peek_from_here_on(),
        }
    }

    /// Waits until there is something to read, which is left where it is.
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

impl Read for Wire {
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

impl Write for Wire {
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

/// A port where nobody listens. A free one could be taken by another test.
pub(crate) const DEAD_PORT: u16 = 1;

/// A throwaway certificate authority.
pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivatePkcs8KeyDer<'static>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        // Each under a name of its own, as in life.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("Throwaway CA {}", COUNT.fetch_add(1, Relaxed));
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// The root certificate.
    pub(crate) fn pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", self.0.der())
    }

    /// A server for `localhost` and 127.0.0.1 with nothing wrong.
    pub(crate) fn localhost(&self) -> Arc<ServerConfig> {
        server_config(self.issue(&["localhost", "127.0.0.1"], (2020, 2120)), None)
    }

    /// A server whose certificate is for other hosts, or valid from the first
    /// to the second year only.
    pub(crate) fn server(&self, hosts: &[&str], years: (i32, i32)) -> Arc<ServerConfig> {
        server_config(self.issue(hosts, years), None)
    }

    /// A server for `localhost` that wants to see a certificate of this CA.
    pub(crate) fn demanding(&self) -> Arc<ServerConfig> {
        server_config(self.issue(&["localhost"], (2020, 2120)), Some(self))
    }

    /// A certificate for these hosts, valid from the first to the second year.
    pub(crate) fn issue(&self, hosts: &[&str], (from, to): (i32, i32)) -> Identity {
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
    pub(crate) fn certificate_pem(&self) -> Vec<u8> {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(crate) fn key_pem(&self) -> Vec<u8> {
        pem("PRIVATE KEY", self.key.secret_pkcs8_der())
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

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
    .into_bytes()
}
