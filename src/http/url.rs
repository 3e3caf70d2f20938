//! Base URLs, and the encoding of path segments, queries and forms.

use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::error::Error;

/// The length limit of a path segment, in bytes. Checking one takes time that
/// grows with the square of its length.
const MAX_SEGMENT_LEN: usize = 1024;

/// Enough for most paths.
const PATH: usize = 128;

/// Escapes everything but the unreserved characters of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Escapes what `application/x-www-form-urlencoded` escapes, except the space,
/// which becomes a plus sign.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b' ');

/// A base URL: scheme, host, and possibly a port and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without a trailing slash.
    prefix: String,
}

impl BaseUrl {
    /// Parses and checks a base URL. `what` names the setting in the error. The
    /// error does not repeat the URL, which may hold credentials.
    pub(crate) fn parse(url: &str, what: &str, allow_http: bool) -> Result<Self, Error> {
        let refuse = |why: &str| Err(Error::config(format!("{what} {why}")));
        if url.contains('#') {
            return refuse("has a fragment");
        }
        if url.contains('?') {
            return refuse("has a query");
        }
        let Ok(uri) = url.trim().parse::<Uri>() else {
            return refuse("is not a URL");
        };
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return refuse("needs https:// and a host");
        };
        if authority.as_str().contains('@') {
            return refuse("has a user name in it");
        }
        if authority.host().is_empty() {
            return refuse("has no host");
        }
        let has_port = authority.host().len() != authority.as_str().len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return refuse("has an invalid port");
        }
        if scheme == Scheme::HTTP {
            if !is_loopback(authority.host()) {
                return refuse("is http://, which is for loopback addresses only");
            }
            if !allow_http {
                return refuse("is http://, which needs allow_http_on_loopback(true)");
            }
        } else if scheme != Scheme::HTTPS {
            return refuse("is not https://");
        }
        let prefix = parts.path_and_query.as_ref().map_or("", PathAndQuery::path);
        let prefix = prefix.trim_end_matches('/');
        if prefix.ends_with("/v3") || prefix.ends_with("/v4") {
            return refuse("ends in a version, which the client adds itself");
        }
        if prefix
            .split('/')
            .skip(1)
            .any(|segment| check_segment(segment).is_err())
        {
            return refuse("has an empty, dot or overlong segment in its path");
        }
        Ok(Self {
            scheme,
            authority,
            prefix: prefix.to_owned(),
        })
    }

    /// Returns the start of all paths, with room for the rest of one.
    pub(super) fn start_path(&self) -> String {
        let mut path = String::with_capacity(self.prefix.len() + PATH);
        path.push_str(&self.prefix);
        path
    }

    /// Completes a path that began as [`start_path`](Self::start_path) and is
    /// already encoded.
    pub(super) fn complete(&self, path: String) -> Result<Uri, Error> {
        let too_long = "the URL would be too long";
        let path = PathAndQuery::try_from(path).map_err(|_| Error::invalid(too_long))?;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|_| Error::invalid(too_long))
    }

    /// Appends a path, which is already encoded.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, Error> {
        self.complete(self.start_path() + path)
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address
        .parse()
        .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Refuses a path segment that a server could take for more than one segment or
/// for a dot segment, even if it decodes the path several times.
pub(super) fn check_segment(segment: &str) -> Result<(), Error> {
    if segment.len() > MAX_SEGMENT_LEN {
        return Err(Error::invalid(
            "an id in the route is longer than 1,024 bytes",
        ));
    }
    let mut text = segment.to_owned();
    loop {
        if text.is_empty() {
            return Err(Error::invalid("an id in the route is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(Error::invalid(
                "an id in the route holds a control character",
            ));
        }
        if text
            .split(['/', '\\'])
            .any(|part| part == "." || part == "..")
        {
            return Err(Error::invalid("an id in the route is a dot segment"));
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return Ok(());
        }
        text = decoded;
    }
}

/// Appends text, encoded as one path segment.
pub(super) fn push_segment(path: &mut String, segment: &str) {
    path.extend(utf8_percent_encode(segment, SEGMENT));
}

/// Appends a separator and `name=value` to a query or form.
pub(crate) fn push_pair(query: &mut String, separator: char, name: &str, value: &str) {
    query.push(separator);
    query.push_str(name);
    query.push('=');
    push_form(query, value);
}

/// Appends text, encoded as `application/x-www-form-urlencoded`.
pub(crate) fn push_form(form: &mut String, text: &str) {
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            form.push('+');
        }
        form.extend(utf8_percent_encode(word, FORM));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<BaseUrl, Error> {
        BaseUrl::parse(url, "api_url", true)
    }

    fn joined(url: &str) -> String {
        parse(url).unwrap().join("/v3/users").unwrap().to_string()
    }

    #[test]
    fn a_path_prefix_is_kept_and_slashes_are_not_doubled() {
        assert_eq!(
            joined("https://api.example"),
            "https://api.example/v3/users"
        );
        assert_eq!(
            joined("https://api.example/"),
            "https://api.example/v3/users"
        );
        assert_eq!(
            joined("https://api.example:8443/a/b//"),
            "https://api.example:8443/a/b/v3/users"
        );
        assert_eq!(joined("http://[::1]:80/x"), "http://[::1]:80/x/v3/users");
        assert_eq!(
            joined("https://api.example/v3x"),
            "https://api.example/v3x/v3/users"
        );
    }

    #[test]
    fn invalid_base_urls_are_refused_and_not_repeated() {
        for url in [
            "",
            "api.example",
            "/v3",
            "https://",
            "https:///x",
            "https://user:s3cr3t@api.example",
            "https://api.example?key=s3cr3t",
            "https://api.example#s3cr3t",
            "https://api.example/v3",
            "https://api.example/v4/",
            "https://api.example/a/v3",
            "https://api.example/a//b",
            "https://api.example/../b",
            "https://api.example/%2e%2e/b",
            "https://api.example:0",
            "https://api.example:99999",
            "https://api.example:",
            "ftp://127.0.0.1",
            "http://api.example",
            "http://localhost",
            "http://127.0.0.1.api.example",
        ] {
            let error = parse(url).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Config, "{url}");
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn plain_http_needs_a_loopback_address_and_permission() {
        assert!(BaseUrl::parse("http://127.0.0.1:1", "api_url", false).is_err());
        assert!(BaseUrl::parse("http://127.9.9.9:1", "api_url", true).is_ok());
    }

    #[test]
    fn dot_segments_are_refused_in_any_encoding() {
        for segment in [
            "",
            ".",
            "..",
            "%2e",
            "%2E%2e",
            "%252e%252e",
            "../apps",
            "a/../b",
            "a\\..\\b",
            "%2e%2e%2fapps",
            "a\nb",
            "a%0ab",
        ] {
            assert!(check_segment(segment).is_err(), "{segment:?}");
        }
        for segment in ["a", "a/b", "a?b", "a#b", "é", "100%", "...", "%zz"] {
            assert!(check_segment(segment).is_ok(), "{segment:?}");
        }
    }

    /// Each decoding removes two bytes. Without a limit this took minutes.
    #[test]
    fn a_long_segment_is_refused_at_once() {
        assert!(check_segment(&format!("%{}", "25".repeat(500_000))).is_err());
        assert!(check_segment(&"x".repeat(1024)).is_ok());
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let mut path = String::new();
        push_segment(&mut path, "a/b?c#d é%2f~-._");
        assert_eq!(path, "a%2Fb%3Fc%23d%20%C3%A9%252f~-._");
    }

    #[test]
    fn forms_are_encoded_as_forms() {
        let mut query = String::new();
        push_pair(&mut query, '?', "username", "Ada +&=%é*");
        assert_eq!(query, "?username=Ada+%2B%26%3D%25%C3%A9*");
    }
}
