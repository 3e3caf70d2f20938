//! The HTTP server: reads requests, sends responses.

mod chunked;
mod reader;
pub(crate) mod server;
pub(crate) mod tls;
mod writer;
