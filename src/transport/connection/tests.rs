use std::sync::Mutex;
use std::time::Duration;

use http::{HeaderValue, Method, Request};

use super::super::agent::agent;
use super::super::dialer::Dialer;
use super::super::resolver::Resolver;
use super::super::tls::{Roots, client_config};
use super::*;
use crate::clock::SystemClock;
use autharmor_test_support::scripted::{Act, OK, Server};

/// Looks into the buffers of a connection whenever it goes to the pool.
struct Watching {
    connector: PreconnectConnector,
    left_behind: Arc<Mutex<Vec<usize>>>,
}

impl Connector for Watching {
    type Out = Watched;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Watched>, ureq::Error> {
        let connection = self.connector.connect(details, None)?;
        Ok(connection.map(|connection| Watched {
            connection,
            left_behind: self.left_behind.clone(),
        }))
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watching")
    }
}

#[derive(Debug)]
struct Watched {
    connection: Connection,
    left_behind: Arc<Mutex<Vec<usize>>>,
}

impl UreqTransport for Watched {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.connection.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.connection.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.connection.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        let WipedBuffers { input, output, .. } = &self.connection.buffers;
        let left = input.iter().chain(output.iter()).filter(|byte| **byte != 0);
        self.left_behind.lock().unwrap().push(left.count());
        self.connection.is_open()
    }
}

#[test]
fn the_buffers_of_an_idle_connection_hold_nothing() {
    let large = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 40000\r\n\r\n{}",
        "x".repeat(20_000),
        "y".repeat(40_000)
    );
    let responses = [OK.to_owned(), large];
    let acts = responses.iter().cycle().take(300);
    let script = acts.flat_map(|response| [Act::Read, Act::write(response)]);
    let server = Server::start(vec![script.collect()]);
    let roots = client_config(&Roots::Bundled, None).unwrap();
    let dialer = Dialer {
        resolver: Resolver::new(None, Arc::new(SystemClock)),
        tls: roots.clone(),
        proxy: None,
        proxy_tls: roots,
        user_agent: HeaderValue::from_static("test"),
        connect_timeout: Duration::from_secs(60),
    };
    let left_behind = Arc::<Mutex<Vec<usize>>>::default();
    let agent = agent(Watching {
        connector: PreconnectConnector(Arc::new(Preconnect::new(Arc::new(dialer), None))),
        left_behind: left_behind.clone(),
    });
    let mut requests = 0;
    for body in [0, 10, 50_000] {
        // Around the lengths with which the last header just fits the buffer.
        for filler in [0, 500].into_iter().chain(1990..2030) {
            let mut request = Request::builder().method(Method::POST).uri(format!(
                "http://{}/{}",
                server.address(),
                "p".repeat(requests % 5)
            ));
            for name in ["x-1", "x-2", "x-3", "x-4", "x-5"] {
                request = request.header(name, "v".repeat(filler));
            }
            let body = vec![b'b'; body];
            let mut response = agent.run(request.body(&body[..]).unwrap()).unwrap();
            response.body_mut().read_to_vec().unwrap();
            requests += 1;
        }
    }
    assert_eq!(server.connections(), 1);
    let left_behind = left_behind.lock().unwrap();
    assert!(left_behind.len() >= requests);
    assert!(
        left_behind.iter().all(|bytes| *bytes == 0),
        "{left_behind:?}"
    );
}

#[test]
fn a_small_head_waits_for_its_body_and_more_does_not() {
    let server = Server::start(vec![vec![Act::Stall]]);
    let tcp = std::net::TcpStream::connect(server.address()).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    let stream = Stream::Plain(super::super::stream::Socket::new(tcp, deadline));
    let mut connection = Connection::new(stream);
    assert!(!connection.is_tls());
    let timeout = NextTimeout {
        after: Duration::from_secs(60).into(),
        reason: ureq::Timeout::Global,
        per_read: None,
        per_write: None,
    };
    for (amount, pending) in [(1000, 1000), (1048, 2048), (1, 0), (2049, 0)] {
        connection.buffers().output()[..amount].fill(b'x');
        connection.transmit_output(amount, timeout).unwrap();
        assert_eq!(connection.buffers.pending, pending, "{amount}");
    }
}

/// Reads as a socket does: as much as there is room for, at most `amount`.
fn fill(buffers: &mut WipedBuffers, amount: usize) -> usize {
    let room = buffers.input_append_buf();
    let amount = amount.min(room.len());
    room[..amount].fill(b'r');
    buffers.input_appended(amount);
    amount
}

#[test]
fn the_buffer_of_a_response_makes_room_and_leaves_nothing_behind() {
    let mut buffers = WipedBuffers::default();
    assert_eq!(fill(&mut buffers, 1_000_000), 16_384);

    // What is left moves to the front.
    buffers.input_consume(16_000);
    assert_eq!(fill(&mut buffers, 1_000), 1_000);
    assert_eq!(buffers.input.len(), 16_384);
    assert_eq!(buffers.input(), [b'r'; 1384]);
    assert!(buffers.can_use_input());
    assert!(buffers.input[1384..].iter().all(|byte| *byte == 0));

    // Nothing was consumed: it grows for a larger head, and not for ever.
    while fill(&mut buffers, 1_000_000) > 0 {}
    assert_eq!(buffers.input(), vec![b'r'; 131_072]);

    // The usual size is enough for the next response.
    buffers.input_consume(1);
    assert_eq!(buffers.input.len(), 131_072);
    buffers.input_consume(1_000_000);
    assert!(buffers.input.is_empty() && !buffers.can_use_input());
    assert_eq!(fill(&mut buffers, 1_000_000), 16_384);
    buffers.input_consume(1_000_000);
    assert_eq!(
        buffers.input.len(),
        16_384,
        "it is kept for the next response"
    );
}
