//! The secrets of the fault tests, and the search for them in texts and logs.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use autharmor::Error;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

pub(crate) const SECRET: &str = "f4ult-s3cr3t+&=%\u{e9}";
pub(crate) const TOKEN: &str = "f4ult-t0k3n";
pub(crate) const VALIDATION: &str = "f4ult-v4lid4ti0n";
pub(crate) const NAME: &str = "f4ult.ada@example.com";
pub(crate) const PASSWORD: &str = "f4ult-pr0xy";

/// How the above begin. No text may contain any of these.
const HIDDEN: [&str; 5] = ["f4ult-s3cr3t", TOKEN, VALIDATION, "f4ult.ada", PASSWORD];

/// Log records that contain a secret.
static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Fails if the text contains a secret, or any log record so far did.
pub(crate) fn assert_no_secrets(context: &str, text: &str) {
    if let Some(word) = find_secret(text) {
        panic!("I3: {context}: {word:?} in {text}");
    }
    let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(leaks.is_empty(), "I3: {context}: logged: {leaks:?}");
}

/// All texts of an error, except the alternate form, which may name a user.
pub(crate) fn all_text(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = std::error::Error::source(error);
    let mut depth = 0;
    while let Some(cause) = source {
        write!(text, "\n{cause}\n{cause:#}\n{cause:?}\n{cause:#?}").unwrap();
        source = cause.source();
        depth += 1;
        assert!(depth < 16, "I8: the chain of sources has no end");
    }
    text
}

fn find_secret(text: &str) -> Option<&'static str> {
    static FORMS: OnceLock<Vec<(&'static str, Vec<String>)>> = OnceLock::new();
    let forms = FORMS.get_or_init(|| HIDDEN.map(|word| (word, forms_of(word))).into());
    let found = forms
        .iter()
        .find(|(_, forms)| forms.iter().any(|form| text.contains(form)))?;
    Some(found.0)
}

/// A word in plain text, in a URL, and within base64.
fn forms_of(word: &str) -> Vec<String> {
    let encoded =
        percent_encoding::utf8_percent_encode(word, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut forms = vec![word.to_owned(), encoded.to_lowercase(), encoded];
    for (shift, skip) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [&vec![0; shift], word.as_bytes()].concat();
        let text = BASE64_STANDARD.encode(&padded);
        forms.push(text[skip..padded.len() * 8 / 6].to_owned());
    }
    forms
}

#[test]
fn secrets_are_found_in_every_form() {
    for hidden in [
        format!("Bearer {TOKEN}-1"),
        SECRET.to_owned(),
        "f4ult%2Eada%40example%2ecom".to_owned(),
        BASE64_STANDARD.encode(format!("{}:{SECRET}", super::calls::ID)),
        BASE64_STANDARD.encode(format!("x{NAME}")),
    ] {
        assert!(find_secret(&hidden).is_some(), "{hidden}");
    }
    assert!(find_secret("the connection broke").is_none());
}

thread_local! {
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Takes the warnings that this thread has logged.
pub(crate) fn take_warnings() -> Vec<String> {
    WARNINGS.with_borrow_mut(std::mem::take)
}

/// Keeps log records that contain a secret, and warnings.
struct LeakLogger;

impl log::Log for LeakLogger {
    fn enabled(&self, metadata: &log::Metadata) -> bool {
        // `ureq_proto` logs raw traffic at trace level, as documented. No
        // library can prevent that.
        !metadata.target().starts_with("ureq_proto") || metadata.level() <= log::Level::Debug
    }

    fn log(&self, record: &log::Record) {
        super::attempts::note_record(record);
        if self.enabled(record.metadata()) {
            let text = format!("{} {}", record.target(), record.args());
            if record.level() <= log::Level::Warn {
                WARNINGS.with_borrow_mut(|warnings| warnings.push(text.clone()));
            }
            if find_secret(&text).is_some() {
                LEAKS
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text);
            }
        }
    }

    fn flush(&self) {}
}

/// Searches all log records from now on.
pub(crate) fn install_logger() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The first search copies the words, which `wiped.rs` would find.
        find_secret("");
        log::set_logger(&LeakLogger).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}
