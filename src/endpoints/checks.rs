//! Checks that request bodies of several endpoints make before anything is
//! sent.

use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::error::Error;

/// Checks the number of characters, not of bytes.
pub(super) fn check_length(
    text: &str,
    field: &str,
    limits: &RangeInclusive<usize>,
) -> Result<(), Error> {
    if limits.contains(&text.chars().count()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{field} must be {} to {} characters long",
        limits.start(),
        limits.end()
    )))
}

/// Checks that a required text is not empty.
pub(super) fn check_filled(text: &str, field: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::invalid(format!("{field} is empty")));
    }
    Ok(())
}

/// Checks that a number fits the service's int32.
pub(super) fn check_int32(number: Option<u32>, field: &str) -> Result<(), Error> {
    match number {
        Some(number) if i32::try_from(number).is_err() => Err(Error::invalid(format!(
            "{field} is larger than {}",
            i32::MAX
        ))),
        _ => Ok(()),
    }
}

/// Refuses the nil UUID, which stands for "none" in a body as in a route.
pub(super) fn check_id(id: Uuid, field: &str) -> Result<(), Error> {
    if id.is_nil() {
        return Err(Error::invalid(format!("{field} is the nil UUID")));
    }
    Ok(())
}

/// Returns the first field of the list that is set.
pub(super) fn first_set<const N: usize>(fields: [(&'static str, bool); N]) -> Option<&'static str> {
    fields
        .into_iter()
        .find_map(|(name, is_set)| is_set.then_some(name))
}

/// Asserts that a request is refused under both versions, before anything is
/// sent, and for this reason.
#[cfg(test)]
#[track_caller]
pub(super) fn assert_refused<T>(request: &crate::Request<T>, why: &str) {
    for version in [crate::ApiVersion::V3, crate::ApiVersion::V4] {
        assert_eq!(refusal(request, version), why);
    }
}

/// Returns the reason of an `InvalidInput` error.
#[cfg(test)]
#[track_caller]
pub(super) fn refusal<T>(request: &crate::Request<T>, version: crate::ApiVersion) -> String {
    let target = crate::Target::new("https://api.example").unwrap();
    let error = request.to_http(&target.version(version)).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    assert!(!error.may_have_been_sent());
    let prefix = format!("{}: invalid input: ", request.endpoint().name());
    error.to_string().strip_prefix(&prefix).unwrap().to_owned()
}

/// Asserts that a request can be built under both versions.
#[cfg(test)]
#[track_caller]
pub(super) fn assert_accepted<T>(request: &crate::Request<T>) {
    let target = crate::Target::new("https://api.example").unwrap();
    for version in [crate::ApiVersion::V3, crate::ApiVersion::V4] {
        request.to_http(&target.clone().version(version)).unwrap();
    }
}
