//! Mails and their magic links.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

/// A mail that the service would have sent.
///
/// `Debug` shows neither the address nor the magic link.
#[derive(Clone, Serialize)]
#[non_exhaustive]
pub struct Mail {
    /// The mail's id.
    pub id: Uuid,
    /// The recipient's address.
    pub to: String,
    /// The subject: the action at the project.
    pub subject: String,
    /// The short message of the request, if it had one.
    pub short_msg: Option<String>,
    /// The magic link. Opening it redirects to the redirect URL of the start
    /// call.
    pub link: String,
    /// The purpose of the mail.
    pub kind: MailKind,
    /// The date of sending by the emulator's clock, in the service's format.
    pub date: String,
}

/// The purpose of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("date", &self.date)
            .finish_non_exhaustive()
    }
}

/// A magic link: its redirect and its purpose.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) redirect: String,
    pub(crate) purpose: LinkPurpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkPurpose {
    SignIn(Uuid),
    Registration(Uuid),
}

/// All but the unreserved characters of RFC 3986.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Adds query parameters to a URL. Keeps its query and fragment.
pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let (base, fragment) = match url.split_once('#') {
        Some((base, fragment)) => (base, Some(fragment)),
        None => (url, None),
    };
    let mut redirect = base.to_owned();
    for (name, value) in pairs {
        let separator = match redirect.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        redirect.push_str(separator);
        redirect.push_str(name);
        redirect.push('=');
        redirect.extend(utf8_percent_encode(value, QUERY));
    }
    if let Some(fragment) = fragment {
        redirect.push('#');
        redirect.push_str(fragment);
    }
    redirect
}

/// Whether a text has the form of an e-mail address.
pub(crate) fn is_address(text: &str) -> bool {
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

/// An address of which only the first character and the domain are shown.
pub(crate) fn masked(address: &str) -> String {
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
    fn a_redirect_keeps_its_query() {
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
    fn addresses_are_recognised_and_masked() {
        assert!(is_address("ada@example.com"));
        for text in ["", "ada", "@x", "ada@", "a b@c", "a@b@c", "a@.b"] {
            assert!(!is_address(text), "{text:?}");
        }
        assert_eq!(masked("ada@example.com"), "a***@example.com");
    }
}
