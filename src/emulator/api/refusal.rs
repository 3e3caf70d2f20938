//! [`Refusal`]: the reason why a call fails. [`Leniency`]: deviations that are
//! accepted.

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

/// Most warnings about one request.
const MOST_WARNINGS: usize = 20;

/// Refuses or accepts deviations that the service may accept, by the mode.
#[derive(Debug)]
pub(super) struct Leniency {
    tolerant: bool,
    pub(super) warnings: Vec<String>,
}

impl Leniency {
    pub(super) fn new(tolerant: bool) -> Self {
        Self {
            tolerant,
            warnings: Vec::new(),
        }
    }

    pub(super) fn is_tolerant(&self) -> bool {
        self.tolerant
    }

    /// Turns the refusal into a warning in tolerant mode; fails with it in
    /// strict mode.
    pub(super) fn tolerate(&mut self, refusal: Refusal) -> Result<()> {
        if !self.tolerant {
            return Err(refusal);
        }
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(refusal.message);
        }
        Ok(())
    }
}

/// A name from a request, escaped and cut for a message.
pub(super) fn escaped(name: &str) -> String {
    name.chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect()
}
