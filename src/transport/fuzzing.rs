//! The parts of this module that fuzz targets need: a moment between a request
//! and its response, and private parsers.

use std::cell::RefCell;

use super::no_proxy::NoProxy;
use super::proxy::read_status;

/// Reads a proxy's response to `CONNECT`. Returns the status, and how many
/// bytes were read. `None` if it ends early or is not HTTP.
#[must_use]
pub fn proxy_status(response: &[u8]) -> (Option<u16>, usize) {
    let mut rest = response;
    let status = read_status(&mut rest).ok().flatten();
    (status, response.len() - rest.len())
}

/// Whether this value of `NO_PROXY` exempts a host.
#[must_use]
pub fn is_exempt_from_proxy(list: &str, host: &str, port: u16) -> bool {
    NoProxy::parse(list).matches(host, port)
}

/// See [`play_server`].
type Server = Box<dyn FnMut()>;

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// Calls `server` in this thread whenever a connection is about to read. So one
/// thread can be both ends of a socket, which is faster than two threads and
/// always happens in the same order.
pub fn play_server(server: impl FnMut() + 'static) {
    SERVER.set(Some(Box::new(server)));
}

/// Runs the server of [`play_server`].
pub(super) fn before_read() {
    SERVER.with_borrow_mut(|server| {
        if let Some(server) = server {
            server();
        }
    });
}
