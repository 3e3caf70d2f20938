//! `Retry-After` and `Date`: a number of seconds, a date, or anything else.
#![no_main]

use std::sync::LazyLock;

use autharmor::{Client, ErrorKind};
use autharmor_fuzz::{Response, Service, USER, alloc, assert_no_secrets};
use libfuzzer_sys::fuzz_target;

static SERVICE: LazyLock<Service> = LazyLock::new(Service::default);
static CLIENT: LazyLock<Client> = LazyLock::new(|| SERVICE.client());

// The value, then optionally a line end and the date.
fuzz_target!(|data: &[u8]| {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let value = lines.next().unwrap_or_default();
    let date = lines.next();
    let fits = |text: &[u8]| http::HeaderValue::from_bytes(text).is_ok();
    if !fits(value) || !date.is_none_or(fits) {
        return;
    }
    let mut headers = vec![("retry-after", value.to_vec())];
    headers.extend(date.map(|date| ("date", date.to_vec())));
    SERVICE.respond_with([Response {
        status: 429,
        headers,
        body: Vec::new(),
    }]);
    alloc::bounded(|| {
        let error = CLIENT.get_user(USER).unwrap_err();
        assert_no_secrets(&error, &[]);
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        let after = error.retry_after();
        assert_eq!(after.map_or(0, |after| after.subsec_nanos()), 0);
        if let Some(seconds) = whole_number(value) {
            assert_eq!(after.map(|after| after.as_secs()), seconds);
        } else if date.is_none() {
            assert_eq!(after, None);
        }
    });
});

/// Returns the number of a value that has digits only; `Some(None)` if it is too
/// large.
fn whole_number(value: &[u8]) -> Option<Option<u64>> {
    // Spaces beyond ASCII are none in a header.
    let text = std::str::from_utf8(value.trim_ascii()).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())
}
