//! Sessions, limits and headers: what a web framework may have already.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ring::rand::{SystemRandom, generate};
use serde_json::Value;
use tiny_http::{Header, Request, Response};

/// No script within a page, nothing from other hosts, no frames.
const HEADERS: [&str; 6] = [
    "Cache-Control: no-store",
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
];

/// JSON for the page, or a status with a text for the user.
pub(crate) type Reply = Result<Value, Message>;

#[derive(PartialEq)]
pub(crate) struct Message(pub(crate) u16, pub(crate) &'static str);

/// The most entries of a map, so that strangers cannot fill the memory.
const MOST: usize = 100_000;

/// A map that forgets each entry some time after it was added, and the oldest if
/// there are too many.
pub(crate) struct Expiring<T>(pub(crate) Duration, pub(crate) Mutex<Entries<T>>);

type Entries<T> = HashMap<String, (Instant, T)>;

impl<T> Expiring<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        let mut entries = lock(&self.1);
        entries.retain(|_, (added, _)| added.elapsed() < self.0);
        if entries.len() > MOST {
            let oldest = entries.iter().min_by_key(|entry| entry.1.0);
            let oldest = oldest.map(|entry| entry.0.clone());
            oldest.and_then(|key| entries.remove(&key));
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

/// Returns a header of the request, or an empty text.
pub(crate) fn header<'a>(request: &'a Request, name: &'static str) -> &'a str {
    let mut headers = request.headers().iter();
    let header = headers.find(|header| header.field.equiv(name));
    header.map_or("", |header| header.value.as_str())
}

/// Returns a cookie of the request, or an empty text.
pub(crate) fn cookie<'a>(request: &'a Request, name: &str) -> &'a str {
    let mut cookies = header(request, "Cookie").split("; ");
    let value = cookies.find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_default()
}

pub(crate) fn respond(request: Request, page: (u16, &str, &str), more: Option<&str>) {
    let (status, kind, body) = page;
    let kind = format!("Content-Type: {kind}");
    let mut response = Response::from_string(body).with_status_code(status);
    let lines = HEADERS.into_iter().chain([&*kind]).chain(more);
    for header in lines.filter_map(|line| line.parse::<Header>().ok()) {
        response.add_header(header);
    }
    // The browser may be gone.
    let _ = request.respond(response);
}
