//! Idle TLS connections on which the peer has sent something.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use rustls::{ServerConfig, ServerConnection};

use super::super::stream::{ReadAhead, Socket, Stream};
use super::super::tls::{client_config, handshake};
use super::*;
use autharmor_test_support::scripted::{Act, Ca, OK, Server};

const FORGED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";

/// Connects to a server with this script behind the handshake.
fn connect(acts: Vec<Act>) -> (Server, Stream) {
    let (server, stream, _) = connect_with_socket(acts);
    (server, stream)
}

/// The same, with the socket below the stream.
fn connect_with_socket(acts: Vec<Act>) -> (Server, Stream, TcpStream) {
    let ca = Ca::new();
    let mut script = vec![Act::Tls(ca.localhost())];
    script.extend(acts);
    let server = Server::start(vec![script]);
    let tcp = TcpStream::connect(server.address()).unwrap();
    let socket = tcp.try_clone().unwrap();
    (server, make_handshake(tcp, &ca), socket)
}

fn make_handshake(tcp: TcpStream, ca: &Ca) -> Stream {
    let stream = Stream::Plain(Socket::new(tcp, Instant::now() + PATIENT));
    let config = client_config(&Roots::Only(vec![ca.pem()]), None).unwrap();
    handshake(&config, "localhost", stream).unwrap()
}

#[test]
fn a_silent_connection_is_open_whatever_tls_itself_sends() {
    // Session tickets arrive before the server stalls.
    let (server, mut stream) = connect(vec![Act::Stall]);
    server.wait_until_stalled(1);
    for _ in 0..3 {
        assert!(stream.is_open());
        assert!(!stream.has_leftovers());
    }
}

#[test]
fn a_connection_with_bytes_in_the_socket_is_not_open() {
    let (server, mut stream) = connect(vec![Act::write(FORGED), Act::Stall]);
    server.wait_until_stalled(1);
    assert!(!stream.is_open());
}

#[test]
fn a_connection_with_decrypted_bytes_is_not_open() {
    let (server, mut stream) = connect(vec![Act::write(OK.to_owned() + FORGED), Act::Stall]);
    server.wait_until_stalled(1);
    let mut response = vec![0; OK.len()];
    stream.read_exact(&mut response).unwrap();
    assert!(stream.has_leftovers());
    let mut forged = vec![0; FORGED.len()];
    stream.read_exact(&mut forged).unwrap();
    assert!(!stream.has_leftovers());
    assert!(stream.is_open());
}

#[test]
fn a_connection_with_bytes_read_ahead_is_not_open() {
    // A TLS record of 4 KiB, as many bytes as rustls reads at a time: the record
    // behind it leaves the socket with it, but is not decrypted.
    let response = "x".repeat(4096 - 22);
    let (server, mut stream) = connect(vec![
        Act::Stall,
        Act::write(response.clone()),
        Act::write(FORGED),
        Act::Stall,
        Act::ReadSome,
    ]);
    server.wait_until_stalled(1);
    // Session tickets are out of the way then.
    assert!(stream.is_open());
    server.release();
    server.wait_until_stalled(2);
    stream.read_exact(&mut vec![0; response.len()]).unwrap();
    assert!(!stream.has_leftovers());
    assert!(!stream.is_open());
}

/// TLS 1.3 lets a server send data with the end of its handshake.
#[test]
fn what_arrives_with_the_handshake_is_not_lost() {
    let ca = Ca::new();
    let mut config = ServerConfig::clone(&ca.localhost());
    config.send_half_rtt_data = true;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // More than rustls reads at a time.
    let data: Vec<u8> = (0..=255).cycle().take(12_000).collect();
    let sent = data.clone();
    let server = thread::spawn(move || {
        let (mut tcp, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(config.into()).unwrap();
        while !tls.wants_write() {
            tls.read_tls(&mut tcp).unwrap();
            tls.process_new_packets().unwrap();
        }
        tls.writer().write_all(&sent).unwrap();
        let mut flight = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut flight).unwrap();
        }
        tcp.write_all(&flight).unwrap();
        // Until the client closes.
        io::copy(&mut tcp, &mut io::sink()).unwrap();
    });
    let mut stream = make_handshake(TcpStream::connect(address).unwrap(), &ca);
    let mut read = vec![0; data.len()];
    stream.read_exact(&mut read).unwrap();
    assert_eq!(read, data);
    drop(stream);
    server.join().unwrap();
}

/// Each look into the socket is a system call.
#[test]
fn a_read_takes_all_that_has_arrived() {
    let records = (0..8).map(|number| [number; 1000]);
    let mut acts = vec![Act::Stall];
    acts.extend(records.clone().map(Act::write));
    acts.extend([Act::Stall, Act::ReadSome]);
    let (server, mut stream, socket) = connect_with_socket(acts);
    server.wait_until_stalled(1);
    assert!(stream.is_open());
    server.release();
    server.wait_until_stalled(2);
    let mut read = vec![0; 8000];
    let (first, rest) = read.split_at_mut(1);
    stream.read_exact(first).unwrap();
    socket.set_nonblocking(true).unwrap();
    let left = socket.peek(&mut [0]).unwrap_err();
    assert_eq!(left.kind(), io::ErrorKind::WouldBlock);
    stream.read_exact(rest).unwrap();
    assert_eq!(read, records.flatten().collect::<Vec<_>>());
}

#[test]
fn a_closed_connection_is_not_open() {
    for end in [Act::Close, Act::Cut] {
        let (server, mut stream) = connect(vec![end]);
        server.wait_until_idle();
        assert!(!stream.is_open());
    }
    let (server, mut stream) = connect(vec![Act::ReadSome, Act::Stall, Act::Close]);
    stream.write_all(b"x").unwrap();
    server.wait_until_stalled(1);
    assert!(stream.is_open());
    server.release();
    server.wait_until_idle();
    assert!(!stream.is_open());
}

#[test]
fn what_could_not_be_sent_fails_the_flush() {
    let (server, mut stream) = connect(vec![Act::Stall]);
    server.wait_until_stalled(1);
    assert!(stream.is_tls());
    stream.set_deadline(Instant::now() + Duration::from_millis(300));
    // Until the buffers of the system are full.
    let error = loop {
        if let Err(error) = stream.write(&[0; 16 * 1024]) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(stream.flush().unwrap_err().kind(), io::ErrorKind::TimedOut);
    let mut outer = ReadAhead::new(stream);
    assert_eq!(outer.flush().unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn each_read_ends_at_the_latest_deadline() {
    let (server, mut stream) = connect(vec![Act::Stall]);
    server.wait_until_stalled(1);
    stream.set_deadline(Instant::now());
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
