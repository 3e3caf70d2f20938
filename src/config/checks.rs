//! Checks of single settings.

use std::time::Duration;

use http::HeaderValue;

use crate::error::Error;

const USER_AGENT: &str = concat!("autharmor-rust/", env!("CARGO_PKG_VERSION"));

/// Returns the `User-Agent` header: this crate's own value and the suffix.
pub(super) fn user_agent(suffix: Option<&str>) -> Result<HeaderValue, Error> {
    let Some(suffix) = suffix else {
        return Ok(HeaderValue::from_static(USER_AGENT));
    };
    let fits = !suffix.is_empty()
        && suffix.len() <= 256
        && suffix
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    let value = format!("{USER_AGENT} {suffix}");
    match HeaderValue::from_str(value.trim_end()) {
        Ok(value) if fits => Ok(value),
        _ => Err(Error::config(
            "user_agent_suffix must be 1 to 256 bytes of visible ASCII and spaces",
        )),
    }
}

/// Refuses a timeout of zero. `what` names the setting in the error.
pub(super) fn not_zero(timeout: Duration, what: &str) -> Result<(), Error> {
    if timeout.is_zero() {
        return Err(Error::config(format!("{what} is zero")));
    }
    Ok(())
}

/// Joins scopes with spaces. Each must be a `scope-token` of RFC 6749.
pub(super) fn scope_text(scopes: &[String]) -> Result<String, Error> {
    let is_scope = |scope: &String| {
        !scope.is_empty()
            && scope
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    if scopes.iter().all(is_scope) {
        Ok(scopes.join(" "))
    } else {
        Err(Error::config(
            "a scope is empty or holds a space, a quote or a control character",
        ))
    }
}
