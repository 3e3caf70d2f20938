//! Redirects, and the mails with magic links that lead to them.

use super::{
    call::Call,
    decisions::REDIRECT_REFUSED,
    refusal::{Refusal, Result},
};
use crate::emulator::model::{
    mail::{LinkPurpose, MailKind},
    state::{Draft, State},
};

/// A redirect of the body, if it is allowed.
pub(super) fn redirect<'c>(call: &'c Call<'_>, name: &str, list: &[String]) -> Result<&'c str> {
    let url = call.required(name)?;
    if redirect_is_allowed(url, list) {
        Ok(url)
    } else {
        Err(Refusal::new(
            REDIRECT_REFUSED,
            format!("{name} is not an allowed redirect"),
        ))
    }
}

pub(super) fn send_mail(
    call: &Call<'_>,
    state: &mut State,
    kind: MailKind,
    purpose: LinkPurpose,
    address: &str,
    redirect: &str,
) {
    let action = call.non_empty("action_name").unwrap_or(match kind {
        MailKind::SignIn => "Sign in",
        MailKind::ChangeEmail => "Change address",
        _ => "Register",
    });
    let subject = format!("{action} at {}", call.model.config.project_name);
    state.send_mail(
        &call.model.base_url,
        Draft {
            kind,
            purpose,
            to: address,
            subject,
            short_msg: call.owned("short_msg"),
            redirect,
        },
    );
}

/// Whether a redirect is an absolute `http` or `https` URL and, if there is a
/// list, equals an entry up to the query.
fn redirect_is_allowed(url: &str, list: &[String]) -> bool {
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
    list.is_empty()
        || list
            .iter()
            .any(|entry| without_query(entry) == without_query(url))
}

fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
