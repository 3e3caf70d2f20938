//! [`RateLimits`]: how many calls an endpoint accepts in a window of time.

use std::{collections::HashMap, time::Duration};

use super::clock::Stamp;

/// A limit for one endpoint, or with the name `*` for each endpoint.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    pub(crate) endpoint: String,
    pub(crate) calls: u32,
    pub(crate) window: Duration,
}

/// The limits, and the calls of the windows that are open.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    limits: Vec<RateLimit>,
    /// Start and calls of the last window, by limit and endpoint.
    windows: HashMap<(usize, &'static str), (Stamp, u32)>,
}

impl RateLimits {
    pub(crate) fn new(limits: &[RateLimit]) -> Self {
        Self {
            limits: limits.to_vec(),
            windows: HashMap::new(),
        }
    }

    /// The limits in the order of their application.
    pub(crate) fn all(&self) -> &[RateLimit] {
        &self.limits
    }

    /// Adds a limit, in the place of one for the same name.
    pub(crate) fn add(&mut self, limit: RateLimit) {
        self.limits.retain(|old| old.endpoint != limit.endpoint);
        self.limits.push(limit);
        self.windows.clear();
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Counts a call. Returns the time until the next call is accepted if this
    /// one is not. A window begins with the first call after the end of the last.
    pub(crate) fn take(&mut self, endpoint: &'static str, now: Stamp) -> Option<Duration> {
        for (at, limit) in self.limits.iter().enumerate() {
            if limit.endpoint != "*" && limit.endpoint != endpoint {
                continue;
            }
            let window = self.windows.entry((at, endpoint)).or_insert((now, 0));
            if now >= window.0.plus(limit.window) {
                *window = (now, 0);
            }
            if window.1 >= limit.calls {
                let end = window.0.plus(limit.window).since_epoch();
                return Some(end.saturating_sub(now.since_epoch()));
            }
            window.1 += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_a_window_of_its_own() {
        let start = Stamp::from_unix_seconds(100);
        let after = |seconds| start.plus(Duration::from_secs(seconds));
        let mut limits = RateLimits::new(&[RateLimit {
            endpoint: "*".to_owned(),
            calls: 2,
            window: Duration::from_secs(10),
        }]);
        assert_eq!(limits.take("a", start), None);
        assert_eq!(limits.take("a", after(3)), None);
        assert_eq!(limits.take("a", after(4)), Some(Duration::from_secs(6)));
        assert_eq!(limits.take("b", after(4)), None);
        assert_eq!(limits.take("a", after(10)), None);
        assert_eq!(limits.take("a", after(11)), None);
        assert_eq!(limits.take("a", after(12)), Some(Duration::from_secs(8)));
    }

    #[test]
    fn a_new_limit_replaces_the_old_one() {
        let now = Stamp::from_unix_seconds(0);
        let limit = |calls| RateLimit {
            endpoint: "a".to_owned(),
            calls,
            window: Duration::from_secs(1),
        };
        let mut limits = RateLimits::new(&[limit(0)]);
        assert!(limits.take("a", now).is_some());
        limits.add(limit(1));
        assert_eq!(limits.take("a", now), None);
        limits.clear();
        assert_eq!(limits.take("a", now), None);
    }
}
