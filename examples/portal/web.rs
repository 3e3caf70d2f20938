//! Sessions, limits and headers: what a web framework may have already.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ring::rand::{SystemRandom, generate};
use serde_json::Value;
use touche::{Body, HttpBody as _, Request, Response, http};

/// No script within a page, nothing from other hosts, no frames. What a request has
/// left unread must not be taken for the next one, so each has its connection.
const HEADERS: [&str; 7] = [
    "Cache-Control: no-store",
    "Connection: close",
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
];

pub(crate) type Responded = Result<Response<String>, http::Error>;

/// JSON for the page, or a status with a text for the user.
pub(crate) type Reply = Result<Value, Message>;

#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Message(pub(crate) u16, pub(crate) &'static str);

/// A map of entries that end, each at its own time. Beyond this many, the one goes
/// that ends first, so that strangers cannot fill the memory.
pub(crate) struct Expiring<T>(pub(crate) usize, pub(crate) Mutex<Entries<T>>);

type Entries<T> = HashMap<String, (Instant, T)>;

impl<T> Expiring<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        let mut entries = lock(&self.1);
        let now = Instant::now();
        entries.retain(|_, (end, _)| *end > now);
        if entries.len() > self.0 {
            let first = entries.iter().min_by_key(|entry| entry.1.0);
            let first = first.map(|entry| entry.0.clone());
            first.and_then(|key| entries.remove(&key));
        }
        entries
    }
}

/// Locks. No thread leaves a half-done change behind when it panics.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns an id that nobody can guess.
pub(crate) fn random_id() -> String {
    let bits = generate::<[u8; 16]>(&SystemRandom::new()).expect("the system has random bits");
    format!("{:032x}", u128::from_be_bytes(bits.expose()))
}

/// Returns the part of an address that one customer of a network has: half of an IPv6
/// address.
pub(crate) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
        IpAddr::V4(address) => address.to_string(),
    }
}

/// Returns a header of the request, or an empty text.
pub(crate) fn header<'a>(request: &'a Request<Body>, name: &str) -> &'a str {
    let header = request.headers().get(name);
    header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Returns a cookie of the request, or an empty text.
pub(crate) fn cookie<'a>(request: &'a Request<Body>, name: &str) -> &'a str {
    let mut cookies = header(request, "Cookie").split("; ");
    let value = cookies.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default()
}

/// Reads the JSON of a request. Of one that is too long it reads the beginning.
pub(crate) fn json(request: Request<Body>) -> Value {
    // The server would reserve what the length of a chunk says.
    if request.headers().contains_key("Transfer-Encoding") {
        return Value::Null;
    }
    let body = request.into_body().into_reader().take(64 * 1024);
    serde_json::from_reader(body).unwrap_or_default()
}

/// Builds a response. One more header can be added, as a line.
pub(crate) fn respond(status: u16, kind: &str, body: String, more: Option<&str>) -> Responded {
    let mut response = Response::builder().status(status);
    let kind = format!("Content-Type: {kind}");
    for line in HEADERS.into_iter().chain([&*kind]).chain(more) {
        let (name, value) = line.split_once(": ").unwrap_or_default();
        response = response.header(name, value);
    }
    response.body(body)
}
