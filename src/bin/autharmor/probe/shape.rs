//! Shapes of JSON: types and key names in place of values.

use serde_json::Value;
use uuid::Uuid;

/// How many differing shapes of an array's elements are shown.
const MOST_SHAPES: usize = 3;

/// Keys whose value is a map with keys of the caller's choice.
const MAPS: [&str; 1] = ["context_data"];

/// Keys of the API, which are shown even if a user has such a name.
const KEYS: [&str; 91] = [
    "auth_request_id",
    "user_id",
    "username",
    "email_address",
    "date_created",
    "auth_validation_token",
    "visual_verify_value",
    "qr_code_data",
    "push_message_sent",
    "response_code",
    "response_message",
    "timeout_in_seconds",
    "timeout_utc_datetime",
    "aa_guid",
    "aa_sig",
    "fido2_json_options",
    "auth_request_status_id",
    "auth_request_status_name",
    "auth_response",
    "validate_auth_response_details",
    "auth_history_id",
    "result_code",
    "result_message",
    "authorized",
    "auth_details",
    "context_data",
    "request_details",
    "response_details",
    "date",
    "auth_profile_details",
    "origin_location_data",
    "auth_method",
    "name",
    "usetype",
    "secure_signed_message",
    "mobile_device_details",
    "platform",
    "model",
    "enrolled_auth_methods",
    "auth_method_id",
    "auth_method_name",
    "auth_method_masked_info",
    "user_records",
    "page_info",
    "auth_history_records",
    "credential_records",
    "credential_id",
    "device_type",
    "enabled",
    "registration_id",
    "date_expires",
    "registration_validation_token",
    "magiclink_email_registration_type",
    "registration_status_code",
    "registration_status_name",
    "currnet_page_number",
    "currnet_page_size",
    "current_page_number",
    "current_page_size",
    "total_page_count",
    "total_record_count",
    "signed_data",
    "signed_data_type",
    "signature_data",
    "hash_value",
    "hash_method",
    "auth_method_usetype",
    "signing_method",
    "signature_validation_details",
    "error_message",
    "error_code",
    "tracking_id",
    "errorMessage",
    "errorCode",
    "trackingGuid",
    "error",
    "error_description",
    "access_token",
    "expires_in",
    "token_type",
    "scope",
    "errors",
    "detail",
    "message",
    "status",
    "title",
    "traceId",
    "type",
    "latitude",
    "longitude",
    "ip_address",
];

/// Returns the shape of a value. `hidden` are texts that no key may hold.
pub(super) fn shape(value: &Value, hidden: &[String]) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => "number".to_owned(),
        Value::Number(_) => "int".to_owned(),
        Value::String(text) => text_kind(text).to_owned(),
        Value::Array(elements) => {
            let mut shapes = Vec::new();
            for element in elements {
                let shape = shape(element, hidden);
                if !shapes.contains(&shape) {
                    shapes.push(shape);
                }
            }
            if shapes.len() > MOST_SHAPES {
                shapes.truncate(MOST_SHAPES);
                shapes.push("..".to_owned());
            }
            format!("[{}]", shapes.join(" | "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| {
                    let is_map = MAPS.contains(&key.as_str()) && value.is_object();
                    let value = if is_map {
                        "{..}".to_owned()
                    } else {
                        shape(value, hidden)
                    };
                    format!("{}: {value}", shown_key(key, hidden))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Returns the kind of a text.
fn text_kind(text: &str) -> &'static str {
    if text.is_empty() {
        "empty text"
    } else if Uuid::try_parse(text).is_ok() {
        "uuid"
    } else {
        date_kind(text).unwrap_or("text")
    }
}

/// Returns the kind of an ISO 8601 date with time. `None` for another text.
pub(super) fn date_kind(text: &str) -> Option<&'static str> {
    let (date, time) = text.split_once('T')?;
    let is_date = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        });
    let clock = time.trim_end_matches('Z');
    let (clock, zone) = clock.split_at(clock.find(['+', '-']).unwrap_or(clock.len()));
    let is_time = clock.len() >= 5
        && clock
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
    (is_date && is_time).then_some(match (time.ends_with('Z'), zone.is_empty()) {
        (true, _) => "date with Z",
        (false, false) => "date with offset",
        (false, true) => "date without zone",
    })
}

/// Returns the name of a key, unless it could be a value. Names that the API
/// does not have are shown if they are written like a name of it, `some_name`
/// or `someName`, and hold nothing hidden.
pub(super) fn shown_key<'a>(key: &'a str, hidden: &[String]) -> &'a str {
    let mut letters = key.chars();
    let is_compound = letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.any(|c| c == '_' || c.is_ascii_uppercase());
    if KEYS.contains(&key) || is_compound {
        shown_word(key, hidden)
    } else {
        "(masked)"
    }
}

/// Returns a word, unless it could be an id, a mail address or a token, or holds
/// something hidden.
pub(super) fn shown_word<'a>(word: &'a str, hidden: &[String]) -> &'a str {
    let is_word = (1..=48).contains(&word.len())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if KEYS.contains(&word) || (is_word && digits <= 4 && !holds_part(word, hidden)) {
        word
    } else {
        "(masked)"
    }
}

/// Whether a text holds a hidden text or a word of one.
pub(super) fn holds_part(text: &str, hidden: &[String]) -> bool {
    let parts = hidden.iter().flat_map(|text| {
        let words = text.split(|c: char| !c.is_alphanumeric());
        words.filter(|word| word.chars().count() >= 4)
    });
    hidden
        .iter()
        .map(String::as_str)
        .chain(parts)
        .any(|part| contains(text, part) && !is_known_word(part))
}

/// Whether a name is a part of a key of the API or of the words of a shape, so
/// that it cannot be hidden.
fn is_known_word(text: &str) -> bool {
    const WORDS: &str = "null bool int number text empty uuid date with without zone offset body";
    contains(WORDS, text) || KEYS.iter().any(|key| contains(key, text))
}

/// Whether `text` holds a hidden text, in any case of its letters.
pub(super) fn contains(text: &str, hidden: &str) -> bool {
    hidden.len() >= 3 && text.to_lowercase().contains(&hidden.to_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_value_is_in_a_shape() {
        let value = json!({
            "user_records": [
                {"user_id": "5b1d7d5e-0000-4000-8000-000000000001", "username": "ada"},
                {"user_id": "5b1d7d5e-0000-4000-8000-000000000002", "username": "bob"},
                {"user_id": null, "username": ""},
            ],
            "date_created": "2020-07-11T17:09:44.7860965Z",
            "authorized": true,
            "newRate": 0.5,
            "context_data": {"ada": "lovelace"},
            "ada@example.com": 1,
            "5b1d7d5e-0000-4000-8000-000000000001": 1,
            "ada_s_key": 1,
            "lovelaceKey": 1,
            "Bob": 1,
            "12345": 1,
            "newField": 1,
        });
        let hidden = ["Ada".to_owned(), "Ada.Lovelace@example.com".to_owned()];
        let expected = "{(masked): int, (masked): int, (masked): int, (masked): int, \
            (masked): int, (masked): int, newField: int, newRate: number, authorized: bool, context_data: {..}, date_created: date with Z, \
            user_records: [{user_id: uuid, username: text} | {user_id: null, username: empty text}]}";
        // The order of the keys is that of the map.
        let sorted = |text: &str| {
            let mut parts: Vec<_> = text.split(", ").map(str::to_owned).collect();
            parts
                .iter_mut()
                .for_each(|part| *part = part.replace(['{', '}'], ""));
            parts.sort();
            parts
        };
        assert_eq!(sorted(&shape(&value, &hidden)), sorted(expected));
    }

    #[test]
    fn dates_are_told_apart() {
        for (text, expected) in [
            ("2020-07-11T17:09:44.78Z", Some("date with Z")),
            ("2020-07-11T17:09:44", Some("date without zone")),
            ("2020-07-11T17:09:44+02:00", Some("date with offset")),
            ("2020-07-11", None),
            ("Tuesday", None),
            ("2020-07-11T", None),
        ] {
            assert_eq!(date_kind(text), expected, "{text}");
        }
    }
}
