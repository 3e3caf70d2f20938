//! What the bodies of several areas check, and how several answers are read.

use std::ops::RangeInclusive;

use uuid::Uuid;

use crate::error::Error;
use crate::secret::{Private, Secret};
use crate::types::json_text;

/// Counts characters, not bytes.
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

pub(super) fn check_filled(secret: &Secret, field: &str) -> Result<(), Error> {
    if secret.expose().is_empty() {
        return Err(Error::invalid(format!("{field} is empty")));
    }
    Ok(())
}

/// The nil UUID stands for 'none', in a body as in a route.
pub(super) fn check_id(id: Uuid, field: &str) -> Result<(), Error> {
    if id.is_nil() {
        return Err(Error::invalid(format!("{field} is the nil UUID")));
    }
    Ok(())
}

/// The first field of the list that is set.
pub(super) fn first_set<const N: usize>(fields: [(&'static str, bool); N]) -> Option<&'static str> {
    fields
        .into_iter()
        .find_map(|(name, is_set)| is_set.then_some(name))
}

/// JSON as text, whether it came as text or as the object itself; it may name
/// a user.
pub(super) fn private_json<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Private>, D::Error> {
    Ok(json_text(deserializer)?.map(Private::from))
}
