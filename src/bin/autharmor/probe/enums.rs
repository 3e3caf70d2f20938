//! The known values of enums.

use serde_json::Value;

/// Keys and their known values: texts, or numbers.
const TEXTS: [(&str, &[&str]); 8] = [
    ("auth_method", METHODS),
    ("auth_method_name", METHODS),
    (
        "usetype",
        &[
            "biometric",
            "pin",
            "autharmor_pin",
            "u2f_securitykey",
            "u2f_usb",
            "u2f_lightning",
            "u2f_bluetooth",
            "u2f_nfc",
            "fido2_bluetooth",
            "fido2_usb",
            "fido2_lightning",
            "fido2_nfc",
            "fido2",
            "fido2_mobiledevice",
            "fido2_crossplatform",
            "magiclink_email",
        ],
    ),
    (
        "device_type",
        &["autharmor_authenticator", "webauthn", "magiclink_email"],
    ),
    ("hash_method", &["Sha256"]),
    ("signed_data_type", &["AuthResponse"]),
    ("signing_method", &["AuthArmor_ECDsa", "FIDO_U2F"]),
    (
        "magiclink_email_registration_type",
        &["new_user", "new_enrollment", "change_email"],
    ),
];

const METHODS: &[&str] = &[
    "MobileDevice",
    "SecurityKey",
    "AuthArmorAuthenticator",
    "Magiclink_Email",
    "Maigclink_SMS",
    "WebAuthN",
];

const NUMBERS: [(&str, &[i64]); 4] = [
    ("auth_request_status_id", &[0, 2, 3, 4]),
    ("result_code", &[0, 1, 2, 3, 4, 5, 8, 9, 10]),
    ("auth_method_id", &[4, 20, 30]),
    ("registration_status_code", &[0, 1, 2, 3, 4, 5, 6, 8, 9, 10]),
];

/// Returns the value if it is one of an enum and not known. A text that is no
/// plain word could be anything, and is masked.
pub(super) fn unknown(parent: &str, key: &str, value: &Value) -> Option<String> {
    // Under `response_details` the method is an object.
    let key = if parent == "auth_method" && key == "name" {
        "auth_method"
    } else {
        key
    };
    if let Some(text) = value.as_str() {
        let (_, known) = TEXTS.iter().find(|(name, _)| *name == key)?;
        let is_word = text.len() <= 32
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        return match known.contains(&text) {
            true => None,
            false if is_word => Some(text.to_owned()),
            false => Some("(masked)".to_owned()),
        };
    }
    let number = value.as_i64()?;
    let (_, known) = NUMBERS.iter().find(|(name, _)| *name == key)?;
    (!known.contains(&number)).then(|| number.to_string())
}
