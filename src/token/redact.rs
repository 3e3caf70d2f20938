//! Removes our own secrets from what others wrote.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::http::HttpResponse;
use crate::http::url::push_form;

const REDACTED: &str = "[redacted]";

/// Returns the response without these secrets in its body, whether they are
/// written as they are or form-encoded.
pub(crate) fn response(response: &HttpResponse, secrets: &[&str]) -> HttpResponse {
    let without_secrets = |text: &str| {
        secrets
            .iter()
            .fold(text.to_owned(), |text, secret| self::text(&text, secret))
    };
    let body = match serde_json::from_slice::<Value>(response.body()) {
        Ok(mut json) => {
            redact_strings(&mut json, &without_secrets);
            json.to_string()
        }
        Err(_) => without_secrets(&String::from_utf8_lossy(response.body())),
    };
    let mut redacted = http::Response::new(body.into_bytes());
    *redacted.status_mut() = response.status();
    *redacted.headers_mut() = response.headers().clone();
    redacted.into()
}

/// Scalars only: no error shows the name of a field.
fn redact_strings(json: &mut Value, without_secrets: &impl Fn(&str) -> String) {
    match json {
        Value::Array(items) => {
            for item in items {
                redact_strings(item, without_secrets);
            }
        }
        Value::Object(fields) => {
            for (_, value) in fields {
                redact_strings(value, without_secrets);
            }
        }
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => {
            let written = number.to_string();
            let redacted = without_secrets(&written);
            if redacted != written {
                *json = Value::String(redacted);
            }
        }
        Value::String(text) => {
            let redacted = without_secrets(text);
            // The old text is wiped.
            drop(Zeroizing::new(std::mem::replace(text, redacted)));
        }
    }
}

/// Returns the text without this secret.
pub(super) fn text(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut form = Zeroizing::new(String::with_capacity(3 * secret.len()));
    push_form(&mut form, secret);
    let spaces = Zeroizing::new(form.replace('+', "%20"));
    let text = text.replace(secret, REDACTED);
    let text = replace_ignoring_case(&text, &form);
    replace_ignoring_case(&text, &spaces)
}

/// Replaces ASCII text whatever the case of its letters: hexadecimal digits
/// have two.
fn replace_ignoring_case(text: &str, form: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match rest.split_at_checked(form.len()) {
            Some((found, after)) if found.eq_ignore_ascii_case(form) => {
                result.push_str(REDACTED);
                rest = after;
            }
            _ => {
                result.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(body: &str, secrets: &[&str]) -> String {
        let original = http::Response::new(body.as_bytes().to_vec()).into();
        String::from_utf8(response(&original, secrets).body().to_vec()).unwrap()
    }

    #[test]
    fn secrets_go_from_text_and_from_json() {
        let secret = "s3+c/r\u{e9}t &\"";
        let form = "s3%2Bc%2Fr%C3%A9t+%26%22";
        for written in [
            secret.to_owned(),
            form.to_owned(),
            form.to_lowercase(),
            form.replace('+', "%20"),
        ] {
            let text = format!("a {written}{written} b");
            let clean = format!("a {REDACTED}{REDACTED} b");
            assert_eq!(redacted(&text, &["x9", secret]), clean);
            let json = serde_json::json!({"error": [text], "n": {"deep": written}});
            assert_eq!(
                redacted(&json.to_string(), &["x9", secret]),
                format!(r#"{{"error":["{clean}"],"n":{{"deep":"{REDACTED}"}}}}"#)
            );
        }
    }

    #[test]
    fn a_secret_of_digits_goes_from_numbers() {
        assert_eq!(
            redacted(r#"{"error":123456,"n":7}"#, &["123456"]),
            format!(r#"{{"error":"{REDACTED}","n":7}}"#)
        );
    }

    #[test]
    fn an_escaped_secret_goes_as_well() {
        assert_eq!(
            redacted(r#"{"error":"\u0073ecret"}"#, &["secret"]),
            format!(r#"{{"error":"{REDACTED}"}}"#)
        );
    }

    #[test]
    fn nothing_else_changes() {
        let text = "not J\u{d6}SON: %2b+";
        assert_eq!(redacted(text, &["secret", ""]), text);
    }
}
