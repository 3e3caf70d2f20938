//! `autharmor approve`: a login helper.

use serde::Deserialize;

/// The table `approve` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApproveFile {
    /// The time for everything, in seconds.
    pub(crate) deadline: Option<u64>,
}
