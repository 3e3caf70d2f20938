//! What the fuzz targets need besides the public API: a moment between a
//! request and its response, and parsers that are private.

use std::cell::RefCell;

pub use crate::transport::fuzzing::{is_exempt_from_proxy, proxy_status};

/// Plays the server in the thread that calls it, see [`play_server`].
type Server = Box<dyn FnMut()>;

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// From here on, calls `server` in this thread whenever a connection is about
/// to read. So one thread can be both ends of a socket, which is faster than
/// two and always happens in the same order.
pub fn play_server(server: impl FnMut() + 'static) {
    SERVER.set(Some(Box::new(server)));
}

pub(crate) fn before_read() {
    SERVER.with_borrow_mut(|server| {
        if let Some(server) = server {
            server();
        }
    });
}
