//! Whole responses as raw bytes, through the real transport over real sockets:
//! a response or an error, one request, and the next call works.
//!
//! Server and client are one thread: whenever the client is about to read, the
//! server has its turn.
#![no_main]
#![feature(tcp_linger)]

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind::WouldBlock, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use autharmor::auth::{StartAuthenticatorAuth, ValidateAuth};
use autharmor::{Client, Error, ErrorKind, RetryPolicy};
use autharmor_fuzz::{
    BEARER, CLIENT_ID, CLIENT_SECRET, REQUEST, USER, USERNAME, VALIDATION_TOKEN, alloc,
    assert_no_secrets,
};
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

/// More than a head may have, and more than a body may have here.
const LONG: usize = 80 * 1024;
const MAX_BODY: usize = 64 * 1024;

/// The response to one request.
#[derive(Default)]
struct Script {
    bytes: Vec<u8>,
    sent: usize,
    /// How many bytes are sent in one go, and how often before all the rest.
    piece: usize,
    pieces: usize,
    /// Whether the connection is reset, not closed, when the client waits for
    /// more than there is.
    resets: bool,
}

struct Connection {
    tcp: TcpStream,
    request: Vec<u8>,
    script: Script,
    ended: bool,
}

struct Server {
    listener: TcpListener,
    connections: Vec<Connection>,
    /// For the next request. Without one the response is a good one.
    script: Option<Script>,
    requests: usize,
    /// Of the last good response, which holds it as the user's id.
    number: u128,
}

impl Server {
    /// Sends a piece of what the client waits for, or ends the connection if
    /// there is no more.
    fn turn(&mut self) {
        // A client that waits for the rest of a response has sent nothing new.
        let is_midway = self
            .connections
            .last()
            .is_some_and(|connection| connection.script.is_left());
        if !is_midway {
            self.listen();
        }
        let Some(connection) = self.connections.last_mut() else {
            return;
        };
        assert!(connection.request.is_empty(), "half a request");
        if connection.script.is_left() {
            connection.send();
        } else if connection.script.resets {
            // At once, for want of lingering.
            self.connections.pop();
        } else if !connection.ended {
            connection.ended = true;
            let _ = connection.tcp.shutdown(Shutdown::Write);
        }
    }

    /// Takes what has arrived.
    fn listen(&mut self) {
        self.accept();
        let mut index = 0;
        while index < self.connections.len() {
            if self.connections[index].listen() {
                index += 1;
            } else {
                self.connections.remove(index);
            }
        }
        for index in 0..self.connections.len() {
            if is_whole(&self.connections[index].request) {
                let request = std::mem::take(&mut self.connections[index].request);
                self.requests += 1;
                let script = self.script.take();
                let script = script.unwrap_or_else(|| self.good_response(&request));
                let mut connection = self.connections.remove(index);
                connection.script = script;
                // The last is the one that the client waits for.
                self.connections.push(connection);
                break;
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((tcp, _)) = self.listener.accept() {
            tcp.set_nonblocking(true).unwrap();
            tcp.set_nodelay(true).unwrap();
            // No port is kept from us when it is over.
            tcp.set_linger(Some(Duration::ZERO)).unwrap();
            self.connections.push(Connection {
                tcp,
                request: Vec::new(),
                script: Script::default(),
                ended: false,
            });
        }
    }

    /// Sends what the client did not wait for.
    fn send_the_rest(&mut self) {
        self.script = None;
        if let Some(connection) = self.connections.last_mut() {
            connection.script.pieces = 0;
            if connection.script.is_left() {
                connection.send();
            }
            connection.script = Script::default();
        }
    }

    fn good_response(&mut self, request: &[u8]) -> Script {
        self.number += 1;
        let body = if request.starts_with(b"POST /connect/token") {
            format!(r#"{{"access_token":"{BEARER}","expires_in":86400}}"#)
        } else {
            format!(r#"{{"user_id":"{}"}}"#, Uuid::from_u128(self.number))
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Script {
            bytes: (head + &body).into_bytes(),
            ..Script::default()
        }
    }
}

impl Script {
    fn is_left(&self) -> bool {
        self.sent < self.bytes.len()
    }
}

impl Connection {
    /// Sends the next piece of the response.
    fn send(&mut self) {
        let script = &mut self.script;
        let mut next = &script.bytes[script.sent..];
        if script.pieces > 0 {
            script.pieces -= 1;
            next = &next[..next.len().min(script.piece)];
        }
        script.sent += match self.tcp.write(next) {
            Ok(sent) => sent,
            Err(error) if error.kind() == WouldBlock => 0,
            // The client is gone.
            Err(_) => next.len(),
        };
    }

    /// Takes what has arrived. Returns whether the client is still there.
    fn listen(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.tcp.read(&mut buffer) {
                Ok(0) => return false,
                Ok(amount) => self.request.extend_from_slice(&buffer[..amount]),
                Err(error) => return error.kind() == WouldBlock,
            }
        }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let head = std::str::from_utf8(&request[..end]).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    request.len() == end + 4 + length
}

struct Fuzzer {
    server: Rc<RefCell<Server>>,
    client: Client,
    inputs: Cell<u64>,
}

impl Fuzzer {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Rc::new(RefCell::new(Server {
            listener,
            connections: Vec::new(),
            script: None,
            requests: 0,
            number: 0,
        }));
        let in_turn = Rc::clone(&server);
        autharmor::fuzzing::play_server(move || in_turn.borrow_mut().turn());
        let client = Client::builder(CLIENT_ID, CLIENT_SECRET)
            .api_url(&url)
            .login_url(url)
            .allow_http_on_loopback(true)
            .no_proxy()
            .retry(RetryPolicy::off())
            .max_response_body(MAX_BODY)
            .build()
            .unwrap();
        client.check_credentials().unwrap();
        Self {
            server,
            client,
            inputs: Cell::new(0),
        }
    }

    fn check(&self, data: &[u8]) {
        let [flags, length, bytes @ ..] = data else {
            return;
        };
        let mut script = Script {
            bytes: bytes.to_vec(),
            sent: 0,
            piece: [1, 1, 2, 3, 7, 16, 64, 1000][usize::from(flags & 7)],
            pieces: if flags & 7 == 0 { 0 } else { 24 },
            resets: flags & 8 != 0,
        };
        if *length >= 0xf8 && !bytes.is_empty() {
            let tail = &bytes[bytes.len().saturating_sub(32)..];
            script.bytes.extend(tail.iter().cycle().take(LONG));
        }
        let client = &self.client;
        // A 401 costs a token request and a repeat, once in 30 seconds.
        let may_refetch = script.bytes.windows(3).any(|bytes| bytes == b"401");
        self.inputs.set(self.inputs.get() + 1);
        if self.inputs.get() % 10_000 == 0 {
            client.check_credentials().unwrap();
        }
        self.server.borrow_mut().script = Some(script);
        self.server.borrow_mut().requests = 0;
        let is_token = flags >> 4 & 3 == 3;
        let result = match flags >> 4 & 3 {
            0 => client.get_user(USERNAME).map(drop),
            1 => client
                .start_authenticator_auth(&StartAuthenticatorAuth::new().user(USERNAME))
                .map(drop),
            2 => client
                .validate_authenticator_auth(&ValidateAuth::new(REQUEST, VALIDATION_TOKEN))
                .map(drop),
            _ => client.check_credentials(),
        };
        let requests = self.server.borrow().requests;
        assert!(
            requests == 1 || may_refetch && requests <= 3,
            "a call is one request: {requests}"
        );
        match &result {
            Err(error) if requests == 1 => check_error(error, is_token, flags >> 4 & 3 == 2),
            // It may be about the token request.
            Err(error) => assert_no_secrets(error, &[]),
            Ok(()) => {}
        }

        // Whatever that was, it has no consequences.
        self.server.borrow_mut().send_the_rest();
        if is_token {
            client.invalidate_token();
        }
        let user = client.get_user(USER).expect("a good response");
        let server = self.server.borrow();
        assert_eq!(user.user_id.as_u128(), server.number, "another's response");
        let expected = if is_token { 3 } else { 2 };
        assert!(
            server.requests == expected || may_refetch && server.requests <= expected + 2,
            "{} requests",
            server.requests
        );
        assert!(server.connections.len() <= 3, "connections pile up");
        drop(server);
        if may_refetch {
            // A token that is still doubted would cost a later input a request, as
            // soon as 30 seconds are over.
            client.check_credentials().unwrap();
        }
    }
}

fn check_error(error: &Error, is_token: bool, is_validate: bool) {
    assert_no_secrets(error, &[]);
    // Not even a timeout: the server keeps nobody waiting.
    assert!(
        !matches!(
            error.kind(),
            ErrorKind::Timeout
                | ErrorKind::Config
                | ErrorKind::InvalidInput
                | ErrorKind::Dns
                | ErrorKind::Connect
                | ErrorKind::Tls
        ),
        "{error:?}"
    );
    let expected = match error.status() {
        _ if is_token => false,
        Some(429) => false,
        // A validation token is judged if the API says something about it.
        Some(401) if is_validate => return,
        Some(401) => false,
        _ => true,
    };
    assert_eq!(error.may_have_been_sent(), expected);
}

thread_local! {
    static FUZZER: Fuzzer = Fuzzer::new();
}

fuzz_target!(|data: &[u8]| FUZZER.with(|fuzzer| alloc::bounded(|| fuzzer.check(data))));
