//! What the fuzz targets need besides the public API.

pub use crate::transport::fuzzing::{is_exempt_from_proxy, play_server, proxy_status};
