//! What an emulator was started with.

use std::{fmt, net::SocketAddr, time::Duration};

use super::{RecordedRequest, clock::Stamp, person::NewUser};

/// Called with every request and the status of its answer.
pub(super) type Observer = Box<dyn Fn(&RecordedRequest, u16) + Send + Sync>;

pub(super) struct Config {
    pub(super) seed: u64,
    pub(super) listen: SocketAddr,
    pub(super) tls: bool,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) clock_start: Option<Stamp>,
    pub(super) token_lifetime: Duration,
    pub(super) validation_window: Duration,
    pub(super) users: Vec<NewUser>,
    /// Empty: everything is allowed.
    pub(super) registration_redirects: Vec<String>,
    pub(super) auth_redirects: Vec<String>,
    pub(super) rp_id: String,
    pub(super) origin: String,
    pub(super) project_name: String,
    pub(super) kept_requests: usize,
    pub(super) connections: usize,
    pub(super) observer: Option<Observer>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("seed", &self.seed)
            .field("listen", &self.listen)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
