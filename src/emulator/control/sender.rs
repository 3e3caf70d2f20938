//! The protection of the control routes against websites.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::emulator::message::Request;

/// The names of the emulator, besides those of this machine.
#[derive(Debug)]
pub(crate) struct OwnNames {
    /// Host names and addresses that the developer has given.
    pub(crate) given: Vec<String>,
    /// The address that it listens on.
    pub(crate) listen: IpAddr,
}

/// Refuses requests that a website made through a browser on this machine:
/// whoever reaches the control routes can act as the user. `Host` tells a name
/// that foreign DNS resolves to this machine; `Origin` and `Sec-Fetch-Site` tell
/// the rest. Links may be followed from anywhere. The error is the reason.
pub(crate) fn check_sender(request: &Request, own: &OwnNames) -> Result<(), &'static str> {
    let text = |name| {
        request
            .header(name)
            .map(|value| std::str::from_utf8(value).unwrap_or_default())
    };
    let host = text("host").unwrap_or_default();
    if !own.include(host) {
        return Err("Host is not a name of the emulator");
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

impl OwnNames {
    /// Whether `Host` is `localhost`, a loopback address, the listening address
    /// or a given name. Any port is accepted: there may be a tunnel.
    fn include(&self, host: &str) -> bool {
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
        let same = |own: &String| {
            name.eq_ignore_ascii_case(own) || address.is_some_and(|ip| own.parse() == Ok(ip))
        };
        let own_address =
            |ip: IpAddr| ip.is_loopback() || (ip == self.listen && !ip.is_unspecified());
        name.eq_ignore_ascii_case("localhost")
            || address.is_some_and(own_address)
            || self.given.iter().any(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        let own = OwnNames {
            given: Vec::new(),
            listen: Ipv4Addr::LOCALHOST.into(),
        };
        for host in [
            "localhost",
            "LocalHost:8443",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8443",
        ] {
            assert!(own.include(host), "{host}");
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
            assert!(!own.include(host), "{host}");
        }
    }

    #[test]
    fn given_names_and_the_listening_address() {
        let own = OwnNames {
            given: vec!["emulator.test".to_owned(), "fd00::7".to_owned()],
            listen: Ipv4Addr::new(192, 0, 2, 7).into(),
        };
        for host in [
            "emulator.test",
            "Emulator.TEST:8443",
            "[fd00::7]:8443",
            "[fd00:0::7]",
            "192.0.2.7:8443",
            "localhost",
        ] {
            assert!(own.include(host), "{host}");
        }
        for host in [
            "evil.test",
            "emulator.test.evil.test",
            "evil.emulator.test",
            "192.0.2.8",
            "fd00::7",
            "",
        ] {
            assert!(!own.include(host), "{host}");
        }
        let own = OwnNames {
            given: Vec::new(),
            listen: Ipv4Addr::UNSPECIFIED.into(),
        };
        assert!(!own.include("0.0.0.0") && !own.include("192.0.2.7"));
    }
}
