//! Requests, responses, URLs and the table of endpoints. This module does no
//! I/O and reads no clock.

pub(crate) mod buffer;
mod endpoint;
mod json_path;
mod message;
mod request;
pub(crate) mod response;
mod retry_after;
pub(crate) mod url;

pub use self::endpoint::{ApiVersion, Endpoint};
pub use self::message::{HttpRequest, HttpResponse};
pub(crate) use self::request::{Payload, RequestParts};
pub use self::request::{Request, Target};
