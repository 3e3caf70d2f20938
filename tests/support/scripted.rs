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
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Does nothing until [`Server::release`], or the end of the server.
    Stall,
    /// Drops the connection; TLS does not say goodbye.
    Cut,
}

impl Act {
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
        let mut wire = Wire::Plain { tcp, peeked: None };
        for act in script {
            match act {
                Act::Tls(config) => wire = self.shake_hands(config, wire)?,
                Act::Read => self.read_request(connection, &mut wire)?,
                Act::Peek => {
                    wire.peek_from_here_on();
                    self.read_request(connection, &mut wire)?;
                }
                Act::ReadSome => drop(wire.read(&mut [0; 1024])?),
                Act::Write(bytes) => {
                    wire.write_all(&bytes)?;
                    wire.flush()?;
                }
                Act::Stall => {
                    self.note(|log| log.stalled += 1);
                    let released = self.released.lock().unwrap();
                    drop(self.release.wait_while(released, |released| !*released));
                }
                Act::Cut => return Ok(()),
            }
        }
        wire.close()
    }

    fn shake_hands(&self, config: Arc<ServerConfig>, mut wire: Wire) -> io::Result<Wire> {
        let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
        tls.complete_io(&mut wire)?;
        let kind = tls.handshake_kind().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.note(|log| log.handshakes.push(kind));
        Ok(Wire::Tls(Box::new(StreamOwned::new(tls, wire))))
    }

    fn read_request(&self, connection: usize, wire: &mut Wire) -> io::Result<()> {
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
        self.note(|log| {
            log.requests.push(Seen {
                connection,
                head,
                body,
            });
        });
        Ok(())
    }
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
