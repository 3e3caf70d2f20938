//! Mails and the links in them.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;

/// A mail that the service would have sent.
///
/// `Debug` shows neither the address nor the link, which is a key.
#[derive(Clone)]
#[non_exhaustive]
pub struct Mail {
    /// The mail's own id.
    pub id: Uuid,
    /// The address it went to.
    pub to: String,
    /// Its subject: the action at the project.
    pub subject: String,
    /// The short message of the request, if it had one.
    pub short_msg: Option<String>,
    /// The link to click. Opening it leads on to the redirect URL.
    pub link: String,
    /// What it is for.
    pub kind: MailKind,
    /// When it was sent, by the emulator's clock, as the service writes dates.
    pub date: String,
}

/// What a mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailKind {
    /// Signing in.
    SignIn,
    /// Registering a new user.
    NewUser,
    /// Adding the method to a user.
    NewEnrollment,
    /// Changing the address of a user.
    ChangeEmail,
}

impl MailKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::NewUser => "new_user",
            Self::NewEnrollment => "new_enrollment",
            Self::ChangeEmail => "change_email",
        }
    }
}

impl Mail {
    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "kind": self.kind.name(),
            "to": self.to,
            "subject": self.subject,
            "short_msg": self.short_msg,
            "link": self.link,
            "date": self.date,
        })
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("date", &self.date)
            .finish_non_exhaustive()
    }
}

/// Where a link leads.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) redirect: String,
    pub(super) purpose: LinkPurpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkPurpose {
    SignIn(Uuid),
    Registration(Uuid),
}

/// All but what RFC 3986 calls unreserved.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A URL with more query parameters; its own query and fragment stay.
pub(super) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let (base, fragment) = match url.split_once('#') {
        Some((base, fragment)) => (base, Some(fragment)),
        None => (url, None),
    };
    let mut landing = base.to_owned();
    for (name, value) in pairs {
        let separator = match landing.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        landing.push_str(separator);
        landing.push_str(name);
        landing.push('=');
        landing.extend(utf8_percent_encode(value, QUERY));
    }
    if let Some(fragment) = fragment {
        landing.push('#');
        landing.push_str(fragment);
    }
    landing
}

/// Whether a redirect may be used: an absolute `http` or `https` URL and, if
/// there is a list, one that equals an entry up to the query.
pub(super) fn redirect_is_allowed(url: &str, list: &[String]) -> bool {
    let clean = url
        .chars()
        .all(|c| c.is_ascii_graphic() && !matches!(c, '\\' | '"' | '<' | '>'));
    let Some(uri) = clean.then(|| url.parse::<http::Uri>().ok()).flatten() else {
        return false;
    };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    let no_userinfo = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    if !web || !no_userinfo || uri.host().is_none_or(str::is_empty) {
        return false;
    }
    list.is_empty() || list.iter().any(|entry| bare(entry) == bare(url))
}

fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Whether a text can be an address at all.
pub(super) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    !local.is_empty()
        && !domain.is_empty()
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && !local.contains('@')
}

/// An address that tells its owner which one it is, and others little.
pub(super) fn masked(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let first: String = local.chars().take(1).collect();
            format!("{first}***@{domain}")
        }
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redirect_keeps_its_own_query() {
        for (url, expected) in [
            ("https://a/b", "https://a/b?t=x%2By"),
            ("https://a/b?c=d", "https://a/b?c=d&t=x%2By"),
            ("https://a/b?", "https://a/b?t=x%2By"),
            ("https://a/b?c#e?f", "https://a/b?c&t=x%2By#e?f"),
        ] {
            assert_eq!(with_query(url, &[("t", "x+y")]), expected);
        }
    }

    #[test]
    fn allow_lists_compare_up_to_the_query() {
        let list = ["https://app.example/in?from=list".to_owned()];
        assert!(redirect_is_allowed("https://app.example/in?x=1", &list));
        for url in [
            "https://app.example/in/",
            "https://app.example/other",
            "http://app.example/in",
            "https://app.example.evil/in",
        ] {
            assert!(!redirect_is_allowed(url, &list), "{url}");
        }
    }

    #[test]
    fn only_web_addresses_are_redirects() {
        assert!(redirect_is_allowed("http://localhost:3000/x?y#z", &[]));
        for url in [
            "",
            "/relative",
            "javascript:alert(1)",
            "ftp://a/b",
            "https://",
            "https://u:p@a/",
            "https://a/\r\nx: y",
            "https://a/ b",
        ] {
            assert!(!redirect_is_allowed(url, &[]), "{url:?}");
        }
    }

    #[test]
    fn addresses() {
        assert!(is_address("ada@example.com"));
        for text in ["", "ada", "@x", "ada@", "a b@c", "a@b@c", "a@.b"] {
            assert!(!is_address(text), "{text:?}");
        }
        assert_eq!(masked("ada@example.com"), "a***@example.com");
    }
}
