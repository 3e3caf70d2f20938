//! Broken and hostile input over raw sockets.
//!
//! A few thousand inputs with every run of the tests; as many as wanted with
//!
//! ```sh
//! AUTHARMOR_EMULATOR_FUZZ=1000000 cargo test --release --test emulator fuzz
//! ```
//!
//! Inputs are requests for all routes, control routes too, that fit the state
//! of the emulator and are then spoilt in their JSON, their HTTP or their
//! bytes. Only those are counted that the emulator answered, or on which it
//! closed the connection.

use std::{
    collections::{BTreeMap, HashMap},
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    panic,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use autharmor::emulator::Emulator;
use serde_json::{Map, Value, json};

use crate::shapes;

const COUNT: &str = "AUTHARMOR_EMULATOR_FUZZ";
/// How many inputs one emulator gets before the next takes over.
const BATCH: usize = 4000;
/// Longer than anything takes here, but for latency that was asked for.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many threads of emulators panicked. The emulator survives that, so it
/// would show nowhere else.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let thread = thread::current();
            if thread
                .name()
                .is_some_and(|name| name.starts_with("autharmor-emul"))
            {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

/// xorshift64: the same seed, the same inputs, as far as the emulator's own
/// randomness allows.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below.max(1)
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.roll(chances) == 0
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.roll(all.len())]
    }

    fn word(&mut self, all: &[&'static str]) -> &'static str {
        all[self.roll(all.len())]
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }
}

/// A request in parts, so that each can be spoilt by itself.
#[derive(Clone)]
struct Request {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
}

/// What the answers have given: the last values by the names of their fields.
#[derive(Default)]
struct Memory(HashMap<String, Value>);

impl Memory {
    fn learn(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.learn(value);
                    if !value.is_null() {
                        self.0.insert(name.clone(), value.clone());
                    }
                }
                // What the page sends back for a passkey.
                if fields.contains_key("client_data") {
                    self.0.insert("made".to_owned(), value.clone());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    fn value(&self, name: &str, dice: &mut Dice) -> Value {
        let get = |name: &str| self.0.get(name).cloned();
        let known = match name {
            "aa_sig" => get(if dice.one_in(2) { "aa_guid" } else { "aa_sig" }),
            "options" => get("fido2_json_options"),
            "email_address" | "new_email_address" => {
                Some(json!(format!("user-{}@example.com", dice.roll(50))))
            }
            "username" | "new_username" => Some(json!(format!("user-{}", dice.roll(50)))),
            _ => get(name),
        };
        known.unwrap_or(Value::Null)
    }
}

/// The control routes and the fields of their bodies.
const CONTROL: &[(&str, &str, &[&str])] = &[
    ("GET", "", &[]),
    ("GET", "health", &[]),
    ("GET", "users", &[]),
    ("POST", "users", &["username", "email_address"]),
    ("GET", "requests/pending", &[]),
    ("POST", "approve", &["auth_request_id"]),
    ("POST", "decline", &["auth_request_id"]),
    ("GET", "registrations/pending", &[]),
    ("POST", "registrations/accept", &["registration_id"]),
    ("POST", "registrations/decline", &["registration_id"]),
    ("POST", "scan", &["qr_code_data"]),
    ("POST", "scan", &["registration_id"]),
    ("GET", "outbox", &[]),
    ("POST", "click", &["link"]),
    ("GET", "link/x", &[]),
    ("GET", "qr/x", &[]),
    ("POST", "passkeys/create", &["options"]),
    ("POST", "passkeys/get", &["options"]),
    ("GET", "clock", &[]),
    ("POST", "clock/advance", &["seconds"]),
    ("GET", "faults", &[]),
    ("DELETE", "faults", &[]),
    ("GET", "recorded", &[]),
    ("DELETE", "recorded", &[]),
];

/// A request that fits, as far as the memory goes.
fn request(
    dice: &mut Dice,
    memory: &Memory,
    endpoints: &[shapes::Endpoint],
    token: &str,
) -> Request {
    let mut request = Request {
        method: "GET".to_owned(),
        target: String::new(),
        version: "HTTP/1.1",
        headers: vec![("Host".to_owned(), "localhost".to_owned())],
        body: Vec::new(),
        chunked: dice.one_in(8),
    };
    let mut body = None;
    match dice.roll(40) {
        0 => {
            "POST".clone_into(&mut request.method);
            "/connect/token".clone_into(&mut request.target);
            let kind = "application/x-www-form-urlencoded";
            request
                .headers
                .push(("Content-Type".to_owned(), kind.to_owned()));
            request.body = b"grant_type=client_credentials&client_id=emulator-client\
                &client_secret=emulator-secret&scope=aarmor.api.request_auth"
                .to_vec();
        }
        1 => {
            "POST".clone_into(&mut request.method);
            "/_emulator/faults".clone_into(&mut request.target);
            let kind = *dice.pick(&[
                "status",
                "drop_before_answer",
                "drop_in_answer",
                "garbage",
                "truncated_body",
                "broken_chunks",
                "expired_token",
            ]);
            let endpoint = dice.pick(endpoints).name;
            body = Some(json!({"kind": kind, "endpoint": endpoint, "times": 1, "status": 429}));
        }
        2..=11 => {
            let (method, path, fields) = *dice.pick(CONTROL);
            method.clone_into(&mut request.method);
            request.target = format!("/_emulator/{path}");
            if !fields.is_empty() {
                let fields = fields.iter().map(|name| {
                    let value = match *name {
                        "seconds" => json!(dice.roll(4)),
                        name => memory.value(name, dice),
                    };
                    ((*name).to_owned(), value)
                });
                body = Some(Value::Object(fields.collect()));
            }
        }
        _ => {
            let endpoint = dice.pick(endpoints);
            endpoint.method.clone_into(&mut request.method);
            let v3 = endpoint.v3.filter(|_| dice.one_in(2));
            request.target = fill(v3.unwrap_or(endpoint.v4), memory);
            let bearer = format!("Bearer {token}");
            request.headers.push(("Authorization".to_owned(), bearer));
            if let Some(schema) = endpoint.body {
                let mut fields = Map::new();
                for (name, kind) in shapes::fields(schema) {
                    if let Some(value) = field(dice, memory, name, kind) {
                        fields.insert(name.to_owned(), value);
                    }
                }
                if v3.is_some() && endpoint.name.starts_with("finish_webauthn_registration") {
                    let id = memory.value("registration_id", dice);
                    fields.insert("registration_id".to_owned(), id);
                }
                body = Some(fields.into());
            }
            if endpoint.name.starts_with("list_") {
                request
                    .target
                    .push_str("?page_number=1&page_size=3&sort_direction=desc");
            }
        }
    }
    if let Some(mut body) = body {
        if dice.one_in(4) {
            spoil_json(dice, &mut body);
        }
        let kind = "application/json".to_owned();
        request.headers.push(("Content-Type".to_owned(), kind));
        request.body = body.to_string().into_bytes();
    }
    request
}

/// A route with ids that exist.
fn fill(route: &str, memory: &Memory) -> String {
    let words = route.split('/').map(|word| match word.strip_prefix('{') {
        Some(name) => {
            let id = memory.0.get(name.trim_end_matches('}'));
            id.and_then(Value::as_str)
                .unwrap_or("11111111-2222-4333-8444-555555555555")
        }
        None => word,
    });
    words.collect::<Vec<_>>().join("/")
}

/// A value for a field of a body, mostly.
fn field(dice: &mut Dice, memory: &Memory, name: &str, kind: &str) -> Option<Value> {
    match name {
        "user_id" | "nonce" | "ip_address" | "user_agent" | "webauthn_client_id" => return None,
        "action_name" | "short_msg" => return Some(json!("Log in")),
        name if name.ends_with("redirect_url") => return Some(json!("http://localhost/")),
        "authenticator_response_data" => {
            let made = memory.0.get("made")?;
            return Some(if kind.starts_with("text") {
                json!(made.to_string())
            } else {
                json!({
                    "id": made["id"], "client_data": made["client_data"],
                    "attestation_object": made["attestation_object"],
                })
            });
        }
        _ => {}
    }
    match kind.trim_end_matches('?') {
        "int" => Some(json!(60)),
        "bool" => Some(json!(dice.one_in(2))),
        "map" => Some(json!({"a": "b"})),
        "location_data" => Some(json!({"latitude": "1"})),
        kind if kind.starts_with("text") => Some(memory.value(name, dice)),
        _ => None,
    }
}

/// Values that programs stumble over.
fn odd(dice: &mut Dice) -> Value {
    match dice.roll(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(0),
        4 => json!(i64::MAX),
        5 => json!(u64::MAX),
        6 => json!(1e300),
        7 => json!(""),
        8 => json!([]),
        9 => json!({}),
        10 => json!("\u{0}\u{1b}\r\nX: y"),
        11 => json!("\u{202e}\u{1f469}\u{200d}\u{1f680}e\u{301}"),
        12 => json!("x".repeat(dice.roll(3000))),
        13 => (0..dice.roll(300)).fold(json!(1), |inner, _| json!([inner])),
        14 => json!("00000000-0000-0000-0000-000000000000"),
        _ => json!("../../%2e%2e/{user_id}?a=b#c"),
    }
}

fn spoil_json(dice: &mut Dice, value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !dice.one_in(8) => {
            let name = fields.keys().nth(dice.roll(fields.len())).unwrap().clone();
            match dice.roll(5) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert(format!("{name}x"), odd(dice))),
                2 => drop(fields.insert(name, odd(dice))),
                _ => spoil_json(dice, &mut fields[&name]),
            }
        }
        // The inside of a text that is JSON or base64 itself.
        Value::String(text) if !dice.one_in(4) => {
            let mut bytes = text.clone().into_bytes();
            spoil_bytes(dice, &mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        value => *value = odd(dice),
    }
}

fn spoil_bytes(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(bytes.len() + 1);
        let rest = bytes.len() - at;
        match dice.roll(6) {
            0 if rest > 0 => bytes[at] ^= 1 << dice.roll(8),
            1 if rest > 0 => bytes[at] = dice.byte(),
            2 => bytes.insert(at, dice.byte()),
            3 if dice.one_in(4) => bytes.truncate(at),
            4 if rest > 0 => drop(bytes.drain(at..at + 1 + dice.roll(rest.min(8)))),
            _ => {
                let piece = bytes[at..at + rest.min(dice.roll(24))].to_vec();
                let to = dice.roll(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Spoils what is HTTP about a request.
fn spoil_request(dice: &mut Dice, request: &mut Request) {
    match dice.roll(24) {
        0 => {
            let methods = [
                "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "get",
            ];
            dice.word(&methods).clone_into(&mut request.method);
        }
        1 => {
            let tails = [
                "/", "//", "?", "?a", "%", "%zz", "%00", "/..", ";a=b", "#", "?%ff",
            ];
            request.target.push_str(dice.word(&tails));
        }
        2 => request.target.push_str("?username=user-1&username=user-2"),
        3 => request.target = request.target.replace('-', "%2d"),
        4 => request.target.insert_str(0, "http://localhost:1"),
        5 => {
            let targets = [
                "*",
                "",
                "localhost:80",
                "ftp://x/",
                "/_emulator",
                "/v4",
                "/é",
            ];
            dice.word(&targets).clone_into(&mut request.target);
        }
        6 => request.target.push_str(&"a".repeat(dice.roll(9000))),
        7 => {
            let versions = [
                "HTTP/1.0",
                "HTTP/2.0",
                "HTTP/1.10",
                "HTTP/0.9",
                "http/1.1",
                "",
            ];
            request.version = dice.word(&versions);
        }
        _ => spoil_headers(dice, request),
    }
}

fn spoil_headers(dice: &mut Dice, request: &mut Request) {
    let mut header = |name: &str, value: &str| {
        request.headers.push((name.to_owned(), value.to_owned()));
    };
    match 8 + dice.roll(16) {
        8 => {
            let lengths = [
                "0",
                "5",
                "-1",
                "+5",
                "05",
                "99999999999999999999",
                "4,4",
                "0x5",
                "1048577",
                "",
            ];
            header("Content-Length", dice.word(&lengths));
        }
        9 => {
            let codings = [
                "chunked",
                "gzip",
                "gzip, chunked",
                "identity",
                " chunked\t",
                "x",
            ];
            header("Transfer-Encoding", dice.word(&codings));
        }
        10 => header("Expect", dice.word(&["100-continue", "x"])),
        11 => {
            let words = ["close", "keep-alive", "upgrade", ", ,close", ""];
            header("Connection", dice.word(&words));
        }
        12 => header("Host", "evil.example"),
        13 => drop(request.headers.remove(0)),
        14 => {
            let kinds = [
                "text/plain",
                "application/json",
                "application/json; charset=utf-16",
                ";",
                "/",
                "application/x+json",
            ];
            header("Content-Type", dice.word(&kinds));
        }
        15 => {
            let names = ["user-1", "", "ü", "\u{7f}"];
            header("X-AuthArmor-UsernameValue", dice.word(&names));
        }
        16 => {
            let all = ["Bearer", "Basic", "Basic !!!", "Basic Og==", "Bearer x", ""];
            header("Authorization", dice.word(&all));
        }
        17 => header(
            "Origin",
            dice.word(&["null", "http://localhost", "://", "x"]),
        ),
        18 => header("X-Many", &"y".repeat(dice.roll(200))),
        19 if dice.one_in(10) => {
            for at in 0..dice.roll(150) {
                header(&format!("X-{at}"), &"z".repeat(dice.roll(400)));
            }
        }
        20 => header(dice.word(&["", " ", "a b", "a:", "é", "X\0"]), "x"),
        21 => header("X-Folded", "a\r\n b"),
        22 if dice.one_in(50) => request.body = vec![b' '; 900_000 + dice.roll(300_000)],
        _ => request.chunked = !request.chunked,
    }
}

fn encode(dice: &mut Dice, request: &Request) -> Vec<u8> {
    let newline = if dice.one_in(50) { "\n" } else { "\r\n" };
    let mut bytes = format!(
        "{} {} {}{newline}",
        request.method, request.target, request.version
    );
    for (name, value) in &request.headers {
        bytes.extend([name.as_str(), ": ", value, newline]);
    }
    let mut body = request.body.clone();
    if request.chunked {
        bytes.extend(["Transfer-Encoding: chunked", newline]);
        body = chunks(dice, &request.body);
    } else if !body.is_empty() && !dice.one_in(60) {
        let length = body.len().to_string();
        bytes.extend(["Content-Length: ", &length, newline]);
    }
    bytes.push_str(newline);
    let mut bytes = bytes.into_bytes();
    bytes.append(&mut body);
    bytes
}

/// A body in chunks, now and then in bad ones.
fn chunks(dice: &mut Dice, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(1 + dice.roll(rest.len()));
        rest = tail;
        let size = match dice.roll(40) {
            0 => format!("{:x}", chunk.len() + 1),
            1 => "ffffffffffffffff".to_owned(),
            2 => "-1".to_owned(),
            3 => format!("{:x};{}", chunk.len(), "e".repeat(dice.roll(2000))),
            4 => format!("000{:X}", chunk.len()),
            5 => String::new(),
            _ => format!("{:x}", chunk.len()),
        };
        out.extend_from_slice(size.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(chunk);
        out.extend_from_slice(if dice.one_in(40) { b"\n" } else { b"\r\n" });
    }
    let end = match dice.roll(20) {
        0 => format!("0\r\nX: {}\r\n\r\n", "t".repeat(dice.roll(9000))),
        1 => "0\r\n".to_owned(),
        2 => "00000000000000000000\r\n\r\n".to_owned(),
        _ => "0\r\n\r\n".to_owned(),
    };
    out.extend_from_slice(end.as_bytes());
    out
}

/// Inputs for one connection: one, or several behind each other.
fn session(
    dice: &mut Dice,
    memory: &Memory,
    endpoints: &[shapes::Endpoint],
    token: &str,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = if dice.one_in(3) { 1 } else { 1 + dice.roll(10) };
    for at in 0..count {
        let mut one = request(dice, memory, endpoints, token);
        // What breaks a connection is worth more at its end.
        let hostile = at + 1 == count;
        if dice.one_in(if hostile { 2 } else { 8 }) {
            spoil_request(dice, &mut one);
        }
        let mut encoded = encode(dice, &one);
        if hostile && dice.one_in(3) {
            spoil_bytes(dice, &mut encoded);
        }
        bytes.append(&mut encoded);
    }
    if dice.one_in(100) {
        bytes = (0..dice.roll(300)).map(|_| dice.byte()).collect();
    }
    bytes
}

/// Sends some bytes, in pieces or at once, and gives everything that comes
/// back until the emulator closes.
fn exchange(dice: &mut Dice, emulator: &Emulator, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = match dice.roll(6) {
            0 => 1 + dice.roll(rest.len()),
            1 => 1 + dice.roll(rest.len().min(12)),
            _ => rest.len(),
        };
        let (piece, tail) = rest.split_at(size);
        rest = tail;
        // The emulator may have refused it by now.
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let hangs = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!hangs, "it hangs on {:?}", String::from_utf8_lossy(bytes));
    }
    answer
}

/// How the answers of a connection came out.
#[derive(Default)]
struct Tally {
    statuses: BTreeMap<u16, usize>,
    /// Ends without an answer, and answers that a fault has spoilt.
    closed: usize,
}

impl Tally {
    fn inputs(&self) -> usize {
        self.statuses.values().sum::<usize>() + self.closed
    }

    fn add(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.closed += other.closed;
    }

    /// Reads the answers of a connection; what was sent is for the message.
    fn read(&mut self, sent: &[u8], mut bytes: &[u8], memory: &mut Memory) {
        if bytes.is_empty() {
            self.closed += 1;
        }
        while !bytes.is_empty() {
            let Some((status, body, rest)) = answer(bytes) else {
                // Nothing but a fault gives half an answer, or none.
                self.closed += 1;
                return;
            };
            bytes = rest;
            if status == 100 {
                continue;
            }
            // A status of a fault is one that this test has asked for.
            let known = [
                200, 302, 400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 415, 429, 431, 501, 505,
            ];
            assert!(
                known.contains(&status),
                "{status} for {:?}",
                String::from_utf8_lossy(sent)
            );
            *self.statuses.entry(status).or_default() += 1;
            if let Ok(value) = serde_json::from_slice(body) {
                memory.learn(&value);
            }
        }
    }
}

/// The next answer: its status, its body, and what follows. An answer to
/// `HEAD` has no body, whatever its length says.
fn answer(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let rest = &bytes[end + 4..];
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let length = match length {
        _ if rest.is_empty() || rest.starts_with(b"HTTP/1.1 ") => 0,
        Some(length) => length,
        None if status == 100 => 0,
        None => return None,
    };
    let (body, rest) = rest.split_at_checked(length)?;
    Some((status, body, rest))
}

fn batch(dice: &mut Dice, endpoints: &[shapes::Endpoint], most: usize) -> Tally {
    let before = panics();
    let emulator = Emulator::builder()
        .plain_http()
        .user("user-1")
        .user("user-2@example.com")
        .keep_requests(100)
        .start()
        .unwrap();
    let mut memory = Memory::default();
    let mut tally = Tally::default();
    let (mut token, mut seen) = (String::new(), 0);
    while tally.inputs() < most {
        let refused = tally.statuses.get(&401).copied().unwrap_or_default();
        if token.is_empty() || (refused > seen && dice.one_in(5)) {
            // The token was made to expire, or so much time has passed that
            // every token is too old.
            emulator.clear_faults();
            if dice.one_in(4) {
                emulator.reset();
            }
            token = crate::wire::Api::open(&emulator).token;
        }
        seen = refused;
        let bytes = session(dice, &memory, endpoints, &token);
        let answers = exchange(dice, &emulator, &bytes);
        tally.read(&bytes, &answers, &mut memory);
    }
    // It is all there still: one who answers, and nobody who is stuck.
    let health = b"GET /_emulator/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let alive = exchange(dice, &emulator, health);
    assert!(alive.starts_with(b"HTTP/1.1 200 "));
    let start = Instant::now();
    drop(emulator);
    assert!(start.elapsed() < PATIENCE, "a thread was stuck");
    assert_eq!(panics(), before, "a thread panicked");
    tally
}

#[test]
fn no_input_makes_it_panic_hang_or_forget_to_answer() {
    let wanted: Option<usize> = std::env::var(COUNT)
        .ok()
        .map(|count| count.parse().unwrap());
    let threads = if wanted.is_some() {
        thread::available_parallelism().map_or(2, usize::from)
    } else {
        2
    };
    let share = wanted.unwrap_or(BATCH).div_ceil(threads);
    let start = Instant::now();
    panics();
    let tallies = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|at| {
                scope.spawn(move || {
                    let endpoints: Vec<_> = shapes::endpoints().collect();
                    let mut dice = Dice(0x5eed + at as u64);
                    let mut total = Tally::default();
                    while total.inputs() < share {
                        let most = BATCH.min(share - total.inputs());
                        total.add(&batch(&mut dice, &endpoints, most));
                    }
                    total
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect::<Vec<_>>()
    });
    let mut total = Tally::default();
    for tally in &tallies {
        total.add(tally);
    }
    if wanted.is_some() {
        let _ = writeln!(
            std::io::stderr(),
            "\n{} inputs in {:.0} s; by status: {:?}; closed: {}",
            total.inputs(),
            start.elapsed().as_secs_f64(),
            total.statuses,
            total.closed
        );
    }
    // Fuzzing that never gets past the first check would be easy.
    for status in [200, 400, 401, 403, 404, 405, 409, 415] {
        let seen = total.statuses.get(&status).copied().unwrap_or_default();
        assert!(seen * 1000 >= total.inputs(), "{status}: {seen}");
    }
}
