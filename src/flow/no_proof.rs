//! Stands for `proof.rs` if the crate is built without that feature.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::SecureSignedMessage;
use crate::error::Error;
use crate::secret::Secret;

/// The part of a pending state that is about the proof: none. A state that
/// requires a proof does not deserialise, for nobody could verify it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Requirement {
    #[serde(rename = "required_proof", default, skip_serializing)]
    _required: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
enum Unsupported {}

impl Requirement {
    pub(super) fn with_options(_: Option<&str>) -> Self {
        Self::default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence;

impl Evidence {
    #[expect(clippy::unnecessary_wraps, reason = "the signature with the feature")]
    pub(super) fn collect(
        _: Option<SecureSignedMessage>,
        _: &Requirement,
        _: Uuid,
        _: Uuid,
        _: Option<&Secret>,
    ) -> Result<Self, Error> {
        Ok(Self)
    }
}
