//! [`BlackHole`]: addresses that never respond to a connection attempt.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A listener whose queue is full, so that the system drops all further SYNs.
/// A connection attempt hangs until its timeout.
pub struct BlackHole {
    port: u16,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// Fills the queue of a new listener. Panics if it is never full.
    #[expect(clippy::new_without_default, reason = "it opens sockets")]
    pub fn new() -> Self {
        const MOST: usize = 10_000;
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut queue = Vec::new();
        // Once may be chance on a busy machine.
        let mut timeouts = 0;
        while timeouts < 3 {
            assert!(queue.len() < MOST, "the queue is never full");
            match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
                Ok(stream) => queue.push(stream),
                Err(_) => timeouts += 1,
            }
        }
        Self {
            port,
            _listener: listener,
            _queue: queue,
        }
    }

    /// Returns this many different addresses, all on loopback.
    pub fn addresses(&self, count: u8) -> Vec<SocketAddr> {
        (1..=count)
            .map(|last| SocketAddr::new(IpAddr::from([127, 0, 9, last]), self.port))
            .collect()
    }
}
