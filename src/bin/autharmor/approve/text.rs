//! Makes text of others safe to print, and fills in templates.

use crate::failure::Failure;

/// The length limit of a name in a log line or a message, in characters.
pub(crate) const MAX_NAME: usize = 128;

/// Escapes what is not a letter, a digit, a space or ASCII punctuation, and
/// cuts at `limit` characters. The result is one line and cannot control a
/// terminal or reorder text.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for c in text.chars() {
        let is_plain = c == ' ' || c.is_ascii_graphic() || !c.is_ascii() && c.is_alphanumeric();
        let escaped: String = if is_plain {
            c.into()
        } else {
            c.escape_unicode().collect()
        };
        length += escaped.chars().count();
        if length > limit {
            line.push_str("...");
            break;
        }
        line += &escaped;
    }
    line
}

/// Fills in a template: `{name}` becomes the value of that name.
///
/// Fails with [`Failure::Config`] if there is no such name, or a brace has no
/// partner.
pub(crate) fn fill_in(template: &str, values: &[(&str, &str)]) -> Result<String, Failure> {
    let fail = |why: &str| Failure::Config(format!("the template {template:?} {why}"));
    let mut filled = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, placeholder) = rest.split_at(at);
        filled += text;
        let (name, after) = placeholder
            .strip_prefix('{')
            .and_then(|placeholder| placeholder.split_once('}'))
            .ok_or_else(|| fail("has a brace without a partner"))?;
        let value = values.iter().find(|(known, _)| *known == name);
        let (_, value) = value.ok_or_else(|| {
            let known: Vec<_> = values.iter().map(|(known, _)| *known).collect();
            fail(&format!("has a name other than {}", known.join(", ")))
        })?;
        filled += value;
        rest = after;
    }
    Ok(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_control_a_terminal_or_a_log_is_escaped() {
        for (text, expected) in [
            ("ada", "ada"),
            ("Zoë Łukasz 東京", "Zoë Łukasz 東京"),
            ("a\nb\r\t\0", "a\\u{a}b\\u{d}\\u{9}\\u{0}"),
            ("\u{1b}[2Jx\u{9b}1m", "\\u{1b}[2Jx\\u{9b}1m"),
            ("a\u{202e}b\u{200b}c\u{ad}", "a\\u{202e}b\\u{200b}c\\u{ad}"),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
        ] {
            assert_eq!(printable(text, MAX_NAME), expected);
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable("abc", 3), "abc");
        assert_eq!(printable("abcd", 3), "abc...");
        // An escape is not cut in the middle.
        assert_eq!(printable("ab\nc", 6), "ab...");
    }

    #[test]
    fn templates() {
        let values = [("user", "ada"), ("host", "{user}")];
        let fill = |template: &str| fill_in(template, &values);
        assert_eq!(fill("{user}@example.com").unwrap(), "ada@example.com");
        // A value is not a template.
        assert_eq!(fill("{host} {user}").unwrap(), "{user} ada");
        assert_eq!(fill("no names").unwrap(), "no names");
        for wrong in ["{usr}", "{user", "user}", "{}", "{{user}}"] {
            let error = fill(wrong).unwrap_err();
            assert!(matches!(error, Failure::Config(_)), "{wrong}");
        }
    }
}
