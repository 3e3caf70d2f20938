//! Base URLs: an accepted URL leads to its own host and path only.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use autharmor::{Client, ErrorKind, RetryPolicy, Target, users};
use autharmor_fuzz::{
    CLIENT_ID, CLIENT_SECRET, Response, Service, USER, alloc, assert_no_secrets, split_selector,
};
use http::Uri;
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode;

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let service = Service::default();
    service.respond_with([Response {
        status: 403,
        ..Response::default()
    }]);
    service
});

fuzz_target!(|data: &[u8]| {
    let Some((bits, url)) = split_selector(data) else {
        return;
    };
    let Ok(url) = std::str::from_utf8(url) else {
        return;
    };
    let service = &*SERVICE;
    alloc::bounded(|| {
        if let Some(error) = Target::new(url).map_or_else(Some, |target| {
            let request = users::get_user(USER).to_http(&target);
            check(url, "https", request.expect("a valid request").uri());
            None
        }) {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_no_secrets(&error, &[]);
        }

        let allow = bits & 1 == 1;
        let is_login = bits & 2 == 2;
        let is_http = url
            .trim()
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("http:"));
        let mut builder = Client::builder(CLIENT_ID, CLIENT_SECRET)
            .transport(service.clone())
            .retry(RetryPolicy::off())
            .allow_http_on_loopback(allow);
        builder = if is_login {
            builder.login_url(url)
        } else {
            builder.api_url(url)
        };
        match builder.build() {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Config);
                assert_no_secrets(&error, &[]);
            }
            // The other URLs were checked above. A call is slow.
            Ok(client) if !is_login && is_http => {
                service.respond_with([Response {
                    status: 403,
                    ..Response::default()
                }]);
                let error = client.get_user(USER).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Forbidden);
                let uri: Uri = service.requests()[0].uri.parse().expect("a URI");
                let scheme = uri.scheme_str().unwrap();
                assert!(allow || scheme == "https");
                check(url, scheme, &uri);
            }
            Ok(_) => {}
        }
    });
});

fn check(url: &str, scheme: &str, uri: &Uri) {
    let (said, rest) = url.trim().split_once("://").expect("a scheme");
    assert_eq!(said.to_ascii_lowercase(), scheme);
    let authority = &rest[..rest.find('/').unwrap_or(rest.len())];
    assert_eq!(uri.authority().unwrap(), authority);
    assert!(!authority.is_empty() && !authority.contains(['@', '?', '#', '\\', ' ']));
    if scheme != "https" {
        assert_eq!(scheme, "http");
        let host = uri.host().unwrap().trim_matches(['[', ']']);
        match host.parse::<IpAddr>().expect("an address") {
            IpAddr::V4(address) => assert_eq!(
                address & Ipv4Addr::new(255, 0, 0, 0),
                Ipv4Addr::new(127, 0, 0, 0)
            ),
            IpAddr::V6(address) => assert_eq!(address, Ipv6Addr::LOCALHOST),
        }
    }
    let prefix = rest[authority.len()..].trim_end_matches('/');
    assert_eq!(uri.path(), format!("{prefix}/v3/users/{USER}"));
    assert_eq!(uri.query(), None);
    for segment in uri.path().split('/').skip(1) {
        assert!(!segment.is_empty());
        let mut bytes = segment.as_bytes().to_vec();
        loop {
            let steps = bytes.split(|byte| b"/\\".contains(byte));
            assert!(steps.into_iter().all(|step| step != b"." && step != b".."));
            let decoded: Vec<u8> = percent_decode(&bytes).collect();
            if decoded == bytes {
                break;
            }
            bytes = decoded;
        }
    }
}
