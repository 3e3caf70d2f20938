//! What the fuzz targets need besides the public API: a moment between a
//! request and its response, and parsers that are private.

pub use crate::transport::fuzzing::{is_exempt_from_proxy, play_server, proxy_status};
