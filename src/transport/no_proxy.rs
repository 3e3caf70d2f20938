//! [`NoProxy`]: the hosts that are reached without the environment's proxy.

use std::net::IpAddr;

use super::resolver::without_brackets;

/// What `NO_PROXY` lists: `*`, domains, which include their subdomains with or
/// without a leading dot, or IP addresses. Each may have a port.
///
/// A proxy from the environment is never used for loopback addresses: to the
/// proxy they would mean itself.
#[derive(Default)]
pub(super) struct NoProxy {
    all: bool,
    loopback: bool,
    /// In lower case, without leading dots.
    hosts: Vec<(String, Option<u16>)>,
}

impl NoProxy {
    pub(super) fn parse(list: &str) -> Self {
        let mut no_proxy = Self {
            loopback: true,
            ..Self::default()
        };
        for entry in list.split(|c: char| c == ',' || c.is_whitespace()) {
            let entry = entry.trim_start_matches('*');
            if entry.is_empty() {
                continue;
            }
            no_proxy.hosts.push(host_and_port(entry));
        }
        no_proxy.all = list.split(',').any(|entry| entry.trim() == "*");
        no_proxy
    }

    pub(super) fn matches(&self, host: &str, port: u16) -> bool {
        let host = without_brackets(host).to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok();
        let is_loopback = match address {
            Some(address) => address.is_loopback(),
            None => host == "localhost" || host.ends_with(".localhost"),
        };
        let named = |(domain, only): &(String, Option<u16>)| {
            let is_within = || {
                host.strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            only.is_none_or(|only| only == port)
                && if address.is_some() {
                    address == domain.parse().ok()
                } else {
                    is_within()
                }
        };
        self.all || (self.loopback && is_loopback) || self.hosts.iter().any(named)
    }
}

/// Splits an entry.
fn host_and_port(entry: &str) -> (String, Option<u16>) {
    let (host, port) = match entry.rsplit_once(':') {
        // More than one colon is an IPv6 address without a port.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok())
        }
        _ => (entry, None),
    };
    let host = without_brackets(host.trim_start_matches('.')).to_ascii_lowercase();
    (host, port)
}
