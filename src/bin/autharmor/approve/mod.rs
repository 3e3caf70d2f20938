//! `autharmor approve`: a login helper.

use serde::Deserialize;

/// The table `approve` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApproveFile {}
