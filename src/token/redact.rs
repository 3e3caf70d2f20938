//! Removes our own secrets from what others wrote.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::http::HttpResponse;
use crate::http::response::ErrorBody;

const REDACTED: &str = "[redacted]";

/// Returns the response without these secrets in its body, whether they are
/// written as they are or percent-encoded.
pub(crate) fn response(response: &HttpResponse, secrets: &[&str]) -> HttpResponse {
    let secrets: Vec<_> = secrets.iter().map(|secret| Hidden::new(secret)).collect();
    let without_secrets = |text: &str| {
        secrets
            .iter()
            .fold(text.to_owned(), |text, secret| secret.remove_from(text))
    };
    let text = response.text();
    let body = match serde_json::from_str::<Value>(&text) {
        Ok(mut json) => {
            redact_strings(&mut json, &without_secrets);
            json.to_string()
        }
        // An error body may hold what is no `Value`, such as a number out of range.
        Err(_) => match ErrorBody::read(&text) {
            Some(body) => body.rewrite(without_secrets),
            // A secret may be written with escapes, which only JSON's reader decodes.
            None if text.contains('\\') => REDACTED.to_owned(),
            None => without_secrets(&text),
        },
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
    Hidden::new(secret).remove_from(text.to_owned())
}

/// A secret, as it is and decoded.
struct Hidden<'a> {
    plain: &'a str,
    decoded: Zeroizing<String>,
}

impl<'a> Hidden<'a> {
    fn new(plain: &'a str) -> Self {
        let decoded = Decoded::of(plain).text;
        Self { plain, decoded }
    }

    fn remove_from(&self, text: String) -> String {
        // Decoding doubles the length at most.
        if self.plain.is_empty() || 2 * text.len() < self.decoded.len() {
            return text;
        }
        let decoded = Decoded::of(&text);
        let mut result = String::with_capacity(text.len());
        let mut copied = 0;
        for (found, _) in decoded.text.match_indices(self.decoded.as_str()) {
            let start = decoded.position(found, &text);
            result.push_str(text.get(copied..start).unwrap_or_default());
            result.push_str(REDACTED);
            copied = decoded.position(found + self.decoded.len(), &text);
        }
        result.push_str(text.get(copied..).unwrap_or_default());
        // Decoded it may be another text, for example after a `%`.
        result.replace(self.plain, REDACTED)
    }
}

/// Text without percent-encoding, however often and of whichever characters.
///
/// `+` counts as a space, and letters have one case. Each byte is the character
/// with that number, because the bytes need not be UTF-8.
struct Decoded {
    text: Zeroizing<String>,
    /// Where each byte of `text` comes from.
    positions: Vec<usize>,
}

impl Decoded {
    fn of(encoded: &str) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(encoded.len()));
        let mut starts = Vec::with_capacity(encoded.len());
        for (start, byte) in encoded.bytes().enumerate() {
            bytes.push(byte);
            starts.push(start);
            // What comes out may complete another code, as in `%2541`.
            while let Some(byte) = code_at_end(&bytes) {
                let before = bytes.len() - 3;
                bytes.truncate(before);
                bytes.push(byte);
                starts.truncate(bytes.len());
            }
        }
        let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
        let mut positions = Vec::with_capacity(2 * bytes.len());
        for (byte, start) in bytes.iter().zip(starts) {
            let byte = if *byte == b'+' { b' ' } else { *byte };
            text.push(char::from(byte.to_ascii_lowercase()));
            positions.resize(text.len(), start);
        }
        Self { text, positions }
    }

    /// Returns where the decoded byte with this index comes from in the text
    /// that was decoded.
    fn position(&self, index: usize, encoded: &str) -> usize {
        self.positions.get(index).copied().unwrap_or(encoded.len())
    }
}

/// Reads the `%XX` that these bytes end with.
fn code_at_end(bytes: &[u8]) -> Option<u8> {
    let [.., b'%', high, low] = bytes else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(16 * digit(high)? + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use autharmor_test_support::Rng;

    use super::*;
    use crate::http::response::refusal;

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
    fn an_escaped_secret_goes_from_every_error_body() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let others = ["1e999", &deep, "\"\u{fc}\"", "\"\\ud83d\"", "1", "no JSON"];
        for (escaped, other) in [r"\u0073/cret", r"s\/cret"]
            .into_iter()
            .flat_map(|escaped| others.map(|other| (escaped, other)))
        {
            let body = format!(r#"{{"error_message":"{escaped}","n":{other}}}"#);
            let latin1: Vec<u8> = body.chars().map(|c| u8::try_from(c).unwrap()).collect();
            let response = response(&http::Response::new(latin1).into(), &["s/cret"]);
            assert_eq!(
                refusal(&response).server_message(),
                Some(REDACTED),
                "{body}"
            );
        }
    }

    /// Writes each byte in the way that the function returns for its number.
    fn written(secret: &str, way: impl Fn(usize) -> usize) -> String {
        let bytes = secret.bytes().enumerate();
        let bytes = bytes.map(|(number, byte)| match way(number) % 5 {
            0 if byte.is_ascii() => char::from(byte).to_string(),
            1 => format!("%{byte:02x}"),
            2 => format!("%25{byte:02X}"),
            3 => format!("%2525{byte:02x}"),
            _ => format!("%{byte:02X}"),
        });
        bytes.collect()
    }

    #[test]
    fn a_secret_goes_however_its_characters_are_encoded() {
        let plain = "a-b.c_d~e";
        assert_eq!(
            redacted("x%61%2Db.c%5fd~ey", &[plain]),
            format!("x{REDACTED}y")
        );
        for secret in [plain, "p%41ss+w\u{f6}rd %%25x", "%25%3", "AB"] {
            let mut rng = Rng::new(7);
            for way in 0..5 {
                let text = format!("-{}-", written(secret, |_| way));
                assert_eq!(
                    redacted(&text, &[secret]),
                    format!("-{REDACTED}-"),
                    "{text}"
                );
            }
            for _ in 0..1000 {
                let ways: Vec<_> = secret.bytes().map(|_| rng.below(5)).collect();
                let text = format!("=%3D{}&\u{e9}", written(secret, |number| ways[number]));
                let clean = format!("=%3D{REDACTED}&\u{e9}");
                assert_eq!(redacted(&text, &[secret]), clean, "{text}");
            }
        }
        assert_eq!(
            redacted("a%2Bb%20c+d", &["b c d"]),
            format!("a%2B{REDACTED}")
        );
    }

    #[test]
    fn long_bodies_take_linear_time() {
        let secret = format!("{}b", "a".repeat(8000));
        let (codes, start) = ("%25".repeat(300_000), "%61".repeat(300_000));
        let strings = serde_json::to_string(&vec!["a"; 250_000]).unwrap();
        for body in [codes, start, "a".repeat(1_000_000), strings] {
            redacted(&body, &[&secret, "%25%25%25b"]);
        }
    }

    #[test]
    fn a_text_that_is_the_secret_goes_whatever_its_length() {
        // The second doubles in length when it is decoded.
        for secret in ["x", "\u{f6}\u{f6}\u{f6}\u{f6}", "a%41", "%41"] {
            assert_eq!(redacted(secret, &[secret]), REDACTED, "{secret}");
            assert_eq!(text(secret, secret), REDACTED, "{secret}");
        }
        assert_eq!(text("a b%20c d", "b c"), format!("a {REDACTED} d"));
    }

    #[test]
    fn nothing_else_changes() {
        let text = "not J\u{d6}SON: %2b+";
        assert_eq!(redacted(text, &["secret", ""]), text);
    }
}
