//! Malformed and hostile input over raw sockets.
//!
//! A few thousand inputs in every test run; any number of them with
//!
//! ```sh
//! AUTHARMOR_EMULATOR_FUZZ=1000000 cargo test --release --test emulator fuzz
//! ```
//!
//! An input is a request for any route, also a control route, with ids and
//! tokens of the emulator's present state, changed in its JSON, its HTTP or its
//! bytes. It counts if the emulator responded or closed the connection.

use std::{
    collections::{BTreeMap, HashMap},
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    panic,
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use autharmor::emulator::Emulator;
use autharmor_test_support::Rng;
use serde_json::{Map, Value, json};

use crate::shapes;

const COUNT: &str = "AUTHARMOR_EMULATOR_FUZZ";
/// Inputs for one emulator.
const BATCH: usize = 4000;
/// Longer than any response takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number of emulator threads that panicked. The emulator goes on after a
/// panic, so nothing else would show it.
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

fn word<'a>(rng: &mut Rng, all: &[&'a str]) -> &'a str {
    all[rng.below(all.len())]
}

/// A request in parts, each of which can be changed.
#[derive(Clone)]
struct Request {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    chunked: bool,
    /// Whether it is sent as it is: a corrupted fault could ask for any status or
    /// for a body that takes an hour.
    intact: bool,
}

/// The last value of each field in the responses.
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
                // The response of a passkey, for a finish call.
                if fields.contains_key("client_data") {
                    self.0.insert("made".to_owned(), value.clone());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            _ => {}
        }
    }

    fn value(&self, name: &str, rng: &mut Rng) -> Value {
        let get = |name: &str| self.0.get(name).cloned();
        let known = match name {
            "aa_sig" => get(if rng.one_in(2) { "aa_guid" } else { "aa_sig" }),
            "options" => get("fido2_json_options"),
            "decision" => Some(json!(rng.pick(&["approve", "decline", "ignore"]))),
            "email_address" | "new_email_address" => {
                Some(json!(format!("user-{}@example.com", rng.below(50))))
            }
            "username" | "new_username" => Some(json!(format!("user-{}", rng.below(50)))),
            _ => get(name),
        };
        known.unwrap_or(Value::Null)
    }
}

/// The control routes and the fields of their bodies.
const CONTROL: &[(&str, &str, &[&str])] = &[
    ("GET", "", &[]),
    ("GET", "health", &[]),
    ("GET", "connection", &[]),
    ("GET", "users", &[]),
    ("POST", "users", &["username", "email_address"]),
    ("GET", "requests/pending", &[]),
    ("POST", "requests/automatic", &["decision", "seconds"]),
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
    ("GET", "rate_limits", &[]),
    ("POST", "rate_limits", &["endpoint", "calls", "seconds"]),
    ("DELETE", "rate_limits", &[]),
    ("GET", "recorded", &[]),
    ("GET", "recorded?newest=3&brief&refused&search=u", &[]),
    ("GET", "recorded/1", &[]),
    ("DELETE", "recorded", &[]),
];

/// A valid request, with values of earlier responses.
fn request(rng: &mut Rng, memory: &Memory, endpoints: &[shapes::Endpoint], token: &str) -> Request {
    let mut request = Request {
        method: "GET".to_owned(),
        target: String::new(),
        version: "HTTP/1.1",
        headers: vec![("Host".to_owned(), "localhost".to_owned())],
        body: Vec::new(),
        chunked: rng.one_in(8),
        intact: false,
    };
    let mut body = None;
    match rng.below(40) {
        0 => {
            token_request(rng, &mut request);
        }
        12 => {
            let path = *rng.pick(&["", "/jwks", "/"]);
            request.target = format!("/.well-known/openid-configuration{path}");
        }
        1 => {
            "POST".clone_into(&mut request.method);
            "/_emulator/faults".clone_into(&mut request.target);
            let kind = *rng.pick(&[
                "status",
                "drop_before_response",
                "drop_in_response",
                "garbage",
                "truncated_body",
                "broken_chunks",
                "expired_token",
                "other_user",
                "slow_body",
            ]);
            let endpoint = rng.pick(endpoints).name;
            let mut fault = json!({"kind": kind, "endpoint": endpoint, "times": 1});
            match kind {
                "status" => fault["status"] = json!(429),
                "slow_body" => fault["milliseconds"] = json!(1),
                _ => {}
            }
            request.intact = matches!(kind, "status" | "slow_body");
            body = Some(fault);
        }
        2..=11 => {
            let (method, path, fields) = *rng.pick(CONTROL);
            method.clone_into(&mut request.method);
            request.target = format!("/_emulator/{path}");
            if !fields.is_empty() {
                let fields = fields.iter().map(|name| {
                    let value = match *name {
                        "seconds" | "calls" => json!(rng.below(4)),
                        "endpoint" => json!(rng.pick(endpoints).name),
                        name => memory.value(name, rng),
                    };
                    ((*name).to_owned(), value)
                });
                body = Some(Value::Object(fields.collect()));
            }
        }
        _ => {
            let endpoint = rng.pick(endpoints);
            endpoint.method.clone_into(&mut request.method);
            let v3 = endpoint.v3.filter(|_| rng.one_in(2));
            request.target = fill(v3.unwrap_or(endpoint.v4), memory);
            let bearer = format!("Bearer {token}");
            request.headers.push(("Authorization".to_owned(), bearer));
            if let Some(schema) = endpoint.body {
                let mut fields = Map::new();
                for (name, kind) in shapes::fields(schema) {
                    if let Some(value) = field(rng, memory, name, kind) {
                        fields.insert(name.to_owned(), value);
                    }
                }
                if v3.is_some() && endpoint.name.starts_with("finish_webauthn_registration") {
                    let id = memory.value("registration_id", rng);
                    fields.insert("registration_id".to_owned(), id);
                }
                body = Some(fields.into());
            }
            if endpoint.name.starts_with("list_") {
                let query = "?page_number=1&page_size=3&sort_direction=desc";
                request.target.push_str(query);
            }
            deviate(rng, &mut request.target, &mut body);
        }
    }
    if let Some(mut body) = body {
        if !request.intact && rng.one_in(4) {
            corrupt_json(rng, &mut body);
        }
        let kind = "application/json".to_owned();
        request.headers.push(("Content-Type".to_owned(), kind));
        request.body = body.to_string().into_bytes();
    }
    request
}

fn token_request(rng: &mut Rng, request: &mut Request) {
    "POST".clone_into(&mut request.method);
    "/connect/token".clone_into(&mut request.target);
    let kind = "application/x-www-form-urlencoded".to_owned();
    request.headers.push(("Content-Type".to_owned(), kind));
    request.body = b"grant_type=client_credentials&client_id=emulator-client\
        &client_secret=emulator-secret&scope=aarmor.api.request_auth"
        .to_vec();
    if rng.one_in(4) {
        multipart(request);
    }
}

/// Changes a request in a way that tolerant mode accepts, now and then.
fn deviate(rng: &mut Rng, target: &mut String, body: &mut Option<Value>) {
    match (rng.below(30), body) {
        (0, _) => target.make_ascii_uppercase(),
        (1, _) if !target.contains('?') => target.push('/'),
        (2, body @ None) => *body = Some(json!([])),
        (3, Some(Value::Object(fields))) => {
            fields.insert("timeout_in_seconds".to_owned(), json!("60"));
            fields.insert("nonce".to_owned(), Value::Null);
        }
        _ => {}
    }
}

/// Turns a token request into one of another form.
fn multipart(request: &mut Request) {
    let kind = "multipart/form-data; boundary=b".to_owned();
    request.headers[1].1 = kind;
    let parts = [
        ("grant_type", "client_credentials"),
        ("client_id", "emulator-client"),
        ("client_secret", "emulator-secret"),
    ];
    let parts = parts.map(|(name, value)| {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"");
        format!("{head}\r\n\r\n{value}\r\n")
    });
    request.body = format!("{}--b--\r\n", parts.concat()).into_bytes();
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

/// A value for a field of a body, or `None`.
fn field(rng: &mut Rng, memory: &Memory, name: &str, kind: &str) -> Option<Value> {
    match name {
        "user_id" | "nonce" | "ip_address" | "user_agent" | "webauthn_client_id" => return None,
        "action_name" | "short_msg" => return Some(json!("Log in")),
        name if name.ends_with("redirect_url") => return Some(json!("http://localhost/")),
        "authenticator_response_data" => {
            let made = memory.0.get("made")?;
            return Some(if kind.starts_with("text") {
                json!(made.to_string())
            } else {
                made.clone()
            });
        }
        _ => {}
    }
    match kind.trim_end_matches('?') {
        "int" => Some(json!(60)),
        "bool" => Some(json!(rng.one_in(2))),
        "map" => Some(json!({"a": "b"})),
        "location_data" => Some(json!({"latitude": "1"})),
        kind if kind.starts_with("text") => Some(memory.value(name, rng)),
        _ => None,
    }
}

/// A value that parsers often mishandle.
fn odd(rng: &mut Rng) -> Value {
    match rng.below(16) {
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
        12 => json!("x".repeat(rng.below(3000))),
        13 => (0..rng.below(300)).fold(json!(1), |inner, _| json!([inner])),
        14 => json!("00000000-0000-0000-0000-000000000000"),
        _ => json!("../../%2e%2e/{user_id}?a=b#c"),
    }
}

fn corrupt_json(rng: &mut Rng, value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !rng.one_in(8) => {
            let name = fields.keys().nth(rng.below(fields.len())).unwrap().clone();
            match rng.below(5) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert(format!("{name}x"), odd(rng))),
                2 => drop(fields.insert(name, odd(rng))),
                _ => corrupt_json(rng, &mut fields[&name]),
            }
        }
        // The inside of a text that is JSON or base64 itself.
        Value::String(text) if !rng.one_in(4) => {
            let mut bytes = text.clone().into_bytes();
            corrupt_bytes(rng, &mut bytes);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        value => *value = odd(rng),
    }
}

fn corrupt_bytes(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() + 1);
        let rest = bytes.len() - at;
        match rng.below(6) {
            0 if rest > 0 => bytes[at] ^= 1 << rng.below(8),
            1 if rest > 0 => bytes[at] = rng.byte(),
            2 => bytes.insert(at, rng.byte()),
            3 if rng.one_in(4) => bytes.truncate(at),
            4 if rest > 0 => drop(bytes.drain(at..at + 1 + rng.below(rest.min(8)))),
            _ => {
                let piece = bytes[at..at + rest.min(rng.below(24))].to_vec();
                let to = rng.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// Changes the HTTP of a request.
fn corrupt_request(rng: &mut Rng, request: &mut Request) {
    match rng.below(24) {
        0 => {
            let methods = [
                "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "get",
            ];
            word(rng, &methods).clone_into(&mut request.method);
        }
        1 => {
            let tails = [
                "/", "//", "?", "?a", "%", "%zz", "%00", "/..", ";a=b", "#", "?%ff",
            ];
            request.target.push_str(word(rng, &tails));
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
            word(rng, &targets).clone_into(&mut request.target);
        }
        6 => request.target.push_str(&"a".repeat(rng.below(9000))),
        7 => {
            let versions = [
                "HTTP/1.0",
                "HTTP/2.0",
                "HTTP/1.10",
                "HTTP/0.9",
                "http/1.1",
                "",
            ];
            request.version = word(rng, &versions);
        }
        _ => corrupt_headers(rng, request),
    }
}

fn corrupt_headers(rng: &mut Rng, request: &mut Request) {
    let mut header = |name: &str, value: &str| {
        request.headers.push((name.to_owned(), value.to_owned()));
    };
    match 8 + rng.below(16) {
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
            header("Content-Length", word(rng, &lengths));
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
            header("Transfer-Encoding", word(rng, &codings));
        }
        10 => header("Expect", word(rng, &["100-continue", "x"])),
        11 => {
            let words = ["close", "keep-alive", "upgrade", ", ,close", ""];
            header("Connection", word(rng, &words));
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
            header("Content-Type", word(rng, &kinds));
        }
        15 => {
            let names = ["user-1", "", "ü", "\u{7f}"];
            header("X-AuthArmor-UsernameValue", word(rng, &names));
        }
        16 => {
            let all = ["Bearer", "Basic", "Basic !!!", "Basic Og==", "Bearer x", ""];
            header("Authorization", word(rng, &all));
        }
        17 => header(
            "Origin",
            word(rng, &["null", "http://localhost", "://", "x"]),
        ),
        18 => header("X-Many", &"y".repeat(rng.below(200))),
        19 if rng.one_in(10) => {
            for at in 0..rng.below(150) {
                header(&format!("X-{at}"), &"z".repeat(rng.below(400)));
            }
        }
        20 => header(word(rng, &["", " ", "a b", "a:", "é", "X\0"]), "x"),
        21 => header("X-Folded", "a\r\n b"),
        22 if rng.one_in(50) => request.body = vec![b' '; 900_000 + rng.below(300_000)],
        _ => request.chunked = !request.chunked,
    }
}

fn encode(rng: &mut Rng, request: &Request) -> Vec<u8> {
    let newline = if rng.one_in(50) { "\n" } else { "\r\n" };
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
        body = chunks(rng, &request.body);
    } else if !body.is_empty() && !rng.one_in(60) {
        let length = body.len().to_string();
        bytes.extend(["Content-Length: ", &length, newline]);
    }
    bytes.push_str(newline);
    let mut bytes = bytes.into_bytes();
    bytes.append(&mut body);
    bytes
}

/// A body in chunks, sometimes malformed ones.
fn chunks(rng: &mut Rng, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(1 + rng.below(rest.len()));
        rest = tail;
        let size = match rng.below(40) {
            0 => format!("{:x}", chunk.len() + 1),
            1 => "ffffffffffffffff".to_owned(),
            2 => "-1".to_owned(),
            3 => format!("{:x};{}", chunk.len(), "e".repeat(rng.below(2000))),
            4 => format!("000{:X}", chunk.len()),
            5 => String::new(),
            _ => format!("{:x}", chunk.len()),
        };
        out.extend_from_slice(size.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(chunk);
        out.extend_from_slice(if rng.one_in(40) { b"\n" } else { b"\r\n" });
    }
    let end = match rng.below(20) {
        0 => format!("0\r\nX: {}\r\n\r\n", "t".repeat(rng.below(9000))),
        1 => "0\r\n".to_owned(),
        2 => "00000000000000000000\r\n\r\n".to_owned(),
        _ => "0\r\n\r\n".to_owned(),
    };
    out.extend_from_slice(end.as_bytes());
    out
}

/// One or several requests for one connection.
fn session(rng: &mut Rng, memory: &Memory, endpoints: &[shapes::Endpoint], token: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = if rng.one_in(3) { 1 } else { 1 + rng.below(10) };
    for at in 0..count {
        let mut one = request(rng, memory, endpoints, token);
        // The last request may be one after which the connection ends.
        let last = at + 1 == count;
        if !one.intact && rng.one_in(if last { 2 } else { 8 }) {
            corrupt_request(rng, &mut one);
        }
        let mut encoded = encode(rng, &one);
        if last && !one.intact && rng.one_in(3) {
            corrupt_bytes(rng, &mut encoded);
        }
        bytes.append(&mut encoded);
    }
    if rng.one_in(100) {
        bytes = (0..rng.below(300)).map(|_| rng.byte()).collect();
    }
    bytes
}

/// Sends bytes, in pieces or at once, and returns what is received until the
/// emulator closes the connection.
fn exchange(rng: &mut Rng, emulator: &Emulator, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(emulator.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = match rng.below(6) {
            0 => 1 + rng.below(rest.len()),
            1 => 1 + rng.below(rest.len().min(12)),
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
    let mut response = Vec::new();
    if let Err(error) = stream.read_to_end(&mut response) {
        let hangs = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(
            !hangs,
            "no end of the response to {:?}",
            String::from_utf8_lossy(bytes)
        );
    }
    response
}

/// Counts responses.
#[derive(Default)]
struct Tally {
    statuses: BTreeMap<u16, usize>,
    /// Connections that ended without a response or with a damaged one.
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

    /// Counts the responses of a connection, and checks the successful ones of
    /// `called`, in their order. `sent` is for messages.
    fn read(&mut self, sent: &[u8], mut bytes: &[u8], called: &[Called], memory: &mut Memory) {
        let mut called = called.iter();
        if bytes.is_empty() {
            self.closed += 1;
        }
        while !bytes.is_empty() {
            let Some((status, head, body, rest)) = response(bytes) else {
                // A fault damaged the response.
                self.closed += 1;
                return;
            };
            bytes = rest;
            if status == 100 {
                continue;
            }
            // Responses of control routes are no calls. The response to `HEAD` is
            // never 200.
            if status == 200 && !head.contains("content-security-policy") {
                let called = called
                    .next()
                    .unwrap_or_else(|| panic!("no call for {:?}", String::from_utf8_lossy(bytes)));
                called.check(body);
            }
            // 429 is the status of the faults of this test.
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

/// A call of the API or of the token endpoint that was successful.
struct Called {
    endpoint: &'static str,
    v4: bool,
}

impl Called {
    /// Panics unless the response fits the schema of the endpoint. Those of v3 are
    /// not described.
    fn check(&self, body: &[u8]) {
        let value: Value = serde_json::from_slice(body).unwrap();
        let object = value.as_object().unwrap();
        let endpoint = shapes::endpoints().find(|endpoint| endpoint.name == self.endpoint);
        match endpoint {
            Some(endpoint) if self.v4 => shapes::check(endpoint.response, &value),
            Some(_) => assert!(!object.is_empty()),
            None => {
                let field = match self.endpoint {
                    "token" => "access_token",
                    "discovery" => "issuer",
                    _ => "keys",
                };
                assert!(object.contains_key(field), "{}: {value}", self.endpoint);
            }
        }
    }
}

/// The next response: status, head, body, and what follows. The response to
/// `HEAD` has a length but no body.
fn response(bytes: &[u8]) -> Option<(u16, &str, &[u8], &[u8])> {
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
    Some((status, head, body, rest))
}

fn batch(rng: &mut Rng, endpoints: &[shapes::Endpoint], most: usize, tolerant: bool) -> Tally {
    let before = panics();
    let called: Arc<Mutex<Vec<Called>>> = Arc::default();
    let calls = Arc::clone(&called);
    let emulator = Emulator::builder()
        .plain_http()
        .tolerant(tolerant)
        .on_request(move |request, status| {
            if let (200, Some(endpoint)) = (status, request.endpoint()) {
                let v4 = request.path().to_ascii_lowercase().starts_with("/v4");
                calls.lock().unwrap().push(Called { endpoint, v4 });
            }
        })
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
        if token.is_empty() || (refused > seen && rng.one_in(5)) {
            // The token was revoked or has expired.
            emulator.clear_faults();
            emulator.clear_rate_limits();
            if rng.one_in(4) {
                emulator.reset();
            }
            token = crate::client::Api::open(&emulator).token;
        }
        seen = refused;
        let bytes = session(rng, &memory, endpoints, &token);
        called.lock().unwrap().clear();
        let responses = exchange(rng, &emulator, &bytes);
        let called = called.lock().unwrap();
        tally.read(&bytes, &responses, &called, &mut memory);
    }
    // The emulator still responds, and no thread hangs.
    let health = b"GET /_emulator/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let alive = exchange(rng, &emulator, health);
    assert!(alive.starts_with(b"HTTP/1.1 200 "));
    let start = Instant::now();
    drop(emulator);
    assert!(start.elapsed() < PATIENCE, "a thread was stuck");
    assert_eq!(panics(), before, "a thread panicked");
    tally
}

#[test]
fn no_input_causes_a_panic_a_hang_or_a_missing_response() {
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
                    let mut rng = Rng::new(0x5eed + at as u64);
                    let mut total = Tally::default();
                    let mut tolerant = at % 2 == 1;
                    while total.inputs() < share {
                        let most = BATCH.min(share - total.inputs());
                        total.add(&batch(&mut rng, &endpoints, most, tolerant));
                        tolerant = !tolerant;
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
    // Requests have to get past the first checks.
    for status in [200, 400, 401, 403, 404, 405, 409, 415] {
        let seen = total.statuses.get(&status).copied().unwrap_or_default();
        assert!(seen * 1000 >= total.inputs(), "{status}: {seen}");
    }
}
