//! [`Config`]: the settings of the emulated service.

use std::{fmt, time::Duration};

use super::{clock::Stamp, rate_limit::RateLimit, user::NewUser};

pub(crate) struct Config {
    /// `None`: ids are random.
    pub(crate) seed: Option<u64>,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) clock_start: Option<Stamp>,
    pub(crate) token_lifetime: Duration,
    pub(crate) validation_window: Duration,
    pub(crate) users: Vec<NewUser>,
    /// Empty: every URL is allowed.
    pub(crate) registration_redirects: Vec<String>,
    /// Empty: every URL is allowed.
    pub(crate) auth_redirects: Vec<String>,
    pub(crate) rp_id: String,
    pub(crate) origin: String,
    pub(crate) project_name: String,
    pub(crate) approve_after: Option<Duration>,
    /// Whether what clients of the service send beyond its API is accepted.
    pub(crate) tolerant: bool,
    pub(crate) rate_limits: Vec<RateLimit>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
