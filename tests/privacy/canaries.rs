//! Conspicuous values, and a search for them in all encodings.

use std::fmt::Debug;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A name that is easy to find, and one that every encoding changes.
pub(crate) const NAME: &str = "ada+l0velace@example.com";
pub(crate) const ODD_NAME: &str = "Ada & Byron=L0velace%2F1815 /?#";
pub(crate) const NEW_NAME: &str = "countess+0f@lovelace.example";
pub(crate) const CLIENT_ID: &str = "client-of-the-tests";
pub(crate) const SECRET: &str = "cl13nt s3cr3t/of&the+client";
/// The secret as it is encoded in a form, and in HTTP Basic before base64.
const SECRET_IN_FORM: &str = "cl13nt+s3cr3t%2Fof%26the%2Bclient";
pub(crate) const TOKEN: &str = "eyJhbGciOi.acc3ss-t0ken-of-the-client.~/+x";
pub(crate) const VALIDATION: &str = "val1dation/t0ken+of=the&sign-in";
pub(crate) const NONCE: &str = "n0nce/of+the=sign-in";
pub(crate) const SIG: &str = "aa_gu1d/that+becomes=aa_sig";
pub(crate) const QR: &str = "https://link.example/?qr=c0de+for/the=phone";
pub(crate) const PASSWORD: &str = "pr0xy-passw0rd";

/// Texts that must not be found.
#[derive(Clone, Default)]
pub(crate) struct Canaries(Vec<Canary>);

#[derive(Clone)]
struct Canary {
    what: String,
    text: String,
    /// The text as part of a base64 text, at each of the three offsets.
    base64: Vec<String>,
    /// The text as a list of numbers, as `Debug` prints bytes.
    numbers: String,
}

impl Canaries {
    /// An empty list.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// All constants above except the client id, which is not a secret.
    pub(crate) fn all() -> Self {
        Self::secrets()
            .with("name", NAME)
            .with("odd name", ODD_NAME)
            .with("new name", NEW_NAME)
    }

    /// The constants above that are secrets and not names.
    pub(crate) fn secrets() -> Self {
        Self::secrets_but_nonce().with("nonce", NONCE)
    }

    /// The same without the nonce.
    pub(crate) fn secrets_but_nonce() -> Self {
        Self::new()
            .with("client secret", SECRET)
            .with("client secret", SECRET_IN_FORM)
            .with("access token", TOKEN)
            .with("validation token", VALIDATION)
            .with("aa_sig", SIG)
            .with("QR data", QR)
            .with("password", PASSWORD)
    }

    pub(crate) fn with(mut self, what: &str, text: &str) -> Self {
        self.add(what, text);
        self
    }

    /// Adds a text, if it is not there yet.
    pub(crate) fn add(&mut self, what: &str, text: &str) {
        assert!(text.len() >= 8, "{what} could be found by chance");
        let lower = text.to_lowercase();
        if self.0.iter().any(|canary| canary.text == lower) {
            return;
        }
        let numbers: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
        self.0.push(Canary {
            what: what.to_owned(),
            text: lower,
            base64: within_base64(text),
            numbers: numbers.join(","),
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the name of the first canary in `text`: as it is, in upper or
    /// lower case, percent-encoded, form-encoded, in base64 of either alphabet,
    /// or as a list of bytes.
    pub(crate) fn find(&self, text: &str) -> Option<&str> {
        let mut forms = vec![text.to_owned(), text.replace('+', " ")];
        // Twice, as a query can hold another URL with a query.
        for _ in 0..2 {
            for index in 0..forms.len() {
                let decoded = percent_decode_str(&forms[index]).decode_utf8_lossy();
                if decoded != forms[index] {
                    let decoded = decoded.into_owned();
                    forms.push(decoded);
                }
            }
        }
        let lower: Vec<String> = forms.iter().map(|form| form.to_lowercase()).collect();
        let dense: String = text.split_whitespace().collect();
        let found = self.0.iter().find(|canary| {
            lower.iter().any(|form| form.contains(&canary.text))
                || canary
                    .base64
                    .iter()
                    .any(|needle| forms.iter().any(|form| form.contains(needle)))
                || dense.contains(&canary.numbers)
        });
        found.map(|canary| canary.what.as_str())
    }

    /// Fails if `text` holds a canary.
    pub(crate) fn check(&self, text: &str, place: &str) {
        if let Some(what) = self.find(text) {
            panic!("{place} shows the {what}: {text}");
        }
    }

    /// Fails if `Debug` prints a canary.
    pub(crate) fn check_debug(&self, value: &(impl Debug + ?Sized), place: &str) {
        self.check(&format!("{value:?}"), place);
        self.check(&format!("{value:#?}"), place);
    }
}

/// Returns the characters of base64 that depend on `text` alone, for each offset
/// of `text` in the encoded bytes.
fn within_base64(text: &str) -> Vec<String> {
    let mut needles = Vec::new();
    for before in 0..3_usize {
        let padded = [&vec![b'x'; before], text.as_bytes()].concat();
        let from = (before * 8).div_ceil(6);
        let to = padded.len() * 8 / 6;
        for encoded in [
            BASE64_STANDARD_NO_PAD.encode(&padded),
            BASE64_URL_SAFE_NO_PAD.encode(&padded),
        ] {
            needles.push(encoded[from..to].to_owned());
        }
    }
    needles
}

/// Percent-encodes everything but letters and digits.
pub(crate) fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[test]
fn the_search_finds_every_encoding() {
    for text in [NAME, ODD_NAME, SECRET] {
        let canaries = Canaries::new().with("it", text);
        let every_byte: Vec<_> = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for encoded in [
            text.to_owned(),
            text.to_uppercase(),
            text.to_lowercase(),
            percent(text),
            percent(text).to_lowercase(),
            percent(&percent(text)),
            percent(text).replace("%20", "+"),
            every_byte.concat(),
            BASE64_STANDARD_NO_PAD.encode(text),
            BASE64_URL_SAFE_NO_PAD.encode(text),
            percent(&BASE64_STANDARD_NO_PAD.encode(format!("c:{text}."))),
            BASE64_STANDARD_NO_PAD.encode(format!("id:{text}")),
            BASE64_URL_SAFE_NO_PAD.encode(format!("an id:{text}~~~")),
            format!("{:?}", text.as_bytes()),
            format!("{:#?}", text.as_bytes()),
        ] {
            let around = format!("GET /x?y={encoded}&z HTTP/1.1");
            assert_eq!(canaries.find(&around), Some("it"), "{around}");
        }
        assert_eq!(canaries.find("GET /v3/users HTTP/1.1"), None);
    }
    let canaries = Canaries::secrets();
    let basic = BASE64_STANDARD_NO_PAD.encode(format!("{CLIENT_ID}:{SECRET_IN_FORM}"));
    assert_eq!(canaries.find(&basic), Some("client secret"));
}
