//! The protection of the control routes against websites.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::emulator::message::Request;

/// Refuses requests that a website made through a browser on this machine:
/// whoever reaches the control routes can act as the user. `Host` tells a name
/// that foreign DNS resolves to this machine; `Origin` and `Sec-Fetch-Site` tell
/// the rest. Links may be followed from anywhere. The error is the reason.
pub(crate) fn check_sender(request: &Request) -> Result<(), &'static str> {
    let text = |name| {
        request
            .header(name)
            .map(|value| std::str::from_utf8(value).unwrap_or_default())
    };
    let host = text("host").unwrap_or_default();
    if !is_own_host(host) {
        return Err("Host is not a name of this machine");
    }
    let own_page = |origin: &str| {
        origin
            .split_once("://")
            .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
    };
    if text("origin").is_some_and(|origin| !own_page(origin)) {
        return Err("not from the emulator's own page");
    }
    let follows = request.method == "GET" && text("sec-fetch-mode") == Some("navigate");
    match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) if follows => Ok(()),
        Some(_) => Err("not from the emulator's own page"),
    }
}

/// Whether `Host` is `localhost` or a loopback address. Any port is accepted:
/// there may be a tunnel.
fn is_own_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = match name.strip_prefix('[') {
        Some(v6) => v6
            .strip_suffix(']')
            .and_then(|v6| v6.parse::<Ipv6Addr>().ok())
            .map(IpAddr::V6),
        None => name.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    };
    name.eq_ignore_ascii_case("localhost") || address.is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for host in [
            "localhost",
            "LocalHost:8443",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8443",
        ] {
            assert!(is_own_host(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8443",
            "evil.localhost.example",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "::1",
            "[::1",
            "localhost:x",
            "user@localhost",
        ] {
            assert!(!is_own_host(host), "{host}");
        }
    }
}
