//! URLs with which a browser arrives: the values that are validated are those of
//! the URL, and nothing is sent for an ambiguous one.
#![no_main]

use std::sync::LazyLock;

use autharmor::flow::{PendingMagiclink, PendingMagiclinkRegistration};
use autharmor::{Client, ErrorKind};
use autharmor_fuzz::{
    REQUEST, Response, Service, USERNAME, alloc, assert_no_secrets, json, split_selector,
};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use uuid::Uuid;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| SERVICE.clients());

fn state(version: &str, flow: &str) -> String {
    json!({
        "v": 1,
        "api": version,
        "flow": flow,
        "id": REQUEST,
        "user": {"username": USERNAME},
        "purpose": "new_user",
        "address": USERNAME,
    })
    .to_string()
}

fn read<T: serde::de::DeserializeOwned>(flow: &str) -> [T; 2] {
    ["v3", "v4"].map(|version| serde_json::from_str(&state(version, flow)).unwrap())
}

static SIGN_INS: LazyLock<[PendingMagiclink; 2]> = LazyLock::new(|| read("magiclink_sign_in"));
static REGISTRATIONS: LazyLock<[PendingMagiclinkRegistration; 2]> =
    LazyLock::new(|| read("magiclink_registration"));

fuzz_target!(|data: &[u8]| {
    let Some((bits, url)) = split_selector(data) else {
        return;
    };
    let Ok(url) = std::str::from_utf8(url) else {
        return;
    };
    let version = bits & 1;
    let client = &CLIENTS[version];
    SERVICE.respond_with([Response {
        status: 403,
        ..Response::default()
    }]);
    alloc::bounded(|| {
        let is_sign_in = bits & 2 == 0;
        let error = if is_sign_in {
            SIGN_INS[version].complete(client, url).unwrap_err()
        } else {
            REGISTRATIONS[version].complete(client, url).unwrap_err()
        };
        assert_no_secrets(&error, &[]);
        let seen = SERVICE.requests();
        let [seen] = &seen[..] else {
            assert!(seen.is_empty());
            assert!(!error.may_have_been_sent());
            assert!(matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Mismatch
            ));
            return;
        };
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        let token = |name| {
            let token = only(url, name);
            let sent = json::at(&seen.body, &[name]);
            assert_eq!(sent.as_str().unwrap(), token);
            assert!(!token.is_empty());
        };
        if is_sign_in {
            token("auth_validation_token");
            assert_eq!(only(url, "auth_request_id").parse(), Ok(REQUEST));
            assert_eq!(json::at(&seen.body, &["auth_request_id"]), json!(REQUEST));
        } else {
            token("registration_validation_token");
            if version == 1 {
                let id: Uuid = only(url, "registration_id").parse().unwrap();
                let path = format!("/magiclink_email/{id}/validate");
                assert!(seen.uri.ends_with(&path), "{}", seen.uri);
            }
        }
    });
});

/// The one value of a parameter.
fn only(url: &str, name: &str) -> String {
    let url = &url[..url.find('#').unwrap_or(url.len())];
    let start = match (url.find('?'), url.find(['=', '&'])) {
        (None, _) => 0,
        // The first question mark is in a value, unless this is a URL.
        (Some(mark), Some(other)) if other < mark && !is_url(&url[..other]) => 0,
        (Some(mark), _) => mark + 1,
    };
    let mut values = url[start..].split('&').filter_map(|pair| {
        let at = pair.find('=').unwrap_or(pair.len());
        (form(&pair[..at]) == name).then(|| form(pair[at..].strip_prefix('=').unwrap_or_default()))
    });
    let value = values.next().expect("it is there");
    assert!(values.next().is_none(), "it is there twice");
    value
}

fn is_url(start: &str) -> bool {
    start.starts_with('/') || start.contains("://")
}

fn form(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        let decoded = match (first, tail) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match decoded {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            None if *first == b'+' => bytes.push(b' '),
            None => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).expect("text")
}
