//! A TCP proxy that delays all bytes.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Starts a proxy that adds `round_trip` between clients and `server`. Returns
/// its address. It runs until the process ends.
///
/// Every byte is delayed by half of `round_trip`. A proxy cannot delay the TCP
/// handshake. Instead it treats bytes as if they were sent at least one round
/// trip after the connection was opened.
pub fn start(server: SocketAddr, round_trip: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let connected = Instant::now() + round_trip;
            // Clients that go away are expected.
            let _ = connect(client, server, connected, round_trip / 2);
        }
    });
    Ok(address)
}

fn connect(
    client: TcpStream,
    server: SocketAddr,
    connected: Instant,
    delay: Duration,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    forward(client.try_clone()?, server.try_clone()?, connected, delay)?;
    forward(server, client, connected, delay)
}

/// Forwards bytes `delay` after they were sent, or after `from` if that is later.
fn forward(
    mut source: TcpStream,
    mut target: TcpStream,
    from: Instant,
    delay: Duration,
) -> io::Result<()> {
    target.set_nodelay(true)?;
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        // An empty message is the end.
        while let Ok(amount) = source.read(&mut buffer) {
            let arrives = Instant::now().max(from) + delay;
            if send.send((arrives, buffer[..amount].to_vec())).is_err() || amount == 0 {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (arrives, bytes) in receive {
            thread::sleep(arrives.saturating_duration_since(Instant::now()));
            if bytes.is_empty() || target.write_all(&bytes).is_err() {
                let _ = target.shutdown(Shutdown::Write);
                return;
            }
        }
    });
    Ok(())
}
