//! Checks of the way to the service: proxy, names, TLS, clock.

use std::time::{Duration, SystemTime};

use http::header::DATE;
use http::{Request, Uri};
use rustls::CertificateError as Bad;
use time::OffsetDateTime;

use super::Doctor;
use super::certificate::Certificate;
use super::report::{Finding, Kind};
use crate::failure::Failure;
use crate::link::{self, Chain, LinkError, Place, Route, Step, proxy_variable};

/// A certificate that ends sooner is a warning.
const RENEWAL: time::Duration = time::Duration::days(14);

/// A clock that is off by more is a warning, or a failure: tokens and
/// certificates are judged by it.
const CLOCK_WARNING: Duration = Duration::from_secs(30);
const CLOCK_FAILURE: Duration = Duration::from_secs(300);

/// Finds out which proxy is used, and whether it accepts connections.
pub(super) fn proxy(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "proxy in use";
    let Some(settings) = &doctor.settings else {
        return Vec::new();
    };
    let routes = match Route::all(settings) {
        Ok(routes) => routes,
        Err(failure) => {
            let advice = "Correct the proxy setting or the variable.";
            return vec![Finding::fail(
                NAME,
                Failure::Config,
                failure.to_string(),
                advice,
            )];
        }
    };
    let source = match &settings.proxy {
        Some(setting) => setting.source.to_string(),
        None => proxy_variable().map_or(String::new(), |(name, _)| name.to_owned()),
    };
    doctor.routes = routes;
    let Some(proxy) = doctor.routes.iter().find_map(|route| route.proxy.clone()) else {
        return vec![Finding::ok(NAME, "none: connects directly")];
    };
    let with = if proxy.has_password() {
        ", with user and password"
    } else {
        ""
    };
    let seen = format!("{} (from {source}{with})", proxy.place.url());
    match link::connect(&proxy.place, doctor.limit()) {
        Ok(_) => vec![Finding::ok(NAME, format!("{seen}; it accepts connections"))],
        Err(error) => {
            doctor.unreachable.push(proxy.place);
            vec![Finding::fail(
                NAME,
                Failure::Unreachable,
                format!("{seen}: {}", error.text),
                "Start the proxy, or correct its host and port. If no proxy is needed for the \
                 service, name its hosts in NO_PROXY.",
            )]
        }
    }
}

/// Resolves the names of the hosts that are connected to.
pub(super) fn name_resolution(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "name resolution";
    let mut hosts: Vec<Place> = Vec::new();
    let mut findings = Vec::new();
    for route in &doctor.routes {
        if route.proxy.is_some() {
            let host = &route.place.host;
            findings.push(Finding::ok(NAME, format!("{host}: left to the proxy")));
        }
        let first_hop = route.first_hop();
        if !hosts.contains(first_hop) {
            hosts.push(first_hop.clone());
        }
    }
    for place in hosts {
        let host = &place.host;
        findings.push(match link::resolve(&place, doctor.limit()) {
            Ok(found) => {
                let found: Vec<_> = found.iter().map(|it| it.ip().to_string()).collect();
                let found = found.join(", ");
                let seen = if found == *host {
                    format!("{host}: an address")
                } else {
                    format!("{host}: {found}")
                };
                Finding::ok(NAME, seen)
            }
            Err(error) => {
                let finding = Finding::fail(
                    NAME,
                    Failure::Unreachable,
                    format!("{host}: {}", error.text),
                    "Compare the name with the setting, and check this machine's DNS \
                     (/etc/resolv.conf, `getent hosts NAME`).",
                );
                doctor.unreachable.push(place);
                finding
            }
        });
    }
    findings
}

/// Connects to each host and looks at its certificates.
pub(super) fn tls(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "tls";
    let mut findings = Vec::new();
    for route in doctor.routes.clone() {
        let host = route.place.authority();
        if !doctor.can_reach(&route) {
            findings.push(Finding::skipped(
                NAME,
                format!("{host}: no connection to the host"),
            ));
            continue;
        }
        let shown = route.open(doctor.limit());
        let (chain, ends) = describe(&shown.chain);
        findings.push(match shown.link {
            Ok(link) => {
                doctor.links.push(link);
                if route.place.tls {
                    let seen = format!("{host}: {}; {chain}", shown.version);
                    judge_expiry(seen, ends, OffsetDateTime::now_utc())
                } else {
                    Finding::ok(NAME, format!("{host}: without TLS"))
                }
            }
            Err(error) => {
                let presented = if chain.is_empty() {
                    String::new()
                } else {
                    format!("; presented: {chain}")
                };
                let seen = format!("{host}: {}{presented}", error.text);
                let (kind, advice) = explain(&error);
                doctor.unreachable.push(route.place);
                Finding::fail(NAME, kind, seen, advice)
            }
        });
    }
    findings
}

fn judge_expiry(seen: String, ends: Option<OffsetDateTime>, now: OffsetDateTime) -> Finding {
    const NAME: &str = "tls";
    if ends.is_some_and(|end| end - now < RENEWAL) {
        let advice = "A certificate ends soon. Whoever runs the host must renew it.";
        Finding::warn(NAME, seen, advice)
    } else {
        Finding::ok(NAME, seen)
    }
}

/// Lists subjects and expiry, the server's first, and returns when the first of
/// them ends.
fn describe(chain: &Chain) -> (String, Option<OffsetDateTime>) {
    let certificates: Vec<_> = chain
        .iter()
        .filter_map(|der| Certificate::read(der))
        .collect();
    let mut parts: Vec<_> = certificates
        .iter()
        .map(|it| format!("{} until {}", it.subject, it.not_after.date()))
        .collect();
    if let Some(last) = certificates
        .last()
        .filter(|last| last.issuer != last.subject)
    {
        parts.push(last.issuer.clone());
    }
    let ends = certificates.iter().map(|it| it.not_after).min();
    (parts.join(", issued by "), ends)
}

/// What to do about a connection that failed.
fn explain(error: &LinkError) -> (Kind, &'static str) {
    match (error.step, &error.tls) {
        (Step::Tls, Some(rustls::Error::InvalidCertificate(bad))) => (
            Failure::Failed,
            match bad {
                // A root with the same name and another key is a bad signature.
                Bad::UnknownIssuer | Bad::BadSignature => {
                    "Its issuer is not trusted. If a proxy inspects TLS, or the host is your \
                     own, put the root certificate into a PEM file and set ca_file."
                }
                Bad::Expired | Bad::ExpiredContext { .. } => {
                    "It has expired, or the clock of this machine is ahead: compare `date -u`."
                }
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                    "It is not valid yet, or the clock of this machine is behind: compare \
                     `date -u`."
                }
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                    "It is for another host. Correct api_url and login_url, or find out who \
                     answers in the host's place."
                }
                _ => "The certificate cannot be accepted. Tell whoever runs the host.",
            },
        ),
        (Step::Tls, _) => (
            Failure::Failed,
            "The host does not speak TLS as expected. Correct host and port in api_url and \
             login_url; a firewall may also answer in its place.",
        ),
        (Step::Proxy, _) => (
            Failure::Unreachable,
            "The proxy must allow CONNECT to this host and port. Check its rules, and user and \
             password in the proxy's URL.",
        ),
        (Step::Resolve | Step::Connect | Step::Http, _) => (
            Failure::Unreachable,
            "A firewall may block the host, or a proxy is needed: set HTTPS_PROXY. Compare host \
             and port with the setting.",
        ),
    }
}

/// Compares this machine's clock with the service's.
pub(super) fn clock(doctor: &mut Doctor) -> Vec<Finding> {
    const NAME: &str = "clock";
    if doctor.links.is_empty() {
        return vec![Finding::skipped(NAME, "no connection to the service")];
    }
    let link = doctor.links.swap_remove(0);
    doctor.links.clear();
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = Uri::from_static("/");
    let began = SystemTime::now();
    let response = match link.send(&request) {
        Ok(response) => response,
        Err(error) => {
            let advice = "See the checks that follow. Without a response the clock cannot be \
                          compared.";
            return vec![Finding::warn(NAME, error.text, advice)];
        }
    };
    let date = response
        .headers
        .get(DATE)
        .and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        let advice = "Compare the clock by hand: `date -u`.";
        return vec![Finding::warn(NAME, "the response has no date", advice)];
    };
    // The date has whole seconds and was written after `began`.
    let (off, direction) = match began.duration_since(theirs + Duration::from_secs(1)) {
        Ok(ahead) => (ahead, "ahead"),
        Err(_) => match theirs.duration_since(SystemTime::now()) {
            Ok(behind) => (behind, "behind"),
            Err(_) => (Duration::ZERO, ""),
        },
    };
    let seen = if off.as_secs() == 0 {
        "agrees with the service".to_owned()
    } else {
        format!("{} s {direction}", off.as_secs())
    };
    let advice = "Synchronise the clock of this machine, for example with chrony or \
                  systemd-timesyncd. Tokens and certificates are judged by it.";
    vec![if off > CLOCK_FAILURE {
        Finding::fail(NAME, Failure::Failed, seen, advice)
    } else if off > CLOCK_WARNING {
        Finding::warn(NAME, seen, advice)
    } else {
        Finding::ok(NAME, seen)
    }]
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_certificate_that_ends_within_two_weeks_is_a_warning() {
        let now = OffsetDateTime::UNIX_EPOCH;
        for (days, verdict) in [(13, Verdict::Warn), (15, Verdict::Ok)] {
            let ends = now + time::Duration::days(days);
            let finding = judge_expiry(String::new(), Some(ends), now);
            assert_eq!(finding.verdict(), verdict, "{days} days");
        }
    }
}
