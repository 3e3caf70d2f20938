//! A proxy that makes a server on this machine seem far away.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Puts `round_trip` between clients and `server` and returns the address that
/// stands for it, until the process ends.
///
/// Every byte takes half of it. The handshake of TCP, which a proxy cannot
/// delay, is made up for: what a client says in its first round trip would not
/// have been said before the end of it.
pub fn from(server: SocketAddr, round_trip: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let connected = Instant::now() + round_trip;
            // Clients that go away are expected.
            let _ = join(client, server, connected, round_trip / 2);
        }
    });
    Ok(address)
}

fn join(
    client: TcpStream,
    server: SocketAddr,
    connected: Instant,
    delay: Duration,
) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    carry(client.try_clone()?, server.try_clone()?, connected, delay)?;
    carry(server, client, connected, delay)
}

/// Nothing is said before `from`, and everything arrives `delay` later.
fn carry(
    mut source: TcpStream,
    mut target: TcpStream,
    from: Instant,
    delay: Duration,
) -> io::Result<()> {
    target.set_nodelay(true)?;
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        // An empty one is the end.
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
