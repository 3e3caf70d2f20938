//! Checks and types that the three start requests share.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::types::{lenient_text, setters};
use crate::user_key::UserKey;

/// The bounds of the user's time to approve, in seconds.
const SIGN_IN_TIMEOUT: RangeInclusive<u32> = 15..=300;

/// Checks the user and the timeout of a start request.
pub(super) fn check_start(
    user: Option<&UserKey>,
    timeout_in_seconds: Option<u32>,
) -> Result<(), Error> {
    user.map_or(Ok(()), UserKey::check)?;
    match timeout_in_seconds {
        Some(seconds) if !SIGN_IN_TIMEOUT.contains(&seconds) => Err(Error::invalid(format!(
            "timeout_in_seconds must be {} to {}",
            SIGN_IN_TIMEOUT.start(),
            SIGN_IN_TIMEOUT.end()
        ))),
        _ => Ok(()),
    }
}

/// The place that a sign-in comes from. The app and the email show it to the
/// user on a map.
///
/// ```
/// use autharmor::auth::LocationData;
///
/// let london = LocationData::new().latitude("51.5").longitude("-0.12");
/// assert_eq!(london.ip_address, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LocationData {
    /// Degrees north, as text.
    #[serde(
        default,
        deserialize_with = "lenient_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub latitude: Option<String>,
    /// Degrees east, as text.
    #[serde(
        default,
        deserialize_with = "lenient_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub longitude: Option<String>,
    /// The IP address, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}

impl LocationData {
    /// Returns a location with nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the degrees north, as text.
        latitude: impl Into<String>,
        /// Sets the degrees east, as text.
        longitude: impl Into<String>,
        /// Sets the IP address, as text.
        ip_address: impl Into<String>,
    }
}
