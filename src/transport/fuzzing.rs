//! Parsers that the fuzz targets reach.

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
