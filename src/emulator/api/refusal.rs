//! [`Refusal`]: why a call fails.

use super::decisions::{IN_USE, MALFORMED, NOT_FOUND};

/// The status and message of an error response.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(MALFORMED, message)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(NOT_FOUND, format!("{what} not found"))
    }

    pub(super) fn conflict(message: &str) -> Self {
        Self::new(IN_USE, message)
    }
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;
