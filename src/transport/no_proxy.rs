//! [`NoProxy`]: the hosts that are reached without the environment's proxy.

use std::net::{IpAddr, Ipv6Addr};

use super::target::without_brackets;

/// The hosts that `NO_PROXY` lists, read as curl and Go read it.
///
/// Commas or white space separate the entries. An entry is `*` (all hosts), a
/// domain, an IP address, or a network such as `10.0.0.0/8`. A domain includes
/// its subdomains, with or without a leading `.` or `*.`. Domains and addresses
/// may have a port. An entry that cannot be read matches nothing.
///
/// A proxy from the environment is never used for loopback addresses: to the
/// proxy they would mean itself.
#[derive(Default)]
pub(super) struct NoProxy {
    all: bool,
    loopback: bool,
    entries: Vec<Entry>,
}

struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

enum Hosts {
    /// In lower case, without a dot at either end.
    Domain(String),
    /// The addresses that begin with the same bits as this one.
    Network(IpAddr, u32),
}

impl NoProxy {
    pub(super) fn parse(list: &str) -> Self {
        Self {
            // Between spaces, `*` stands for nothing, as in curl.
            all: list.split(',').any(|entry| entry.trim() == "*"),
            loopback: true,
            entries: list
                .split(|c: char| c == ',' || c.is_whitespace())
                .filter_map(Entry::parse)
                .collect(),
        }
    }

    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let host = without_brackets(host).to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let address = host.parse::<IpAddr>().ok().map(|it| it.to_canonical());
        let is_loopback = match address {
            Some(address) => address.is_loopback(),
            None => host == "localhost" || host.ends_with(".localhost"),
        };
        let mut entries = self.entries.iter();
        self.all
            || (self.loopback && is_loopback)
            || entries.any(|entry| entry.matches(host, address, port))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Some((address, bits)) = text.split_once('/') {
            let address = address.parse::<IpAddr>().ok()?;
            let bits = number(bits).filter(|bits| *bits <= width(address))?;
            return Some(Self {
                hosts: Hosts::Network(address, bits),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            _ if without_brackets(text).parse::<Ipv6Addr>().is_ok() => (text, None),
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(u16::try_from(number(port)?).ok()?)),
            None => (text, None),
        };
        let host = without_brackets(host);
        let hosts = if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            Hosts::Network(address, width(address))
        } else {
            let domain = host.strip_prefix('*').filter(|rest| rest.starts_with('.'));
            let domain = domain.unwrap_or(host).trim_start_matches('.');
            let domain = domain.strip_suffix('.').unwrap_or(domain);
            Hosts::Domain(domain.to_ascii_lowercase())
        };
        let is_empty = matches!(&hosts, Hosts::Domain(domain) if domain.is_empty());
        (!is_empty).then_some(Self { hosts, port })
    }

    fn matches(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let is_host = match (&self.hosts, address) {
            (Hosts::Network(network, bits), Some(address)) => {
                common_bits(*network, address).is_some_and(|common| common >= *bits)
            }
            (Hosts::Domain(domain), None) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            _ => false,
        };
        is_host && self.port.is_none_or(|only| only == port)
    }
}

fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// With how many equal bits two addresses begin. `None` for different families.
fn common_bits(one: IpAddr, other: IpAddr) -> Option<u32> {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            Some((one.to_bits() ^ other.to_bits()).leading_zeros())
        }
        _ => None,
    }
}

/// Digits only: the standard library's `parse` also takes a sign.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
